//! A directory tree that is written through handles, so that no link in it leads anywhere else.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open, openat, readlinkat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, UtimensatFlags, fchmodat, fstatat, mkdirat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, LinkatFlags, Uid, fchownat, linkat, symlinkat};

use crate::domain::{Error, Result, ResultExt};

/// One writer's view of a tree that others write at the same time. Folders are opened one component at a time, never
/// through a link, and stay open while entries of the same folder follow.
pub(crate) struct Tree {
    root: OwnedFd,
    open: Vec<(OsString, OwnedFd)>,
}

const FOLDER: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

impl Tree {
    /// The tree below a directory that exists.
    pub(crate) fn open(root: &Path) -> Result<Tree> {
        // The root's own path may have links in it: it is the caller's.
        let handle = open(root, FOLDER - OFlag::O_NOFOLLOW, Mode::empty());
        Ok(Tree { root: handle.or_environment(|| format!("cannot open {}", root.display()))?, open: Vec::new() })
    }

    /// Another view of the same tree.
    pub(crate) fn another(&self) -> Result<Tree> {
        let root = self.root.try_clone().or_environment(|| "cannot open the root again".into())?;
        Ok(Tree { root, open: Vec::new() })
    }

    /// A handle on a folder; missing ones are made.
    pub(crate) fn enter(&mut self, path: &[OsString]) -> Result<BorrowedFd<'_>> {
        let same = self.open.iter().zip(path).take_while(|((open, _), wanted)| open == *wanted).count();
        self.open.truncate(same);
        for (depth, name) in path.iter().enumerate().skip(same) {
            let parent = self.open.last().map_or(self.root.as_fd(), |(_, handle)| handle.as_fd());
            let context = |errno| match errno {
                Errno::ELOOP | Errno::ENOTDIR => {
                    Error::environment(format!("writes below '{}', which is a link or a file", show(&path[..=depth])))
                }
                errno => {
                    Error::environment(format!("cannot make the folder '{}'", show(&path[..=depth]))).because(errno)
                }
            };
            let handle = match openat(parent, name.as_os_str(), FOLDER, Mode::empty()) {
                Err(Errno::ENOENT) => match mkdirat(parent, name.as_os_str(), Mode::from_bits_truncate(0o755)) {
                    // The caller's mask must not show in what is made.
                    Ok(()) => fchmodat(
                        parent,
                        name.as_os_str(),
                        Mode::from_bits_truncate(0o755),
                        FchmodatFlags::FollowSymlink,
                    )
                    .and_then(|()| openat(parent, name.as_os_str(), FOLDER, Mode::empty())),
                    Err(Errno::EEXIST) => openat(parent, name.as_os_str(), FOLDER, Mode::empty()),
                    Err(errno) => Err(errno),
                },
                other => other,
            };
            self.open.push((name.clone(), handle.map_err(context)?));
        }
        Ok(self.open.last().map_or(self.root.as_fd(), |(_, handle)| handle.as_fd()))
    }

    /// A handle on the folder that something lies in, and its name there.
    fn place<'a>(&mut self, path: &'a [OsString]) -> Result<(BorrowedFd<'_>, &'a OsStr)> {
        let (name, folder) = path.split_last().ok_or_else(|| Error::environment("writes over the root itself"))?;
        Ok((self.enter(folder)?, name.as_os_str()))
    }

    /// A new file, open for writing.
    pub(crate) fn create(&mut self, path: &[OsString]) -> Result<File> {
        let (folder, name) = self.place(path)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(File::from(openat(folder, name, flags, Mode::from_bits_truncate(0o600)).map_err(cannot(path))?))
    }

    /// A new symbolic link; one that is there with the same target will do.
    pub(crate) fn symlink(&mut self, path: &[OsString], target: &OsStr) -> Result<()> {
        let (folder, name) = self.place(path)?;
        match symlinkat(target, folder, name) {
            Err(Errno::EEXIST) if readlinkat(folder, name).is_ok_and(|found| found == target) => Ok(()),
            other => other.map_err(cannot(path)),
        }
    }

    /// A new name for a file of the tree.
    pub(crate) fn hard_link(&mut self, path: &[OsString], target: &[OsString]) -> Result<()> {
        let mut other = self.another()?;
        let (from_folder, from) = other.place(target)?;
        let (folder, name) = self.place(path)?;
        linkat(from_folder, from, folder, name, LinkatFlags::empty()).map_err(cannot(path))
    }

    /// What is there, not followed.
    pub(crate) fn stat(&mut self, path: &[OsString]) -> Result<Option<FileStat>> {
        let found = match path.is_empty() {
            true => fstatat(&self.root, c"", AtFlags::AT_EMPTY_PATH),
            false => {
                let (folder, name) = self.place(path)?;
                fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)
            }
        };
        match found {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(cannot(path)(errno)),
        }
    }

    /// Sets owner and time of something, not followed, and its mode if it is no link.
    pub(crate) fn set(&mut self, path: &[OsString], metadata: &Metadata) -> Result<()> {
        let (folder, name) = match path.is_empty() {
            true => (self.root.as_fd(), OsStr::new(".")),
            false => self.place(path)?,
        };
        if let Some((uid, gid)) = metadata.owner {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            fchownat(folder, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW).map_err(cannot(path))?;
        }
        if let Some(mode) = metadata.mode {
            // Only for what this process has made itself and knows to be no link.
            let mode = Mode::from_bits_truncate(mode & 0o7777);
            fchmodat(folder, name, mode, FchmodatFlags::FollowSymlink).map_err(cannot(path))?;
        }
        let time = TimeSpec::new(metadata.mtime, 0);
        utimensat(folder, name, &time, &time, UtimensatFlags::NoFollowSymlink).map_err(cannot(path))
    }
}

/// Owner, mode and time of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// User and group by number; `None` leaves them those of this process.
    pub(crate) owner: Option<(u32, u32)>,
    /// Permissions with setuid, setgid and sticky bits; `None` for links.
    pub(crate) mode: Option<u32>,
    /// Seconds since 1970.
    pub(crate) mtime: i64,
}

/// What a folder of a lower layer has; `Err` with its path if there is something there that is no folder.
pub(crate) fn folder_metadata(root: &Path, path: &Path) -> Result<Option<Metadata>, PathBuf> {
    let whole = root.join(path);
    match fstatat(AT_FDCWD, &whole, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(stat) if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR => Ok(Some(Metadata {
            owner: Some((stat.st_uid, stat.st_gid)),
            mode: Some(stat.st_mode & 0o7777),
            mtime: stat.st_mtime,
        })),
        Ok(_) => Err(whole),
        Err(_) => Ok(None),
    }
}

/// Components as people read them.
pub(crate) fn show(path: &[OsString]) -> String {
    format!("/{}", path.join(OsStr::new("/")).to_string_lossy())
}

fn cannot(path: &[OsString]) -> impl Fn(Errno) -> Error + '_ {
    |errno| match errno {
        Errno::EEXIST => Error::environment(format!("has '{}', which another entry or package has too", show(path))),
        errno => Error::environment(format!("cannot make '{}'", show(path))).because(errno),
    }
}
