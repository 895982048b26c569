//! Where a dynamic linker looks for libraries.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::domain::{Arch, ElfClass};
use crate::image::{Content, MergedImage};

/// Files that one `ld.so.conf` may include, all together.
const MAX_FILES: usize = 1000;

/// Folders of the configuration and the usual ones, in the order in which they are searched.
pub(super) fn folders(image: &MergedImage, arch: Arch) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let mut seen = BTreeSet::new();
    read(image, Path::new("/etc/ld.so.conf"), &mut seen, &mut folders);
    // musl has a file of its own, with folders on lines or between colons.
    for name in ["x86_64", "aarch64", "armhf", "powerpc64le", "s390x", "riscv64"] {
        let path = PathBuf::from(format!("/etc/ld-musl-{name}.path"));
        folders.extend(
            text(image, &path).unwrap_or_default().split(['\n', ':']).filter(|l| !l.is_empty()).map(PathBuf::from),
        );
    }
    let wide = arch.elf().class == ElfClass::Elf64;
    for folder in ["lib", "usr/lib", "usr/local/lib"] {
        folders.push(Path::new("/").join(folder).join(arch.triple()));
        if wide {
            folders.push(PathBuf::from(format!("/{folder}64")));
        }
        folders.push(Path::new("/").join(folder));
    }
    folders
}

fn text(image: &MergedImage, path: &Path) -> Option<String> {
    let bytes = fs::read(image.file(path)?).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn read(image: &MergedImage, path: &Path, seen: &mut BTreeSet<PathBuf>, folders: &mut Vec<PathBuf>) {
    if seen.len() >= MAX_FILES || !seen.insert(path.to_owned()) {
        return;
    }
    for line in text(image, path).unwrap_or_default().lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        match line.split_once(char::is_whitespace) {
            Some(("include", patterns)) => {
                for pattern in patterns.split_whitespace() {
                    let pattern = path.parent().unwrap_or(Path::new("/")).join(pattern);
                    matches(image, &pattern).iter().for_each(|found| read(image, found, seen, folders));
                }
            }
            _ => folders.extend(line.split([':', ' ', '\t', ',']).filter(|l| !l.is_empty()).map(PathBuf::from)),
        }
    }
}

/// Files of one folder whose names fit a pattern with `*` in its last part.
fn matches(image: &MergedImage, pattern: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (pattern.parent(), pattern.file_name().and_then(|name| name.to_str())) else {
        return Vec::new();
    };
    let Some((start, end)) = name.split_once('*') else { return vec![pattern.to_owned()] };
    let Some((folder, _)) = image.find(folder, true) else { return Vec::new() };
    let inside = image.entries.iter().filter(|(path, entry)| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.parent() == Some(&folder)
            && !matches!(entry.content, Content::Directory)
            && name.len() >= start.len() + end.len()
            && name.starts_with(start)
            && name.ends_with(end)
    });
    inside.map(|(path, _)| Path::new("/").join(path)).collect()
}
