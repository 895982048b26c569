//! Makes a configured root the same on every machine and day.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use crate::domain::{Result, ResultExt};

/// Files that say when and where packages were configured, or that lie in the way of nobody.
const REMOVED: [&str; 16] = [
    "etc/.pwd.lock",
    "etc/group-",
    "etc/gshadow-",
    "etc/passwd-",
    "etc/shadow-",
    "etc/subgid-",
    "etc/subuid-",
    "var/cache/debconf/config.dat-old",
    "var/cache/debconf/passwords.dat",
    "var/cache/debconf/templates.dat-old",
    "var/cache/ldconfig/aux-cache",
    "var/lib/dpkg/available-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/statoverride-old",
    "usr/sbin/policy-rc.d",
];

/// Files that programs expect, and whose content is of a moment: they stay, empty.
const EMPTIED: [&str; 6] = [
    "etc/machine-id",
    "var/log/alternatives.log",
    "var/log/bootstrap.log",
    "var/log/dpkg.log",
    "var/log/faillog",
    "var/log/lastlog",
];

/// Removes or normalises what depends on the time or machine of configuration: logs, caches, backups, locks, password dates,
/// and all modification times after `epoch`, in seconds since 1970. `root` is a layer: a directory, not a mount.
///
/// # Errors
/// An environment error where something cannot be changed.
pub fn clean(root: &Path, epoch: i64) -> Result<()> {
    let cannot = |path: &Path| format!("cannot clean {}", path.display());
    for name in REMOVED {
        if let Some((path, metadata)) = inside(root, name)
            && metadata.is_file()
        {
            fs::remove_file(&path).or_environment(|| cannot(&path))?;
        }
    }
    for name in EMPTIED {
        if let Some((path, metadata)) = inside(root, name)
            && metadata.is_file()
            && metadata.len() > 0
        {
            fs::write(&path, "").or_environment(|| cannot(&path))?;
        }
    }
    if let Some((path, metadata)) = inside(root, "etc/shadow")
        && metadata.is_file()
    {
        let mode = metadata.permissions().mode();
        let rewrite = || {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode | 0o600))?;
            let text = fs::read_to_string(&path)?;
            fs::write(&path, dated(&text, epoch / 86400))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))
        };
        rewrite().or_environment(|| cannot(&path))?;
    }
    clamp(root, epoch)
}

/// A path below the root and what is there, unless a link is on the way: the content of a layer is not to be trusted.
fn inside(root: &Path, name: &str) -> Option<(std::path::PathBuf, Metadata)> {
    let mut path = root.to_owned();
    let mut metadata = None;
    for part in name.split('/') {
        path.push(part);
        let found = fs::symlink_metadata(&path).ok().filter(|found| !found.is_symlink())?;
        metadata = Some(found);
    }
    Some((path, metadata?))
}

/// The text of a shadow file with one date, in days since 1970, for every password.
fn dated(text: &str, day: i64) -> String {
    let mut dated = String::new();
    for line in text.lines() {
        let mut fields: Vec<&str> = line.split(':').collect();
        let day = day.to_string();
        if fields.len() == 9 && !fields[2].is_empty() {
            fields[2] = &day;
        }
        dated += &fields.join(":");
        dated.push('\n');
    }
    dated
}

/// Takes back every modification time that is later than `epoch`. Folders come after what lies in them.
fn clamp(path: &Path, epoch: i64) -> Result<()> {
    let cannot = || format!("cannot set the time of {}", path.display());
    let metadata = fs::symlink_metadata(path).or_environment(cannot)?;
    if metadata.is_dir() {
        let entries = match fs::read_dir(path) {
            // A folder that its own owner may not read was made by a package, with its times.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
            other => other.or_environment(|| format!("cannot read {}", path.display()))?,
        };
        for entry in entries {
            clamp(&entry.or_environment(|| format!("cannot read {}", path.display()))?.path(), epoch)?;
        }
    }
    if metadata.mtime() > epoch || (metadata.mtime() == epoch && metadata.mtime_nsec() > 0) {
        let time = TimeSpec::new(epoch, 0);
        utimensat(AT_FDCWD, path, &time, &time, UtimensatFlags::NoFollowSymlink).or_environment(cannot)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_moment_left_behind_goes() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["etc", "var/log", "var/lib/dpkg"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let outside = root.path().join("outside");
        fs::write(&outside, "stays").unwrap();
        for name in ["etc/shadow", "etc/shadow-", "var/log/dpkg.log", "var/lib/dpkg/status"] {
            fs::write(root.path().join(name), "root:*:20000:0:99999:7:::\n_apt:!::::::\n").unwrap();
        }
        std::os::unix::fs::symlink(&outside, root.path().join("etc/machine-id")).unwrap();
        clean(root.path(), 864_000).unwrap();
        let read = |name: &str| fs::read_to_string(root.path().join(name)).unwrap();
        assert_eq!(read("etc/shadow"), "root:*:10:0:99999:7:::\n_apt:!::::::\n");
        assert_eq!((read("var/log/dpkg.log").as_str(), read("outside").as_str()), ("", "stays"));
        assert!(!root.path().join("etc/shadow-").exists());
        for name in ["", "etc", "etc/shadow", "etc/machine-id", "var/lib/dpkg/status"] {
            assert_eq!(fs::symlink_metadata(root.path().join(name)).unwrap().mtime(), 864_000, "{name}");
        }
        let old = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
        fs::File::options().write(true).open(&outside).unwrap().set_times(old).unwrap();
        clean(root.path(), 864_000).unwrap();
        assert_eq!(fs::metadata(&outside).unwrap().mtime(), 0);
    }
}
