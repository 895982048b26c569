//! Files that are there, or not.

use std::path::Path;

use super::Verdict;
use crate::config::{ExecutableBy, FileExistenceTest};
use crate::image::{Content, Entry, MergedImage};

/// As `ls -l` shows a mode.
fn shown(entry: &Entry) -> String {
    let kind = match entry.content {
        Content::Directory | Content::OpaqueDirectory => 'd',
        Content::Symlink(_) => 'L',
        Content::CharDevice(_) | Content::BlockDevice(_) => 'D',
        Content::Fifo => 'p',
        _ => '-',
    };
    let bits = (0..9).rev().map(|bit| match entry.mode >> bit & 1 {
        0 => '-',
        _ => ['x', 'w', 'r'][bit % 3],
    });
    // Go's way, which the specs are written in: special bits come first, as letters of their own.
    let special = [(0o4000, 'u'), (0o2000, 'g'), (0o1000, 't')];
    let special: String = special.iter().filter(|(bit, _)| entry.mode & bit != 0).map(|(_, letter)| *letter).collect();
    match (kind, special.as_str()) {
        ('-', "") => "-".to_owned(),
        ('-', special) => special.to_owned(),
        ('d', special) => format!("d{special}"),
        (kind, special) => format!("{special}{kind}"),
    }
    .chars()
    .chain(bits)
    .collect()
}

pub(super) fn check(test: &FileExistenceTest, image: &MergedImage) -> Verdict {
    let mut verdict = Verdict::new(&test.name);
    let found = image.find(Path::new(&test.path), false);
    let path = &test.path;
    let Some((_, entry)) = found else {
        verdict.expect(!test.should_exist, || format!("{path} is not there"));
        return verdict;
    };
    if !test.should_exist {
        verdict.expect(false, || format!("{path} is there"));
        return verdict;
    }
    if let Some(wanted) = &test.permissions {
        let found = shown(entry);
        verdict.expect(found == *wanted, || format!("{path} has {found}, and not {wanted}"));
    }
    for (what, wanted, found) in [("user", test.uid, entry.uid), ("group", test.gid, entry.gid)] {
        let Some(wanted) = wanted else { continue };
        verdict.expect(found == wanted, || format!("{path} has the {what} {found}, and not {wanted}"));
    }
    if let Some(who) = test.is_executable_by {
        let (bits, name) = match who {
            ExecutableBy::Owner => (0o100, "its owner"),
            ExecutableBy::Group => (0o010, "its group"),
            ExecutableBy::Other => (0o001, "others"),
            ExecutableBy::Any => (0o111, "anybody"),
        };
        verdict.expect(entry.mode & bits != 0, || format!("{path} cannot be run by {name}"));
    }
    verdict
}
