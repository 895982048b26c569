//! A real registry for one test, on the loopback interface.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Docker's own registry with an empty storage.
pub(crate) struct Registry {
    process: Child,
    port: u16,
    _storage: tempfile::TempDir,
}

/// `user` with the password `secret`, as `htpasswd -B` writes it.
const USERS: &str = "user:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

impl Registry {
    /// Starts one that everybody may use.
    pub(crate) fn open() -> Registry {
        Registry::start(false)
    }

    /// Starts one that wants the user `user` with the password `secret`.
    pub(crate) fn closed() -> Registry {
        Registry::start(true)
    }

    fn start(closed: bool) -> Registry {
        let storage = tempfile::tempdir().expect("a temporary folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let users = storage.path().join("users");
        std::fs::write(&users, USERS).expect("a file");
        let auth = if closed {
            format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", users.display())
        } else {
            String::new()
        };
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n{auth}",
            storage.path().join("data").display()
        );
        let file = storage.path().join("config.yml");
        std::fs::write(&file, config).expect("a file");
        let mut command = Command::new(super::tool("docker-registry"));
        command.arg("serve").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("the registry can be run");
        let registry = Registry { process, port, _storage: storage };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(60), "the registry does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    /// The name of a repository of its.
    pub(crate) fn name(&self, repository: &str) -> String {
        format!("127.0.0.1:{}/{repository}", self.port)
    }

    /// Puts an image of a layout into it, for all platforms.
    pub(crate) fn push(&self, layout: &Path, name: &str, repository: &str) {
        let mut command = Command::new(super::tool("skopeo"));
        command.args(["copy", "--all", "--dest-tls-verify=false", "--dest-creds", "user:secret"]);
        command.arg(format!("oci:{}:{name}", layout.display())).arg(format!("docker://{}", self.name(repository)));
        let output = command.output().expect("skopeo can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
