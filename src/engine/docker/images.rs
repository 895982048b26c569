//! Whole images, built by the engine's own builder.
//!
//! ```text
//! localhost/xbuild-base:<manifest>      a base image; it stays, as builders do, because the next build needs it again
//! localhost/xbuild-image:<what>.<run>   an image of the project, or the result; it goes when the build ends
//! ```
//! A name of `localhost/` leads to no registry of somebody else, and no name of the user's is touched.

use std::collections::BTreeMap;
use std::io::{BufWriter, Seek, Write};
use std::path::Path;

use tokio::sync::{Mutex, OnceCell};

use super::builder::preferred;
use crate::docker::{BuildRequest, Builder, Client, Network, Product, temporary_image};
use crate::domain::{Digest, Error, ErrorKind, Event, Result, ResultExt, Stream};
use crate::engine::proxies::proxies;
use crate::engine::session::WantedImage;
use crate::engine::{Workshop, unless_stopped};
use crate::image::export::{NamedImage, docker_archive};
use crate::image::{Demand, Layout, Order, OrderedBase};
use crate::store::Bucket;

/// The images that an engine builds in a run.
#[derive(Default)]
pub(super) struct Images {
    /// What dead runs have left is cleared away once.
    swept: OnceCell<()>,
    /// Held while base images are loaded: two images may start from the same one.
    loading: Mutex<()>,
}

/// Builds an image, and writes it into an archive; nothing of it stays on the engine but what it starts from, and what the
/// builder remembers.
pub(super) async fn build(
    client: &Client,
    workshop: &Workshop,
    wanted: &WantedImage<'_>,
    archive: &Path,
    images: &Images,
) -> Result<()> {
    let builder = preferred(client.facts());
    can(client, builder, wanted.order)?;
    let reason = format!("{} builds it", client.endpoint());
    workshop.events.emit(Event::Started { step: wanted.step.to_owned(), reason });
    let names = names(workshop, wanted);
    let tag = temporary_image(&Digest::of_json(&(wanted.step, wanted.order.key)).short());
    let work = async {
        images.swept.get_or_try_init(|| client.sweep_images()).await?;
        load(client, workshop, wanted.order, &names, &images.loading).await?;
        let context = context(workshop, wanted.order, &names)?;
        let request = request(wanted, builder, &tag);
        let mut tell = |stream: Stream, text: &str| {
            workshop.events.emit(Event::Output { step: wanted.step.to_owned(), stream, text: text.to_owned() });
        };
        let built = client.build(&request, context, &mut tell).await;
        built.map_err(|error| without_emulation(client, wanted, error))?;
        let failed = || format!("cannot write {}", archive.display());
        let mut file = tokio::fs::File::create(archive).await.or_environment(failed)?;
        client.save(&tag, &mut file).await
    };
    let result = unless_stopped(&workshop.stop, work).await;
    let temporary = names.values().filter(|name| !name.lasts).map(|name| &name.text).chain([&tag]);
    let mut cleared = Ok(());
    for name in temporary {
        cleared = cleared.and(client.remove_image(name).await);
    }
    // What cannot be cleared away after a failure is not what the user must know first; the next run sweeps.
    result.and(cleared)
}

/// What the engine knows a base image by.
struct BaseName {
    text: String,
    /// Whether it outlives the build.
    lasts: bool,
}

fn names(workshop: &Workshop, wanted: &WantedImage<'_>) -> BTreeMap<Digest, BaseName> {
    let kept = workshop.store.bucket(Bucket::Images);
    let name = |(digest, base): (&Digest, &OrderedBase)| {
        // The project's own images change with every build, so they would pile up.
        let name = match base.layout == kept {
            true => BaseName { text: format!("localhost/xbuild-base:{}", digest.hex()), lasts: true },
            false => {
                let what = Digest::of_json(&(wanted.step, digest));
                BaseName { text: temporary_image(&what.short()), lasts: false }
            }
        };
        (*digest, name)
    };
    wanted.order.bases.iter().map(name).collect()
}

/// Gives the engine the base images that it lacks.
async fn load(
    client: &Client,
    workshop: &Workshop,
    order: &Order,
    names: &BTreeMap<Digest, BaseName>,
    loading: &Mutex<()>,
) -> Result<()> {
    let _alone = loading.lock().await;
    for (digest, base) in &order.bases {
        let Some(name) = names.get(digest) else { continue };
        if client.image(&name.text).await?.is_some() {
            continue;
        }
        let failed = || "cannot pack a base image for the engine".to_owned();
        let mut file = tempfile::tempfile_in(workshop.store.bucket(Bucket::Temporary)).or_environment(failed)?;
        tokio::task::block_in_place(|| {
            let image = NamedImage { manifest: base.image.descriptor.clone(), names: vec![name.text.clone()] };
            let mut writer = BufWriter::with_capacity(1 << 18, &mut file);
            docker_archive(&Layout::read(&base.layout)?, &[image], &mut writer)?;
            writer.flush().or_environment(failed)?;
            drop(writer);
            file.rewind().or_environment(failed)
        })?;
        client.load(tokio::fs::File::from_std(file)).await?;
    }
    Ok(())
}

/// The archive that the builder works on.
fn context(workshop: &Workshop, order: &Order, names: &BTreeMap<Digest, BaseName>) -> Result<tokio::fs::File> {
    let failed = || "cannot pack files for the engine".to_owned();
    let scratch = workshop.store.scratch()?;
    let dockerfile = scratch.path().join(Order::DOCKERFILE);
    let name = |digest: &Digest| names.get(digest).map_or_else(String::new, |name| name.text.clone());
    std::fs::write(&dockerfile, order.dockerfile(&name)).or_environment(failed)?;
    let mut file = tempfile::tempfile_in(scratch.path()).or_environment(failed)?;
    tokio::task::block_in_place(|| {
        let mut writer = BufWriter::with_capacity(1 << 18, &mut file);
        order.pack(&dockerfile, &mut writer)?;
        writer.flush().or_environment(failed)?;
        drop(writer);
        file.rewind().or_environment(failed)
    })?;
    Ok(tokio::fs::File::from_std(file))
}

fn request(wanted: &WantedImage<'_>, builder: Builder, tag: &str) -> BuildRequest {
    let mut args = wanted.order.args.clone();
    if wanted.network {
        for (name, value) in proxies() {
            args.entry(name).or_insert(value);
        }
    }
    BuildRequest {
        name: wanted.step.to_owned(),
        dockerfile: Order::DOCKERFILE.into(),
        // The Dockerfile ends with it.
        target: None,
        tag: tag.to_owned(),
        arch: Some(wanted.order.arch),
        args,
        labels: BTreeMap::new(),
        builder,
        no_cache: wanted.anew,
        // As in xbuild's own builds, commands have the network of the machine that runs them.
        network: if wanted.network { Network::Host } else { Network::None },
    }
}

/// Whether a builder can do what a Dockerfile asks for, as far as its release tells. Podman's says so itself.
fn can(client: &Client, builder: Builder, order: &Order) -> Result<()> {
    let facts = client.facts();
    // It takes what is made from nothing for its own machine's, and then cannot find it.
    let scratch = order.scratch.filter(|_| order.arch != facts.arch);
    let scratch = scratch.map(|span| Demand { span, what: format!("FROM scratch for {}", order.arch) });
    match scratch.as_ref().or(order.demands.first()) {
        Some(demand) if builder == Builder::Classic && facts.product == Product::Docker => {
            let text = format!("{} needs BuildKit, and {} is Docker {}", demand.what, client.endpoint(), facts.version);
            let error = demand.span.error(text);
            Err(error
                .hint("Docker 23 is the first that is asked for BuildKit; `--built-by xbuild` needs no Docker")
                .into())
        }
        _ => Ok(()),
    }
}

/// Says what is missing where programs of another architecture cannot run.
fn without_emulation(client: &Client, wanted: &WantedImage<'_>, error: Error) -> Error {
    let arch = wanted.order.arch;
    let text = error.to_string();
    if arch == client.facts().arch || error.kind() != ErrorKind::Build || !text.contains("exec format error") {
        return error;
    }
    Error::environment(format!("{} cannot run programs for {arch}", client.endpoint()))
        .because(text)
        .hint("install qemu-user-static, or binfmt-support with an emulator, on its machine")
        .hint(format!("`--builders {}=ENDPOINT` has it built by an engine on such a machine", arch.platform()))
}
