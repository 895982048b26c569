//! A git server for one test, on the loopback interface: `git http-backend` behind a little HTTP.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::tool;

/// A server of one repository, `/x.git`, which has the branch `main`, the annotated tag `v1` on it, and the branch `side`
/// with one file more.
pub(crate) struct GitServer {
    address: SocketAddr,
    folder: Arc<tempfile::TempDir>,
    /// The commit of `main`.
    pub(crate) commit: String,
}

impl GitServer {
    /// Starts a server of what `write` puts into an empty folder.
    pub(crate) fn of(write: impl FnOnce(&Path)) -> GitServer {
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).expect("a folder");
        write(&tree);
        git(&tree, &["init", "--quiet", "--initial-branch=main"]);
        git(&tree, &["add", "--all", "--force"]);
        git(&tree, &["commit", "--quiet", "--message=one"]);
        git(&tree, &["tag", "--annotate", "--message=release", "v1"]);
        let commit = git(&tree, &["rev-parse", "HEAD"]);
        git(&tree, &["checkout", "--quiet", "-b", "side"]);
        fs::write(tree.join("side"), "side\n").expect("a file");
        git(&tree, &["add", "side"]);
        git(&tree, &["commit", "--quiet", "--message=two"]);
        git(&tree, &["checkout", "--quiet", "main"]);
        git(folder.path(), &["clone", "--quiet", "--bare", "tree", "x.git"]);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = GitServer { address: listener.local_addr().expect("an address"), folder: folder.clone(), commit };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let root = folder.path().to_owned();
                // A client may go away at any time.
                std::thread::spawn(move || serve(stream, &root));
            }
        });
        server
    }

    /// The address of the repository.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/x.git", self.address)
    }

    /// The repository as files, for a server that knows nothing of git.
    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let repository = self.folder.path().join("x.git");
        git(&repository, &["update-server-info"]);
        let mut files = Vec::new();
        for entry in ignore::WalkBuilder::new(&repository).standard_filters(false).build().flatten() {
            if entry.path().is_file() {
                let name = entry.path().strip_prefix(self.folder.path()).expect("it is below");
                files.push((format!("/{}", name.display()), fs::read(entry.path()).expect("a file")));
            }
        }
        let list = files.iter().find(|(name, _)| name == "/x.git/info/refs").expect("a list").1.clone();
        files.push(("/x.git/info/refs?service=git-upload-pack".into(), list));
        files
    }

    /// Moves `main` on by one commit.
    pub(crate) fn advance(&self) {
        let tree = self.folder.path().join("tree");
        fs::write(tree.join("later"), "later\n").expect("a file");
        git(&tree, &["add", "later"]);
        git(&tree, &["commit", "--quiet", "--message=later"]);
        git(&tree, &["push", "--quiet", "../x.git", "main"]);
    }

    /// Answers nothing any more.
    pub(crate) fn break_down(&self) {
        fs::rename(self.folder.path().join("x.git"), self.folder.path().join("gone")).expect("it is there");
    }
}

/// Runs git as somebody who lives at a fixed time: the same files make the same commit.
fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(tool("git"));
    command.args(arguments).current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "somebody").env(format!("GIT_{who}_EMAIL"), "somebody@example.org");
        command.env(format!("GIT_{who}_DATE"), "1000000000 +0000");
    }
    let output = command.output().expect("git can be run");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Answers one request by CGI.
fn serve(mut stream: TcpStream, root: &PathBuf) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut backend = Command::new(tool("git"));
    backend.arg("http-backend").env("GIT_PROJECT_ROOT", root).env("GIT_HTTP_EXPORT_ALL", "1");
    backend.env("REQUEST_METHOD", method).env("PATH_INFO", path).env("QUERY_STRING", query);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? <= 2 {
            break;
        }
        let (name, value) = line.trim_end().split_once(": ").unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap_or(0),
            "content-type" => _ = backend.env("CONTENT_TYPE", value),
            "content-encoding" => _ = backend.env("HTTP_CONTENT_ENCODING", value),
            "git-protocol" => _ = backend.env("GIT_PROTOCOL", value),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut backend = backend.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    // Requests are shorter than a pipe.
    backend.stdin.take().expect("a pipe").write_all(&body)?;
    let answer = backend.wait_with_output()?.stdout;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(answer.len());
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n{head}\r\n\r\n")?;
    stream.write_all(answer.get(end + 4..).unwrap_or_default())
}
