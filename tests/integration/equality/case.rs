//! A case: a Dockerfile, its context and what is to be known of both, in one text file.
//!
//! What stands before the first `-- entry --` line is the head: `#` lines that say what the case shows, and settings, one
//! a line. Every entry is a heading and the text of the file below it:
//!
//! ```text
//! -- Dockerfile --            a file of the context
//! -- "a name" 0755 --         with a mode; quotes where the name has spaces
//! -- empty/ 0700 --           a folder
//! -- link -> target --        a symbolic link
//! -- pipe fifo --             a named pipe
//! -- file user.a=b --         an extended attribute
//! -- file mtime=1 --          a modification time
//! -- file crlf bom --         other line ends; a byte order mark
//! -- a.tar.gz!etc/f 10:20 --  a member of an archive, with an owner; also .tar, .tar.xz, .tar.bz2, .tar.zst
//! -- a.tar!f => g --          a hard link in an archive to its member g
//! -- other:Dockerfile --      a file of the context of another image, which FROM can name as `other`
//! -- a.tar!d device=c1:3 --   a device in an archive
//! -- http:/file --            what the web server $SERVER has
//! -- git:file --              what the repository $GIT has, whose commit is $COMMIT
//! -- = --                     the facts to expect, where the engine does not know what the documentation demands
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use nix::sys::stat::Mode;

use crate::support::GitServer;

/// A case, parsed.
#[derive(Debug, Default)]
pub(super) struct Case {
    pub(super) name: String,
    /// `argument: NAME=value`
    pub(super) arguments: Vec<(String, String)>,
    /// `target: STAGE`
    pub(super) target: Option<String>,
    /// `secret: id=text`
    pub(super) secrets: Vec<(String, String)>,
    /// `refused: LINE` or `refused: LINE:COLUMN`: neither builds it.
    pub(super) refused: Option<String>,
    /// `stricter: LINE: why`: Docker builds it, xbuild refuses.
    pub(super) stricter: Option<(String, String)>,
    /// `differs: FACT: why`: a fact in which the results are known to differ.
    pub(super) differs: Vec<(String, String)>,
    /// `engine: containerd`: a Docker that keeps images in containerd, whose BuildKit can merge layers.
    pub(super) containerd: bool,
    /// `agent: yes`: there is an SSH agent with one key, as `--ssh default`.
    pub(super) agent: bool,
    /// `needs: ids`: what a user with a single id cannot make equal.
    pub(super) needs_ids: bool,
    entries: Vec<Entry>,
}

#[derive(Debug, Default, Clone)]
struct Entry {
    path: String,
    text: Vec<u8>,
    mode: Option<u32>,
    owner: (u64, u64),
    mtime: Option<u64>,
    attributes: Vec<(String, String)>,
    kind: Kind,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
enum Kind {
    #[default]
    File,
    Folder,
    Symlink(String),
    HardLink(String),
    Fifo,
    /// `c` or `b`, and its numbers; in archives alone.
    Device(char, u32, u32),
}

impl Case {
    /// Parses the text of a case.
    pub(super) fn parse(name: &str, text: &str) -> Case {
        let mut case = Case { name: name.to_owned(), ..Case::default() };
        let mut flags = Vec::new();
        for line in text.split_inclusive('\n') {
            if let Some(heading) = line.trim_end().strip_prefix("-- ").and_then(|line| line.strip_suffix(" --")) {
                let (entry, words) = Entry::parse(heading).unwrap_or_else(|| panic!("{name}: '{heading}'"));
                case.entries.push(entry);
                flags.push(words);
            } else if let Some(entry) = case.entries.last_mut() {
                entry.text.extend(line.as_bytes());
            } else {
                case.set(line.trim());
            }
        }
        for (entry, flags) in case.entries.iter_mut().zip(flags) {
            for flag in flags {
                entry.text = match flag.as_str() {
                    "crlf" => String::from_utf8_lossy(&entry.text).replace('\n', "\r\n").into_bytes(),
                    "bom" => ["\u{feff}".as_bytes(), &entry.text].concat(),
                    "unended" => entry.text.strip_suffix(b"\n").unwrap_or(&entry.text).to_vec(),
                    _ => panic!("{name}: '{flag}' of {}", entry.path),
                };
            }
        }
        assert!(case.entries.iter().any(|entry| entry.path == "Dockerfile"), "{name} has no Dockerfile");
        case
    }

    fn set(&mut self, line: &str) {
        if line.is_empty() || line.starts_with('#') {
            return;
        }
        let name = self.name.clone();
        let (key, value) = line.split_once(": ").unwrap_or_else(|| panic!("{name}: '{line}'"));
        let pair = |separator| {
            let (first, second) = value.split_once(separator).unwrap_or_else(|| panic!("{name}: '{line}'"));
            (first.to_owned(), second.to_owned())
        };
        match key {
            "argument" => self.arguments.push(pair("=")),
            "target" => self.target = Some(value.to_owned()),
            "secret" => self.secrets.push(pair("=")),
            "refused" => self.refused = Some(value.to_owned()),
            "engine" => self.containerd = value == "containerd",
            "agent" => self.agent = value == "yes",
            "needs" => self.needs_ids = value == "ids",
            "stricter" => self.stricter = Some(pair(": ")),
            "differs" => self.differs.push(pair(": ")),
            _ => panic!("{name}: no setting '{key}'"),
        }
    }

    /// The facts that the documentation demands, where Docker's engine here does not know what the case uses.
    pub(super) fn documented(&self) -> Option<BTreeMap<String, String>> {
        let entry = self.entries.iter().find(|entry| entry.path == "=")?;
        let text = String::from_utf8_lossy(&entry.text);
        let fact = |line: &str| line.split_once(": ").map(|(fact, value)| (fact.to_owned(), value.to_owned()));
        Some(text.lines().filter_map(fact).collect())
    }

    /// Names of the images that are built before.
    pub(super) fn bases(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .entries
            .iter()
            .filter_map(|entry| Some(entry.place()?.0.to_owned()))
            .filter(|name| !matches!(name.as_str(), "http" | "git"))
            .collect();
        names.dedup();
        names
    }

    /// What the web server has, by path.
    pub(super) fn served(&self) -> Vec<(String, Vec<u8>)> {
        let mut served: Vec<(String, Vec<u8>)> = Vec::new();
        for entry in &self.entries {
            let Some(("http", path)) = entry.place() else { continue };
            match path.split_once('!') {
                None => served.push((path.to_owned(), entry.text.clone())),
                Some((archive, _)) if served.iter().any(|(path, _)| path == archive) => {}
                Some((archive, _)) => {
                    let members = self.members(&format!("http:{archive}"));
                    served.push((archive.to_owned(), pack(archive, &members)));
                }
            }
        }
        served
    }

    /// Writes the context into `folder/context`, and those of other images beside it.
    pub(super) fn write(&self, folder: &Path) {
        // Folders last, and backwards: a mode may lock a folder, and what is written to it changes its time.
        let mut done = Vec::new();
        for entry in &self.entries {
            let (base, path) = entry.place().unwrap_or(("context", &entry.path));
            if matches!(base, "http" | "git") || path == "=" {
                continue;
            }
            let archive = path.split_once('!').map(|(archive, _)| archive);
            let place = folder.join(base).join(archive.unwrap_or(path));
            fs::create_dir_all(place.parent().expect("a folder")).expect("a folder");
            match archive {
                Some(archive) => {
                    let whole = entry.path.split_once('!').expect("an archive").0;
                    fs::write(&place, pack(archive, &self.members(whole))).expect("an archive");
                }
                None => entry.write(&place),
            }
            done.push((entry, place, archive.is_some()));
        }
        for (entry, place, archive) in done.iter().rev() {
            if !archive {
                entry.finish(place);
            }
        }
    }

    /// The server of the repository, if there is one.
    pub(super) fn repository(&self) -> Option<GitServer> {
        let files: Vec<_> = self.entries.iter().filter_map(|entry| Some((entry, entry.place()?))).collect();
        let files: Vec<_> = files.into_iter().filter(|(_, (base, _))| *base == "git").collect();
        let write = |folder: &Path| {
            for (entry, (_, path)) in &files {
                let place = folder.join(path);
                fs::create_dir_all(place.parent().expect("a folder")).expect("a folder");
                entry.write(&place);
                entry.finish(&place);
            }
        };
        (!files.is_empty()).then(|| GitServer::of(write))
    }

    fn members(&self, archive: &str) -> Vec<Entry> {
        let member = |entry: &Entry| {
            let path = entry.path.strip_prefix(archive)?.strip_prefix('!')?.to_owned();
            Some(Entry { path, ..entry.clone() })
        };
        self.entries.iter().filter_map(member).collect()
    }
}

impl Entry {
    /// Reads a heading; what remains are flags of the text.
    fn parse(heading: &str) -> Option<(Entry, Vec<String>)> {
        let mut words = words(heading).into_iter();
        let mut entry = Entry { path: words.next()?, ..Entry::default() };
        if let Some(path) = entry.path.strip_suffix('/') {
            entry = Entry { path: path.to_owned(), kind: Kind::Folder, ..entry };
        }
        let mut flags = Vec::new();
        while let Some(word) = words.next() {
            let pair = |separator| word.split_once(separator);
            match word.as_str() {
                "->" => entry.kind = Kind::Symlink(words.next()?),
                "=>" => entry.kind = Kind::HardLink(words.next()?),
                "fifo" => entry.kind = Kind::Fifo,
                mode if mode.starts_with('0') && !mode.contains(':') => {
                    entry.mode = Some(u32::from_str_radix(mode, 8).ok()?)
                }
                _ if word.starts_with("device=") => {
                    let (major, minor) = word.get(8..)?.split_once(':')?;
                    let letter = word.chars().nth(7)?;
                    entry.kind = Kind::Device(letter, major.parse().ok()?, minor.parse().ok()?);
                }
                _ if word.starts_with("mtime=") => entry.mtime = Some(pair('=')?.1.parse().ok()?),
                _ if word.contains('=') => entry.attributes.push(pair('=').map(|(a, b)| (a.to_owned(), b.to_owned()))?),
                _ if word.contains(':') => entry.owner = (pair(':')?.0.parse().ok()?, pair(':')?.1.parse().ok()?),
                _ => flags.push(word),
            }
        }
        Some((entry, flags))
    }

    /// The other image and the path there, or `http` and the path there.
    fn place(&self) -> Option<(&str, &str)> {
        self.path.split_once(':').filter(|(base, _)| base.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'))
    }

    fn write(&self, path: &Path) {
        match &self.kind {
            Kind::File => fs::write(path, &self.text).expect("a file"),
            Kind::Folder => fs::create_dir_all(path).expect("a folder"),
            Kind::Symlink(target) => symlink(target, path).expect("a link"),
            Kind::HardLink(target) => {
                fs::hard_link(path.parent().expect("a folder").join(target), path).expect("a link");
            }
            Kind::Device(..) => panic!("a device outside of an archive"),
            Kind::Fifo => nix::unistd::mkfifo(path, Mode::from_bits_truncate(0o644)).expect("a pipe"),
        }
    }

    fn finish(&self, path: &Path) {
        if matches!(self.kind, Kind::Symlink(_)) {
            return;
        }
        let mode = self.mode.unwrap_or(if self.kind == Kind::Folder { 0o755 } else { 0o644 });
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its owner may");
        for (name, value) in &self.attributes {
            let status = std::process::Command::new(crate::support::tool("setfattr"))
                .args(["-n", name, "-v", value])
                .arg(path)
                .status();
            assert!(status.expect("setfattr can be run").success(), "{name} of {}", path.display());
        }
        if let Some(mtime) = self.mtime {
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(mtime);
            fs::File::open(path).and_then(|file| file.set_modified(time)).expect("its owner may");
        }
    }
}

/// Words with blanks between; quotes hold one together.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').expect("a second quote"),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

/// An archive, compressed as its name says.
fn pack(name: &str, members: &[Entry]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for member in members {
        let attributes: Vec<(String, &[u8])> =
            member.attributes.iter().map(|(name, value)| (format!("SCHILY.xattr.{name}"), value.as_bytes())).collect();
        if !attributes.is_empty() {
            let pairs = attributes.iter().map(|(name, value)| (name.as_str(), *value));
            builder.append_pax_extensions(pairs).expect("memory");
        }
        let mut header = tar::Header::new_gnu();
        header.set_mode(member.mode.unwrap_or(if member.kind == Kind::Folder { 0o755 } else { 0o644 }));
        header.set_uid(member.owner.0);
        header.set_gid(member.owner.1);
        header.set_mtime(member.mtime.unwrap_or(1_000_000_000));
        header.set_device_major(0).expect("a GNU header");
        header.set_device_minor(0).expect("a GNU header");
        let (kind, link) = match &member.kind {
            Kind::File => (tar::EntryType::Regular, None),
            Kind::Folder => (tar::EntryType::Directory, None),
            Kind::Symlink(target) => (tar::EntryType::Symlink, Some(target)),
            Kind::HardLink(target) => (tar::EntryType::Link, Some(target)),
            Kind::Fifo => (tar::EntryType::Fifo, None),
            Kind::Device(letter, major, minor) => {
                header.set_device_major(*major).expect("a GNU header");
                header.set_device_minor(*minor).expect("a GNU header");
                (if *letter == 'c' { tar::EntryType::Char } else { tar::EntryType::Block }, None)
            }
        };
        header.set_entry_type(kind);
        let data: &[u8] = if member.kind == Kind::File { &member.text } else { &[] };
        header.set_size(data.len() as u64);
        match link {
            Some(target) => builder.append_link(&mut header, &member.path, target).expect("a link"),
            None => builder.append_data(&mut header, &member.path, data).expect("memory"),
        }
    }
    let plain = builder.into_inner().expect("memory");
    compress(name, plain)
}

fn compress(name: &str, plain: Vec<u8>) -> Vec<u8> {
    let ending = name.rsplit('.').next().expect("a name");
    match ending {
        "tar" => plain,
        "gz" | "tgz" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&plain).expect("memory");
            encoder.finish().expect("memory")
        }
        "xz" => {
            let mut encoder = xz2::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(&plain).expect("memory");
            encoder.finish().expect("memory")
        }
        "bz2" => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(&plain).expect("memory");
            encoder.finish().expect("memory")
        }
        "zst" => {
            let level = ruzstd::encoding::CompressionLevel::Fastest;
            ruzstd::encoding::compress_to_vec(plain.as_slice(), level)
        }
        // Not an archive by its name, but by its content.
        _ => plain,
    }
}

/// The archive that the base image of most cases is made of: busybox, its commands, and what else an image has.
pub(super) fn busybox_archive(program: &Path) -> Vec<u8> {
    let listed = std::process::Command::new(program).arg("--list").output().expect("busybox can be run");
    let folder =
        |path: &str, mode| Entry { path: path.into(), kind: Kind::Folder, mode: Some(mode), ..Entry::default() };
    let file = |path: &str, mode, text: &[u8]| Entry {
        path: path.into(),
        mode: Some(mode),
        text: text.to_vec(),
        ..Entry::default()
    };
    let mut members = vec![
        folder("bin", 0o755),
        file("bin/busybox", 0o755, &fs::read(program).expect("busybox")),
        folder("dev", 0o755),
        folder("etc", 0o755),
        file("etc/group", 0o644, b"root:x:0:\nstaff:x:50:app\napp:x:1000:\n"),
        file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n"),
        folder("home", 0o755),
        Entry { owner: (1000, 1000), ..folder("home/app", 0o750) },
        folder("proc", 0o555),
        folder("root", 0o700),
        folder("sys", 0o555),
        folder("tmp", 0o1777),
        folder("usr", 0o755),
        folder("var", 0o755),
        Entry { kind: Kind::Symlink("../tmp".into()), ..file("var/tmp", 0o777, b"") },
    ];
    for name in String::from_utf8_lossy(&listed.stdout).lines().filter(|name| *name != "busybox") {
        members.push(Entry { kind: Kind::Symlink("busybox".into()), ..file(&format!("bin/{name}"), 0o777, b"") });
    }
    pack("busybox.tar", &members)
}
