//! `--mount` of RUN: as written, and checked.

use super::words::split_pair;
use super::{Pair, ParseError, Span, Word};

/// `--mount=type=...,...` as written; no variables are expanded in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountFlag {
    /// Where it stands.
    pub span: Span,
    /// Its options, in order.
    pub options: Vec<Pair>,
}

/// A mount of a RUN, checked. Owners and modes are those of what is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunMount {
    /// Files of the context, a stage or an image.
    Bind {
        /// The stage or image; the build context if `None`.
        from: Option<String>,
        /// The path in it.
        source: String,
        /// Where it appears.
        target: String,
        /// Whether the command may write there; nothing of what it writes is kept.
        writable: bool,
    },
    /// A folder that outlives the build.
    Cache {
        /// Its name; the target's path if none was given.
        id: String,
        /// Where it appears.
        target: String,
        /// Who may use it at the same time.
        sharing: Sharing,
        /// The stage or image whose files a new one begins with.
        from: Option<String>,
        /// The path in it.
        source: String,
        /// Permissions of a new one.
        mode: u32,
        /// Owner of a new one.
        uid: u32,
        /// Group of a new one.
        gid: u32,
        /// Whether the command may only read it.
        read_only: bool,
    },
    /// Memory.
    Tmpfs {
        /// Where it appears.
        target: String,
        /// Its limit in bytes.
        size: Option<u64>,
    },
    /// A secret of the command line.
    Secret {
        /// Its name.
        id: String,
        /// The file in which it appears.
        target: Option<String>,
        /// The variable in which it appears.
        env: Option<String>,
        /// Whether it is an error if there is none of that name.
        required: bool,
        /// Permissions of the file.
        mode: u32,
        /// Owner of the file.
        uid: u32,
        /// Group of the file.
        gid: u32,
    },
    /// The socket of an SSH agent.
    Ssh {
        /// Its name, `default` if none was given.
        id: String,
        /// Where the socket appears; `None` means a place of the executor's choice.
        target: Option<String>,
        /// Whether it is an error if there is none of that name.
        required: bool,
        /// Permissions of the socket.
        mode: u32,
        /// Owner of the socket.
        uid: u32,
        /// Group of the socket.
        gid: u32,
    },
}

/// Who may use a cache at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Everybody.
    Shared,
    /// Everybody gets one of their own.
    Private,
    /// One after the other.
    Locked,
}

/// Every option that some mount has.
const OPTIONS: [&str; 19] = [
    "destination",
    "dst",
    "env",
    "from",
    "gid",
    "id",
    "mode",
    "readonly",
    "readwrite",
    "required",
    "ro",
    "rw",
    "sharing",
    "size",
    "source",
    "src",
    "target",
    "type",
    "uid",
];

impl MountFlag {
    /// Parts the value of `--mount` at its commas; a field in double quotes may hold some.
    pub(super) fn parse(word: Word) -> Result<MountFlag, ParseError> {
        let mut options = Vec::new();
        let mut rest = word.text.as_str();
        let mut column = word.span.column;
        loop {
            let (field, length) = match rest.strip_prefix('"') {
                None => {
                    let end = rest.find(',').unwrap_or(rest.len());
                    (&rest[..end], end)
                }
                Some(quoted) => {
                    let end =
                        quoted.find('"').filter(|end| matches!(quoted[end + 1..].chars().next(), None | Some(',')));
                    let end = end.ok_or_else(|| word.span.error("a quoted field of --mount has no end"))?;
                    (&quoted[..end], end + 2)
                }
            };
            let span = Span { line: word.span.line, column };
            let pair = split_pair(Word { span, text: field.to_owned() });
            let name = pair.name.text.to_ascii_lowercase();
            if !OPTIONS.contains(&name.as_str()) {
                let error = span.error(format!("--mount has no option '{}'", pair.name.text));
                return Err(error.hint(format!("there are {}", OPTIONS.join(", "))));
            }
            if let Some(value) = pair.value.as_ref().filter(|value| name == "from" && value.text.contains('$')) {
                let error = value.span.error(format!("from={}: variables are not expanded in from", value.text));
                return Err(error.hint(format!("name a stage for it, 'FROM {} AS name', and take that", value.text)));
            }
            options.push(Pair { name: Word { text: name, ..pair.name }, ..pair });
            column += rest[..length].chars().count() + 1;
            match rest[length..].strip_prefix(',') {
                Some(after) => rest = after,
                None => return Ok(MountFlag { span: word.span, options }),
            }
        }
    }

    /// The stage or image that it takes files from.
    pub fn from(&self) -> Option<&Word> {
        let from = self.options.iter().rev().find(|option| option.name.text == "from");
        from.and_then(|option| option.value.as_ref()).filter(|value| !value.text.is_empty())
    }

    /// The mount with its variables put in by `expand`, checked.
    ///
    /// # Errors
    /// An option that contradicts another, is missing, or has an impossible value, with its place.
    pub fn resolve(&self, expand: &dyn Fn(&Word) -> Result<String, ParseError>) -> Result<RunMount, ParseError> {
        let mut given = Given::default();
        for option in &self.options {
            given.take(option, expand)?;
        }
        given.check(self.span)
    }
}

/// What the options of one mount say, before it is known whether they fit together.
#[derive(Default)]
struct Given {
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
    fn take(&mut self, option: &Pair, expand: &dyn Fn(&Word) -> Result<String, ParseError>) -> Result<(), ParseError> {
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

    fn check(self, span: Span) -> Result<RunMount, ParseError> {
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

/// Bytes of a size such as `64m`, `1.5GiB`, `100`; units count in powers of 1024.
fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let unit = text[end..].trim_start().to_ascii_lowercase();
    let unit = unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(&unit);
    let power = ["", "k", "m", "g", "t", "p"].iter().position(|known| *known == unit)?;
    let size = number * 1024f64.powi(i32::try_from(power).ok()?);
    (size < 1e18).then_some(size as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(text: &str) -> Result<RunMount, ParseError> {
        let word = Word { span: Span { line: 2, column: 13 }, text: text.to_owned() };
        MountFlag::parse(word)?.resolve(&|word| Ok(word.text.replace("$id", "go")))
    }

    #[test]
    fn mounts_have_docker_s_defaults() {
        let bind = |from: Option<&str>, source: &str, target: &str, writable| RunMount::Bind {
            from: from.map(str::to_owned),
            source: source.into(),
            target: target.into(),
            writable,
        };
        let cache = |id: &str, sharing, mode, read_only| RunMount::Cache {
            id: id.into(),
            target: "/c/../d".into(),
            sharing,
            from: None,
            source: String::new(),
            mode,
            uid: 0,
            gid: 0,
            read_only,
        };
        let secret = |id: &str, target: Option<&str>, env: Option<&str>, required, mode| RunMount::Secret {
            id: id.into(),
            target: target.map(str::to_owned),
            env: env.map(str::to_owned),
            required,
            mode,
            uid: 0,
            gid: 0,
        };
        let ssh = |id: &str, target: Option<&str>, mode| RunMount::Ssh {
            id: id.into(),
            target: target.map(str::to_owned),
            required: false,
            mode,
            uid: 1,
            gid: 0,
        };
        for (text, wanted) in [
            ("target=/x", bind(None, "", "/x", false)),
            ("type=bind,from=base,source=/a,dst=b,rw", bind(Some("base"), "/a", "b", true)),
            ("type=BIND,src=a,destination=/b,ro=false", bind(None, "a", "/b", true)),
            ("type=bind,\"source=a,b\",target=/x,readwrite=0", bind(None, "a,b", "/x", false)),
            ("type=cache,target=/c/../d", cache("/d", Sharing::Shared, 0o755, false)),
            ("type=cache,id=$id,target=/c/../d,sharing=Locked,mode=0700,ro", cache("go", Sharing::Locked, 0o700, true)),
            ("type=tmpfs,target=/t", RunMount::Tmpfs { target: "/t".into(), size: None }),
            ("type=tmpfs,target=/t,size=64m", RunMount::Tmpfs { target: "/t".into(), size: Some(64 << 20) }),
            ("type=secret,id=$id", secret("go", Some("/run/secrets/go"), None, false, 0o400)),
            ("type=secret,target=/x/key,required", secret("key", Some("/x/key"), None, true, 0o400)),
            ("type=secret,src=a,env=A,required=false", secret("a", None, Some("A"), false, 0o400)),
            ("type=secret,id=a,env=,target=/b,mode=0444", secret("a", Some("/b"), Some("a"), false, 0o444)),
            ("type=ssh,uid=1", ssh("default", None, 0o600)),
            ("type=ssh,id=k,target=/s,uid=1,mode=666", ssh("k", Some("/s"), 0o666)),
        ] {
            assert_eq!(mount(text).as_ref(), Ok(&wanted), "{text}");
        }
    }

    #[test]
    fn wrong_mounts_name_their_place() {
        for (text, column, message) in [
            ("type=volume,target=/x", 18, "'type=volume' of --mount is wrong"),
            ("type=bind", 13, "a mount of type bind has no target"),
            ("target=/x,mode=644", 28, "a mount of type bind has no 'mode'"),
            ("type=cache,target=/x,uid=me", 38, "'uid=me' of --mount is wrong"),
            ("type=cache,target=/x,sharing=all", 42, "'sharing=all' of --mount is wrong"),
            ("target=/x,sharing=locked", 31, "a mount of type bind has no 'sharing'"),
            ("target=/x,required", 23, "a mount of type bind has no 'required'"),
            ("type=secret", 13, "a secret needs an 'id'"),
            ("type=secret,id=a,source=b", 13, "a secret has either 'id' or 'source': they mean the same"),
            ("type=secret,id=a,from=b", 13, "a mount of type secret has no 'from'"),
            ("type=tmpfs,target=/x,size=big", 39, "'size=big' of --mount is wrong"),
            ("type=bind,tärget=/x,y", 23, "--mount has no option 'tärget'"),
            ("target", 13, "'target' of --mount has no value"),
            ("target=/x,ro=maybe", 26, "'ro=maybe' of --mount is wrong"),
            ("target=/x,from=a$b", 28, "from=a$b: variables are not expanded in from"),
            ("", 13, "--mount has no option ''"),
            ("\"target=/x", 13, "a quoted field of --mount has no end"),
        ] {
            let error = mount(text).unwrap_err();
            assert_eq!((error.line, error.column, error.message.as_str()), (2, column, message), "{text}");
        }
    }

    #[test]
    fn sizes_are_docker_s() {
        for (text, size) in [
            ("100", Some(100)),
            ("1k", Some(1024)),
            ("1.5GiB", Some(3 << 29)),
            ("2 mb", Some(2 << 20)),
            ("x", None),
            ("1x", None),
            ("", None),
        ] {
            assert_eq!(bytes(text), size, "{text}");
        }
    }
}
