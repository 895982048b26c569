//! A web server for one test, on the loopback interface.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the server answers for a path.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// This, whole.
    Body(Vec<u8>),
    /// A page for people, with status 200.
    Page,
    /// The length of this, and half of it.
    Half(Vec<u8>),
}

/// A server that counts what it is asked for; any path that it does not know is a 404.
pub(crate) struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts.
    pub(crate) fn new<const N: usize>(answers: [(&str, Answer); N]) -> Server {
        Server::with(answers.map(|(path, answer)| (path.to_owned(), answer)).into())
    }

    /// Starts a server of files.
    pub(crate) fn of(files: Vec<(String, Vec<u8>)>) -> Server {
        Server::with(files.into_iter().map(|(path, bytes)| (path, Answer::Body(bytes))).collect())
    }

    fn with(answers: BTreeMap<String, Answer>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = Server { address: listener.local_addr().expect("an address"), asked: Arc::default() };
        let asked = server.asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client may go away at any time.
                let _ = serve(stream, &answers, &asked);
            }
        });
        server
    }

    /// The address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Paths that were asked for, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test panics with it").clone()
    }
}

fn serve(mut stream: TcpStream, answers: &BTreeMap<String, Answer>, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let path = first.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let answer = answers.get(&path).cloned();
    asked.lock().expect("no test panics with it").push(path);
    let (status, length, body) = match answer {
        Some(Answer::Body(body)) => ("200 OK", body.len(), body),
        Some(Answer::Half(body)) => ("200 OK", body.len(), body[..body.len() / 2].to_vec()),
        Some(Answer::Page) => {
            let page = b"<!DOCTYPE html><title>We will be back soon</title>".to_vec();
            ("200 OK", page.len(), page)
        }
        None => ("404 Not Found", 0, Vec::new()),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    stream.write_all(&body)
}
