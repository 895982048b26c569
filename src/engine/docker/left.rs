//! Takes files out of a container.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use tokio::runtime::Handle;

use crate::docker::{Container, ExecRequest};
use crate::domain::{Error, Result, ResultExt, Stream};
use crate::engine::session::{Left, Session};
use crate::plan::{OUTPUT, OutputFile, SOURCE};

/// Prints a regular file below a folder, by a path that leads nowhere else. Its exit codes say what is wrong, which the
/// engine's own way of copying would not: it gives links as links.
const PRINT: &str = r#"cd -P -- "$1" && root=$PWD || exit 64
file=$(readlink -e -- "$2") || exit 65
case $file in "$root"/*) ;; *) exit 66 ;; esac
[ -f "$file" ] || exit 67
exec cat -- "$file""#;

/// What the commands of a session have left in its container.
pub(super) struct Leftovers<'a> {
    pub(super) container: &'a Container,
    pub(super) runtime: &'a Handle,
    pub(super) session: &'a Session<'a>,
}

impl Left for Leftovers<'_> {
    fn take(&self, output: &OutputFile) -> Result<PathBuf> {
        let (folder, path) = match &output.path {
            Some(path) => (SOURCE, path.as_str()),
            None => (OUTPUT, output.name.as_str()),
        };
        let place = tempfile::Builder::new().tempfile_in(self.session.scratch.path());
        let failed = || format!("cannot write a file in {}", self.session.scratch.path().display());
        let (mut file, place): (File, PathBuf) = place.and_then(|file| Ok(file.keep()?)).or_environment(failed)?;
        let request = ExecRequest {
            argv: ["sh", "-c", PRINT, "sh", folder, path].map(str::to_owned).to_vec(),
            cwd: "/".into(),
            ..ExecRequest::default()
        };
        let mut written = Ok(());
        let mut told = |stream: Stream, bytes: &[u8]| {
            if stream == Stream::Stdout && written.is_ok() {
                written = file.write_all(bytes);
            }
        };
        let end = self.runtime.block_on(self.container.exec(&request, &mut told))?;
        written.or_environment(failed)?;
        match end.code {
            0 => Ok(place),
            65 => Err(Error::build("it is not there")),
            66 => Err(Error::build("it is a link that leads out of the tree")),
            67 => Err(Error::build("it is not a regular file")),
            code => Err(Error::environment(format!("cannot take it out of its container: exit code {code}"))),
        }
    }
}
