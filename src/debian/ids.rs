//! Numbers of users and groups, as a root's own files tell.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::domain::{Error, Result, ResultExt};

/// The users and groups of a root.
#[derive(Debug, Clone, Default)]
pub struct Ids {
    users: BTreeMap<String, u32>,
    groups: BTreeMap<String, u32>,
}

impl Ids {
    /// Reads `/etc/passwd` and `/etc/group` below a root.
    ///
    /// # Errors
    /// An environment error when one is not there.
    pub fn read(root: &Path) -> Result<Ids> {
        let ids = |name: &str| -> Result<BTreeMap<String, u32>> {
            let path = root.join("etc").join(name);
            let text = fs::read_to_string(&path).or_environment(|| format!("cannot read {}", path.display()))?;
            let id = |line: &str| {
                let mut fields = line.split(':');
                Some((fields.next()?.to_owned(), fields.nth(1)?.parse().ok()?))
            };
            Ok(text.lines().filter_map(id).collect())
        };
        Ok(Ids { users: ids("passwd")?, groups: ids("group")? })
    }

    /// The numbers of a `user:group`.
    ///
    /// # Errors
    /// An environment error for a name that is not there.
    pub fn owner(&self, text: &str) -> Result<(u32, u32)> {
        let found = |(user, group)| Some((*self.users.get(user)?, *self.groups.get(group)?));
        let owner = text.split_once(':').and_then(found);
        owner.ok_or_else(|| Error::environment(format!("the root has no '{text}' in its users and groups")))
    }
}
