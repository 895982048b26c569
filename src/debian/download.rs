//! Fetches package files with apt's own downloader, and tells of each as soon as it is whole.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::domain::{Digest, DigestWriter, Error, Result, ResultExt};

use super::apt::complaints;
use super::mirror::no_apt;
use super::{Apt, Package};

/// How often the folder is looked at.
const TICK: Duration = Duration::from_millis(20);

/// Downloads package files in the given order into `directory`, which only this call may use meanwhile.
///
/// Files that are already there with the right digest are not fetched again. `progress` gets bytes done and bytes in all;
/// `on_file` each file when it has its full size, whose digest is for whoever opens it to check. An error from either
/// stops the download and is returned.
///
/// apt resolves each address with the machine's proxies and passwords, and checks the digests too. One connection
/// is kept: three brought 45 instead of 39 MB/s.
///
/// # Errors
/// An environment error in apt's own words where a file cannot be had.
pub fn download(
    apt: &Apt,
    packages: &[Package],
    directory: &Path,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
    on_file: &mut dyn FnMut(&Package, PathBuf) -> Result<()>,
) -> Result<()> {
    fs::create_dir_all(directory).or_environment(|| format!("cannot make {}", directory.display()))?;
    let total = packages.iter().map(|package| package.size).sum();
    let mut done = 0;
    let mut missing = Vec::new();
    for package in packages {
        let path = directory.join(&package.file_name);
        if has_digest(&path, package)? {
            done += package.size;
            progress(done, total)?;
            on_file(package, path)?;
        } else {
            missing.push((package, path));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let log_path = directory.join("apt.log");
    let log = File::create(&log_path).or_environment(|| format!("cannot write {}", log_path.display()))?;
    let mut command = apt.command("/usr/lib/apt/apt-helper");
    command.args(["-qq", "download-file"]).current_dir(directory).stdout(Stdio::null()).stderr(log);
    for (package, path) in &missing {
        command.arg(&package.url).arg(path).arg(format!("SHA256:{}", package.digest.hex()));
    }
    let mut fetching = Fetching(command.spawn().map_err(no_apt)?);
    loop {
        // Asked before the files are looked at, so that nothing is missed between the two.
        let ended = fetching.0.try_wait().or_environment(|| "cannot wait for apt".into())?;
        let mut partial = 0;
        let mut waiting = Vec::new();
        for (package, path) in std::mem::take(&mut missing) {
            let size = fs::symlink_metadata(&path).map_or(0, |metadata| metadata.len());
            if size == package.size {
                done += size;
                on_file(package, path)?;
            } else {
                partial += size.min(package.size);
                waiting.push((package, path));
            }
        }
        missing = waiting;
        progress(done + partial, total)?;
        match ended {
            // A file of full size and wrong content has been told of, and fails at its digest.
            Some(status) if missing.is_empty() && status.success() => break,
            Some(_) => {
                let words = complaints(&fs::read(&log_path).unwrap_or_default());
                let what = missing.first().map_or("packages".into(), |(package, _)| package.to_string());
                return Err(Error::environment(format!("cannot download {what}"))
                    .because(words)
                    .hint("a mirror that has moved on needs fresh indexes: try again"));
            }
            None => sleep(TICK),
        }
    }
    let _ = fs::remove_file(log_path);
    Ok(())
}

/// apt at work; it ends with this.
struct Fetching(Child);

impl Drop for Fetching {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a file is there and whole; one that is not is removed, so that apt does not resume on wrong bytes.
fn has_digest(path: &Path, package: &Package) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Ok(metadata) if metadata.is_file() && metadata.len() == package.size => {
            let digest = File::open(path).and_then(|mut file| digest_of(&mut file));
            if digest.or_environment(|| format!("cannot read {}", path.display()))? == package.digest {
                return Ok(true);
            }
        }
        _ => {}
    }
    fs::remove_file(path).or_environment(|| format!("cannot remove {}", path.display()))?;
    Ok(false)
}

/// The digest of all that a file holds.
pub(crate) fn digest_of(file: &mut File) -> io::Result<Digest> {
    let mut writer = DigestWriter::new(io::sink());
    let mut buffer = vec![0; 1 << 18];
    loop {
        match io::Read::read(file, &mut buffer)? {
            0 => return Ok(writer.finish().0),
            count => io::Write::write_all(&mut writer, &buffer[..count])?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leftover_is_kept_only_when_it_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("make_1_amd64.deb");
        let package = Package {
            name: "make".parse().unwrap(),
            version: "1".into(),
            architecture: "amd64".into(),
            digest: Digest::of("whole"),
            size: 5,
            url: "http://m/make_1_amd64.deb".into(),
            file_name: "make_1_amd64.deb".into(),
        };
        assert!(!has_digest(&path, &package).unwrap());
        for (content, kept) in [("who", false), ("wrong", false), ("whole", true)] {
            fs::write(&path, content).unwrap();
            assert_eq!(has_digest(&path, &package).unwrap(), kept, "{content}");
            assert_eq!(path.exists(), kept, "{content}");
        }
    }
}
