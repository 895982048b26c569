//! Which file system a path is on, by the kernel's table of mounts.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The type of the file system that holds an absolute path without links, from the text of `/proc/self/mountinfo`.
pub(super) fn file_system<'a>(table: &'a str, path: &Path) -> Option<&'a str> {
    let mut best: Option<(usize, &str)> = None;
    for line in table.lines() {
        let Some((point, kind)) = entry(line) else { continue };
        let depth = point.components().count();
        // Of two mounts on one folder, the later hides the earlier.
        if path.starts_with(&point) && best.is_none_or(|(other, _)| depth >= other) {
            best = Some((depth, kind));
        }
    }
    best.map(|(_, kind)| kind)
}

/// Mount point and type: `36 35 98:0 /root /point options [tags] - type source options`.
fn entry(line: &str) -> Option<(PathBuf, &str)> {
    let (before, after) = line.split_once(" - ")?;
    Some((unescape(before.split(' ').nth(4)?), after.split(' ').next()?))
}

/// Blanks and backslashes stand in the table as three octal digits after a backslash.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| *first == b'\\') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "21 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
        22 21 0:5 / /home rw shared:1 master:2 - nfs4 server:/home rw\n\
        23 22 0:6 / /home/a\\040b rw - tmpfs tmpfs rw\n\
        24 22 0:7 / /home/a\\040b rw - xfs /dev/vdb rw\n\
        broken\n";

    #[test]
    fn the_deepest_and_latest_mount_holds_a_path() {
        for (path, kind) in [("/var/x", "ext4"), ("/home/me", "nfs4"), ("/homes", "ext4"), ("/home/a b/c", "xfs")] {
            assert_eq!(file_system(TABLE, Path::new(path)), Some(kind), "{path}");
        }
        assert_eq!(file_system("", Path::new("/")), None);
    }
}
