//! Whether git is there.

use std::process::Command;

use super::Finding;
use super::finding::{GIT, as_root};

pub(super) fn probe() -> Finding {
    const NAME: &str = "git";
    match Command::new("git").arg("version").output() {
        Ok(output) if output.status.success() => {
            Finding::works(NAME, GIT, String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        Ok(output) => Finding::missing(NAME, GIT, String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => {
            let install = as_root("apt-get install git");
            Finding::missing(NAME, GIT, format!("cannot run git: {error}")).mend(install)
        }
    }
}
