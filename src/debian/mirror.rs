//! Where packages come from: the mirrors that the machine is configured with, or those that the user names.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::domain::{Error, Result, ResultExt, without_password, without_passwords};

use super::Suite;

/// Base addresses of Debian's archives, and the keys that must have signed them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirrors {
    main: String,
    security: Option<String>,
    keyring: PathBuf,
    pockets: Pockets,
}

/// Which of a release's suites are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pockets {
    /// With updates and security updates.
    All,
    /// As it was released.
    Release,
}

/// Debian's keys, from the package `debian-archive-keyring`; which holds those of all its releases.
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];

/// Suites by which Debian's archive is known in a machine's sources; Ubuntu's and others' have other names.
const SUITES: [&str; 13] = [
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
    "experimental",
];

impl Mirrors {
    /// The mirrors in `named`, the value of `XBUILD_DEBIAN_MIRROR`; without one, those of the machine's own apt.
    ///
    /// `named` is the address of the main archive and, after a space, that of the security archive. With the main
    /// archive alone, security suites are left out: guessing an address would make a local mirror fail.
    ///
    /// # Errors
    /// A usage error where `named` is not one or two addresses; an environment error where the machine has no apt, no
    /// Debian mirror, or not Debian's keys.
    pub fn find(named: Option<&str>) -> Result<Mirrors> {
        let (main, security) = match named.filter(|text| !text.trim().is_empty()) {
            Some(text) => parse_named(text)?,
            None => parse_update_uris(&machine_uris()?)?,
        };
        let keyring = KEYRINGS.iter().map(Path::new).find(|path| path.is_file()).ok_or_else(|| {
            Error::environment("Debian's signing keys are not on this machine")
                .hint("install the package debian-archive-keyring")
        })?;
        Ok(Mirrors { main, security, keyring: keyring.to_owned(), pockets: Pockets::All })
    }

    /// The same mirrors, signed by the keys of another file.
    pub fn with_keyring(mut self, keyring: PathBuf) -> Mirrors {
        self.keyring = keyring;
        self
    }

    /// The same mirrors, for releases as they were released: without updates and security updates.
    pub fn without_updates(mut self) -> Mirrors {
        self.pockets = Pockets::Release;
        self
    }

    /// The same mirrors, as one may tell them to everybody.
    pub fn without_passwords(mut self) -> Mirrors {
        self.main = without_password(&self.main);
        self.security = self.security.as_deref().map(without_password);
        self
    }

    /// The address of the main archive, without a slash at its end.
    pub fn main(&self) -> &str {
        &self.main
    }

    /// The address of the security archive, without a slash at its end.
    pub fn security(&self) -> Option<&str> {
        self.security.as_deref()
    }

    /// The text of a sources file for one suite. It leaves the architectures to dpkg, so that more may be added.
    pub(crate) fn sources(&self, suite: &Suite) -> String {
        let entry = |uri: &str, suites: &str| {
            let keyring = self.keyring.display();
            format!("Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\nSigned-By: {keyring}\n")
        };
        if self.pockets == Pockets::Release {
            return entry(&self.main, suite.as_str());
        }
        let mut text = entry(&self.main, &suite.main().join(" "));
        if let (Some(uri), Some(name)) = (&self.security, suite.security()) {
            text += "\n";
            text += &entry(uri, &name);
        }
        text
    }
}

/// The addresses that `apt-get update` would load, by the machine's own configuration, whoever wrote it in what format.
fn machine_uris() -> Result<String> {
    // An empty state, so that no lock is taken and nothing that is there decides what is printed.
    let state = tempfile::tempdir().or_environment(|| "cannot make a temporary folder for apt".into())?;
    let lists = state.path().join("lists");
    std::fs::create_dir_all(lists.join("partial"))
        .or_environment(|| format!("cannot make {}", lists.join("partial").display()))?;
    let output = Command::new("apt-get")
        .env("LC_ALL", "C")
        .arg("-o")
        .arg(format!("Dir::State::Lists={}", lists.display()))
        .arg("-o")
        .arg(format!("Dir::Cache={}", state.path().display()))
        .args(["update", "--print-uris"])
        .output()
        .map_err(no_apt)?;
    if !output.status.success() {
        return Err(Error::environment(format!(
            "apt-get cannot read this machine's sources: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))
        .hint(HINT));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

const HINT: &str = "set XBUILD_DEBIAN_MIRROR to a mirror, as in https://mirror.example/debian";

pub(crate) fn no_apt(cause: std::io::Error) -> Error {
    Error::environment("cannot run apt-get").because(cause).hint("a machine without apt needs a base image instead")
}

/// Reads `XBUILD_DEBIAN_MIRROR`.
fn parse_named(text: &str) -> Result<(String, Option<String>)> {
    let mut addresses = text.split_whitespace();
    let main = parse_address(addresses.next().unwrap_or_default())?;
    let security = addresses.next().map(parse_address).transpose()?;
    match addresses.next() {
        Some(_) => {
            let text = without_passwords(text);
            Err(Error::usage(format!("'{text}' is more than a mirror and its security mirror")))
        }
        None => Ok((main, security)),
    }
}

fn parse_address(text: &str) -> Result<String> {
    let legal = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'<' | b'>' | b'[' | b'\\');
    let scheme = ["http://", "https://", "copy:/"].iter().any(|scheme| text.starts_with(scheme));
    if scheme && text.bytes().all(legal) {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        let text = without_password(text);
        Err(Error::usage(format!("'{text}' is not the address of a Debian mirror")).hint(HINT))
    }
}

/// Finds Debian's archives in what `apt-get update --print-uris` prints: `'<base>/dists/<suite>/InRelease' <file> 0`.
fn parse_update_uris(text: &str) -> Result<(String, Option<String>)> {
    let (mut main, mut security) = (None, None);
    for line in text.lines() {
        let address = line.strip_prefix('\'').and_then(|rest| rest.split('\'').next());
        let release = address.and_then(|uri| uri.strip_suffix("/InRelease")).and_then(|uri| uri.split_once("/dists/"));
        let Some((base, suite)) = release else { continue };
        let place = match suite.strip_suffix("-security").or(suite.strip_suffix("/updates")) {
            Some(name) if SUITES.contains(&name) => &mut security,
            None if SUITES.contains(&suite) => &mut main,
            _ => continue,
        };
        if place.is_none() {
            *place = Some(parse_address(base)?);
        }
    }
    match main {
        Some(main) => Ok((main, security)),
        None => Err(Error::environment("this machine's apt knows no Debian mirror").hint(HINT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ErrorKind;

    #[test]
    fn the_machine_s_mirrors_are_found_whatever_its_suites() {
        let text = "'https://deb.nodesource.com/node_20.x/dists/nodistro/InRelease' x 0 \n\
            'http://mirror.example/debian/dists/bookworm-updates/InRelease' x 0 \n\
            'http://mirror.example/debian/dists/bookworm/InRelease' x 0 \n\
            'http://sec.example/debian-security/dists/bookworm-security/InRelease' x 0 \n\
            'http://mirror.example/debian/dists/bookworm/main/binary-amd64/Packages.xz' x 0 \n";
        let found = parse_update_uris(text).unwrap();
        assert_eq!(found, ("http://mirror.example/debian".into(), Some("http://sec.example/debian-security".into())));
    }

    #[test]
    fn another_distribution_is_told_what_to_set() {
        let error = parse_update_uris("'http://archive.ubuntu.com/ubuntu/dists/noble/InRelease' x 0\n").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Environment);
        assert!(error.hints()[0].contains("XBUILD_DEBIAN_MIRROR"), "{error:?}");
    }

    #[test]
    fn named_mirrors_are_one_or_two_addresses() {
        assert_eq!(parse_named("http://a/debian/").unwrap(), ("http://a/debian".into(), None));
        assert_eq!(parse_named("http://a/d https://b/s").unwrap(), ("http://a/d".into(), Some("https://b/s".into())));
        for text in ["debian", "http://a b c", "http://a http://b http://c", "http://a\"x", "[trusted=yes] http://a"] {
            assert!(parse_named(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sources_name_the_keys() {
        let mirrors = Mirrors {
            main: "http://a/d".into(),
            security: Some("http://b/s".into()),
            keyring: "/k.gpg".into(),
            pockets: Pockets::All,
        };
        assert_eq!(
            mirrors.sources(&"trixie".parse().unwrap()),
            "Types: deb\nURIs: http://a/d\nSuites: trixie trixie-updates\nComponents: main\n\
             Signed-By: /k.gpg\n\n\
             Types: deb\nURIs: http://b/s\nSuites: trixie-security\nComponents: main\n\
             Signed-By: /k.gpg\n"
        );
        assert_eq!(
            mirrors.without_updates().sources(&"trixie".parse().unwrap()),
            "Types: deb\nURIs: http://a/d\nSuites: trixie\nComponents: main\n\
             Signed-By: /k.gpg\n"
        );
    }
}
