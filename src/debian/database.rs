//! dpkg's database: which packages there are, in what state, with which files and scripts.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::domain::{Error, Result, ResultExt};

use super::stanza::Stanza;
use super::tree::Tree;
use super::{Control, Package, Unpacked, triggers};

/// Its place in a root.
const DIRECTORY: &str = "var/lib/dpkg";

impl Control {
    /// The name that dpkg's files have: with the architecture where a package may be installed for several.
    pub(crate) fn database_name(&self, package: &Package) -> String {
        match self.stanza.get("Multi-Arch") {
            Some("same") => format!("{}:{}", package.name, package.architecture),
            _ => package.name.to_string(),
        }
    }

    /// A control file's text, empty where there is none.
    fn text(&self, name: &str) -> Result<&str> {
        let bytes = self.files.get(name).map(Vec::as_slice).unwrap_or_default();
        std::str::from_utf8(bytes).or_environment(|| format!("has a '{name}' that is not UTF-8"))
    }
}

/// The text of the status file of a root, or of none.
///
/// # Errors
/// An environment error where it cannot be read.
pub fn read_status(root: &Path) -> Result<String> {
    let path = root.join(DIRECTORY).join("status");
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        other => other.or_environment(|| format!("cannot read {}", path.display())),
    }
}

/// The text of a status file that has packages installed that are still only unpacked, as they will be.
///
/// # Errors
/// A bug, if xbuild cannot read what it has written.
pub fn installed_status(unpacked: &[Unpacked], below: &str) -> Result<String> {
    let mut text = below.to_owned();
    for package in unpacked {
        let mut stanza = package.control.stanza.clone();
        stanza.set("Status", "install ok installed");
        text += &stanza.text();
    }
    Ok(text)
}

/// The paths that dpkg treats as the user's, as `/etc/x`.
pub(crate) fn conffiles(control: &Control) -> Result<Vec<&str>> {
    let mut found = Vec::new();
    for line in control.text("conffiles")?.lines().map(str::trim).filter(|line| !line.is_empty()) {
        // A flag before it, as in `remove-on-upgrade`, says that the package no longer has the file.
        if line.starts_with('/') {
            found.push(line);
        } else if !line.contains(" /") {
            return Err(Error::environment(format!("has the conffile '{line}', which is not absolute")));
        }
    }
    Ok(found)
}

/// Writes a package's own files in dpkg's `info`.
pub(crate) fn write_info(tree: &mut Tree, package: &Package, control: &Control, paths: &[Vec<u8>]) -> Result<()> {
    let name = control.database_name(package);
    let mut list = paths.join(&b'\n');
    list.push(b'\n');
    write_file(tree, &format!("info/{name}.list"), &list, 0o644)?;
    for (member, bytes) in control.files.iter().filter(|(member, _)| *member != "control") {
        let is_script = matches!(member.as_str(), "preinst" | "postinst" | "prerm" | "postrm" | "config");
        write_file(tree, &format!("info/{name}.{member}"), bytes, if is_script { 0o755 } else { 0o644 })?;
    }
    Ok(())
}

/// Writes what dpkg keeps of all packages together.
pub(crate) fn write(tree: &mut Tree, below: &[PathBuf], unpacked: &[Unpacked], installed: &str) -> Result<()> {
    let lower = |name: &str| {
        let files = below.iter().map(|layer| layer.join(DIRECTORY).join(name));
        files.map(fs::read_to_string).find_map(std::result::Result::ok)
    };
    let mut status = installed.to_owned();
    let mut interests = Vec::new();
    for package in unpacked {
        status += &unpacked_stanza(package)?.text();
        let name = package.control.database_name(&package.package);
        let found = package.control.text("triggers").and_then(|file| triggers::interests(file, &name));
        interests.extend(found.context(|| package.package.to_string())?);
    }
    write_file(tree, "status", status.as_bytes(), 0o644)?;
    let lower_interests = |name: &str| lower(&format!("triggers/{name}")).unwrap_or_default();
    for (name, text) in triggers::interest_files(&interests, lower_interests) {
        write_file(tree, &format!("triggers/{name}"), text.as_bytes(), 0o644)?;
    }
    let paths = unpacked.iter().flat_map(|package| package.paths.iter().map(Vec::as_slice));
    let happened = triggers::happened(&lower_interests("File"), paths);
    if !happened.is_empty() {
        write_file(tree, "triggers/Unincorp", happened.as_bytes(), 0o644)?;
    }
    if below.is_empty() {
        write_file(tree, "info/format", b"1\n", 0o644)?;
        for name in ["available", "diversions", "statoverride"] {
            write_file(tree, name, b"", 0o644)?;
        }
        for folder in ["alternatives", "parts", "updates"] {
            tree.enter(&place(folder))?;
        }
    }
    Ok(())
}

/// A package's paragraph in the status file. Its conffiles wait as `.dpkg-new`: dpkg puts them in place and records
/// their hashes when it configures the package, as after its own unpacking.
fn unpacked_stanza(package: &Unpacked) -> Result<Stanza> {
    let mut stanza = package.control.stanza.clone();
    stanza.set("Status", "install ok unpacked");
    let conffiles = conffiles(&package.control)?;
    if !conffiles.is_empty() {
        stanza.push("Conffiles", conffiles.iter().map(|path| format!("\n {path} newconffile")).collect::<String>());
    }
    Ok(stanza)
}

fn place(name: &str) -> Vec<OsString> {
    DIRECTORY.split('/').chain(name.split('/')).map(OsString::from).collect()
}

fn write_file(tree: &mut Tree, name: &str, bytes: &[u8], mode: u32) -> Result<()> {
    let context = || format!("cannot write {DIRECTORY}/{name}");
    let mut file = tree.create(&place(name)).context(context)?;
    file.write_all(bytes).or_environment(context)?;
    file.set_permissions(fs::Permissions::from_mode(mode)).or_environment(context)?;
    Ok(())
}
