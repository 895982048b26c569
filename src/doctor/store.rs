//! Whether the store can be written, has room, and is on a file system that suits it.

use std::fs;
use std::path::Path;

use super::Finding;
use super::finding::NATIVE;
use super::machine::size;
use super::mount_table::file_system;
use super::trial::existing;
use crate::domain::Error;
use crate::store::Scratch;

/// What the builders of all architectures take, and the work of a build beside them.
const PLENTY: u64 = 5 << 30;
/// What one builder takes.
const LEAST: u64 = 2 << 30;

const MEND: &str = "set XBUILD_STORE to a folder that you may write, with 5 GB free, on a local disk";

const NAME: &str = "store";
const ROOM: &str = "disk";

pub(super) fn probe(store: &Path) -> [Finding; 2] {
    [place(store), room(store)]
}

/// The findings where nothing says where the store is.
pub(super) fn nowhere(error: &Error) -> [Finding; 2] {
    let room = Finding::missing(ROOM, NATIVE, format!("it needs '{NAME}', which is missing"));
    [Finding::missing(NAME, NATIVE, error.to_string()).mend(MEND), room.mend(MEND)]
}

fn place(store: &Path) -> Finding {
    let folder = existing(store);
    if store.exists() && !store.is_dir() {
        return Finding::missing(NAME, NATIVE, format!("{} is no folder", store.display())).mend(MEND);
    }
    if let Err(error) = Scratch::new(folder) {
        return Finding::missing(NAME, NATIVE, format!("{}: {error}", store.display())).mend(MEND);
    }
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let kind = folder.canonicalize().ok().and_then(|path| file_system(&table, &path)).unwrap_or("unknown");
    let detail = format!("{} on {kind}", store.display());
    match kind {
        "tmpfs" | "ramfs" => {
            Finding::limited(NAME, NATIVE, format!("{detail}: it takes memory, and is gone after a restart")).mend(MEND)
        }
        "nfs" | "nfs4" | "cifs" | "smb3" | "9p" | "virtiofs" | "ceph" => {
            Finding::limited(NAME, NATIVE, format!("{detail}: slow, and overlays may not work there")).mend(MEND)
        }
        _ if kind.starts_with("fuse") => {
            Finding::limited(NAME, NATIVE, format!("{detail}: slow, and overlays may not work there")).mend(MEND)
        }
        _ => Finding::works(NAME, NATIVE, detail),
    }
}

fn room(store: &Path) -> Finding {
    let folder = existing(store);
    let free = match nix::sys::statvfs::statvfs(folder) {
        Ok(numbers) => numbers.blocks_available().saturating_mul(numbers.fragment_size()),
        Err(error) => return Finding::limited(ROOM, NATIVE, format!("{}: {error}", folder.display())),
    };
    let detail = format!("{} free in {}", size(free), folder.display());
    // A store that is full already still works for what is in it.
    if free < LEAST {
        Finding::limited(ROOM, NATIVE, format!("{detail}: too little for a new builder")).mend("xbuild cache gc")
    } else if free < PLENTY {
        Finding::limited(ROOM, NATIVE, format!("{detail}: little for builders of all architectures"))
            .mend("xbuild cache gc")
    } else {
        Finding::works(ROOM, NATIVE, detail)
    }
}
