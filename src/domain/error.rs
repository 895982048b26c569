//! The one error type: who must act, what is wrong with what, why, and what mends it.

use std::fmt;
use std::path::Path;

/// A result whose error is xbuild's own, unless another is named.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Who must act on an error; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The user's program did not build, or a test failed.
    Build,
    /// The command line or a file that the user wrote is wrong.
    Usage,
    /// The machine lacks something: a tool, a permission, disk, the network.
    Environment,
    /// A registry refused, or could not be reached.
    Registry,
    /// xbuild itself is wrong.
    Bug,
    /// The user interrupted the work.
    Interrupted,
}

impl ErrorKind {
    /// The exit code of a run that ends with this.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorKind::Build => 1,
            ErrorKind::Usage => 2,
            ErrorKind::Environment => 3,
            ErrorKind::Registry => 4,
            ErrorKind::Bug => 70,
            ErrorKind::Interrupted => 130,
        }
    }
}

/// A failure, told as `message: cause: cause`, with hints on how to mend it.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    /// Line and column, both from 1, in a file whose name is not known here.
    place: Option<(usize, usize)>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    hints: Vec<String>,
}

impl Error {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), place: None, cause: None, hints: Vec::new() }
    }

    /// The user's program or test is at fault.
    pub fn build(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Build, message)
    }

    /// The command line or a file of the user's is at fault.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Usage, message)
    }

    /// The machine is at fault.
    pub fn environment(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Environment, message)
    }

    /// A registry is at fault, or what lies between.
    pub fn registry(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Registry, message)
    }

    /// xbuild is at fault.
    pub fn bug(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Bug, message)
    }

    /// The user asked to stop.
    pub fn interrupted() -> Error {
        Error::new(ErrorKind::Interrupted, "interrupted")
    }

    /// The same error with a line that says what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hints.push(hint.into());
        self
    }

    /// The same error with what lies behind it.
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.cause = Some(cause.into());
        self
    }

    /// The same error at a line and a column, both from 1; one that has a place already keeps it.
    pub fn at(mut self, line: usize, column: usize) -> Error {
        self.place.get_or_insert((line, column));
        self
    }

    /// The same error as `FILE:LINE:COLUMN: message`; one without a place stays as it is.
    pub fn in_file(mut self, file: &Path) -> Error {
        if let Some((line, column)) = self.place.take() {
            self.message = format!("{}:{line}:{column}: {}", file.display(), self.message);
        }
        self
    }

    /// The same error for another step that it befell; the causes are in its message.
    pub fn again(&self) -> Error {
        let hints = self.hints().into_iter().map(str::to_owned).collect();
        Error { kind: self.kind, message: self.to_string(), place: None, cause: None, hints }
    }

    /// What lies behind it, if that is of some type.
    pub fn cause<T: std::error::Error + 'static>(&self) -> Option<&T> {
        let cause = self.cause.as_deref()?;
        match cause.downcast_ref::<Error>() {
            Some(own) => own.cause(),
            None => cause.downcast_ref(),
        }
    }

    /// Who must act.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message, then each hint on a line of its own that starts `hint: `.
    pub fn with_hints(&self) -> String {
        self.hints().iter().fold(self.to_string(), |text, hint| format!("{text}\nhint: {hint}"))
    }

    /// What mends it, most likely first; those of the causes come last.
    pub fn hints(&self) -> Vec<&str> {
        let mut hints: Vec<&str> = self.hints.iter().map(String::as_str).collect();
        if let Some(cause) = self.cause.as_ref().and_then(|cause| cause.downcast_ref::<Error>()) {
            hints.extend(cause.hints());
        }
        hints
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.place {
            write!(f, "{line}:{column}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(cause) = &self.cause {
            write!(f, ": {cause}")?;
            // xbuild's own errors print their causes themselves.
            if cause.downcast_ref::<Error>().is_none() {
                let mut next = cause.source();
                while let Some(source) = next {
                    write!(f, ": {source}")?;
                    next = source.source();
                }
            }
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Turns a foreign error into xbuild's, with words of context before it.
pub trait ResultExt<T> {
    /// The machine is at fault; `context` names the thing and the file.
    fn or_environment(self, context: impl FnOnce() -> String) -> Result<T>;
    /// The user's input is at fault.
    fn or_usage(self, context: impl FnOnce() -> String) -> Result<T>;
    /// The user's program is at fault.
    fn or_build(self, context: impl FnOnce() -> String) -> Result<T>;
    /// xbuild is at fault.
    fn or_bug(self, context: impl FnOnce() -> String) -> Result<T>;
    /// Words of context before an error of xbuild's, whose kind stays; any other counts as the machine's.
    fn context(self, context: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E> ResultExt<T> for std::result::Result<T, E>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn or_environment(self, context: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Error::environment(context()).because(cause))
    }

    fn or_usage(self, context: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Error::usage(context()).because(cause))
    }

    fn or_build(self, context: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Error::build(context()).because(cause))
    }

    fn or_bug(self, context: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Error::bug(context()).because(cause))
    }

    fn context(self, context: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| {
            let cause = cause.into();
            let kind = cause.downcast_ref::<Error>().map_or(ErrorKind::Environment, Error::kind);
            Error::new(kind, context()).because(cause)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_becomes_one_in_a_file() {
        let error = Error::usage("'x' is not there").at(3, 7).at(1, 1);
        assert_eq!(error.to_string(), "3:7: 'x' is not there");
        assert_eq!(error.in_file(Path::new("a/Dockerfile")).to_string(), "a/Dockerfile:3:7: 'x' is not there");
        let error = Error::usage("no space").in_file(Path::new("a/Dockerfile"));
        assert_eq!(error.to_string(), "no space");
    }

    #[test]
    fn context_keeps_kind_and_hints() {
        let inner: Result<()> = Err(Error::usage("no such key").hint("try 'name'"));
        let outer = inner.context(|| "cannot read xbuild.yaml".into()).unwrap_err();
        assert_eq!(outer.kind(), ErrorKind::Usage);
        assert_eq!(outer.to_string(), "cannot read xbuild.yaml: no such key");
        assert_eq!(outer.hints(), ["try 'name'"]);
    }
}
