//! The project's output folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::domain::{Arch, Digest, Error, Name, Result, ResultExt};
use crate::store::{Bucket, FileDigests, Record, Store, write_atomically};

/// `dist/build.json`: the records of everything that is in `dist`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BuildRecord {
    /// Version of this format: 1.
    pub version: u8,
    /// xbuild's own version.
    pub xbuild: String,
    /// The project.
    pub project: String,
    /// Programs by path below `dist`, as in `s390x/router`.
    pub outputs: BTreeMap<String, Digest>,
    /// Records by step.
    pub steps: BTreeMap<String, Record>,
    /// Images by name: the digest of the index.
    #[serde(default)]
    pub images: BTreeMap<String, String>,
}

/// What a run knows of images, by name.
#[derive(Debug, Clone, Copy)]
pub struct Images<'a> {
    /// Digests of the indexes that were made.
    pub made: &'a BTreeMap<String, String>,
    /// Those that could not be made.
    pub gone: &'a BTreeSet<String>,
}

/// The folder `dist` of a project.
pub struct Dist {
    folder: PathBuf,
    epoch: u64,
}

impl Dist {
    /// `dist` below the project; files in it carry the time `epoch`, in seconds since 1970.
    pub fn new(project: &Path, epoch: u64) -> Dist {
        Dist { folder: project.join("dist"), epoch }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts programs in place, removes those that the project does not make any more, and writes `SHA256SUMS` and
    /// `build.json`. Records of other steps that are still valid stay. Returns the paths of the programs.
    ///
    /// # Errors
    /// An environment error when the folder cannot be written.
    pub fn publish(
        &self,
        store: &Store,
        digests: &FileDigests,
        project: &str,
        records: &BTreeMap<String, (Option<Arch>, Record)>,
        known: &BTreeSet<String>,
        images: Images<'_>,
    ) -> Result<Vec<PathBuf>> {
        self.check()?;
        let old = self.read();
        let mut build = BuildRecord {
            version: 1,
            xbuild: env!("CARGO_PKG_VERSION").into(),
            project: project.to_owned(),
            outputs: BTreeMap::new(),
            steps: BTreeMap::new(),
            images: images.made.clone(),
        };
        let mut paths = Vec::new();
        for (step, (arch, record)) in records {
            build.steps.insert(step.clone(), record.clone());
            let Some(arch) = arch else { continue };
            for (name, output) in &record.outputs {
                let place = format!("{arch}/{name}");
                let path = self.folder.join(&place);
                let source = store.place(Bucket::Outputs, &record.key).join(name);
                self.put(&source, &path, digests)?;
                build.outputs.insert(place, output.digest);
                paths.push(path);
            }
        }
        if let Some(old) = &old {
            for (place, digest) in &old.outputs {
                if known.contains(place) {
                    build.outputs.entry(place.clone()).or_insert(*digest);
                } else if !build.outputs.contains_key(place) {
                    // A stale program must not be taken for a new one.
                    let _ = fs::remove_file(self.folder.join(place));
                }
            }
            for (step, record) in &old.steps {
                if record.outputs.keys().any(|name| {
                    step.rsplit_once('/').is_some_and(|(_, arch)| build.outputs.contains_key(&format!("{arch}/{name}")))
                }) {
                    build.steps.entry(step.clone()).or_insert_with(|| record.clone());
                }
            }
            for (name, digest) in old.images.iter().filter(|(name, _)| !images.gone.contains(*name)) {
                build.images.entry(name.clone()).or_insert_with(|| digest.clone());
            }
        }
        let sums: String = build.outputs.iter().map(|(place, digest)| format!("{}  {place}\n", digest.hex())).collect();
        self.write("SHA256SUMS", sums.as_bytes())?;
        let mut text = serde_json::to_vec_pretty(&build).or_bug(|| "cannot write build.json".into())?;
        text.push(b'\n');
        self.write("build.json", &text)?;
        Ok(paths)
    }

    /// What an earlier run has left, as far as it can be what one leaves: the file may have come with the project.
    fn read(&self) -> Option<BuildRecord> {
        let mut record: BuildRecord = serde_json::from_slice(&fs::read(self.folder.join("build.json")).ok()?).ok()?;
        record.outputs.retain(|place, _| is_place(place));
        Some(record)
    }

    /// Refuses links in the way of what is written: a project that holds one would have files written elsewhere.
    ///
    /// # Errors
    /// A usage error that names the link.
    pub fn check(&self) -> Result<()> {
        let below = Arch::ALL.map(|arch| self.folder.join(arch.name())).into_iter().chain([self.folder.join("images")]);
        match [self.folder.clone()].into_iter().chain(below).find(|path| path.is_symlink()) {
            None => Ok(()),
            Some(link) => {
                Err(Error::usage(format!("{} is a link, and xbuild writes to no other place", link.display()))
                    .hint("remove it; a folder elsewhere can be mounted there"))
            }
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(name);
        if fs::read(&path).is_ok_and(|old| old == bytes) {
            return Ok(());
        }
        fs::create_dir_all(&self.folder).or_environment(|| format!("cannot make {}", self.folder.display()))?;
        write_atomically(&path, bytes)
    }

    /// Copies a program, unless it is there already.
    fn put(&self, source: &Path, target: &Path, digests: &FileDigests) -> Result<()> {
        let metadata = fs::symlink_metadata(source).or_environment(|| format!("cannot read {}", source.display()))?;
        let digest = digests.digest(source, &metadata)?;
        if let Ok(metadata) = fs::symlink_metadata(target)
            && metadata.is_file()
            && metadata.permissions().mode() & 0o777 == 0o755
            && digests.digest(target, &metadata)? == digest
        {
            return Ok(());
        }
        let failed = || format!("cannot write {}", target.display());
        let folder = target.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).or_environment(failed)?;
        let temporary = tempfile::Builder::new().prefix(".").tempfile_in(folder).or_environment(failed)?;
        fs::copy(source, temporary.path()).or_environment(failed)?;
        fs::set_permissions(temporary.path(), fs::Permissions::from_mode(0o755)).or_environment(failed)?;
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(self.epoch);
        let file = File::options().write(true).open(temporary.path()).or_environment(failed)?;
        file.set_modified(time).or_environment(failed)?;
        temporary.persist(target).or_environment(failed)?;
        let metadata = fs::symlink_metadata(target).or_environment(failed)?;
        digests.remember(target, &metadata, digest);
        Ok(())
    }
}

/// Whether a text is `<arch>/<name>`.
fn is_place(text: &str) -> bool {
    text.split_once('/')
        .is_some_and(|(arch, name)| Arch::ALL.iter().any(|known| known.name() == arch) && name.parse::<Name>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_come_from_here_is_left_alone() {
        for (text, expected) in [
            ("s390x/router", true),
            ("s390x/../../router", false),
            ("../s390x/router", false),
            ("/etc/passwd", false),
            ("s390x/", false),
            ("none/router", false),
        ] {
            assert_eq!(is_place(text), expected, "{text}");
        }
    }

    #[test]
    fn links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let dist = Dist::new(folder.path(), 0);
        dist.check().unwrap();
        fs::create_dir(dist.folder()).unwrap();
        std::os::unix::fs::symlink("/", dist.folder().join("s390x")).unwrap();
        assert!(dist.check().unwrap_err().to_string().contains("dist/s390x is a link"));
    }
}
