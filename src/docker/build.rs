//! Builds of images by the engine itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use base64::Engine as _;
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use tokio::io::AsyncRead;

use super::client::pieces;
use super::error::{broken, what_mends};
use super::trace::{self, Told};
use super::{Client, Network};
use crate::domain::{Arch, Error, Result, Stream, without_passwords};

/// A message longer than this is none.
const LONGEST: usize = 16 << 20;

/// So many lines of output tell why a build failed.
const TAIL: usize = 20;

/// Which of an engine's builders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builder {
    /// The first one, instruction by instruction. Podman has Buildah in its place.
    Classic,
    /// The one that is part of Docker's engine since 18.09.
    BuildKit,
}

/// What is to be built.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// What errors call it.
    pub name: String,
    /// The Dockerfile's name in the context.
    pub dockerfile: String,
    /// The stage that is wanted; the last one otherwise.
    pub target: Option<String>,
    /// What the image is to be called.
    pub tag: String,
    /// Whom the image is for; else for the engine's own machine.
    pub arch: Option<Arch>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Who builds.
    pub builder: Builder,
    /// Whether every instruction is executed, also where the engine remembers it.
    pub no_cache: bool,
    /// What `RUN` sees.
    pub network: Network,
}

/// A message of a builder.
#[derive(Debug, Default, Deserialize)]
struct Message {
    #[serde(default)]
    stream: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    aux: Option<serde_json::Value>,
}

impl Client {
    /// Has the engine build an image of a context: a tar archive with the Dockerfile and what it copies. `told` gets what its
    /// commands print, and a line for each step.
    ///
    /// # Errors
    /// A build error, with the last lines, when the Dockerfile is at fault or a command of it fails; a registry error
    /// when a base cannot be had; an environment error when the engine is at fault.
    pub async fn build(
        &self,
        request: &BuildRequest,
        context: impl AsyncRead + Send + Unpin + 'static,
        told: &mut (dyn FnMut(Stream, &str) + Send),
    ) -> Result<()> {
        let what = format!("build {}", request.name);
        let message = format!("{}: cannot {what}", self.endpoint());
        let answer = self.transport().post_tar(&path(request), bollard::body_try_stream(pieces(context))).await;
        let broken_off = |error: Error| {
            let told = Error::environment(format!("cannot {what}")).because(error.to_string());
            error.hints().into_iter().fold(told, |told, hint| told.hint(hint))
        };
        let mut answer = match answer.map_err(broken_off)? {
            Ok(answer) => answer,
            // BuildKit has no answer to begin where the Dockerfile cannot be read.
            Err(error) => return Err(fault(&message, &error, "")),
        };
        let mut progress = Progress::new(told);
        let mut pending = BytesMut::new();
        while let Some(frame) = answer.frame().await {
            let frame = frame.map_err(|error| broken_off(broken(self.endpoint(), &error)))?;
            pending.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                progress.line(&pending.split_to(end + 1));
            }
            if pending.len() > LONGEST {
                return Err(
                    Error::environment(message).because("its answer is not of Docker's API: a message without end")
                );
            }
        }
        progress.line(&pending);
        progress.end(&message)
    }
}

/// The path of the request, with everything that is asked.
fn path(request: &BuildRequest) -> String {
    let object = |map: &BTreeMap<String, String>| serde_json::json!(map).to_string();
    let mut parameters = vec![
        ("dockerfile", request.dockerfile.clone()),
        ("t", request.tag.clone()),
        ("buildargs", object(&request.args)),
        ("labels", object(&request.labels)),
        ("rm", "1".into()),
        ("forcerm", "1".into()),
    ];
    parameters.extend(request.target.clone().map(|target| ("target", target)));
    match request.network {
        Network::None => parameters.push(("networkmode", "none".into())),
        Network::Default => {}
        Network::Host => parameters.push(("networkmode", "host".into())),
    }
    parameters.extend(request.arch.map(|arch| ("platform", arch.platform().to_owned())));
    if request.no_cache {
        parameters.push(("nocache", "1".into()));
    }
    if request.builder == Builder::BuildKit {
        // Without a session: the context is the body of the request, and registries are asked without passwords.
        parameters.push(("version", "2".into()));
    }
    let parameters = parameters.iter().map(|(name, value)| format!("{name}={}", escaped(value)));
    format!("/build?{}", parameters.collect::<Vec<_>>().join("&"))
}

/// Text as a parameter of a path.
pub(super) fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// What has been told of a build.
struct Progress<'a> {
    told: &'a mut (dyn FnMut(Stream, &str) + Send),
    tail: VecDeque<String>,
    /// Steps of BuildKit that were told.
    steps: BTreeSet<Vec<u8>>,
    error: Option<String>,
}

impl<'a> Progress<'a> {
    fn new(told: &'a mut (dyn FnMut(Stream, &str) + Send)) -> Progress<'a> {
        Progress { told, tail: VecDeque::new(), steps: BTreeSet::new(), error: None }
    }

    fn tell(&mut self, stream: Stream, text: &str) {
        // Builders repeat the addresses that they download from.
        let text = &without_passwords(text);
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            if self.tail.len() == TAIL {
                self.tail.pop_front();
            }
            self.tail.push_back(line.to_owned());
        }
        (self.told)(stream, text);
    }

    /// Takes in one message.
    fn line(&mut self, line: &[u8]) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let Ok(message) = serde_json::from_slice::<Message>(line) else {
            // Nobody's message, but perhaps somebody's explanation.
            return self.tell(Stream::Stderr, &String::from_utf8_lossy(line));
        };
        if let Some(text) = message.stream {
            // The first builder marks the standard error of commands with a colour.
            match text.strip_prefix("\u{1b}[91m") {
                Some(text) => self.tell(Stream::Stderr, text.strip_suffix("\u{1b}[0m").unwrap_or(text)),
                None => self.tell(Stream::Stdout, &text),
            }
        }
        if let (Some("moby.buildkit.trace"), Some(serde_json::Value::String(text))) =
            (message.id.as_deref(), &message.aux)
            && let Ok(trace) = base64::prelude::BASE64_STANDARD.decode(text)
        {
            self.trace(&trace);
        } else if let (Some(status), None) = (&message.status, &message.id) {
            self.tell(Stream::Stdout, &format!("{status}\n"));
        }
        if let Some(error) = message.error {
            self.error = Some(without_passwords(&error));
        }
    }

    /// Takes in what BuildKit tells.
    fn trace(&mut self, trace: &[u8]) {
        for told in trace::read(trace) {
            match told {
                Told::Step { digest, name, started, cached } => {
                    let internal = name.is_empty() || name.starts_with("[internal]") || name == "copy /context /";
                    if started && !internal && self.steps.insert(digest.to_owned()) {
                        let cached = if cached { " (cached)" } else { "" };
                        self.tell(Stream::Stdout, &format!("{name}{cached}\n"));
                    }
                }
                Told::Log { stream, text } => {
                    let stream = if stream == 2 { Stream::Stderr } else { Stream::Stdout };
                    self.tell(stream, &String::from_utf8_lossy(text));
                }
            }
        }
    }

    /// The outcome; `context` begins the message of an error.
    fn end(self, context: &str) -> Result<()> {
        match self.error {
            None => Ok(()),
            Some(error) => Err(fault(context, &error, &self.tail.into_iter().collect::<Vec<_>>().join("\n"))),
        }
    }
}

/// The error of whoever is at fault, from the engine's words; `tail` is what the last command printed.
fn fault(context: &str, error: &str, tail: &str) -> Error {
    let text = error.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let told = if has(&["no space left on device", "disk quota exceeded", "cannot allocate memory"]) {
        Error::environment(context).because(error)
    } else if has(&["returned a non-zero code", "exit code: ", "exit status "]) {
        Error::build(context).because(format!("{error}\n{tail}"))
    } else if has(&["dockerfile parse error", "failed to parse dockerfile"]) {
        Error::build(context).because(error)
    } else if has(&["pull access denied", "manifest unknown", "pinging container registry", "failed to resolve source"])
    {
        Error::registry(context).because(error)
    } else if has(&["dial tcp", "i/o timeout", "oci runtime", "runc ", "failed to create task", "context canceled"]) {
        Error::environment(context).because(error)
    } else {
        Error::build(context).because(error)
    };
    match what_mends(error) {
        Some(hint) => told.hint(hint),
        None => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ErrorKind;

    fn build(lines: &[&str]) -> (String, Result<()>) {
        let mut heard = String::new();
        let mut told = |stream: Stream, text: &str| heard += &format!("{stream:?}:{text}");
        let mut progress = Progress::new(&mut told);
        for line in lines {
            progress.line(line.as_bytes());
        }
        let end = progress.end("E: cannot build i");
        (heard, end)
    }

    #[test]
    fn the_classic_builder_is_understood() {
        let (heard, end) = build(&[
            r#"{"stream":"Step 1/2 : FROM a\n"}"#,
            r#"{"stream":"\u001b[91moops\n\u001b[0m"}"#,
            "\r\n",
            r#"{"aux":{"ID":"sha256:00"}}"#,
            r#"{"stream":"Successfully built 00\n"}"#,
        ]);
        assert_eq!(heard, "Stdout:Step 1/2 : FROM a\nStderr:oops\nStdout:Successfully built 00\n");
        assert!(end.is_ok());
    }

    #[test]
    fn a_password_is_not_repeated() {
        let (heard, end) = build(&[
            r#"{"stream":"Step 2/2 : ADD http://me:secret@host/x /\n"}"#,
            r#"{"error":"GET http://me:secret@host/x: 404"}"#,
        ]);
        assert_eq!(heard, "Stdout:Step 2/2 : ADD http://host/x /\n");
        assert_eq!(end.unwrap_err().to_string(), "E: cannot build i: GET http://host/x: 404");
    }

    #[test]
    fn whoever_is_at_fault_is_told() {
        for (message, kind) in [
            ("The command '/bin/sh -c make' returned a non-zero code: 2", ErrorKind::Build),
            ("process \\\"/bin/sh -c make\\\" did not complete successfully: exit code: 2", ErrorKind::Build),
            ("executor failed running [/bin/sh -c make]: exit code: 2", ErrorKind::Build),
            ("building at STEP \\\"RUN false\\\": while running runtime: exit status 1", ErrorKind::Build),
            ("COPY failed: file not found in build context", ErrorKind::Build),
            ("write /x: no space left on device", ErrorKind::Environment),
            ("pull access denied for a, repository does not exist", ErrorKind::Registry),
            ("Get \\\"https://r/v2/\\\": dial tcp 1.2.3.4:443: i/o timeout", ErrorKind::Environment),
        ] {
            let (_, end) = build(&[&format!(r#"{{"errorDetail":{{"message":"{message}"}},"error":"{message}"}}"#)]);
            assert_eq!(end.unwrap_err().kind(), kind, "{message}");
        }
    }

    #[test]
    fn a_failure_comes_with_the_last_lines() {
        let lines: Vec<String> = (0..30).map(|number| format!(r#"{{"stream":"line {number}\n"}}"#)).collect();
        let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        lines.push(r#"{"error":"x returned a non-zero code: 2"}"#);
        let error = build(&lines).1.unwrap_err().to_string();
        assert!(error.starts_with("E: cannot build i: x returned a non-zero code: 2\nline 10\n"), "{error}");
        assert!(error.ends_with("line 29"), "{error}");
    }

    #[test]
    fn nothing_that_is_asked_can_become_another_parameter() {
        let request = BuildRequest {
            name: "n".into(),
            dockerfile: "a&b=c".into(),
            target: Some("x y".into()),
            tag: "n:1".into(),
            arch: Some(Arch::Arm),
            args: BTreeMap::from([("A".into(), "1&2".into())]),
            labels: BTreeMap::new(),
            builder: Builder::BuildKit,
            no_cache: false,
            network: Network::Host,
        };
        assert_eq!(
            path(&request),
            "/build?dockerfile=a%26b%3Dc&t=n%3A1&buildargs=%7B%22A%22%3A%221%262%22%7D&labels=%7B%7D&rm=1&forcerm=1\
             &target=x%20y&networkmode=host&platform=linux%2Farm%2Fv7&version=2"
        );
    }
}
