//! A web server for one test that answers as the test says: what a real one cannot be brought to do.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// By name in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// What is answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// So many bytes of the body come, and then the connection ends.
    pub(crate) cut: Option<usize>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply { status, headers: Vec::new(), body: body.into(), cut: None }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Reply {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

type Handler = dyn Fn(&Request, usize) -> Reply + Send + Sync;

/// A server on the loopback interface that remembers what it was asked.
pub(crate) struct Web {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Web {
    /// Starts; `handler` gets a request and how often its path was asked for before.
    pub(crate) fn new(handler: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Web {
        let handler: Arc<Handler> = Arc::new(handler);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let web = Web { address: listener.local_addr().expect("an address"), asked: Arc::default() };
        let asked = web.asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (handler, asked) = (handler.clone(), asked.clone());
                // A client may go away at any time.
                std::thread::spawn(move || _ = serve(stream, &*handler, &asked));
            }
        });
        web
    }

    /// Host and port.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// What was asked so far, in order.
    pub(crate) fn asked(&self) -> Vec<Request> {
        self.asked.lock().expect("no test panics with it").clone()
    }
}

fn serve(mut stream: TcpStream, handler: &Handler, asked: &Mutex<Vec<Request>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? <= 2 {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
    }
    let path = first.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let request = Request { path, headers, body: String::from_utf8_lossy(&body).into_owned() };
    let before = {
        let mut asked = asked.lock().expect("no test panics with it");
        let before = asked.iter().filter(|other| other.path == request.path).count();
        asked.push(request.clone());
        before
    };
    let reply = handler(&request, before);
    let length = reply.body.len();
    write!(stream, "HTTP/1.1 {} Some\r\nContent-Length: {length}\r\nConnection: close\r\n", reply.status)?;
    for (name, value) in &reply.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    stream.write_all(&reply.body[..reply.cut.unwrap_or(length).min(length)])
}
