//! Users and groups of an image, as its own files name them.

use std::path::Path;

use super::copy::Owner;
use super::view::View;
use crate::domain::{Error, Result};

/// Whom a command runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) owner: Owner,
    /// Supplementary groups.
    pub(super) groups: Vec<u32>,
    /// The home folder.
    pub(super) home: String,
}

/// The fields of a line of `/etc/passwd` or `/etc/group`.
type Fields = Vec<String>;

fn read(view: &View, path: &str) -> Result<Vec<Fields>> {
    let bytes = view.read(Path::new(path))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(|line| line.split(':').map(str::to_owned).collect()).collect())
}

fn number(fields: &Fields, index: usize) -> Option<u32> {
    fields.get(index)?.parse().ok()
}

fn field(fields: &Fields, index: usize) -> &str {
    fields.get(index).map_or("", String::as_str)
}

/// The owner that `--chown`, or USER before WORKDIR, names: `user`, `user:group`, names or numbers. A number that stands
/// alone is its own group. A name that the image does not know is root, as BuildKit has it; `unknown` hears of it.
pub(super) fn owner(view: &View, text: &str, unknown: &mut dyn FnMut(&str)) -> Result<Owner> {
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let mut owner = match user.parse() {
        Ok(uid) => Owner { uid, gid: uid },
        Err(_) => {
            let users = read(view, "etc/passwd")?;
            let line = users.iter().find(|fields| field(fields, 0) == user);
            if line.is_none() && !user.is_empty() && user != "root" {
                unknown(user);
            }
            let id = |index| line.and_then(|fields| number(fields, index)).unwrap_or(0);
            Owner { uid: id(2), gid: id(3) }
        }
    };
    if let Some(group) = group.filter(|group| !group.is_empty()) {
        owner.gid = match group.parse() {
            Ok(gid) => gid,
            Err(_) => {
                let groups = read(view, "etc/group")?;
                let line = groups.iter().find(|fields| field(fields, 0) == group);
                if line.is_none() && group != "root" {
                    unknown(group);
                }
                line.and_then(|fields| number(fields, 2)).unwrap_or(0)
            }
        };
    }
    Ok(owner)
}

/// Whom a command of the image runs as: what USER says, by the image's own files.
///
/// # Errors
/// A name that they do not have.
pub(super) fn login(view: &View, text: &str) -> Result<Login> {
    if text.is_empty() {
        let home = read(view, "etc/passwd")?
            .iter()
            .find(|fields| number(fields, 2) == Some(0))
            .map_or_else(|| "/root".to_owned(), |fields| field(fields, 5).to_owned());
        return Ok(Login { owner: Owner::default(), groups: vec![0], home });
    }
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let users = read(view, "etc/passwd")?;
    let groups = read(view, "etc/group")?;
    let id: Option<u32> = user.parse().ok();
    let line = users.iter().find(|fields| field(fields, 0) == user || id.is_some() && number(fields, 2) == id);
    let missing = |what: &str, name: &str| {
        Error::build(format!("the image has no {what} '{name}'"))
            .hint(format!("make it in a RUN before, or give a number; /etc/{what} decides").replace("user", "passwd"))
    };
    let uid = match (line.and_then(|fields| number(fields, 2)), id) {
        (Some(uid), _) | (None, Some(uid)) => uid,
        (None, None) if user == "root" => 0,
        (None, None) => return Err(missing("user", user)),
    };
    let (gid, mut supplementary) = match group {
        Some(group) => {
            let found = groups.iter().find(|fields| field(fields, 0) == group).and_then(|fields| number(fields, 2));
            let gid = found.or_else(|| group.parse().ok()).ok_or_else(|| missing("group", group))?;
            (gid, Vec::new())
        }
        None => {
            let gid = line.and_then(|fields| number(fields, 3)).unwrap_or(0);
            let name = line.map_or("", |fields| field(fields, 0));
            let member =
                |fields: &&Fields| !name.is_empty() && field(fields, 3).split(',').any(|member| member == name);
            (gid, groups.iter().filter(member).filter_map(|fields| number(fields, 2)).collect())
        }
    };
    // As Docker has it, the group of the user is among the further ones.
    if !supplementary.contains(&gid) {
        supplementary.insert(0, gid);
    }
    let home = line.map_or("/", |fields| field(fields, 5));
    let home = if home.is_empty() { "/" } else { home };
    Ok(Login { owner: Owner { uid, gid }, groups: supplementary, home: home.to_owned() })
}
