//! Events as JSON, one object per line: `{"at": SECONDS, "event": KIND, ..}`.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::{Error, Event};

use super::run::Run;

/// An event, with the seconds since the run began.
pub(super) fn event(event: &Event, at: Duration) -> String {
    line(event, at)
}

/// `{"event": "error", "exit-code": 2, "message": "..", "hints": [".."]}`
pub(super) fn error(error: &Error, at: Duration) -> String {
    let (code, message, hints) = (error.kind().exit_code(), error.to_string(), error.hints());
    line(&json!({ "event": "error", "exit-code": code, "message": message, "hints": hints }), at)
}

/// `{"event": "summary", "built": 1, "cached": 2, "failed": ["STEP"], "skipped": ["STEP"], "stopped": ["STEP"]}`
pub(super) fn summary(run: &Run, at: Duration) -> String {
    let names = |steps: &[(String, String)]| steps.iter().map(|(step, _)| step.clone()).collect::<Vec<_>>();
    let stopped: Vec<&str> = run.running.iter().map(|running| running.step.as_str()).collect();
    let (failed, skipped) = (names(&run.failed), names(&run.skipped));
    let (built, cached) = (run.built, run.cached);
    let value = json!({
        "event": "summary", "built": built, "cached": cached,
        "failed": failed, "skipped": skipped, "stopped": stopped,
    });
    line(&value, at)
}

fn line(value: &impl Serialize, at: Duration) -> String {
    let mut value = serde_json::to_value(value).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        // Milliseconds are enough, and keep the number short.
        fields.insert("at".to_owned(), json!(at.as_millis() as f64 / 1000.0));
    }
    format!("{value}\n")
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::domain::{Outcome, Stream};

    #[test]
    fn shapes() {
        let at = Duration::from_micros(1_234_567);
        let step = || "binary/router/arm".to_owned();
        for (given, expected) in [
            (
                Event::Started { step: step(), reason: "new".into() },
                r#"{"at":1.234,"event":"started","reason":"new","step":"binary/router/arm"}"#,
            ),
            (
                Event::Output { step: step(), stream: Stream::Stderr, text: "a\n\x1b".into() },
                r#"{"at":1.234,"event":"output","step":"binary/router/arm","stream":"stderr","text":"a\n\u001b"}"#,
            ),
            (
                Event::Progress { step: step(), what: "downloading", done: 1, total: None },
                r#"{"at":1.234,"done":1,"event":"progress","step":"binary/router/arm","total":null,"what":"downloading"}"#,
            ),
            (
                Event::Finished {
                    step: step(),
                    outcome: Outcome::Failed("no".into()),
                    took: Duration::from_millis(1500),
                },
                r#"{"at":1.234,"event":"finished","outcome":{"failed":"no"},"step":"binary/router/arm","took":1.5}"#,
            ),
            (Event::Planned { steps: 60 }, r#"{"at":1.234,"event":"planned","steps":60}"#),
        ] {
            assert_eq!(event(&given, at), format!("{expected}\n"));
        }
        let failure = Error::usage("no key").hint("try 'name'");
        assert_eq!(
            error(&failure, at),
            "{\"at\":1.234,\"event\":\"error\",\"exit-code\":2,\"hints\":[\"try 'name'\"],\"message\":\"no key\"}\n"
        );
        let mut run = Run::new(Instant::now());
        run.built = 1;
        run.failed.push((step(), "no".into()));
        assert_eq!(
            summary(&run, at),
            "{\"at\":1.234,\"built\":1,\"cached\":0,\"event\":\"summary\",\
             \"failed\":[\"binary/router/arm\"],\"skipped\":[],\"stopped\":[]}\n"
        );
    }
}
