//! The entries of a layer as text that is kept beside its files.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::{ContentDigest, Digest, Error, Result, ResultExt};
use crate::image::layer::{Content, Device, Entries, Entry, Stamp};

/// An entry; names and values may be any bytes, see [`encode`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    path: String,
    mode: u32,
    owner: (u32, u32),
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mtime: Option<u64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    xattrs: BTreeMap<String, String>,
    what: What,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum What {
    Folder,
    OpaqueFolder,
    File(ContentDigest, u64),
    Symlink(String),
    HardLink(String),
    Character(u32, u32),
    Block(u32, u32),
    Fifo,
    Whiteout,
}

/// Entries as JSON, on a line after its digest.
pub(super) fn write(entries: &Entries) -> Result<Vec<u8>> {
    let lines: Vec<Line> = entries.iter().map(|(path, entry)| line(path, entry)).collect();
    let json = serde_json::to_vec(&lines).or_bug(|| "cannot write a listing".into())?;
    Ok([format!("{}\n", Digest::of(&json)).as_bytes(), &json].concat())
}

/// Entries from JSON after its digest; the files are below `root`.
pub(super) fn read(bytes: &[u8], root: &Path) -> Result<Entries> {
    let damaged = || "the listing is damaged".to_owned();
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (digest, json) = (&bytes[..end], &bytes[bytes.len().min(end + 1)..]);
    if digest != Digest::of(json).to_string().as_bytes() {
        return Err(Error::environment(damaged()));
    }
    let lines: Vec<Line> = serde_json::from_slice(json).or_environment(damaged)?;
    lines.into_iter().map(|line| entry(line, root)).collect()
}

fn line(path: &Path, entry: &Entry) -> Line {
    let text = |path: &Path| encode(path.as_os_str().as_bytes());
    let what = match &entry.content {
        Content::Directory => What::Folder,
        Content::OpaqueDirectory => What::OpaqueFolder,
        Content::File { digest, stamp, .. } => What::File(*digest, stamp.size()),
        Content::Symlink(target) => What::Symlink(text(target)),
        Content::HardLink(target) => What::HardLink(text(target)),
        Content::CharDevice(device) => What::Character(device.major, device.minor),
        Content::BlockDevice(device) => What::Block(device.major, device.minor),
        Content::Fifo => What::Fifo,
        Content::Whiteout => What::Whiteout,
    };
    let xattrs = entry.xattrs.iter().map(|(name, value)| (encode(name.as_bytes()), encode(value))).collect();
    Line { path: text(path), mode: entry.mode, owner: (entry.uid, entry.gid), mtime: entry.mtime, xattrs, what }
}

fn entry(line: Line, root: &Path) -> Result<(PathBuf, Entry)> {
    let path = path(&line.path)?;
    let content = match line.what {
        What::Folder => Content::Directory,
        What::OpaqueFolder => Content::OpaqueDirectory,
        What::File(digest, size) => Content::File { source: root.join(&path), digest, stamp: Stamp::kept(size) },
        What::Symlink(target) => Content::Symlink(self::path(&target)?),
        What::HardLink(target) => Content::HardLink(self::path(&target)?),
        What::Character(major, minor) => Content::CharDevice(Device { major, minor }),
        What::Block(major, minor) => Content::BlockDevice(Device { major, minor }),
        What::Fifo => Content::Fifo,
        What::Whiteout => Content::Whiteout,
    };
    let xattrs = line.xattrs.iter().map(|(name, value)| Ok((OsString::from_vec(decode(name)?), decode(value)?)));
    let xattrs = xattrs.collect::<Result<_>>()?;
    let (uid, gid) = line.owner;
    Ok((path, Entry { mode: line.mode, uid, gid, mtime: line.mtime, xattrs, content }))
}

fn path(text: &str) -> Result<PathBuf> {
    Ok(PathBuf::from(OsStr::from_bytes(&decode(text)?)))
}

/// Bytes as text: what is no UTF-8, and the percent sign, as `%XX`.
fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter == '%' { text.push_str("%25") } else { text.push(letter) }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

fn decode(text: &str) -> Result<Vec<u8>> {
    let damaged = || Error::environment(format!("'{text}' in a listing is damaged"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend(parts.next().unwrap_or_default().bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or_else(damaged)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| damaged())?);
        bytes.extend(rest.bytes());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_says_everything() {
        let mut special = Entry::new(Content::CharDevice(Device { major: 1, minor: 3 }), 0o4755, (7, 8));
        special.mtime = Some(12);
        special.xattrs.insert("security.capability".into(), vec![0, 1, 255, b'%']);
        let file = Content::File { source: "/layer/a%".into(), digest: ContentDigest::of("x"), stamp: Stamp::kept(1) };
        let entries = Entries::from([
            (PathBuf::from("a%"), Entry::new(file, 0o644, (0, 0))),
            (PathBuf::from(OsStr::from_bytes(b"\xff%/\xc3\xa4")), special),
            ("c".into(), Entry::new(Content::HardLink("a%".into()), 0o644, (0, 0))),
            ("d".into(), Entry::new(Content::Symlink("/x".into()), 0o777, (0, 0))),
            ("e".into(), Entry::whiteout()),
            ("f".into(), Entry::new(Content::OpaqueDirectory, 0o700, (0, 0))),
            ("g".into(), Entry::new(Content::Fifo, 0o600, (0, 0))),
        ]);
        assert_eq!(read(&write(&entries).unwrap(), Path::new("/layer")).unwrap(), entries);
        let mut changed = write(&entries).unwrap();
        let last = changed.len() - 10;
        changed[last] ^= 1;
        assert!(read(&changed, Path::new("/layer")).is_err());
        for damaged in ["", "[{]", r#"[{"path":"%F","mode":1,"owner":[0,0],"what":"fifo"}]"#] {
            let whole = format!("{}\n{damaged}", Digest::of(damaged));
            assert!(read(whole.as_bytes(), Path::new("/")).is_err(), "{damaged}");
            assert!(read(damaged.as_bytes(), Path::new("/")).is_err(), "{damaged}");
        }
    }
}
