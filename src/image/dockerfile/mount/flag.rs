//! A mount as it is written.

use super::RunMount;
use super::given::Given;
use crate::image::dockerfile::words::split_pair;
use crate::image::dockerfile::{Pair, ParseError, Span, Word};

/// `--mount=type=...,...` as written; no variables are expanded in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountFlag {
    /// Where it stands.
    pub span: Span,
    /// Its options, in order.
    pub options: Vec<Pair>,
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
    pub(in crate::image::dockerfile) fn parse(word: Word) -> Result<MountFlag, ParseError> {
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
                None => {
                    let flag = MountFlag { span: word.span, options };
                    flag.check_plain()?;
                    return Ok(flag);
                }
            }
        }
    }

    /// Checks what no variable, quote or escape can change; whether all fits together only if nothing of it can.
    fn check_plain(&self) -> Result<(), ParseError> {
        let plain = |option: &&Pair| {
            let value = option.value.as_ref();
            value.is_none_or(|value| !value.text.contains(['$', '\'', '"', '\\', '`']))
        };
        let mut given = Given::default();
        for option in self.options.iter().filter(plain) {
            given.take(option, &|word| Ok(word.text.clone()))?;
        }
        if self.options.iter().all(|option| plain(&option)) { given.check(self.span).map(drop) } else { Ok(()) }
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
