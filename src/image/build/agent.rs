//! The socket of an SSH agent, for one command: an agent talks to its own user alone, and a command may be anybody.

use std::fs;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::domain::{Result, ResultExt};

/// A socket that passes everything on to an agent, for as long as this lives.
#[derive(Debug)]
pub(super) struct AgentSocket {
    path: PathBuf,
    ended: Arc<AtomicBool>,
}

impl AgentSocket {
    /// Listens in a folder, with this mode and owner as far as the process may give files away.
    ///
    /// # Errors
    /// An environment error.
    pub(super) fn open(agent: PathBuf, folder: &Path, mode: u32, owner: (u32, u32)) -> Result<AgentSocket> {
        // Other users of the machine must not get at it, whatever its mode is.
        let folder = &folder.join("private");
        let path = folder.join("agent");
        let failed = || format!("cannot make the socket {}", path.display());
        fs::DirBuilder::new().mode(0o700).create(folder).or_environment(failed)?;
        // The address of a socket has room for a hundred bytes: a store's path may be longer.
        let handle = fs::File::open(folder).or_environment(failed)?;
        let short = |handle: &fs::File| format!("/proc/self/fd/{}/agent", handle.as_raw_fd());
        let listener = UnixListener::bind(short(&handle)).or_environment(failed)?;
        // Who cannot give it away lets every user of the sandbox have it.
        let given = chown(&path, Some(owner.0), Some(owner.1)).is_ok();
        let mode = if given { mode } else { mode | 0o666 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).or_environment(failed)?;
        let ended = Arc::new(AtomicBool::new(false));
        let flag = ended.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                if flag.load(Ordering::Acquire) {
                    return;
                }
                // A client may go away at any time, and the agent too: then the other side hears of it.
                if let Ok(client) = client {
                    let _ = connect(&agent).and_then(|agent| pass_on(client, agent));
                }
            }
        });
        Ok(AgentSocket { path, ended })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for AgentSocket {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // Wakes the thread that listens.
        let _ = connect(&self.path);
    }
}

/// Connects to a socket whose path may be longer than an address.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return UnixStream::connect(path);
    };
    let handle = fs::File::open(folder)?;
    UnixStream::connect(Path::new(&format!("/proc/self/fd/{}", handle.as_raw_fd())).join(name))
}

/// Copies both ways, each until its end.
fn pass_on(client: UnixStream, agent: UnixStream) -> io::Result<()> {
    let (from_agent, to_client) = (agent.try_clone()?, client.try_clone()?);
    let copy = |mut from: UnixStream, mut to: UnixStream| {
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        });
    };
    copy(client, agent);
    copy(from_agent, to_client);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn what_is_said_reaches_the_agent() {
        let folder = tempfile::tempdir().unwrap();
        // Longer than an address.
        let long = folder.path().join("x".repeat(120));
        fs::create_dir(&long).unwrap();
        let agent = folder.path().join("real");
        let listener = UnixListener::bind(&agent).unwrap();
        let echo = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = [0; 4];
            stream.read_exact(&mut bytes).unwrap();
            stream.write_all(&bytes.map(|byte| byte + 1)).unwrap();
        });
        let socket = AgentSocket::open(agent, &long, 0o640, (0, 0)).unwrap();
        let mut client = connect(socket.path()).unwrap();
        client.write_all(&[1, 2, 3, 4]).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, [2, 3, 4, 5]);
        echo.join().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert!(matches!(mode(socket.path()), 0o640 | 0o666), "{:o}", mode(socket.path()));
        assert_eq!(mode(socket.path().parent().unwrap()) & 0o077, 0);
        // Nobody listens any longer.
        let path = socket.path().to_owned();
        drop(socket);
        let gone = (0..100).any(|_| {
            thread::sleep(std::time::Duration::from_millis(20));
            connect(&path).is_err()
        });
        assert!(gone);
    }
}
