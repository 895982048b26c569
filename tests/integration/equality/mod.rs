//! The same Dockerfiles, built by a real Docker engine and by xbuild: the images must be equal.
//!
//! The cases are the files of `tests/equality`; [`case`] tells how they are written. `XBUILD_TEST_CASE` names a part of the
//! names of those to run. A difference that a case states is in `docs/docker-differences.md`, and must be there.

mod case;
pub(crate) mod facts;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use crate::support::{Agent, Docker, Identity, Images, Imports, Release, Server, Store, host, xbuild_as};
use case::{Case, busybox_archive};
use facts::{Facts, Image};

/// Facts that differ in every image, and why.
const EVERYWHERE: [(&str, &str); 2] = [
    ("`config.ArgsEscaped`", "Docker's CMD sets a mark that has a meaning on Windows alone"),
    (
        "`config.Labels`",
        "xbuild labels images with `org.opencontainers.image.created`, `.title`, `.version`, `.revision` and `.source`, \
         unless the Dockerfile does",
    ),
];

/// A modification time before this one was set on purpose: the cases set none after it, and are built long after it.
const FIXED_BEFORE: u64 = 1_500_000_000;

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/equality");
    let mut cases = Vec::new();
    for file in fs::read_dir(&folder).expect("the cases").flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        let name = name.strip_suffix(".txt").unwrap_or_else(|| panic!("{name} is no case")).to_owned();
        cases.push(Case::parse(&name, &fs::read_to_string(file.path()).expect("a text")));
    }
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    cases
}

/// Both builders, with the base image that most cases start from.
struct Bench {
    docker: Docker,
    /// Another, for the cases that want one.
    containerd: Option<Docker>,
    agent: Agent,
    users: Vec<Builder>,
}

/// xbuild, as one of the users that run it.
struct Builder {
    identity: Identity,
    /// A folder that the user can reach.
    folder: tempfile::TempDir,
    store: Store,
}

impl Builder {
    /// `base` is the base image as Docker has saved it, which is an OCI layout too.
    fn new(identity: Identity, base: &Path) -> Builder {
        let store = Store::cold(identity);
        let place = store.path().parent().expect("the folder of stores");
        let folder = tempfile::Builder::new().prefix("equality-").tempdir_in(place).expect("a folder");
        let layout = folder.path().join("layout");
        tar::Archive::new(fs::File::open(base).expect("an archive")).unpack(&layout).expect("a layout");
        identity.own(folder.path());
        Builder { identity, folder, store }
    }

    fn build(&self, case: &Case, arguments: &[(String, String)], agent: &Agent) -> Result<Image, String> {
        let folder = self.folder.path().join(&case.name);
        case.write(&folder);
        std::os::unix::fs::symlink("../layout", folder.join("layout")).expect("a link");
        let mut project = format!("version: 1\nname: equality\narches: [{}]\n", host());
        project += "bases:\n  busybox: { layout: layout, name: latest }\nimages:\n";
        for name in case.bases() {
            let _ = writeln!(project, "  {name}: {{ dockerfile: {name}/Dockerfile }}");
        }
        project += "  case:\n    name: case\n    tags: [built]\n    dockerfile: context/Dockerfile\n";
        for (number, (name, value)) in arguments.iter().enumerate() {
            let value = serde_json::to_string(value).expect("a text");
            let _ = writeln!(project, "{}      {name}: {value}", if number == 0 { "    args:\n" } else { "" });
        }
        fs::write(folder.join("xbuild.yaml"), project).expect("a file");
        let mut command = xbuild_as(self.identity);
        command.arg("-C").arg(&folder).args(["images", "case"]).env("XBUILD_STORE", self.store.path());
        if let Some(target) = &case.target {
            command.arg(format!("--target={target}"));
        }
        for (id, text) in &case.secrets {
            fs::write(folder.join(id), text).expect("a file");
            command.arg(format!("--secret=id={id},src={}", folder.join(id).display()));
        }
        if case.agent {
            command.arg(format!("--ssh=default={}", agent.socket().display()));
        }
        self.identity.own(&folder);
        let output = command.output().expect("xbuild can be run");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => Ok(Image::in_layout(&folder.join("dist/images"), "case:built")),
            code => Err(format!("exit code {code:?}\n{said}")),
        }
    }
}

impl Bench {
    fn new(docker: Docker, containerd: Option<Docker>) -> Bench {
        for docker in [Some(&docker), containerd.as_ref()].into_iter().flatten() {
            let folder = docker.work().join("busybox");
            fs::create_dir(&folder).expect("a folder");
            fs::write(folder.join("rootfs.tar"), busybox_archive(&Docker::busybox())).expect("an archive");
            fs::write(folder.join("Dockerfile"), "FROM scratch\nADD rootfs.tar /\nCMD [\"/bin/sh\"]\n")
                .expect("a file");
            docker.must(["build", "-q", "-t", "busybox", "/exchange/busybox"]);
        }
        docker.must(["save", "-o", "/exchange/busybox.tar", "busybox"]);
        let users = [Identity::Own, Identity::Range, Identity::Single];
        let users = users.map(|identity| Builder::new(identity, &docker.work().join("busybox.tar")));
        let agent = Agent::start(&docker.work().join("agent"));
        Bench { docker, containerd, agent, users: users.into() }
    }

    /// Builds a case both ways; what is wrong with the results.
    fn try_out(&self, case: &Case) -> Result<(), String> {
        let engine = self.containerd.as_ref().filter(|_| case.containerd).unwrap_or(&self.docker);
        case.write(&engine.work().join(&case.name));
        let served = case.served();
        let server = (!served.is_empty()).then(|| Server::of(served));
        let mut arguments = case.arguments.clone();
        if let Some(server) = &server {
            arguments.push(("SERVER".into(), server.url("")));
        }
        let repository = case.repository();
        if let Some(repository) = &repository {
            arguments.push(("GIT".into(), repository.url()));
            arguments.push(("COMMIT".into(), repository.commit.clone()));
        }
        let docker = match case.documented() {
            None => Some(docker(engine, case, &arguments)),
            Some(_) => None,
        };
        let xbuild = self.users[0].build(case, &arguments, &self.agent);
        if let Some(place) = &case.refused {
            return refused(place, docker, xbuild);
        }
        if let Some((place, _)) = &case.stricter {
            if let Some(Err(message)) = docker {
                return Err(format!("Docker does not build it:\n{message}"));
            }
            return refused_here(place, xbuild);
        }
        let expected = match (docker, case.documented()) {
            (Some(built), _) => built.map_err(|message| format!("Docker does not build it:\n{message}"))?,
            (None, facts) => Image { facts: facts.unwrap_or_default(), times: BTreeMap::new() },
        };
        let found = xbuild.map_err(|message| format!("xbuild does not build it:\n{message}"))?;
        let found = without_own_labels(found, &expected.facts);
        let root = found.facts.clone();
        let differences = differences(expected, found, case.documented().is_some());
        unlisted(case, &differences)?;
        self.users[1..].iter().try_for_each(|user| {
            let built = user.build(case, &arguments, &self.agent).map(|image| without_own_labels(image, &root));
            same_as_root(case, &root, user, built)
        })
    }
}

/// Builds a case with an engine.
fn docker(docker: &Docker, case: &Case, arguments: &[(String, String)]) -> Result<Image, String> {
    let mut options = vec!["build".to_owned(), "--quiet".into(), "--network=host".into()];
    options.push("--provenance=false".into());
    if case.agent {
        options.push("--ssh=default=/exchange/agent".into());
    }
    if let Some(target) = &case.target {
        options.push(format!("--target={target}"));
    }
    for (name, value) in arguments {
        options.push(format!("--build-arg={name}={value}"));
    }
    for (id, text) in &case.secrets {
        fs::write(docker.work().join(&case.name).join(id), text).expect("a file");
        options.push(format!("--secret=id={id},src=/exchange/{}/{id}", case.name));
    }
    for name in case.bases() {
        let place = format!("/exchange/{}/{name}", case.name);
        let output = docker.docker(["build", "--quiet", "--network=host", "--tag", &name, &place]);
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
    }
    let tag = format!("case-{}", case.name);
    options.extend(["--tag".into(), tag.clone(), format!("/exchange/{}/context", case.name)]);
    let output = docker.docker(&options);
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let archive = docker.work().join(&case.name).join("saved.tar");
    let saved = docker.docker(["save", "--output", &format!("/exchange/{}/saved.tar", case.name), &tag]);
    let words = String::from_utf8_lossy(&saved.stderr);
    if words.contains("empty export") {
        // It does not save what has no layers.
        let inspected = docker.must(["image", "inspect", &tag]);
        let history = docker.must(["image", "history", "--quiet", &tag]);
        return Ok(Image::inspected(&inspected, history.lines().count()));
    }
    if !saved.status.success() {
        return Err(words.into_owned());
    }
    let image = Image::saved(&archive);
    let _ = fs::remove_file(archive);
    Ok(image)
}

fn refused(place: &str, docker: Option<Result<Image, String>>, xbuild: Result<Image, String>) -> Result<(), String> {
    let line = place.split(':').next().unwrap_or_default();
    match docker {
        Some(Ok(_)) => return Err("Docker builds it".into()),
        // It does not name the line of everything.
        Some(Err(message)) if message.contains("Dockerfile:") && !message.contains(&format!("Dockerfile:{line}\n")) => {
            return Err(format!("Docker refuses another line:\n{message}"));
        }
        _ => {}
    }
    refused_here(place, xbuild)
}

/// An ordinary user's image is root's; of one without a range of ids, but for owners that a command gives away.
fn same_as_root(case: &Case, root: &Facts, user: &Builder, built: Result<Image, String>) -> Result<(), String> {
    let who = user.identity;
    if case.needs_ids && who == Identity::Single {
        return Ok(());
    }
    let facts = built.map_err(|message| format!("{who:?} does not build it:\n{message}"))?.facts;
    let mut text = String::new();
    for fact in root.keys().chain(facts.keys()).filter(|fact| who == Identity::Range || !fact.ends_with(" owner")) {
        let (one, other) = (root.get(fact), facts.get(fact));
        if one != other {
            let _ = writeln!(text, "    {fact}\n      root: {one:?}\n      {who:?}: {other:?}");
        }
    }
    if text.is_empty() { Ok(()) } else { Err(text) }
}

/// xbuild must tell the place, `LINE` or `LINE:COLUMN`, and that the user or the machine's owner can mend it.
fn refused_here(place: &str, xbuild: Result<Image, String>) -> Result<(), String> {
    let told = |message: &str| {
        let after = message.split_once("/Dockerfile:").map_or("", |(_, after)| after);
        let mut numbers = after.split(':').map(|number| number.parse::<u32>().ok());
        let (line, column) = (numbers.next().flatten()?, numbers.next().flatten()?);
        Some([line.to_string(), format!("{line}:{column}")])
    };
    match xbuild {
        Ok(_) => Err("xbuild builds it".into()),
        Err(message) if !told(&message).is_some_and(|places| places.iter().any(|told| told == place)) => {
            Err(format!("xbuild refuses another place than {place}:\n{message}"))
        }
        Err(message)
            if !["exit code Some(1)", "exit code Some(2)", "exit code Some(3)"]
                .iter()
                .any(|code| message.starts_with(code)) =>
        {
            Err(message)
        }
        Err(_) => Ok(()),
    }
}

/// Takes the labels away that xbuild gives to every image, where Docker's has them not.
fn without_own_labels(mut image: Image, expected: &Facts) -> Image {
    let labels = |facts: &Facts| -> BTreeMap<String, String> {
        facts.get("config.Labels").map_or_else(BTreeMap::new, |text| serde_json::from_str(text).expect("labels"))
    };
    let theirs = labels(expected);
    let mut ours = labels(&image.facts);
    ours.retain(|name, _| !name.starts_with("org.opencontainers.image.") || theirs.contains_key(name));
    image.facts.remove("config.Labels");
    if !ours.is_empty() {
        image.facts.insert("config.Labels".into(), serde_json::to_string(&ours).expect("labels"));
    }
    image
}

/// Facts that differ, and what both say.
fn differences(expected: Image, found: Image, partial: bool) -> BTreeMap<String, (String, String)> {
    let (mut docker, mut xbuild) = (expected.facts, found.facts);
    for (path, time) in &found.times {
        match expected.times.get(path) {
            Some(fixed) if *fixed < FIXED_BEFORE => {
                docker.insert(format!("{path} time"), fixed.to_string());
                xbuild.insert(format!("{path} time"), time.to_string());
            }
            // What Docker leaves to the clock is the same for ever.
            _ if *time >= FIXED_BEFORE => {
                xbuild.insert(format!("{path} time"), "left to the clock".into());
            }
            _ => {}
        }
    }
    let mut differences = BTreeMap::new();
    let nothing = || "nothing".to_owned();
    let is_there = |facts: &Facts, fact: &str| match fact.split_once(' ') {
        Some((path, name)) if path.starts_with('/') && name != "type" => facts.contains_key(&format!("{path} type")),
        _ => true,
    };
    for fact in docker.keys().chain(xbuild.keys()) {
        let (one, other) = (docker.get(fact), xbuild.get(fact));
        // That it is there at all is told by its type.
        let told = is_there(&docker, fact) && is_there(&xbuild, fact);
        if one != other && told && !(partial && one.is_none()) {
            let values = (one.cloned().unwrap_or_else(nothing), other.cloned().unwrap_or_else(nothing));
            differences.insert(fact.clone(), values);
        }
    }
    differences
}

/// Everything but the differences that the case states, which must be there.
fn unlisted(case: &Case, differences: &BTreeMap<String, (String, String)>) -> Result<(), String> {
    let matches = |pattern: &str, fact: &str| match pattern.split_once('*') {
        Some((start, end)) => fact.starts_with(start) && fact.ends_with(end),
        None => fact == pattern,
    };
    let mut text = String::new();
    for (fact, (docker, xbuild)) in differences {
        if !case.differs.iter().any(|(pattern, _)| matches(pattern, fact)) {
            let _ = writeln!(text, "    {fact}\n      docker: {docker}\n      xbuild: {xbuild}");
        }
    }
    for (pattern, _) in &case.differs {
        if !differences.keys().any(|fact| matches(pattern, fact)) {
            let _ = writeln!(text, "    {pattern} no longer differs: take the line out of the case");
        }
    }
    if text.is_empty() { Ok(()) } else { Err(text) }
}

#[test]
fn images_equal_docker_s() {
    let wanted = std::env::var("XBUILD_TEST_CASE").unwrap_or_default();
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.name.contains(&wanted)).collect();
    assert!(!wanted.is_empty() || cases.len() >= 80, "{} cases", cases.len());
    let start = |images| Docker::of(Release::Current).images(images).start();
    let Some(docker) = start(Images::OfDriver) else { return };
    let containerd = cases.iter().any(|case| case.containerd).then(|| start(Images::OfContainerd)).flatten();
    let bench = Bench::new(docker, containerd);
    let failures: Mutex<BTreeMap<String, String>> = Mutex::default();
    let queue = Mutex::new(cases.iter());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = { queue.lock().expect("no panic").next() } {
                    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bench.try_out(case)));
                    let text = match outcome {
                        Ok(Ok(())) => continue,
                        Ok(Err(text)) => text,
                        Err(panic) => format!("a panic: {:?}", panic.downcast_ref::<String>()),
                    };
                    failures.lock().expect("no panic").insert(case.name.clone(), text);
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no panic");
    let text: String = failures.iter().map(|(name, text)| format!("{name}:\n{text}\n")).collect();
    assert!(failures.is_empty(), "{} of {} cases:\n{text}", failures.len(), cases.len());
}

/// The differences that the cases state are what the documentation lists.
#[test]
fn differences_are_documented() {
    let mut reasons: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for case in cases() {
        if let Some((place, reason)) = &case.stricter {
            reasons.entry(reason.clone()).or_default().push(format!("`{}` (refused, {place})", case.name));
        }
        for (fact, reason) in &case.differs {
            reasons.entry(reason.clone()).or_default().push(format!("`{}` ({fact})", case.name));
        }
    }
    let mut text = "# Where images differ from Docker's\n\nEvery other fact that `tests/equality` compares is the same: file \
                    trees, owners, modes, contents,\nattributes, fixed times, configurations and the pattern of the history. \
                    Written by the test `differences_are_documented`\nfrom the cases that show the differences.\n"
        .to_owned();
    for (fact, reason) in EVERYWHERE {
        let _ = write!(text, "\n- {reason}: {fact}.\n");
    }
    for (reason, places) in reasons {
        let _ = write!(text, "\n- {reason}.\n  Cases: {}.\n", places.join(", "));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/docker-differences.md");
    if std::env::var_os("XBUILD_TEST_BLESS").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, &text).expect("a file");
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), text, "XBUILD_TEST_BLESS=1 writes it anew");
}
