//! What the options of a mount say, and whether they fit together.

use super::size::bytes;
use super::{RunMount, Sharing};
use crate::image::dockerfile::{Pair, ParseError, Span, Word};

/// What the options of one mount say, before it is known whether they fit together.
#[derive(Default)]
pub(super) struct Given {
    kind: Option<String>,
    from: Option<String>,
    source: Option<String>,
    target: Option<String>,
    read_only: Option<bool>,
    required: Option<(Span, bool)>,
    size: Option<(Span, u64)>,
    id: Option<String>,
    sharing: Option<(Span, Sharing)>,
    mode: Option<(Span, u32)>,
    uid: Option<(Span, u32)>,
    gid: Option<(Span, u32)>,
    env: Option<String>,
}

impl Given {
    /// Takes an option, its variables put in by `expand`.
    pub(super) fn take(
        &mut self,
        option: &Pair,
        expand: &dyn Fn(&Word) -> Result<String, ParseError>,
    ) -> Result<(), ParseError> {
        let name = option.name.text.as_str();
        let span = option.value.as_ref().map_or(option.name.span, |value| value.span);
        let value = match &option.value {
            Some(word) => expand(word)?,
            None if matches!(name, "readonly" | "ro" | "readwrite" | "rw" | "required") => "true".to_owned(),
            None => {
                let error = span.error(format!("'{name}' of --mount has no value"));
                return Err(error.hint(format!("{name}=...")));
            }
        };
        let wrong = |hint: &str| span.error(format!("'{name}={value}' of --mount is wrong")).hint(hint);
        let number = |radix, hint| {
            let number = u32::from_str_radix(&value, radix).map_err(|_| wrong(hint));
            number.map(|number| Some((span, number)))
        };
        let truth = || match value.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err(wrong("true or false")),
        };
        match name {
            "type" => {
                let kind = value.to_ascii_lowercase();
                if !matches!(kind.as_str(), "bind" | "cache" | "tmpfs" | "secret" | "ssh") {
                    return Err(wrong("there are bind, cache, tmpfs, secret and ssh"));
                }
                self.kind = Some(kind);
            }
            "from" => self.from = Some(value).filter(|value| !value.is_empty()),
            "source" | "src" => self.source = Some(value),
            "target" | "dst" | "destination" => self.target = Some(value).filter(|value| !value.is_empty()),
            "readonly" | "ro" => self.read_only = Some(truth()?),
            "readwrite" | "rw" => self.read_only = Some(!truth()?),
            "required" => self.required = Some((span, truth()?)),
            "size" => self.size = Some((span, bytes(&value).ok_or_else(|| wrong("as in 64m, 1g"))?)),
            "id" => self.id = Some(value).filter(|value| !value.is_empty()),
            "sharing" => {
                let sharing = match value.to_ascii_lowercase().as_str() {
                    "shared" => Sharing::Shared,
                    "private" => Sharing::Private,
                    "locked" => Sharing::Locked,
                    _ => return Err(wrong("there are shared, private and locked")),
                };
                self.sharing = Some((span, sharing));
            }
            "mode" => self.mode = number(8, "an octal number, as in mode=0600")?,
            "uid" => self.uid = number(10, "a number, as in uid=1000")?,
            "gid" => self.gid = number(10, "a number, as in gid=1000")?,
            _ => self.env = Some(value),
        }
        Ok(())
    }

    /// What they make together.
    pub(super) fn check(self, span: Span) -> Result<RunMount, ParseError> {
        let kind = self.kind.as_deref().unwrap_or("bind");
        let has_owner = matches!(kind, "cache" | "secret" | "ssh");
        let out_of_place = [
            ("mode", self.mode.filter(|_| !has_owner).map(|(span, _)| span)),
            ("uid", self.uid.filter(|_| !has_owner).map(|(span, _)| span)),
            ("gid", self.gid.filter(|_| !has_owner).map(|(span, _)| span)),
            ("sharing", self.sharing.filter(|_| kind != "cache").map(|(span, _)| span)),
            ("size", self.size.filter(|_| kind != "tmpfs").map(|(span, _)| span)),
            ("required", self.required.filter(|_| !matches!(kind, "secret" | "ssh")).map(|(span, _)| span)),
            ("from", self.from.as_ref().filter(|_| matches!(kind, "tmpfs" | "secret" | "ssh")).map(|_| span)),
            ("source", self.source.as_ref().filter(|_| matches!(kind, "tmpfs" | "ssh")).map(|_| span)),
            ("env", self.env.as_ref().filter(|_| kind != "secret").map(|_| span)),
        ];
        if let Some((option, Some(span))) = out_of_place.into_iter().find(|(_, wrong)| wrong.is_some()) {
            return Err(span.error(format!("a mount of type {kind} has no '{option}'")));
        }
        let owner = |mode: u32| {
            let value = |given: Option<(Span, u32)>| given.map(|(_, value)| value);
            (value(self.mode).unwrap_or(mode), value(self.uid).unwrap_or(0), value(self.gid).unwrap_or(0))
        };
        let required = self.required.is_some_and(|(_, required)| required);
        let needed = |target: Option<String>| {
            let error = || span.error(format!("a mount of type {kind} has no target")).hint("target=/path");
            target.ok_or_else(error)
        };
        Ok(match kind {
            "bind" => RunMount::Bind {
                from: self.from,
                source: self.source.unwrap_or_default(),
                target: needed(self.target)?,
                writable: self.read_only == Some(false),
            },
            "cache" => {
                let (mode, uid, gid) = owner(0o755);
                let target = needed(self.target)?;
                RunMount::Cache {
                    id: self.id.unwrap_or_else(|| clean(&target)),
                    target,
                    sharing: self.sharing.map_or(Sharing::Shared, |(_, sharing)| sharing),
                    from: self.from,
                    source: self.source.unwrap_or_default(),
                    mode,
                    uid,
                    gid,
                    read_only: self.read_only == Some(true),
                }
            }
            "tmpfs" => RunMount::Tmpfs { target: needed(self.target)?, size: self.size.map(|(_, size)| size) },
            "secret" => {
                let (mode, uid, gid) = owner(0o400);
                let source = self.source.filter(|source| !source.is_empty());
                if source.is_some() && self.id.is_some() {
                    return Err(span.error("a secret has either 'id' or 'source': they mean the same"));
                }
                let name = |path: &str| clean(path).rsplit('/').next().unwrap_or_default().to_owned();
                let id = source.or(self.id).or_else(|| self.target.as_deref().map(name));
                let error = || span.error("a secret needs an 'id'").hint("--mount=type=secret,id=NAME");
                let id = id.filter(|id| !id.is_empty()).ok_or_else(error)?;
                let target = match (self.target, &self.env) {
                    (None, None) => Some(format!("/run/secrets/{}", name(&id))),
                    (target, _) => target,
                };
                let env = self.env.map(|env| if env.is_empty() { id.clone() } else { env });
                RunMount::Secret { id, target, env, required, mode, uid, gid }
            }
            _ => {
                let (mode, uid, gid) = owner(0o600);
                let id = self.id.unwrap_or_else(|| "default".to_owned());
                RunMount::Ssh { id, target: self.target, required, mode, uid, gid }
            }
        })
    }
}

/// A path made lexically plain, as Go's `path.Clean` has it.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let absolute = path.starts_with('/');
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    match (absolute, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}
