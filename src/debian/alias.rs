//! Paths of packages, as relative to a root in which `/bin` and its like are links into `/usr`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use crate::domain::{Error, Result};

/// Folders that are links, from a path in a package to where it comes to lie. Debian's packages may still name
/// the former; rewriting them is also what gives bookworm the merged `/usr` that its packages expect.
///
/// `/var/run` and `/var/lock` are none: base-files has them as folders, and its script makes links of them.
pub(crate) const ALIASES: [(&str, &str); 6] = [
    ("bin", "usr/bin"),
    ("sbin", "usr/sbin"),
    ("lib", "usr/lib"),
    ("lib32", "usr/lib32"),
    ("lib64", "usr/lib64"),
    ("libx32", "usr/libx32"),
];

/// The components of an archive's path: none for the root itself.
pub(crate) fn components(path: &[u8]) -> Result<Vec<OsString>> {
    let unsafe_path = |rule: &str| {
        Error::environment(format!("has the path '{}', which {rule}", String::from_utf8_lossy(path).escape_debug()))
    };
    if path.starts_with(b"/") {
        return Err(unsafe_path("is absolute"));
    }
    let mut found = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(unsafe_path("leads upwards")),
            _ if part.contains(&0) => return Err(unsafe_path("holds a zero byte")),
            _ => found.push(OsStr::from_bytes(part).to_owned()),
        }
    }
    Ok(found)
}

/// Where something below an aliased folder comes to lie. The alias itself stays.
pub(crate) fn resolve(path: Vec<OsString>) -> Vec<OsString> {
    for (from, to) in ALIASES {
        let from: Vec<&OsStr> = from.split('/').map(OsStr::new).collect();
        if path.len() > from.len() && path.iter().zip(&from).all(|(a, b)| a == b) {
            let rest = path[from.len()..].iter().cloned();
            return to.split('/').map(OsString::from).chain(rest).collect();
        }
    }
    path
}

/// Where an alias itself leads, if a path is one.
pub(crate) fn target(path: &[OsString]) -> Option<Vec<OsString>> {
    let (_, to) =
        ALIASES.iter().find(|(from, _)| from.split('/').map(OsStr::new).eq(path.iter().map(OsString::as_os_str)))?;
    Some(to.split('/').map(OsString::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(path: &str) -> String {
        resolve(components(path.as_bytes()).unwrap()).join(OsStr::new("/")).into_string().unwrap()
    }

    #[test]
    fn aliased_folders_are_followed() {
        for (path, expected) in [
            ("./bin/sh", "usr/bin/sh"),
            ("./lib64/ld.so", "usr/lib64/ld.so"),
            ("./var/lock/x", "var/lock/x"),
            ("./bin", "bin"),
            ("./", ""),
            ("usr//bin/./sh", "usr/bin/sh"),
            ("./library/x", "library/x"),
        ] {
            assert_eq!(joined(path), expected);
        }
        assert_eq!(target(&components(b"./lib").unwrap()), Some(components(b"usr/lib").unwrap()));
        assert_eq!(target(&components(b"./usr").unwrap()), None);
    }

    #[test]
    fn paths_out_of_the_root_are_refused() {
        for path in ["/etc/passwd", "../x", "./usr/../../x", "a/..", "a\0b"] {
            assert!(components(path.as_bytes()).is_err(), "{path}");
        }
    }
}
