//! Brings one blob into a layout, in several tries if need be: each goes on where the last one broke off.

use std::io::Write;

use reqwest::StatusCode;
use reqwest::header::CONTENT_RANGE;

use super::Remote;
use super::exchange::{Exchange, Question, chain};
use crate::domain::{Error, Result, ResultExt};
use crate::image::{Descriptor, Layout};

/// Downloads a blob, unless it is there; `progress` gets each piece's size.
pub(super) async fn blob(
    exchange: &Exchange,
    remote: &Remote,
    descriptor: &Descriptor,
    layout: &Layout,
    progress: &mut (dyn FnMut(u64) -> Result<()> + Send),
) -> Result<()> {
    if layout.has_blob(&descriptor.digest, descriptor.size)? {
        return progress(descriptor.size);
    }
    let mut writer = layout.blob_writer()?;
    let mut tries = 1;
    while writer.written() < descriptor.size || tries == 1 {
        let before = writer.written();
        let path = format!("blobs/{}", descriptor.digest);
        let question = Question { remote, path, accept: None, from: before };
        let absent = || Error::registry(format!("{} has no {}", remote.reference.registry(), descriptor.digest));
        let mut response = exchange.ask(&question).await?.ok_or_else(absent)?;
        if before > 0 && !continues(&response, before) {
            // It starts anew, and so do we.
            writer = layout.blob_writer()?;
        }
        let broken = loop {
            match response.chunk().await {
                Ok(Some(piece)) => {
                    if writer.written() + piece.len() as u64 > descriptor.size {
                        let size = descriptor.size;
                        return Err(Error::registry(format!(
                            "it has more than the {size} bytes that its manifest says"
                        )));
                    }
                    writer
                        .write_all(&piece)
                        .or_environment(|| format!("cannot write to {}", layout.dir().display()))?;
                    progress(piece.len() as u64)?;
                }
                Ok(None) => break "it ended too early".to_owned(),
                Err(error) => break chain(&error.without_url()),
            }
        };
        if writer.written() == descriptor.size {
            break;
        }
        // As long as something comes, it goes on.
        tries = if writer.written() > before { 1 } else { tries };
        if tries >= exchange.retry.tries {
            let done = writer.written();
            return Err(Error::registry(format!("the download broke off after {done} bytes")).because(broken));
        }
        tokio::time::sleep(exchange.retry.pause(tries, None)).await;
        tries += 1;
    }
    writer
        .expect(descriptor.digest)
        .map(|_| ())
        .map_err(|error| Error::registry("the registry, or what lies between, gives other bytes").because(error))
}

/// Whether an answer goes on at a byte.
fn continues(response: &reqwest::Response, from: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let starts = range.and_then(|range| range.trim().strip_prefix("bytes ")?.split('-').next()?.parse().ok());
    response.status() == StatusCode::PARTIAL_CONTENT && starts == Some(from)
}
