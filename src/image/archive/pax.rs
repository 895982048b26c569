//! Extended headers in the format of POSIX: records that stand before an entry and override its header.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::str;

use super::super::layer::{XATTR, Xattrs};
use super::sparse::PaxSparse;
use crate::domain::{Error, Result};

/// What the records before an entry say.
#[derive(Debug, Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<u64>,
    pub(super) xattrs: Xattrs,
    pub(super) sparse: Option<PaxSparse>,
}

fn number(key: &str, value: &[u8]) -> Result<u64> {
    let parsed = str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    parsed.and_then(|text| text.parse().ok()).ok_or_else(|| {
        Error::environment(format!("its extended header has {key}={}", String::from_utf8_lossy(value).escape_debug()))
    })
}

/// Whole seconds; what lies before 1970 counts as 1970.
fn seconds(key: &str, value: &[u8]) -> Result<u64> {
    match value.strip_prefix(b"-") {
        Some(_) => Ok(0),
        None => number(key, value.split(|byte| *byte == b'.').next().unwrap_or_default()),
    }
}

fn text(key: &str, value: &[u8]) -> Result<Option<Vec<u8>>> {
    if value.contains(&0) {
        return Err(Error::environment(format!("its extended header has a NUL byte in '{key}'")));
    }
    // An empty value takes back what a record before it said.
    Ok(Some(value.to_vec()).filter(|value| !value.is_empty()))
}

/// Splits `LENGTH KEY=VALUE\n` off. A value may hold any byte: only the length says where it ends.
fn record(data: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let space = data.iter().take(20).position(|byte| *byte == b' ')?;
    let length: usize = str::from_utf8(&data[..space]).ok()?.parse().ok()?;
    let whole = data.get(..length)?;
    let inside = whole.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = inside.iter().position(|byte| *byte == b'=')?;
    let key = str::from_utf8(&inside[..equals]).ok()?;
    Some((key, &inside[equals + 1..], &data[length..]))
}

impl Pax {
    /// Reads the records of one header.
    pub(super) fn parse(mut data: &[u8]) -> Result<Pax> {
        let mut pax = Pax::default();
        while !data.is_empty() {
            let Some((key, value, rest)) = record(data) else {
                return Err(Error::environment("it has a broken extended header"));
            };
            data = rest;
            pax.take(key, value)?;
        }
        Ok(pax)
    }

    fn take(&mut self, key: &str, value: &[u8]) -> Result<()> {
        match key {
            "path" => self.path = text(key, value)?,
            "linkpath" => self.link = text(key, value)?,
            "size" => self.size = Some(number(key, value)?),
            "uid" => self.uid = Some(number(key, value)?),
            "gid" => self.gid = Some(number(key, value)?),
            "mtime" => self.mtime = Some(seconds(key, value)?),
            _ => {
                if let Some(name) = key.strip_prefix(XATTR) {
                    if name.is_empty() || name.contains('\0') {
                        return Err(Error::environment("it has an extended attribute without a proper name"));
                    }
                    self.xattrs.insert(OsString::from_vec(name.into()), value.to_vec());
                } else if let Some(name) = key.strip_prefix("GNU.sparse.") {
                    self.sparse.get_or_insert_default().take(name, value)?;
                }
            }
        }
        Ok(())
    }

    /// Checks a header that is meant for all entries after it. Tar programs differ in whether they heed it, so that it
    /// must not decide where anything goes.
    pub(super) fn check_global(data: &[u8]) -> Result<()> {
        let pax = Pax::parse(data)?;
        if pax.path.is_some() || pax.link.is_some() || pax.size.is_some() || pax.sparse.is_some() {
            return Err(Error::environment("a global extended header gives names or sizes to all entries after it"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_hold_any_byte() {
        let mut data = b"36 SCHILY.xattr.security.capability=".to_vec();
        let length = data.len() + 3;
        data[..2].copy_from_slice(length.to_string().as_bytes());
        data.extend(b"\n=\n");
        data.extend(b"12 path=a/b\n");
        let pax = Pax::parse(&data).unwrap();
        assert_eq!(pax.xattrs.values().collect::<Vec<_>>(), [b"\n="]);
        assert_eq!(pax.path.unwrap(), b"a/b");
    }

    #[test]
    fn broken_records_are_errors() {
        for data in
            ["5 a=b\n", "7 a=b\n", "6 a=bc\n", "x a=b\n", "99999999999999999999 a=b\n", "6 a b\n", "0 ", "9 size=x\n"]
        {
            assert!(Pax::parse(data.as_bytes()).is_err(), "{data:?}");
        }
        assert!(Pax::parse(b"12 path=a\0b\n").is_err());
        assert!(Pax::parse(b"12 size=-10\n").is_err());
    }

    #[test]
    fn times_are_whole_seconds() {
        let mtime = |text: &[u8]| Pax::parse(text).unwrap().mtime.unwrap();
        assert_eq!(mtime(b"19 mtime=12345.678\n"), 12345);
        assert_eq!(mtime(b"12 mtime=-5\n"), 0);
    }

    #[test]
    fn a_global_header_moves_nothing() {
        assert!(Pax::check_global(b"12 path=a/b\n").is_err());
        Pax::check_global(b"15 comment=abc\n").unwrap();
    }
}
