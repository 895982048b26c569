//! A private apt: the machine's program and connections, with sources, lists and status of its own.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::domain::{Arch, Error, Result, ResultExt, without_passwords};

use super::apt_conf::configuration;
use super::mirror::no_apt;
use super::print_uris::parse_print_uris;
use super::stanza::Stanza;
use super::{Mirrors, Package, PackageName, Suite};

/// Whether a resolution brings Debian's essential packages along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// The lowest layer: all essential packages, and what they depend on.
    Essential,
    /// On top of another layer: only what is named.
    Below,
}

/// One suite in a state directory of its own. One process may use a directory at a time: apt locks it.
#[derive(Debug)]
pub struct Apt {
    directory: PathBuf,
    suite: Suite,
}

impl Apt {
    /// Makes or takes over a state directory, which must be an absolute path.
    ///
    /// # Errors
    /// An environment error where the machine has no apt, or the directory cannot be written.
    pub fn new(directory: &Path, mirrors: &Mirrors, suite: Suite, host: Arch) -> Result<Apt> {
        let name = directory.to_str().filter(|name| name.starts_with('/') && !name.contains(['"', '\n', '\\']));
        let Some(name) = name else {
            return Err(Error::environment(format!("apt cannot use the folder {}", directory.display()))
                .hint("it must be an absolute path without quotes, backslashes and line breaks"));
        };
        let apt = Apt { directory: directory.to_owned(), suite };
        for folder in ["lists/partial", "cache/archives/partial", "etc"] {
            let folder = directory.join(folder);
            fs::create_dir_all(&folder).or_environment(|| format!("cannot make {}", folder.display()))?;
        }
        fs::set_permissions(directory, Permissions::from_mode(0o700))
            .or_environment(|| format!("cannot make {} private", directory.display()))?;
        apt.write("sources.sources", &mirrors.sources(&apt.suite))?;
        apt.write("status", "")?;
        let machine = Command::new("apt-config").env("LC_ALL", "C").arg("dump").output().map_err(no_apt)?;
        apt.write("apt.conf", &configuration(name, host, &String::from_utf8_lossy(&machine.stdout)))?;
        Ok(apt)
    }

    /// The suite.
    pub fn suite(&self) -> &Suite {
        &self.suite
    }

    /// Downloads the indexes and checks their signatures.
    ///
    /// # Errors
    /// An environment error, in apt's own words, where a mirror does not answer, or a signature is missing, wrong or expired.
    pub fn update(&self) -> Result<()> {
        let context = || format!("cannot load the package indexes of {}", self.suite);
        let output = self
            .command("apt-get")
            .args(["update", "-qq", "-o", "APT::Update::Error-Mode=any"])
            .output()
            .map_err(no_apt)?;
        let complaints = complaints(&output.stderr);
        // Old versions of apt go on with a warning when a mirror fails.
        let failed = complaints.contains("Failed to fetch") || complaints.contains("GPG error");
        if !output.status.success() || failed {
            let hint = match complaints.contains("not signed") || complaints.contains("GPG error") {
                true => "a newer debian-archive-keyring may have the keys; xbuild takes nothing that is not signed",
                false => "XBUILD_DEBIAN_MIRROR names another mirror; old releases move to Debian's archive of releases",
            };
            return Err(Error::environment(context()).because(complaints).hint(hint));
        }
        Ok(())
    }

    /// What it takes to have packages, on top of those in `installed`: the text of a dpkg status file, as by
    /// [`Apt::status_of`] or [`read_status`](super::read_status). In apt's order of installation, without recommends.
    ///
    /// # Errors
    /// A usage error for a name that the suite does not have; an environment error for packages that do not go together,
    /// and where a package in `installed` would have to be replaced.
    pub fn resolve(&self, install: &[PackageName], base: Base, installed: &str) -> Result<Vec<Package>> {
        // A file of its own: layers are resolved side by side.
        let mut status = tempfile::Builder::new()
            .prefix("status-")
            .tempfile_in(self.path(""))
            .or_environment(|| format!("cannot write below {}", self.directory.display()))?;
        status
            .write_all(installed.as_bytes())
            .or_environment(|| format!("cannot write {}", status.path().display()))?;
        let mut command = self.command("apt-get");
        command.arg("-o").arg(format!("Dir::State::status={}", status.path().display()));
        command.args(["install", "--print-uris", "-qq", "-y", "--no-install-recommends"]);
        command.args(["-o", "Acquire::ForceHash=SHA256"]);
        if base == Base::Essential {
            // Else bookworm's `usrmerge | usr-is-merged` brings all of Perl, to do what unpacking has done.
            command.args(["?essential", "?exact-name(usr-is-merged)"]);
        }
        let output = command.args(install.iter().map(PackageName::as_str)).output().map_err(no_apt)?;
        if !output.status.success() {
            let complaints = complaints(&output.stderr);
            let message = format!("cannot resolve the packages in {}", self.suite);
            let named =
                ["Unable to locate package", "no installation candidate"].iter().any(|t| complaints.contains(t));
            return Err(match named {
                true => Error::usage(message).because(complaints),
                false => Error::environment(message).because(complaints),
            });
        }
        let packages = parse_print_uris(&String::from_utf8_lossy(&output.stdout))?;
        let below = Stanza::parse_all(installed)?;
        let replaced = |package: &&Package| below.iter().any(|s| s.get("Package") == Some(package.name.as_str()));
        match packages.iter().find(replaced) {
            None => Ok(packages),
            Some(package) => Err(Error::environment(format!(
                "{package} would replace the same package in a lower layer, which is older than the mirror"
            ))
            .hint("build the lower layers again")),
        }
    }

    /// Names of the packages that Debian holds to be required: what a root file system has that asks for nothing.
    ///
    /// # Errors
    /// An environment error in apt's own words.
    pub fn required(&self) -> Result<Vec<PackageName>> {
        let output = self.command("apt-cache").args(["dumpavail", "-q"]).output().map_err(no_apt)?;
        if !output.status.success() {
            let error = Error::environment(format!("cannot list the packages of {}", self.suite));
            return Err(error.because(complaints(&output.stderr)));
        }
        let mut names = Vec::new();
        for paragraph in String::from_utf8_lossy(&output.stdout).split("\n\n") {
            let field = |name: &str| paragraph.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            if field("Priority") == Some("required")
                && let Some(name) = field("Package")
            {
                names.push(name.parse().or_environment(|| format!("the index of {}", self.suite))?);
            }
        }
        Ok(names)
    }

    /// The text of a dpkg status file that has packages installed: to resolve more on top before anything is unpacked.
    ///
    /// # Errors
    /// An environment error where the index does not have them (any more).
    pub fn status_of(&self, packages: &[Package]) -> Result<String> {
        if packages.is_empty() {
            return Ok(String::new());
        }
        let names = packages.iter().map(|package| format!("{}={}", package.name, package.version));
        let output = self.command("apt-cache").args(["show", "-q"]).args(names).output().map_err(no_apt)?;
        if !output.status.success() {
            return Err(Error::environment(format!("packages have left the index of {}", self.suite))
                .because(complaints(&output.stderr)));
        }
        let mut text = String::new();
        let stanzas = Stanza::parse_all(&String::from_utf8_lossy(&output.stdout))?;
        for package in packages {
            let same = |stanza: &&Stanza| {
                stanza.get("Package") == Some(package.name.as_str())
                    && stanza.get("SHA256") == Some(&package.digest.hex())
            };
            let mut stanza = stanzas
                .iter()
                .find(same)
                .cloned()
                .ok_or_else(|| Error::environment(format!("{package} has left the index of {}", self.suite)))?;
            stanza.set("Status", "install ok installed");
            text += &stanza.text();
        }
        Ok(text)
    }

    /// One of apt's programs, reading this configuration and nothing of the machine's.
    pub(crate) fn command(&self, program: &str) -> Command {
        // Whoever kills xbuild must not leave an apt behind that holds the lock of the lists.
        let mut command = match (which::which("setpriv"), which::which(program)) {
            (Ok(setpriv), Ok(program)) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL", "--"]).arg(program);
                command
            }
            _ => Command::new(program),
        };
        command.env("APT_CONFIG", self.path("apt.conf")).env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
        command.stdin(std::process::Stdio::null());
        command
    }

    /// Where a file of the configuration lies. apt would go on with the machine's own, and its state, if it lay elsewhere.
    fn path(&self, name: &str) -> PathBuf {
        self.directory.join("etc").join(name)
    }

    /// Writes a file that others cannot read: a proxy's password may be in it.
    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path(name);
        if fs::read_to_string(&path).is_ok_and(|found| found == text) {
            // apt throws its caches away when a file of its is newer than they are.
            return Ok(());
        }
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .or_environment(|| format!("cannot write {}", path.display()))
    }
}

/// apt's errors and warnings, joined on one line.
pub(crate) fn complaints(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let marked: Vec<&str> = text.lines().filter(|line| line.starts_with("E: ") || line.starts_with("W: ")).collect();
    // apt keeps passwords to itself in most of what it says.
    without_passwords(&match marked.is_empty() {
        true => text.trim().replace('\n', "; "),
        false => marked.join("; "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_apt_s_own_words() {
        let stderr = b"Reading...\nW: GPG error: x\nE: The repository 'y' is not signed.\nN: Updating\n";
        assert_eq!(complaints(stderr), "W: GPG error: x; E: The repository 'y' is not signed.");
        assert_eq!(complaints(b"oh\nno\n"), "oh; no");
    }
}
