//! Addresses of git repositories, as Docker's ADD takes them.

use std::fmt;

use super::{Error, Result, without_password};

/// A repository, what of its history, and what of its tree: `https://host/x.git#reference:folder`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitReference {
    /// What git fetches from: `https://host/x.git`, `ssh://..`, `git://..` or `user@host:path`.
    pub remote: String,
    /// A branch, a tag or a commit; what the repository itself shows if `None`.
    pub reference: Option<String>,
    /// The folder that is wanted, without a slash at either end; everything if it is empty.
    pub folder: String,
}

impl GitReference {
    /// Parses an address. `None` for what names no repository: http and https addresses do when their path ends in
    /// `.git`, those of ssh and git always.
    ///
    /// # Errors
    /// A repository whose address, reference or folder git could take for something else.
    pub fn parse(text: &str) -> Result<Option<GitReference>> {
        let (remote, fragment) = text.split_once('#').unwrap_or((text, ""));
        let wrong = |what: &str| {
            Error::usage(format!("{what} of the git repository '{}' is wrong", shown(&without_password(text))))
        };
        let host = match remote.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) => {
                let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
                if !path.ends_with(".git") {
                    return Ok(None);
                }
                if query.is_some() {
                    let remote = without_password(&format!("{scheme}://{path}"));
                    let hint = format!("{remote}#REFERENCE:FOLDER says what of it");
                    return Err(wrong("the query").hint(hint));
                }
                rest
            }
            Some(("ssh" | "git", rest)) => rest,
            Some(_) => return Ok(None),
            None => match scp(remote) {
                Some(host) => host,
                None => return Ok(None),
            },
        };
        let (authority, _) = host.split_once('/').unwrap_or((host, ""));
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        if user.contains(':') {
            let error = Error::usage("the address of a git repository has a password in it");
            return Err(error.hint("everybody would find it in the image's history: --ssh is for private repositories"));
        }
        // ssh would take such a host or user for an option.
        if host.is_empty() || host.starts_with('-') || user.starts_with('-') {
            return Err(wrong("the host"));
        }
        if remote.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(wrong("the address"));
        }
        let (reference, folder) = fragment.split_once(':').unwrap_or((fragment, ""));
        if !reference.is_empty() && !is_reference(reference) {
            return Err(wrong(&format!("the reference '{}'", shown(reference))));
        }
        let folder = folder.trim_matches('/');
        if folder.split('/').any(|part| matches!(part, ".." | ".git")) || folder.contains('\0') {
            return Err(wrong(&format!("the folder '{}'", shown(folder))));
        }
        Ok(Some(GitReference {
            remote: remote.to_owned(),
            reference: Some(reference.to_owned()).filter(|reference| !reference.is_empty()),
            folder: folder.to_owned(),
        }))
    }

    /// The commit, where the reference is a whole one: nobody needs to ask what it stands for.
    pub fn commit(&self) -> Option<&str> {
        self.reference.as_deref().filter(|reference| GitReference::is_commit(reference))
    }

    /// Whether a text is the whole hash of a commit, in SHA-1 or SHA-256.
    pub fn is_commit(text: &str) -> bool {
        matches!(text.len(), 40 | 64) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    }
}

impl fmt::Display for GitReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(&self.remote))?;
        match &self.reference {
            Some(reference) => write!(f, "#{reference}"),
            None => Ok(()),
        }
    }
}

/// What git takes for the name of a branch or tag, and never for an option, a range or a pattern.
fn is_reference(text: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "~^:?*[\\@{".contains(c);
    !text.starts_with(['-', '/', '+', '.'])
        && !text.contains(odd)
        && !text.contains("..")
        && !text.ends_with(['/', '.'])
}

/// The host, with its user, of an address such as `git@host:path`.
fn scp(remote: &str) -> Option<&str> {
    let (host, path) = remote.split_once(':')?;
    let (user, name) = host.split_once('@')?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    (plain(user) && plain(name) && !path.is_empty()).then_some(host)
}

fn shown(text: &str) -> String {
    text.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, String, String)> {
        let found = GitReference::parse(text).unwrap()?;
        Some((found.remote, found.reference.unwrap_or_default(), found.folder))
    }

    #[test]
    fn addresses_name_repositories() {
        for (text, remote, reference, folder) in [
            ("https://h/x.git", "https://h/x.git", "", ""),
            ("http://h:8080/a/x.git#v1.0:/docs/en/", "http://h:8080/a/x.git", "v1.0", "docs/en"),
            ("https://me@h/x.git#:docs", "https://me@h/x.git", "", "docs"),
            ("ssh://git@h:22/x#refs/heads/a-b", "ssh://git@h:22/x", "refs/heads/a-b", ""),
            ("git://h/x", "git://h/x", "", ""),
            ("git@github.com:me/x.git#main", "git@github.com:me/x.git", "main", ""),
        ] {
            assert_eq!(parsed(text), Some((remote.into(), reference.into(), folder.into())), "{text}");
        }
        for text in
            ["https://h/x", "https://h/x.git/y", "a.git", "./a:b", "file:///x.git", "C:x.git", "ext::sh -c x", ""]
        {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn hostile_addresses_are_errors() {
        for text in [
            "https://h/x.git?a=b",
            "https://me:secret@h/x.git",
            "ssh://-oProxyCommand=x/y",
            "ssh://-l@h/y",
            "ssh:///y",
            "git@-host:x",
            "https://h/x y.git",
            "https://h/x\n.git",
            "https://h/x.git#--upload-pack=x",
            "https://h/x.git#a..b",
            "https://h/x.git#a b",
            "https://h/x.git#+refs/x",
            "https://h/x.git#a:../b",
            "https://h/x.git#a:b/.git",
        ] {
            assert!(GitReference::parse(text).is_err(), "{text}");
        }
        assert!(!GitReference::parse("https://me:hush@h/x.git").unwrap_err().to_string().contains("hush"));
    }
}
