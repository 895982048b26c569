//! Renders builders as a Dockerfile, for Docker and for people: the layers that the native engine composes, in their order.
//!
//! It needs nothing newer than multi-stage builds, so the classic builder runs it as BuildKit does. What libraries are
//! built from, and with, stays behind in stages of its own.

use std::fmt::Write as _;

use super::environment::{Builder, OUTPUT, SOURCE, prefix};
use super::needs::Needs;
use crate::config::{Component, LibraryChoice, Project, SourceArchive, SourceOrigin};
use crate::domain::{Arch, Error, Name, Result, ResultExt};

/// Downloads what one of several places has, and accepts it only with the right digest.
const FETCH: &str = r#"# fetch SHA256 FILE PLACE..: from the first place that has these very bytes
digest=$1 file=$2
shift 2
try() {
  rm -f "$file"
  # apt brings its own client. Certificates it would have to install first; the digest vouches for the bytes.
  /usr/lib/apt/apt-helper -q -o APT::Sandbox::User=root -o Acquire::Retries=0 -o Acquire::https::Verify-Peer=false \
    download-file "$1" "$file" && echo "$digest  $file" | sha256sum -c && exit 0
}
for place; do
  case $place in
    pool/*)
      for mirror in $(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | sort -u); do
        try "$mirror$place"
      done ;;
    *) try "$place" ;;
  esac
done
echo "nowhere to be had: $file" >&2
exit 1"#;

/// Variables of one command, not of the builder.
const OF_COMMANDS: [&str; 7] =
    ["GOCACHE", "GOENV", "GOMODCACHE", "GOPATH", "GOPROXY", "SOURCE_DATE_EPOCH", "XBUILD_OUT"];

/// The Dockerfile that makes the builders of a project's architectures, one stage for each, named like it.
///
/// # Errors
/// A usage error for what does not expand, does not exist, or cannot stand in a Dockerfile.
pub fn render_dockerfile(project: &Project, host: Arch) -> Result<String> {
    let needs = Needs::of(project)?;
    render_builders(project, host, &project.arches, &needs.components, &needs.libraries)
}

/// The stage that all targets share: it has the components, and no compiler for a target.
pub(super) const COMMON: &str = "common";

/// The same for some builders, with these components and libraries.
pub(super) fn render_builders(
    project: &Project,
    host: Arch,
    targets: &[Arch],
    components: &[Name],
    wanted: &[LibraryChoice],
) -> Result<String> {
    let mut libraries = Vec::new();
    for library in wanted {
        with_libraries_below(project, library.clone(), &mut libraries)?;
    }
    for (at, library) in libraries.iter().enumerate() {
        if let Some(other) = libraries[..at].iter().find(|other| other.name == library.name) {
            let (name, one, two) = (&library.name, &other.version, &library.version);
            return Err(Error::usage(format!("the project uses {name} {one} and {two}, which one image cannot hold"))
                .hint("programs may use different versions, each has its own builder; one Dockerfile for all cannot"));
        }
    }
    let mut dockerfile = Dockerfile { project, host, text: String::new() };
    dockerfile.head(targets)?;
    dockerfile.base()?;
    dockerfile.sources(components, &libraries)?;
    dockerfile.common(components)?;
    for target in targets {
        dockerfile.target(*target, components, &libraries)?;
    }
    Ok(dockerfile.text)
}

/// Appends a library after those that it is built with.
fn with_libraries_below(project: &Project, library: LibraryChoice, all: &mut Vec<LibraryChoice>) -> Result<()> {
    for text in &library.recipe.libs {
        let below = project.library(text)?;
        if below.name == library.name {
            return Err(Error::usage(format!("library '{}' needs itself", library.name)));
        }
        with_libraries_below(project, below, all)?;
    }
    if !all.iter().any(|other| stage_of(other) == stage_of(&library)) {
        all.push(library);
    }
    Ok(())
}

struct Dockerfile<'a> {
    project: &'a Project,
    host: Arch,
    text: String,
}

impl Dockerfile<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn head(&mut self, targets: &[Arch]) -> Result<()> {
        let Project { toolchain_name, toolchain, .. } = self.project;
        let summary: String = toolchain.summary.chars().filter(|c| !c.is_control()).collect();
        self.line(&format!("# {toolchain_name}: {summary}; builders that run on {}.", self.host));
        self.line("#");
        for target in targets {
            self.line(&format!("#     docker build --target {target} -t {toolchain_name}:{target} - < Dockerfile"));
        }
        self.line("#");
        self.line("# Another base of the same release: --build-arg BASE=...");
        self.line(&format!("ARG BASE={}", quoted(&toolchain.base.image)?));
        Ok(())
    }

    fn base(&mut self) -> Result<()> {
        self.line(
            "\n# Package lists stay: later layers only ask whether they are current, and find the mirrors in them.",
        );
        self.line("FROM ${BASE} AS base");
        self.install(&self.project.toolchain.packages)
    }

    fn install(&mut self, packages: &[String]) -> Result<()> {
        if packages.is_empty() {
            return Ok(());
        }
        let mut names: Vec<String> = packages.iter().map(|name| quoted(name)).collect::<Result<_>>()?;
        names.sort();
        self.line("RUN apt-get update -o Acquire::Languages=none \\");
        self.line(" && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -- \\");
        self.line(&format!("      {} \\", names.join(" ")));
        self.line(" && apt-get clean");
        Ok(())
    }

    fn sources(&mut self, components: &[Name], libraries: &[LibraryChoice]) -> Result<()> {
        let mut wanted = Vec::new();
        for name in components {
            if let Some(archive) = self.archive(name)? {
                wanted.push((component_stage(name), archive.0.clone()));
            }
        }
        wanted.extend(libraries.iter().map(|library| (stage_of(library), library.source.clone())));
        if wanted.is_empty() {
            return Ok(());
        }
        self.line("\n# What is built or unpacked below, each held to its digest.");
        self.line("FROM base AS sources");
        self.line("WORKDIR /sources");
        self.script(FETCH, "/fetch")?;
        self.line("");
        for (file, archive) in wanted {
            let SourceArchive { sha256, sources } = &archive;
            let places = sources.iter().map(|place| match place {
                SourceOrigin::Url(text) | SourceOrigin::Debian(text) => quoted(text),
            });
            let places = places.collect::<Result<Vec<_>>>()?.join(" \\\n      ");
            self.line(&format!("RUN sh /fetch {} {file} \\\n      {places}", sha256.hex()));
        }
        Ok(())
    }

    /// A component's archive for the host, and where it goes.
    fn archive(&self, name: &Name) -> Result<Option<(&SourceArchive, &str)>> {
        self.project.check_component(name)?;
        let Component { archive: Some(archive), .. } = &self.project.toolchain.components[name] else {
            return Ok(None);
        };
        let source = archive.hosts.get(&self.host).ok_or_else(|| {
            Error::usage(format!("component '{name}' has no archive for a host of architecture {}", self.host))
        })?;
        Ok(Some((source, &archive.into)))
    }

    fn common(&mut self, components: &[Name]) -> Result<()> {
        for name in components {
            if let Some((_, into)) = self.archive(name)? {
                let (stage, into) = (component_stage(name), quoted(&format!("{OUTPUT}{into}"))?);
                self.line(&format!("\nFROM base AS {stage}"));
                self.line(&format!("COPY --from=sources /sources/{stage} /archive"));
                self.line(&format!("RUN mkdir -p {into} \\"));
                self.line(&format!(" && tar -x -f /archive -C {into} --strip-components=1 --no-same-owner"));
            }
        }
        self.line("\n# What all targets share.");
        self.line(&format!("FROM base AS {COMMON}"));
        for name in components {
            match self.archive(name)? {
                Some(_) => self.line(&format!("COPY --from={} {OUTPUT}/ /", component_stage(name))),
                None => self.install(&self.project.toolchain.components[name].packages)?,
            }
        }
        Ok(())
    }

    fn target(&mut self, target: Arch, components: &[Name], libraries: &[LibraryChoice]) -> Result<()> {
        self.line(&format!("\nFROM common AS {target}-compiler"));
        self.install(&self.project.toolchain.target_packages(self.host, target)?)?;
        self.environment(target, components)?;
        for library in libraries {
            self.library(target, library).context(|| format!("library '{}'", library.name))?;
        }
        self.line(&format!("\nFROM {target}-compiler AS {target}"));
        for library in libraries {
            self.line(&format!("COPY --from={target}-{} {OUTPUT}/ /", stage_of(library)));
        }
        self.line(&format!("WORKDIR {SOURCE}"));
        Ok(())
    }

    fn environment(&mut self, target: Arch, components: &[Name]) -> Result<()> {
        let toolchain = &self.project.toolchain;
        let builder = Builder { toolchain, components, host: self.host, target, epoch: 0 };
        let mut assignments = Vec::new();
        for (name, value) in builder.environment()? {
            if !OF_COMMANDS.contains(&name.as_str()) {
                assignments.push(format!("{}={}", variable(&name)?, quoted(&value)?));
            }
        }
        self.line(&format!("ENV {}", assignments.join(" \\\n    ")));
        Ok(())
    }

    fn library(&mut self, target: Arch, library: &LibraryChoice) -> Result<()> {
        let stage = stage_of(library);
        self.line(&format!("\nFROM {target}-compiler AS {target}-{stage}"));
        for text in &library.recipe.libs {
            let below = self.project.library(text)?;
            self.line(&format!("COPY --from={target}-{} {OUTPUT}/ /", stage_of(&below)));
        }
        self.line(&format!("COPY --from=sources /sources/{stage} /archive"));
        self.script(&library.recipe.build, "/build")?;
        self.line(" \\");
        self.line(&format!(" && mkdir {SOURCE} {OUTPUT} \\"));
        self.line(&format!(" && cd {SOURCE} \\"));
        self.line(" && tar -x -f /archive --strip-components=1 --no-same-owner \\");
        self.line(&format!(" && DESTDIR={OUTPUT} XBUILD_OUT={OUTPUT} SOURCE_DATE_EPOCH=0 XBUILD_JOBS=\"$(nproc)\" \\"));
        self.line("      sh -eu /build \\");
        let installs = library.recipe.installs.iter().map(|path| quoted(&format!("{}/{path}", prefix(target))));
        let installs = installs.collect::<Result<Vec<_>>>()?.join(" \\\n      ");
        self.line(&format!(" && cd {OUTPUT} && for file in \\\n      {installs}; \\"));
        self.line(&format!(
            "    do test -e \"{OUTPUT}$file\" || {{ echo \"$file was not installed\" >&2; exit 1; }}; done"
        ));
        Ok(())
    }

    /// Begins a RUN that writes a script, line by line: here-documents are newer than the classic builder.
    fn script(&mut self, script: &str, file: &str) -> Result<()> {
        self.line("RUN printf '%s\\n' \\");
        for line in script.trim_end().lines() {
            let line = always_quoted(line)?;
            self.line(&format!("      {line} \\"));
        }
        let _ = write!(self.text, "      > {file}");
        Ok(())
    }
}

fn stage_of(library: &LibraryChoice) -> String {
    format!("{}-{}", library.name, library.version).to_ascii_lowercase()
}

fn component_stage(name: &Name) -> String {
    format!("component-{name}").to_ascii_lowercase()
}

/// A word that neither the shell nor Docker's own words change.
fn quoted(text: &str) -> Result<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+-._/:@=,".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) { Ok(text.to_owned()) } else { always_quoted(text) }
}

fn always_quoted(text: &str) -> Result<String> {
    match text.chars().find(|c| c.is_control() && *c != '\t') {
        Some(c) => Err(Error::usage(format!("a Dockerfile cannot hold {c:?}, which stands in {text:?}"))),
        None => Ok(format!("'{}'", text.replace('\'', r"'\''"))),
    }
}

fn variable(name: &str) -> Result<&str> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if name.bytes().all(legal) && name.bytes().next().is_some_and(|b| !b.is_ascii_digit()) {
        Ok(name)
    } else {
        Err(Error::usage(format!("{name:?} is not the name of an environment variable")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(arches: &[Arch]) -> Project {
        let toolchain = "debian-trixie".parse().unwrap();
        Project::of_toolchain("/nonexistent".as_ref(), &toolchain).unwrap().for_arches(arches).unwrap()
    }

    /// Compares with a file below `tests/golden`, or writes it when `XBUILD_BLESS` is set.
    fn assert_golden(name: &str, text: &str) {
        let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("XBUILD_BLESS").is_some() {
            std::fs::create_dir_all(format!("{}/tests/golden", env!("CARGO_MANIFEST_DIR"))).unwrap();
            std::fs::write(&path, text).unwrap();
        }
        assert_eq!(text, std::fs::read_to_string(&path).unwrap(), "{path}; XBUILD_BLESS=1 writes it");
    }

    #[test]
    fn a_builder_reads_like_this() {
        let text = render_dockerfile(&project(&[Arch::S390x]), Arch::Amd64).unwrap();
        assert_golden("debian-trixie-s390x.Dockerfile", &text);
    }

    #[test]
    fn a_further_target_leaves_everything_above_its_own_stages_as_it_is() {
        let common = |text: String| {
            let own = text.find("\nFROM common AS ").unwrap();
            text[text.find("\nARG ").unwrap()..own].to_owned()
        };
        let one = common(render_dockerfile(&project(&[Arch::S390x]), Arch::Amd64).unwrap());
        assert_eq!(one, common(render_dockerfile(&project(&Arch::ALL), Arch::Amd64).unwrap()));
    }

    #[test]
    fn values_stay_data() {
        let mut project = project(&[Arch::S390x]);
        let toolchain = &mut project.toolchain;
        toolchain.packages = vec!["a; reboot".into(), "it's".into(), "$(x)".into()];
        toolchain.tools.insert("CC".into(), r#"gcc "$HOME" 'x' \"#.into());
        toolchain.base.image = "a b".into();
        let text = render_dockerfile(&project, Arch::Amd64).unwrap();
        for line in
            ["ARG BASE='a b'\n", r"      '$(x)' 'a; reboot' 'it'\''s' \", r#"    CC='gcc "$HOME" '\''x'\'' \' \"#]
        {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn what_would_end_a_line_is_refused() {
        let mut project = project(&[Arch::S390x]);
        project.toolchain.environment.insert("A".into(), "x\nRUN reboot".into());
        assert!(render_dockerfile(&project, Arch::Amd64).is_err());
        project.toolchain.environment.insert("A".into(), "x".into());
        project.toolchain.environment.insert("B=1 C".into(), "x".into());
        assert!(render_dockerfile(&project, Arch::Amd64).is_err());
    }

    #[test]
    fn two_versions_of_a_library_do_not_overwrite_each_other() {
        let mut project = project(&[Arch::S390x]);
        project.toolchain.libraries = vec!["libpcap@1.10.3".into(), "libpcap@1.10.5".into()];
        let error = render_dockerfile(&project, Arch::Amd64).unwrap_err();
        assert!(error.to_string().contains("libpcap 1.10.3 and 1.10.5"), "{error}");
    }

    #[test]
    fn an_archive_is_unpacked_in_a_stage_of_its_own() {
        let mut project = project(&[Arch::S390x]);
        let archive = "{archive: {into: /usr/local/go, hosts: {amd64: {sha256: \
            '84fa89ac6d303028c1c5b754abff77224f45eca0a94eb1a34ff0aa9ceece3925', \
            sources: [{url: 'https://go.example/go.tar.gz'}]}}}, path: [/usr/local/go/bin]}";
        let component = serde_yaml::from_str(archive).unwrap();
        project.toolchain.components.insert("go".parse().unwrap(), component);
        let text = render_dockerfile(&project, Arch::Amd64).unwrap();
        let fetch = "RUN sh /fetch 84fa89ac6d303028c1c5b754abff77224f45eca0a94eb1a34ff0aa9ceece3925 component-go \\\n      https://go.example/go.tar.gz\n";
        for part in [
            fetch,
            " && tar -x -f /archive -C /out/usr/local/go --strip",
            "FROM base AS common\nCOPY --from=component-go /out/ /\n",
            "PATH=/usr/local/go/bin:/usr/local/sbin",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(render_dockerfile(&project, Arch::Arm64).is_err());
    }
}
