//! How many user ids a sandbox of this user has.

use std::fs;

use nix::unistd::{Uid, User};

use super::Finding;
use super::finding::{NATIVE, as_root};
use super::trial::namespaces_only;
use crate::engine::native::sandbox::{Identity, Stop, run};

const NAME: &str = "user ids";

/// Debian's packages use ids up to that of `nobody`, 65534.
const ENOUGH: u32 = 65_535;

pub(super) fn probe(namespaces: &Finding) -> Finding {
    if let Some(finding) = Finding::without(NAME, NATIVE, namespaces) {
        return finding;
    }
    let identity = Identity::detect();
    let count = match identity {
        Identity::Root => return Finding::works(NAME, NATIVE, "root, with every id"),
        Identity::Single => return single(),
        Identity::Range { uids, gids } => uids.1.min(gids.1).saturating_add(1),
    };
    match run(&namespaces_only(identity), &Stop::default(), &mut |_, _| ()) {
        Ok(_) if count < ENOUGH => {
            let detail = format!("{count} ids, and packages may want any of {ENOUGH}");
            Finding::limited(NAME, NATIVE, detail).mend(add_range())
        }
        Ok(_) => Finding::works(NAME, NATIVE, format!("{count} ids, from /etc/subuid and /etc/subgid")),
        Err(error) => {
            let mend = error.hints().join("; ");
            let finding = Finding::missing(NAME, NATIVE, error.to_string());
            if mend.is_empty() { finding } else { finding.mend(mend) }
        }
    }
}

fn single() -> Finding {
    let missing: Vec<&str> =
        ["newuidmap", "newgidmap"].into_iter().filter(|program| which::which(program).is_err()).collect();
    let consequence = "a sandbox has one id: everything in it belongs to you, and changes of owner have no effect";
    let install = as_root("apt-get install uidmap");
    if missing.is_empty() {
        let detail = format!("no range for you in /etc/subuid and /etc/subgid; {consequence}");
        Finding::limited(NAME, NATIVE, detail).mend(add_range())
    } else {
        let detail = format!("no {} on the PATH; {consequence}", missing.join(" or "));
        let owners: Vec<String> = user().into_iter().chain([Uid::effective().to_string()]).collect();
        let has_range = ["/etc/subuid", "/etc/subgid"].into_iter().all(|file| {
            let text = fs::read_to_string(file).unwrap_or_default();
            text.lines().filter_map(|line| line.split(':').next()).any(|name| owners.iter().any(|owner| owner == name))
        });
        let mend = if has_range { install } else { format!("{install} && {}", add_range()) };
        Finding::limited(NAME, NATIVE, detail).mend(mend)
    }
}

/// The caller's name, unless the id has none, as is usual in containers.
fn user() -> Option<String> {
    User::from_uid(Uid::effective()).ok().flatten().map(|user| user.name)
}

fn add_range() -> String {
    let read = |file| fs::read_to_string(file).unwrap_or_default();
    let first = free_range(&[read("/etc/subuid"), read("/etc/subgid")].concat());
    match user() {
        Some(user) => {
            let range = format!("{first}-{}", u64::from(first) + 65_535);
            as_root(&format!("usermod --add-subuids {range} --add-subgids {range} {user}"))
        }
        None => {
            let append = as_root("tee -a /etc/subuid /etc/subgid");
            format!("echo {}:{first}:65536 | {append}", Uid::effective())
        }
    }
}

/// The first id above all ranges that others have; 100000 is where distributions begin.
fn free_range(text: &str) -> u32 {
    let end = |line: &str| {
        let mut fields = line.trim().split(':').skip(1);
        let first: u32 = fields.next()?.parse().ok()?;
        first.checked_add(fields.next()?.parse().ok()?)
    };
    text.lines().filter_map(end).fold(100_000, u32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_range_is_nobody_else_s() {
        assert_eq!(free_range(""), 100_000);
        assert_eq!(free_range("a:100000:65536\nb:165536:65536\n# x\nc:1000:1\nbad\nd:4294967295:9\n"), 231_072);
    }
}
