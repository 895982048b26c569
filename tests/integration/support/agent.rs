//! An SSH agent with one key, for a test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::tool;

/// What the key is called.
pub(crate) const KEY: &str = "key-of-the-test";

/// A running agent; it ends with the test.
pub(crate) struct Agent {
    agent: Child,
    socket: PathBuf,
}

impl Agent {
    /// Starts one with a new key.
    pub(crate) fn start(socket: &Path) -> Agent {
        let mut command = Command::new(tool("setpriv"));
        command.args(["--pdeathsig", "KILL"]).arg(tool("ssh-agent")).arg("-D").arg("-a").arg(socket);
        let agent = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("ssh-agent can be run");
        let agent = Agent { agent, socket: socket.to_owned() };
        let started = Instant::now();
        while !socket.exists() {
            assert!(started.elapsed() < Duration::from_secs(20), "no ssh-agent");
            std::thread::sleep(Duration::from_millis(10));
        }
        let folder = tempfile::tempdir().expect("a folder");
        let key = folder.path().join("key");
        let mut command = Command::new(tool("ssh-keygen"));
        command.args(["-q", "-t", "ed25519", "-N", "", "-C", KEY, "-f"]).arg(&key);
        assert!(command.status().expect("ssh-keygen can be run").success());
        let mut command = Command::new(tool("ssh-add"));
        let status = command.arg("-q").arg(&key).env("SSH_AUTH_SOCK", socket).status();
        assert!(status.expect("ssh-add can be run").success());
        // Whoever the test runs xbuild as.
        fs::set_permissions(socket, fs::Permissions::from_mode(0o666)).expect("it is ours");
        agent
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}
