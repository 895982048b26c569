//! What of a package a builder never needs.

use std::ffi::OsString;

/// Folders whose content is left out, as in Debian's own slim images, and why.
///
/// dpkg's lists still name the files, as with its own `path-exclude`.
pub const EXCLUDED: [(&str, &str); 6] = [
    ("usr/share/doc", "nobody reads it in a builder; copyright files stay, because licences ask for it"),
    ("usr/share/info", "manuals"),
    ("usr/share/man", "manuals; folders stay, because update-alternatives puts links there"),
    ("usr/share/locale", "translations of messages; builders speak C"),
    ("usr/share/lintian", "for the makers of packages"),
    ("usr/share/gnome/help", "manuals"),
];

/// Whether an entry is left out.
pub(crate) fn is_excluded(path: &[OsString], is_directory: bool) -> bool {
    if is_lto_dump(path) {
        return true;
    }
    let Some((folder, _)) = EXCLUDED.iter().find(|(folder, _)| {
        let depth = folder.split('/').count();
        path.len() > depth && folder.split('/').zip(path).all(|(a, b)| b == a)
    }) else {
        return false;
    };
    match *folder {
        // A package's own folder may be a link to that of another, with the copyright in it.
        "usr/share/doc" => path.len() > 5 || (path.len() == 5 && path[4] != "copyright"),
        "usr/share/man" => !is_directory,
        _ => true,
    }
}

/// `lto-dump` prints the insides of object files to those who develop gcc; it is a tenth of a cross compiler's size.
fn is_lto_dump(path: &[OsString]) -> bool {
    let Some((name, folder)) = path.split_last() else { return false };
    let tool = name.to_str().and_then(|name| name.rsplit_once("lto-dump"));
    let version = |text: &str| text.is_empty() || text.strip_prefix('-').is_some_and(|n| n.parse::<u32>().is_ok());
    folder.iter().map(|part| part.as_encoded_bytes()).eq([b"usr".as_slice(), b"bin"])
        && tool.is_some_and(|(triple, rest)| (triple.is_empty() || triple.ends_with('-')) && version(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_builder_needs_is_left_out() {
        for (path, is_directory, excluded) in [
            ("usr/share/doc", true, false),
            ("usr/share/doc/make", true, false),
            ("usr/share/doc/g++", false, false),
            ("usr/share/doc/make/copyright", false, false),
            ("usr/share/doc/make/NEWS.gz", false, true),
            ("usr/share/doc/make/examples/copyright", false, true),
            ("usr/share/man/man1", true, false),
            ("usr/share/man/man1/make.1.gz", false, true),
            ("usr/share/locale/de/LC_MESSAGES", true, true),
            ("usr/share/documents/x", false, false),
            ("usr/share", true, false),
            ("usr/bin/s390x-linux-gnu-lto-dump-14", false, true),
            ("usr/bin/lto-dump", false, true),
            ("usr/bin/lto-dump-tool", false, false),
            ("usr/libexec/gcc/s390x-linux-gnu/14/lto1", false, false),
        ] {
            let parts: Vec<OsString> = path.split('/').map(OsString::from).collect();
            assert_eq!(is_excluded(&parts, is_directory), excluded, "{path}");
        }
    }
}
