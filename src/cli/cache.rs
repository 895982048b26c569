//! `xbuild cache`

use std::process::ExitCode;
use std::time::Duration;

use super::arguments::{CacheOptions, CacheVerb};
use super::setup::Setup;
use crate::domain::{Error, Result, ResultExt};
use crate::engine::native::remove_as_root;
use crate::engine::native::sandbox::{Identity, enter_namespace};
use crate::engine::open_images;
use crate::image::{Layout, Pruned, check_store};
use crate::source::check_repositories;
use crate::store::{Bucket, Damage, Store, check, collect, usage};

pub(super) fn run(setup: &Setup<'_>, options: &CacheOptions) -> Result<ExitCode> {
    match &options.verb {
        CacheVerb::Ls => list(setup),
        CacheVerb::Gc { unused } => clean(setup, *unused),
        CacheVerb::Fsck => fsck(setup),
    }
}

fn list(setup: &Setup<'_>) -> Result<ExitCode> {
    let store = setup.store()?;
    let usage = usage(&store);
    let total: u64 = usage.iter().map(|bucket| bucket.bytes).sum();
    let mut text = format!("{}\n", store.root().display());
    for bucket in &usage {
        text += &format!("{:<16} {:>6} {:>10}\n", bucket.bucket, bucket.entries, size(bucket.bytes));
    }
    text += &format!("{:<16} {:>6} {:>10}\n", "total", "", size(total));
    if setup.global.json {
        text = json(&serde_json::json!({ "version": 1, "store": store.root(), "buckets": usage, "bytes": total }))?;
    }
    setup.print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn clean(setup: &Setup<'_>, unused: u32) -> Result<ExitCode> {
    let store = setup.store()?;
    if !store.lock_exclusively()? {
        return Err(Error::environment(format!("another xbuild works in {}", store.root().display()))
            .hint("try again when it is done"));
    }
    let age = Duration::from_secs(u64::from(unused) * 24 * 3600);
    let mut collected = collect(&store, age, &remove_as_root)?;
    if let Some(images) = images(&store)? {
        for name in images.names()? {
            // They have the keys of their steps as names.
            if !store.bucket(Bucket::Records).join(format!("{name}.json")).exists() {
                images.remove_name(&name)?;
            }
        }
        if let Pruned::Removed { files, bytes } = images.prune()? {
            collected.entries += files;
            collected.bytes += bytes;
        }
    }
    let mut text = format!("removed {} entries, {}\n", collected.entries, size(collected.bytes));
    if setup.global.json {
        text = json(&serde_json::json!({ "version": 1, "removed": collected }))?;
    }
    setup.print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn fsck(setup: &Setup<'_>) -> Result<ExitCode> {
    let store = setup.store()?;
    if !Identity::is_root() && !store.entries(Bucket::ImageLayers)?.is_empty() {
        // Files of images belong to many users, and only root of their namespace can read them all.
        return enter_namespace(&Identity::detect());
    }
    let mut damages = check(&store)?;
    damages.extend(check_store(&store)?);
    damages.extend(check_repositories(&store)?);
    if let Some(images) = images(&store)? {
        let problem = |found| format!("has digest {found}");
        damages.extend(images.damaged()?.into_iter().map(|(path, found)| Damage { path, problem: problem(found) }));
    }
    let mut text: String =
        damages.iter().map(|damage| format!("{}: {}\n", damage.path.display(), damage.problem)).collect();
    text += &match damages.len() {
        0 => "the store is sound\n".to_owned(),
        count => format!("{count} damaged; `xbuild cache gc --unused 0` empties the store\n"),
    };
    if setup.global.json {
        text = json(&serde_json::json!({ "version": 1, "damages": damages }))?;
    }
    setup.print(&text)?;
    Ok(if damages.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The images that others start from, if there ever were any.
fn images(store: &Store) -> Result<Option<Layout>> {
    let any = store.bucket(Bucket::Images).join("index.json").exists();
    any.then(|| open_images(store)).transpose()
}

fn json(value: &serde_json::Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(value).or_bug(|| "cannot write JSON".into())? + "\n")
}

/// Bytes as people say them.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
