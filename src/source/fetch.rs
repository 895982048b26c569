//! Downloads upstream archives; nothing enters the store that does not have its digest. A whole address, which may have a
//! password in it, is for the request alone.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::{SourceArchive, SourceOrigin};
use crate::domain::{Digest, DigestWriter, Error, Event, Events, Result, ResultExt, without_password};
use crate::store::{Bucket, Source, Store};

/// An archive larger than this is an accident.
const LARGEST: u64 = 4 << 30;

/// What downloading needs beside the address.
pub struct Fetcher<'a> {
    /// Keeps what was downloaded.
    pub store: &'a Store,
    /// Hears of progress and of sources that failed.
    pub events: &'a Events,
    /// The address of the Debian mirror, or why there is none.
    pub mirror: &'a (dyn Fn() -> Result<String> + Sync),
    /// Nothing may be downloaded.
    pub offline: bool,
}

/// An archive's path in the store, downloaded from the first source that has it.
///
/// # Errors
/// An environment error that names every address that was tried, and what it answered.
pub async fn fetch(fetcher: &Fetcher<'_>, archive: &SourceArchive, step: &str) -> Result<(PathBuf, Option<Source>)> {
    let place = fetcher.store.place(Bucket::Sources, &archive.sha256);
    if place.exists() {
        return Ok((place, None));
    }
    if fetcher.offline {
        return Err(Error::environment(format!(
            "{} is not in the store, and --offline forbids downloads",
            archive.sha256
        )));
    }
    let mut failures: Vec<String> = Vec::new();
    for origin in &archive.sources {
        let result = match address(fetcher, origin) {
            Ok(url) => match (without_password(&url), download(fetcher, &url, Some(archive.sha256), step).await) {
                (from, Ok(_)) => return Ok((place, Some(Source { from, sha256: archive.sha256 }))),
                (from, Err(error)) => format!("{from}: {error}"),
            },
            Err(error) => format!("{origin}: {error}"),
        };
        if archive.sources.len() > 1 {
            fetcher.events.emit(Event::Warning { text: format!("{step}: {result}") });
        }
        failures.push(result);
    }
    Err(Error::environment(format!("no source gives {}", archive.sha256)).because(failures.join("; ")))
}

/// The file behind an address: with a digest that is known, from the store if it is there; without, downloaded anew.
///
/// # Errors
/// An environment error that names the address.
pub async fn fetch_url(
    fetcher: &Fetcher<'_>,
    url: &str,
    digest: Option<Digest>,
    step: &str,
) -> Result<(PathBuf, Digest)> {
    if let Some(digest) = digest {
        let place = fetcher.store.place(Bucket::Sources, &digest);
        if place.exists() {
            return Ok((place, digest));
        }
    }
    let told = without_password(url);
    if fetcher.offline {
        return Err(Error::environment(format!("{told} is to be downloaded, and --offline forbids it"))
            .hint("with --checksum, it is taken from the store once it is there"));
    }
    let found = download(fetcher, url, digest, step).await.context(|| told)?;
    Ok((fetcher.store.place(Bucket::Sources, &found), found))
}

fn address(fetcher: &Fetcher<'_>, origin: &SourceOrigin) -> Result<String> {
    match origin {
        SourceOrigin::Url(url) => Ok(url.clone()),
        SourceOrigin::Debian(path) => Ok(format!("{}/{path}", (fetcher.mirror)()?)),
    }
}

/// Downloads a file into the store; its digest, which must be the expected one if there is one.
async fn download(fetcher: &Fetcher<'_>, url: &str, expected: Option<Digest>, step: &str) -> Result<Digest> {
    // Someone may have chosen another provider; that is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .user_agent(concat!("xbuild/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(30))
        .build()
        .or_environment(|| "cannot start a download".into())?;
    let mut response = client.get(url).send().await.and_then(reqwest::Response::error_for_status).map_err(|error| {
        // The address stands before the message already.
        Error::environment("cannot download").because(error.without_url())
    })?;
    let total = response.content_length();
    let scratch = fetcher.store.scratch()?;
    let path = scratch.path().join("archive");
    let failed = || format!("cannot write {}", path.display());
    let mut writer = DigestWriter::new(std::fs::File::create(&path).or_environment(failed)?);
    let mut done = 0;
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(|error| Error::environment("the download broke off").because(error.without_url()))?
    {
        done += piece.len() as u64;
        if done > LARGEST {
            return Err(Error::environment(format!("it is larger than {LARGEST} bytes")));
        }
        writer.write_all(&piece).or_environment(failed)?;
        fetcher.events.emit(Event::Progress { step: step.to_owned(), what: "downloading", done, total });
    }
    let (found, _, file) = writer.finish();
    check(found, expected.unwrap_or(found))?;
    file.sync_all().or_environment(failed)?;
    fetcher.store.keep(&path, &fetcher.store.place(Bucket::Sources, &found))?;
    Ok(found)
}

fn check(found: Digest, expected: Digest) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::environment(format!("it has {found}, wanted is {expected}")))
}
