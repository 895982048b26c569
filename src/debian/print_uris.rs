//! What `apt-get install --print-uris` prints, as packages.

use crate::domain::{Digest, Error, Result, ResultExt, without_passwords};

use super::Package;

/// Reads lines of `'<url>' <file name> <size> SHA256:<digits>`, in the order in which apt would install.
pub(crate) fn parse_print_uris(text: &str) -> Result<Vec<Package>> {
    text.lines().filter(|line| line.starts_with('\'')).map(parse_line).collect()
}

fn parse_line(line: &str) -> Result<Package> {
    let strange = |what: &str| Error::environment(format!("apt-get printed {what}: {}", without_passwords(line)));
    let (url, rest) = line[1..].split_once('\'').ok_or_else(|| strange("an address without an end"))?;
    let mut words = rest.split_ascii_whitespace();
    let (Some(file_name), Some(size), Some(hash)) = (words.next(), words.next(), words.next()) else {
        return Err(strange("a line without name, size and hash"));
    };
    let digits = hash.strip_prefix("SHA256:").ok_or_else(|| strange("no SHA256"))?;
    let digest: Digest = digits.parse().or_environment(|| strange("a digest that is none").to_string())?;
    let parts: Vec<&str> = file_name.strip_suffix(".deb").unwrap_or_default().split('_').collect();
    let [name, version, architecture] = parts[..] else { return Err(strange("an unknown kind of file")) };
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"+-.~%_".contains(&b);
    if !file_name.bytes().all(legal) {
        return Err(strange("an odd file name"));
    }
    Ok(Package {
        name: name.parse().or_environment(|| strange("an odd package name").to_string())?,
        version: unescape(version).ok_or_else(|| strange("an odd version"))?,
        architecture: architecture.to_owned(),
        digest,
        size: size.parse().or_environment(|| strange("an odd size").to_string())?,
        url: url.to_owned(),
        file_name: file_name.to_owned(),
    })
}

/// Undoes apt's `%3a` for the colon of an epoch, and the like.
fn unescape(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        plain += before;
        let byte = u8::from_str_radix(after.get(..2)?, 16).ok().filter(u8::is_ascii_graphic)?;
        plain.push(char::from(byte));
        rest = &after[2..];
    }
    Some(plain + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "967aa62605721081c3eb2a17650611a792aa802d76a6511d1840242623d204c9";

    #[test]
    fn a_line_becomes_a_package() {
        let text =
            format!("'http://m/pool/g%2b%2b_14.2.0-1_amd64.deb' g++_4%3a14.2.0-1_amd64.deb 1200 SHA256:{DIGITS}\n\n");
        let packages = parse_print_uris(&text).unwrap();
        assert_eq!(packages.len(), 1);
        let package = &packages[0];
        assert_eq!((package.name.as_str(), package.version.as_str()), ("g++", "4:14.2.0-1"));
        assert_eq!((package.architecture.as_str(), package.size), ("amd64", 1200));
        assert_eq!(package.url, "http://m/pool/g%2b%2b_14.2.0-1_amd64.deb");
        assert_eq!(package.digest.hex(), DIGITS);
    }

    #[test]
    fn weak_hashes_and_odd_names_are_refused() {
        for line in [
            "'http://m/make_1_amd64.deb' make_1_amd64.deb 1 MD5Sum:8c82dcf89447f04e600379a1a1871f3b".to_owned(),
            format!("'http://m/x' ../../etc_1_amd64.deb 1 SHA256:{DIGITS}"),
            format!("'http://m/x' make_1%2_amd64.deb 1 SHA256:{DIGITS}"),
            format!("'http://m/x' make_1%0a_amd64.deb 1 SHA256:{DIGITS}"),
            format!("'http://m/x' make_1_amd64.deb -1 SHA256:{DIGITS}"),
            format!("'http://m/x' make_amd64.deb 1 SHA256:{DIGITS}"),
            "'http://m/x".to_owned(),
        ] {
            assert!(parse_print_uris(&line).is_err(), "{line}");
        }
    }
}
