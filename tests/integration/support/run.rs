//! One run of xbuild, and what is expected of it.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::unistd::Uid;

use super::{Identity, Test};

/// A run that is being described.
#[must_use = "nothing runs before `run` or `start`"]
pub(crate) struct Run<'a> {
    test: &'a Test,
    command: Command,
    shown: String,
    status: i32,
    stdout: Option<String>,
    stdout_contains: Vec<String>,
    stderr_contains: Vec<String>,
    input: Vec<u8>,
}

/// What a run that went as expected has said.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl<'a> Run<'a> {
    pub(super) fn new(test: &'a Test, arguments: Vec<String>) -> Run<'a> {
        let mut command = Command::new(program(test.identity()));
        become_user(&mut command, test.identity());
        command.arg("-C").arg(test.path()).args(&arguments).env("XBUILD_STORE", test.store().path());
        command.current_dir("/").stdin(Stdio::null());
        let shown = arguments.join(" ");
        let (stdout_contains, stderr_contains) = (Vec::new(), Vec::new());
        let input = Vec::new();
        Run { test, command, shown, status: 0, stdout: None, stdout_contains, stderr_contains, input }
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Run<'a> {
        self.command.env(name, value);
        self
    }

    /// Runs with this mask for the modes of new files.
    pub(crate) fn umask(mut self, mask: u32) -> Run<'a> {
        // SAFETY: umask is safe between fork and exec.
        #[expect(unsafe_code, reason = "there is no other way to set a child's mask")]
        unsafe {
            self.command.pre_exec(move || {
                nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(mask));
                Ok(())
            });
        }
        self
    }

    /// Standard input stays open, and nothing comes.
    pub(crate) fn silent_stdin(mut self) -> Run<'a> {
        self.command.stdin(Stdio::piped());
        self
    }

    /// What comes on standard input.
    pub(crate) fn input(mut self, text: impl Into<Vec<u8>>) -> Run<'a> {
        self.command.stdin(Stdio::piped());
        self.input = text.into();
        self
    }

    /// The exit code to expect; 0 when not said.
    pub(crate) fn status(mut self, status: i32) -> Run<'a> {
        self.status = status;
        self
    }

    /// The whole standard output to expect.
    pub(crate) fn stdout(mut self, text: impl Into<String>) -> Run<'a> {
        self.stdout = Some(text.into());
        self
    }

    /// A part of standard output to expect.
    pub(crate) fn stdout_contains(mut self, text: impl Into<String>) -> Run<'a> {
        self.stdout_contains.push(text.into());
        self
    }

    /// A part of standard error to expect.
    pub(crate) fn stderr_contains(mut self, text: impl Into<String>) -> Run<'a> {
        self.stderr_contains.push(text.into());
        self
    }

    /// Starts, and leaves the rest to the caller. What it says on standard error is in [`Test::said`].
    pub(crate) fn start(mut self) -> Child {
        let said = fs::File::create(self.test.log()).expect("a file");
        self.command.stdout(Stdio::null()).stderr(said);
        self.command.spawn().expect("xbuild can be run")
    }

    /// Runs, and compares with what is expected.
    pub(crate) fn run(mut self) -> Finished {
        let mut child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("xbuild can be run");
        // Held open until the end, where it is a pipe and nothing comes.
        let mut input = child.stdin.take();
        if let Some(mut pipe) = input.take_if(|_| !self.input.is_empty()) {
            let bytes = std::mem::take(&mut self.input);
            // Who does not want to read it all says so by its exit code.
            std::thread::spawn(move || _ = pipe.write_all(&bytes));
        }
        let read = |mut pipe: Box<dyn Read + Send>| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                pipe.read_to_end(&mut bytes).expect("output can be read");
                String::from_utf8_lossy(&bytes).into_owned()
            })
        };
        let stdout = read(Box::new(child.stdout.take().expect("a pipe")));
        let stderr = read(Box::new(child.stderr.take().expect("a pipe")));
        let status = child.wait().expect("xbuild ends");
        drop(input);
        let finished = Finished { stdout: stdout.join().expect("text"), stderr: stderr.join().expect("text") };
        let said = || {
            let Finished { stdout, stderr } = &finished;
            let mut end = stderr.len().saturating_sub(20_000);
            while !stderr.is_char_boundary(end) {
                end += 1;
            }
            format!(
                "\n--- xbuild {} as {:?} in {}: {status}\n--- stdout\n{stdout}--- stderr\n{}---",
                self.shown,
                self.test.identity(),
                self.test.path().display(),
                &stderr[end..]
            )
        };
        assert_eq!(status.code(), Some(self.status), "exit code{}", said());
        assert!(!finished.stderr.contains("panicked"), "a panic{}", said());
        if let Some(expected) = &self.stdout {
            assert_eq!(&finished.stdout, expected, "stdout{}", said());
        }
        for text in &self.stdout_contains {
            assert!(finished.stdout.contains(text), "stdout has no {text:?}{}", said());
        }
        for text in &self.stderr_contains {
            assert!(finished.stderr.contains(text), "stderr has no {text:?}{}", said());
        }
        finished
    }
}

impl Finished {
    /// Standard output as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON: {error}\n{}", self.stdout))
    }
}

/// The program under test, where the user can reach it.
pub(super) fn program(identity: Identity) -> PathBuf {
    let built = PathBuf::from(env!("CARGO_BIN_EXE_xbuild"));
    let Some(user) = identity.user() else { return built };
    let metadata = fs::metadata(&built).expect("cargo has built xbuild");
    let modified = metadata.modified().expect("a time");
    let stamp = modified.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_nanos();
    let folder = user.dir.join("xbuild-test-bin");
    let program = folder.join(format!("xbuild-{stamp}"));
    if !program.exists() {
        fs::create_dir_all(&folder).expect("a folder at the user's home");
        for old in fs::read_dir(&folder).expect("a folder at the user's home").flatten() {
            // Not what another test is copying right now.
            if old.file_name().to_string_lossy().starts_with("xbuild-") && old.path() != program {
                let _ = fs::remove_file(old.path());
            }
        }
        let copy = tempfile::NamedTempFile::new_in(&folder).expect("a file at the user's home").into_temp_path();
        fs::copy(&built, &copy).expect("a copy of xbuild");
        // Another test may do the same at the same time; both bring the same.
        copy.persist(&program).expect("a copy of xbuild");
    }
    program
}

/// xbuild, run by a user.
pub(crate) fn xbuild_as(identity: Identity) -> Command {
    let mut command = Command::new(program(identity));
    become_user(&mut command, identity);
    command.current_dir("/").stdin(Stdio::null());
    command
}

/// Makes a command run as a user, in an environment that has nothing of the tests'.
pub(super) fn become_user(command: &mut Command, identity: Identity) {
    let own = |name: &str| name.starts_with("XBUILD_") && name != "XBUILD_DEBIAN_MIRROR";
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if own(&name) || name.starts_with("GIT_") || ["SOURCE_DATE_EPOCH", "NO_COLOR", "CI"].contains(&name.as_str()) {
            command.env_remove(name);
        }
    }
    command.env("LC_ALL", "C.UTF-8");
    if let Some(user) = identity.user() {
        assert!(Uid::effective().is_root(), "only root can become {}", user.name);
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw()).env("HOME", &user.dir).env("USER", &user.name);
        for name in ["XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "TMPDIR"] {
            command.env_remove(name);
        }
    }
}
