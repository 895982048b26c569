//! Whether builders can be made of Debian's packages: apt, a mirror that answers, its keys.

use std::path::Path;
use std::process::Command;

use super::Finding;
use super::finding::{BUILDERS, as_root};
use crate::debian::Mirrors;
use crate::domain::{Error, Result, ResultExt, without_password, without_passwords};

const APT_HELPER: &str = "/usr/lib/apt/apt-helper";

/// The suite that every mirror of use has: that of the default toolchain.
const SUITE: &str = "trixie";

pub(super) fn tools() -> Finding {
    const NAME: &str = "apt";
    let output = match Command::new("apt-get").env("LC_ALL", "C").arg("--version").output() {
        Ok(output) if output.status.success() => output,
        Ok(output) => {
            return Finding::missing(NAME, BUILDERS, format!("apt-get --version ends with {}", output.status));
        }
        Err(error) => {
            return Finding::missing(NAME, BUILDERS, format!("cannot run apt-get: {error}"))
                .mend("run xbuild on Debian or Ubuntu, or in a container of theirs");
        }
    };
    if !Path::new(APT_HELPER).is_file() {
        return Finding::missing(NAME, BUILDERS, format!("there is no {APT_HELPER}"))
            .mend(as_root("apt-get install --reinstall apt"));
    }
    // apt verifies with either; from version 3 it prefers sqv.
    let Some(verifier) = ["sqv", "gpgv"].into_iter().find(|program| which::which(program).is_ok()) else {
        return Finding::missing(NAME, BUILDERS, "neither gpgv nor sqv is there to check signatures")
            .mend(as_root("apt-get install gpgv"));
    };
    let text = String::from_utf8_lossy(&output.stdout);
    Finding::works(NAME, BUILDERS, format!("{}, signatures by {verifier}", text.lines().next().unwrap_or("apt").trim()))
}

pub(super) fn mirror() -> Finding {
    const NAME: &str = "debian mirror";
    let named = std::env::var("XBUILD_DEBIAN_MIRROR").ok();
    let found = Mirrors::find(named.as_deref());
    let error = match found.and_then(|mirrors| answers(mirrors.main()).map(|()| mirrors)) {
        Ok(mirrors) => return Finding::works(NAME, BUILDERS, format!("{} answers", without_password(mirrors.main()))),
        Err(error) => error,
    };
    let finding = Finding::missing(NAME, BUILDERS, error.to_string());
    match error.hints().first() {
        Some(hint) if hint.contains("debian-archive-keyring") => {
            finding.mend(as_root("apt-get install debian-archive-keyring"))
        }
        Some(hint) => finding.mend(*hint),
        None => finding,
    }
}

/// Loads the release file of one suite, the way in which packages are loaded, so with apt's proxy and certificates.
fn answers(mirror: &str) -> Result<()> {
    let folder = tempfile::tempdir().or_environment(|| "cannot make a temporary folder".into())?;
    let address = format!("{mirror}/dists/{SUITE}/InRelease");
    let output = Command::new(APT_HELPER)
        .env("LC_ALL", "C")
        .args(["-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=5", "-o", "Acquire::https::Timeout=5"])
        .args(["-o", "APT::Sandbox::User=root", "download-file", &address])
        .arg(folder.path().join("InRelease"))
        .output()
        .or_environment(|| format!("cannot run {APT_HELPER}"))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let line = words.lines().find(|line| line.starts_with("E:")).unwrap_or("apt-helper does not say why");
    let (address, line) = (without_password(&address), without_passwords(line.trim_start_matches("E:").trim()));
    Err(Error::environment(format!("cannot load {address}: {line}"))
        .hint("set XBUILD_DEBIAN_MIRROR to a mirror that answers, or build with `--offline` from what the store has"))
}
