//! Who made what is on an engine: so that what is left behind can be told from what is in use.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

/// The label of what belongs to one run of xbuild, and goes with it.
pub(super) const LABEL: &str = "io.xbuild.owner";

/// A process, among all processes of all machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    /// The kernel's own name for its machine's present boot.
    boot: String,
    /// The namespace that its number is of.
    namespace: String,
    /// Its number.
    pid: u32,
    /// When it started, in the kernel's ticks: numbers are used again.
    started: u64,
}

/// Whether a process is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// It is.
    Alive,
    /// It is not.
    Dead,
    /// It is, or was, where this process cannot see it.
    Unknown,
}

/// The label, name and value, of what is to go with this run of xbuild, such as a volume: what a dead run left is swept.
pub fn temporary() -> (String, String) {
    (LABEL.to_owned(), Owner::this().to_string())
}

/// The repository of images that go with one run of xbuild; no registry elsewhere can have it.
pub(super) const IMAGES: &str = "localhost/xbuild-image";

/// A name for an image that goes with this run: what a dead run left is swept. `what` tells it from others of the run, in
/// letters and digits.
pub fn temporary_image(what: &str) -> String {
    format!("{IMAGES}:{what}.{}", Owner::this().to_string().replace('/', "_"))
}

/// The run that an image of such a name goes with.
pub(super) fn image_owner(name: &str) -> Option<Owner> {
    let tag = name.strip_prefix(IMAGES)?.strip_prefix(':')?;
    tag.split_once('.')?.1.replace('_', "/").parse().ok()
}

impl Owner {
    /// This process.
    pub(super) fn this() -> &'static Owner {
        static THIS: OnceLock<Owner> = OnceLock::new();
        THIS.get_or_init(|| {
            let pid = std::process::id();
            Owner { boot: boot(), namespace: namespace(), pid, started: started(pid).unwrap_or_default() }
        })
    }

    /// Whether this process is there, as far as this one can see.
    pub(super) fn life(&self) -> Life {
        let this = Owner::this();
        if self.boot.is_empty() || self.boot != this.boot || self.namespace != this.namespace {
            return Life::Unknown;
        }
        match started(self.pid) {
            Some(started) if started == self.started => Life::Alive,
            _ => Life::Dead,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.boot, self.namespace, self.pid, self.started)
    }
}

impl FromStr for Owner {
    type Err = ();

    fn from_str(text: &str) -> Result<Owner, ()> {
        let parts: Vec<&str> = text.split('/').collect();
        let &[boot, namespace, pid, started] = &parts[..] else { return Err(()) };
        Ok(Owner {
            boot: boot.to_owned(),
            namespace: namespace.to_owned(),
            pid: pid.parse().map_err(drop)?,
            started: started.parse().map_err(drop)?,
        })
    }
}

fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

fn namespace() -> String {
    let link = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.to_string_lossy().chars().filter(char::is_ascii_digit).collect()
}

/// When a process started; `None` for one that is not there, or has ended.
fn started(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before may hold anything.
    let fields: Vec<&str> = status.rsplit_once(')')?.1.split_whitespace().collect();
    if matches!(fields.first(), Some(&("Z" | "X"))) {
        return None;
    }
    fields.get(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_others_are_not() {
        let this = Owner::this();
        assert_eq!(this.to_string().parse(), Ok(this.clone()));
        assert_eq!(this.life(), Life::Alive);
        assert_eq!(Owner { started: this.started + 1, ..this.clone() }.life(), Life::Dead);
        assert_eq!(Owner { pid: u32::MAX, ..this.clone() }.life(), Life::Dead);
    }

    #[test]
    fn a_name_tells_whose_image_it_is() {
        assert_eq!(image_owner(&temporary_image("0a1b")).as_ref(), Some(Owner::this()));
        for name in ["localhost/xbuild-image:x", "localhost/xbuild-image-2:x.a_b_1_2", "xbuild-image:x.a_b_1_2"] {
            assert_eq!(image_owner(name), None, "{name}");
        }
    }

    #[test]
    fn of_other_machines_nothing_is_known() {
        let this = Owner::this();
        assert_eq!(Owner { boot: "other".into(), ..this.clone() }.life(), Life::Unknown);
        assert_eq!(Owner { namespace: "1".into(), ..this.clone() }.life(), Life::Unknown);
        for text in ["", "a/b/c/d", "a/b/1", "a/b/1/2/3"] {
            assert!(text.parse::<Owner>().is_err(), "{text}");
        }
    }
}
