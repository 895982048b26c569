//! Makes the root file system of a sandbox: overlay, kernel file systems, devices, and what the spec mounts.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::Mode;
use nix::unistd::{chdir, fchdir, pivot_root};

use super::{Mount, Network, Root};
use crate::domain::{Error, Result, ResultExt};

/// Where what every sandbox has waits for its root: memory, over a folder that each machine has, and that only the
/// sandbox's own mounts hide.
const STAGE: &str = "/proc";

const NOTHING: Option<&str> = None;
/// Symbolic links followed on the way to one target.
const MAX_LINKS: usize = 40;

/// So many layers fit into the mount options under their own names.
const FEW: usize = 8;

const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Mounts what every program expects, where no root is needed yet.
pub(super) fn stage(network: Network) -> Result<()> {
    mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING)
        .or_environment(|| "cannot separate the mounts of the sandbox".into())?;
    mount(Some("tmpfs"), STAGE, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some("mode=700"))
        .or_environment(|| "cannot mount memory in the sandbox".into())?;
    kernel_file_systems(network)?;
    devices()
}

/// Changes over to an overlay of the root's layers. Until [`leave_outside`], the machine's root is the working directory.
pub(super) fn enter(root: &Root) -> Result<()> {
    // Making and removing folders is a good part of the time that a sandbox takes: there are no more than needed, and
    // what is seen at `upper` from here on is the root itself.
    let point = &root.upper;
    match root.layers.is_empty() {
        false => {
            let mut lowers: Vec<PathBuf> = root.layers.iter().rev().cloned().collect();
            if lowers.len() > FEW {
                lowers = shorten(&lowers, &root.scratch)?;
            }
            let lowers: Vec<&Path> = lowers.iter().map(PathBuf::as_path).collect();
            overlay(&lowers, &root.upper, &root.scratch, point)?;
        }
        true => {
            let [work, empty] = ["work", "empty"].map(|name| root.scratch.join(name));
            for folder in [&work, &empty] {
                fs::create_dir(folder).or_environment(|| format!("cannot make {}", folder.display()))?;
            }
            overlay(&[&empty], &root.upper, &work, point)?;
        }
    }
    let failed = || "cannot enter the sandbox's root".to_owned();
    let outside =
        open("/", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).or_environment(failed)?;
    chdir(point).or_environment(failed)?;
    // Puts the machine's root over the new one, where `/` does not lead but the descriptor does: no folder is needed.
    pivot_root(".", ".").or_environment(|| "cannot change to the sandbox's root".into())?;
    fchdir(outside).or_environment(failed)
}

/// The kernel takes a page of mount options, and an image may have a hundred layers: they are named by short links, from
/// the folder that these are in.
fn shorten(layers: &[PathBuf], scratch: &Path) -> Result<Vec<PathBuf>> {
    let links = scratch.join("layers");
    let failed = || format!("cannot make {}", links.display());
    fs::create_dir_all(&links).or_environment(failed)?;
    for (number, layer) in layers.iter().enumerate() {
        symlink(layer, links.join(number.to_string())).or_environment(failed)?;
    }
    chdir(&links).or_environment(failed)?;
    Ok((0..layers.len()).map(|number| PathBuf::from(number.to_string())).collect())
}

/// Mounts what is staged, and then what the spec asks for.
pub(super) fn furnish(mounts: &[Mount], network: Network) -> Result<()> {
    for name in ["proc", "sys", "dev"] {
        let target = Path::new("/").join(name);
        make_folder(&target)?;
        mount(Some(&staged(name)), &target, NOTHING, MsFlags::MS_MOVE, NOTHING)
            .or_environment(|| format!("cannot mount {} in the sandbox", target.display()))?;
    }
    let temporary = Path::new("/tmp");
    if !temporary.exists() {
        make_folder(temporary)?;
        // Not root alone has work in it.
        fs::set_permissions(temporary, fs::Permissions::from_mode(0o1777))
            .or_environment(|| "cannot open /tmp of the sandbox to everybody".into())?;
    }
    if network == Network::Host {
        for file in ["/etc/resolv.conf", "/etc/hosts"] {
            if outside(Path::new(file)).exists() {
                bind(Path::new(file), Path::new(file), true)?;
            }
        }
    }
    for wanted in mounts {
        match wanted {
            Mount::Bind { source, target, read_only } => bind(source, target, *read_only)?,
            Mount::Memory { target, size } => {
                let target = &stand_in(target)?;
                make_folder(target)?;
                let options = size.map(|size| format!("size={size}"));
                mount(Some("tmpfs"), target, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, options.as_deref())
                    .or_environment(|| format!("cannot mount memory on {}", target.display()))?;
            }
            Mount::File { target, bytes, mode, owner } => memory_file(target, bytes, *mode, *owner)?,
            Mount::Overlay { lowers, upper, work, target } => {
                let target = &stand_in(target)?;
                make_folder(target)?;
                let lowers: Vec<PathBuf> = lowers.iter().rev().map(|lower| outside(lower)).collect();
                let lowers: Vec<&Path> = lowers.iter().map(PathBuf::as_path).collect();
                overlay(&lowers, &outside(upper), &outside(work), target)?;
            }
        }
    }
    Ok(())
}

/// Takes the machine's file systems away.
pub(super) fn leave_outside() -> Result<()> {
    umount2(".", MntFlags::MNT_DETACH)
        .and_then(|()| chdir("/"))
        .or_environment(|| "cannot leave the machine's root".into())
}

/// A path of the machine's, as it is seen between [`enter`] and [`leave_outside`].
pub(super) fn outside(path: &Path) -> PathBuf {
    Path::new(".").join(path.strip_prefix("/").unwrap_or(path))
}

/// Where something staged is after [`enter`].
fn staged(name: &str) -> PathBuf {
    outside(Path::new(STAGE)).join(name)
}

fn overlay(lowers: &[&Path], upper: &Path, work: &Path, target: &Path) -> Result<()> {
    let lowers: Vec<String> = lowers.iter().map(|path| escape(path)).collect();
    // `userxattr` is the form for user namespaces, `volatile` leaves syncing to the store.
    let options =
        format!("lowerdir={},upperdir={},workdir={},userxattr,volatile", lowers.join(":"), escape(upper), escape(work));
    mount(Some("overlay"), target, Some("overlay"), MsFlags::empty(), Some(options.as_str())).map_err(|cause| {
        let error = Error::environment(format!("cannot mount an overlay on {}", target.display())).because(cause);
        if options.len() > 4000 {
            error.hint("the store's path is too long for the kernel; set XBUILD_STORE to a shorter one")
        } else {
            error.hint("the store must be on a file system that overlays can use, such as ext4, xfs, btrfs or tmpfs")
        }
    })
}

/// Commas part mount options, colons part layers, backslashes escape both.
fn escape(path: &Path) -> String {
    let mut text = String::new();
    for letter in path.to_string_lossy().chars() {
        if matches!(letter, ',' | ':' | '\\') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

fn kernel_file_systems(network: Network) -> Result<()> {
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let [proc, sys] = ["proc", "sys"].map(|name| Path::new(STAGE).join(name));
    make_folder(&proc)?;
    make_folder(&sys)?;
    mount(Some("proc"), &proc, Some("proc"), quiet, NOTHING).map_err(|cause| {
        Error::environment("cannot mount /proc in the sandbox")
            .because(cause)
            .hint("inside a container, the container must be started with an unmasked /proc")
    })?;
    // Root's sandbox has root's uid, and that is all that most of these files ask for.
    for path in ["sys", "irq", "bus", "sysrq-trigger"].map(|name| proc.join(name)) {
        if path.exists() {
            mount(Some(&path), &path, NOTHING, MsFlags::MS_BIND, NOTHING)
                .and_then(|()| remount_read_only(&path, quiet))
                .or_environment(|| format!("cannot protect {}", path.display()))?;
        }
    }
    match network {
        // A new sysfs needs a network namespace of one's own.
        Network::None => mount(Some("sysfs"), &sys, Some("sysfs"), quiet | MsFlags::MS_RDONLY, NOTHING),
        Network::Host => mount(Some("/sys"), &sys, NOTHING, MsFlags::MS_BIND | MsFlags::MS_REC, NOTHING)
            .and_then(|()| remount_read_only(&sys, quiet)),
    }
    .or_environment(|| "cannot mount /sys in the sandbox".into())
}

fn remount_read_only(path: &Path, flags: MsFlags) -> nix::Result<()> {
    mount(NOTHING, path, NOTHING, MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | flags, NOTHING)
}

fn devices() -> Result<()> {
    let failed = || "cannot make /dev in the sandbox".to_owned();
    let dev = &Path::new(STAGE).join("dev");
    make_folder(dev)?;
    mount(Some("tmpfs"), dev, Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=755,size=64k,nr_inodes=64"))
        .or_environment(failed)?;
    for name in DEVICES {
        let target = dev.join(name);
        File::create(&target).or_environment(failed)?;
        mount(Some(&Path::new("/dev").join(name)), &target, NOTHING, MsFlags::MS_BIND, NOTHING)
            .or_environment(failed)?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlink(target, dev.join(name)).or_environment(failed)?;
    }
    for (name, kind, options) in
        [("pts", "devpts", "newinstance,ptmxmode=0666,mode=620"), ("shm", "tmpfs", "mode=1777")]
    {
        let target = dev.join(name);
        fs::create_dir(&target).or_environment(failed)?;
        mount(Some(kind), &target, Some(kind), MsFlags::MS_NOSUID, Some(options)).or_environment(failed)?;
    }
    Ok(())
}

/// Mounts a file that is in memory alone.
fn memory_file(target: &Path, bytes: &[u8], mode: u32, (uid, gid): (u32, u32)) -> Result<()> {
    let failed = || format!("cannot make {} in the sandbox", target.display());
    // In the memory of the stage, which stays for as long as the mount does.
    let file = staged("file");
    fs::write(&file, bytes).or_environment(failed)?;
    // Where there is one id only, it is the one that everybody has.
    let _ = std::os::unix::fs::chown(&file, Some(uid), Some(gid));
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).or_environment(failed)?;
    let target = stand_in(target)?;
    make_stub(&target)?;
    mount(Some(&file), &target, NOTHING, MsFlags::MS_BIND, NOTHING).or_environment(failed)?;
    fs::remove_file(&file).or_environment(failed)
}

/// A target with the root's links followed: a name of the kernel's among them, such as `/proc/self/cwd`, would lead to
/// the machine's files, and is taken by its letters instead.
fn stand_in(target: &Path) -> Result<PathBuf> {
    let mut todo: Vec<OsString> = parts(target);
    let mut done = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part == ".." {
            done.pop();
            continue;
        }
        let next = done.join(&part);
        match fs::read_link(&next) {
            Ok(link) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Error::build(format!("{}: too many symbolic links", target.display())));
                }
                if link.is_absolute() {
                    done = PathBuf::from("/");
                }
                todo.extend(parts(&link));
            }
            Err(_) => done = next,
        }
    }
    Ok(done)
}

/// The parts of a path, the last one first.
fn parts(path: &Path) -> Vec<OsString> {
    let parts = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    parts.rev().map(|part| part.as_os_str().to_owned()).collect()
}

/// An empty file to mount one on.
fn make_stub(target: &Path) -> Result<()> {
    make_folder(target.parent().unwrap_or(Path::new("/")))?;
    if !target.exists() {
        File::create(target).or_environment(|| format!("cannot make {} in the sandbox", target.display()))?;
    }
    Ok(())
}

fn bind(source: &Path, target: &Path, read_only: bool) -> Result<()> {
    let target = &stand_in(target)?;
    let failed = || format!("cannot mount {} on {}", source.display(), target.display());
    let from = outside(source);
    if fs::metadata(&from).or_environment(failed)?.is_dir() {
        make_folder(target)?;
    } else {
        make_stub(target)?;
    }
    mount(Some(&from), target, NOTHING, MsFlags::MS_BIND | MsFlags::MS_REC, NOTHING).or_environment(failed)?;
    if read_only {
        // The flags that the source is mounted with are locked, and a remount must name them again.
        let locked = nix::sys::statvfs::statvfs(target).or_environment(failed)?.flags().bits();
        let kept = MsFlags::from_bits_truncate(locked) & (MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC);
        remount_read_only(target, kept).or_environment(failed)?;
    }
    Ok(())
}

fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).or_environment(|| format!("cannot make {} in the sandbox", path.display()))
}
