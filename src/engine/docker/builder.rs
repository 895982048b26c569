//! Builders as images: found by their key, made of layers that the store has, else built from their Dockerfile.

use std::collections::BTreeMap;
use std::time::Instant;

use super::archive::archive;
use crate::docker::{
    BuildRequest, Builder, Client, ContainerRequest, EngineFacts, ExecRequest, ImageFacts, Network, Product,
};
use crate::domain::{Digest, Error, Event, Outcome, Result, ResultExt, Stream};
use crate::engine::proxies::proxies;
use crate::engine::session::WantedBuilder;
use crate::engine::{Assessment, Workshop, survey};
use crate::plan::{BuilderImage, Step};
use crate::store::{Bucket, Record, Source};

/// Names the key of what has it.
pub(super) const KEY: &str = "io.xbuild.key";
/// On an image, what it stands for in the keys of programs.
pub(super) const DIGEST: &str = "io.xbuild.digest";

/// What a builder's image is called.
pub(super) fn name(key: &Digest) -> String {
    format!("xbuild-builder:{}", key.hex())
}

/// Labels of what belongs to a builder.
pub(super) fn labels(key: &Digest) -> BTreeMap<String, String> {
    BTreeMap::from([(KEY.to_owned(), key.to_string())])
}

/// Sees to it that the engine has a builder, and says what stands for it: the versions of what is in it.
pub(super) async fn make(
    client: &Client,
    workshop: &Workshop,
    wanted: &WantedBuilder,
    other: Option<&Client>,
) -> Result<(Record, Outcome)> {
    let WantedBuilder { step, image, assessment } = wanted;
    let started = Instant::now();
    let key = &assessment.key;
    let name = name(key);
    let there = client.image(&name).await?;
    if let (Some(image), false) = (&there, workshop.update) {
        let known = assessment.record.as_ref();
        if let Some(record) = known.filter(|record| is_of(record, image)) {
            return Ok((record.clone(), Outcome::Cached));
        }
        // Another store knows the record of it, or had it; or somebody has made it anew.
        let digest = known_digest(client, key, &name, image).await?;
        // One of several machines: all are to have the same compilers.
        let another = other.is_some() && known.is_some_and(|record| record.digest != digest);
        if !another {
            return Ok((record(client, workshop, step, assessment, digest, started).await?, Outcome::Cached));
        }
    }
    workshop.events.emit(Event::Started { step: step.id.to_string(), reason: assessment.reason.clone() });
    let arch = client.facts().arch;
    let layers = match arch == workshop.host && !workshop.update {
        true => layers(workshop, image),
        false => None,
    };
    let digest = match (layers, other) {
        (Some(keys), _) => {
            let digest = Digest::of_json(&(key, &keys));
            let packed = archive(workshop, &keys, &name, key, &digest)?;
            client.load(tokio::fs::File::from_std(packed)).await?;
            digest
        }
        (None, Some(other)) => {
            copy(workshop, &name, other, client).await?;
            known_digest(client, key, &name, &client.image(&name).await?.unwrap_or_default()).await?
        }
        (None, None) => {
            build(client, workshop, step, image, key, &name).await?;
            versions(client, key, &name).await?
        }
    };
    Ok((record(client, workshop, step, assessment, digest, started).await?, Outcome::Built))
}

/// Whether a record speaks of an image, and not of another one that had its name.
fn is_of(record: &Record, image: &ImageFacts) -> bool {
    record.source.as_ref().is_some_and(|source| source.sha256.to_string() == image.id)
}

/// What stands for an image that is there.
async fn known_digest(client: &Client, key: &Digest, name: &str, image: &ImageFacts) -> Result<Digest> {
    match image.labels.get(DIGEST) {
        Some(text) => text.parse().or_environment(|| format!("the image {name} has the label {DIGEST}={text}")),
        None => versions(client, key, name).await,
    }
}

/// Takes an image from one engine to another, so that both have the very same compilers.
async fn copy(workshop: &Workshop, name: &str, from: &Client, to: &Client) -> Result<()> {
    let failed = || "cannot keep an image on its way".to_owned();
    let file = tempfile::tempfile_in(workshop.store.bucket(Bucket::Temporary)).or_environment(failed)?;
    let mut file = tokio::fs::File::from_std(file);
    from.save(name, &mut file).await?;
    tokio::io::AsyncSeekExt::rewind(&mut file).await.or_environment(failed)?;
    to.load(file).await
}

/// Keys of the same builder's layers, if the store has them all.
pub(super) fn layers(workshop: &Workshop, image: &BuilderImage) -> Option<Vec<Digest>> {
    let known = survey(&workshop.store, &workshop.scope(), &image.layers);
    let key = |id| known.get(id).and_then(|found| Some(found.as_ref().ok()?.record.as_ref()?.key));
    image.stack.iter().map(key).collect()
}

async fn build(
    client: &Client,
    workshop: &Workshop,
    step: &Step,
    image: &BuilderImage,
    key: &Digest,
    name: &str,
) -> Result<()> {
    let mut tell = |stream: Stream, text: &str| {
        workshop.events.emit(Event::Output { step: step.id.to_string(), stream, text: text.to_owned() });
    };
    if client.image(&image.base).await?.is_none() || workshop.update && !workshop.offline {
        if workshop.offline {
            return Err(Error::environment(format!(
                "the engine has no image {}, and --offline forbids downloads",
                image.base
            )));
        }
        let pulled = client.pull(&image.base, client.facts().arch, &mut |text| tell(Stream::Stderr, text)).await;
        pulled.map_err(|error| {
            error
                .hint(format!(
                    "an image of that name may also be loaded: `docker load` or `docker tag ... {}`",
                    image.base
                ))
                .hint("`xbuild toolchain --engine native` makes builders without a registry; the engine then gets them")
        })?;
    }
    let mut context = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(image.dockerfile.len() as u64);
    let packed = context.append_data(&mut header, "Dockerfile", image.dockerfile.as_bytes());
    let context = packed.and_then(|()| context.into_inner()).or_bug(|| "cannot pack a Dockerfile".into())?;
    let request = BuildRequest {
        name: name.to_owned(),
        dockerfile: "Dockerfile".into(),
        target: Some(image.stage.clone()),
        tag: name.to_owned(),
        arch: None,
        args: proxies(),
        labels: labels(key),
        builder: preferred(client.facts()),
        // Newer packages are no reason for an engine to run apt again.
        no_cache: workshop.update,
        // Packages come over it, and an engine may have no other.
        network: Network::Host,
    };
    client.build(&request, std::io::Cursor::new(context), &mut tell).await
}

/// BuildKit, where the engine's own client would take it too.
pub(super) fn preferred(facts: &EngineFacts) -> Builder {
    let release = facts.version.split('.').next().and_then(|number| number.parse::<u32>().ok());
    match facts.product {
        Product::Docker if release.is_some_and(|release| release >= 23) => Builder::BuildKit,
        Product::Docker | Product::Podman => Builder::Classic,
    }
}

/// Stands for the packages in a builder, in their versions.
async fn versions(client: &Client, key: &Digest, name: &str) -> Result<Digest> {
    let request = ContainerRequest { image: name.to_owned(), labels: labels(key), ..ContainerRequest::default() };
    let container = client.create(&request).await?;
    let list = "dpkg-query -W -f '${Package} ${Version} ${Architecture}\\n' | LC_ALL=C sort";
    let request = ExecRequest {
        argv: ["sh", "-euc", list].map(str::to_owned).to_vec(),
        cwd: "/".into(),
        ..ExecRequest::default()
    };
    let mut text = Vec::new();
    let mut told = |stream, bytes: &[u8]| {
        if stream == Stream::Stdout {
            text.extend_from_slice(bytes);
        }
    };
    let end = container.exec(&request, &mut told).await?;
    container.remove().await?;
    if end.code != 0 || text.is_empty() {
        return Err(Error::environment(format!("the image {name} does not tell which packages it has")));
    }
    Ok(Digest::of_json(&(key, Digest::of(&text))))
}

async fn record(
    client: &Client,
    workshop: &Workshop,
    step: &Step,
    assessment: &Assessment,
    digest: Digest,
    started: Instant,
) -> Result<Record> {
    let name = name(&assessment.key);
    let image = client.image(&name).await?.unwrap_or_default();
    let source = image.id.parse().ok().map(|sha256| Source { from: name, sha256 });
    let record = Record { source, ..assessment.done(step, digest, started.elapsed().as_secs_f64()) };
    workshop.store.save_record(&workshop.scope(), &record)?;
    Ok(record)
}
