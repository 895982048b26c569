//! Downloads and unpacks several layers at once: each package is unpacked as soon as it is there.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread;

use crate::domain::{Error, Result};

use super::{Apt, Package, Unpacked, Unpacking, download};

/// One layer's packages, in apt's order of installation, and where they go.
#[derive(Clone, Copy)]
pub struct Layer<'a> {
    /// Which.
    pub packages: &'a [Package],
    /// Where to.
    pub unpacking: &'a Unpacking,
}

/// How far the work is.
#[derive(Default)]
struct Work {
    /// Downloaded and not yet taken, as layer and place in it.
    ready: Vec<(usize, usize, PathBuf)>,
    /// What came of each layer's packages.
    unpacked: Vec<Vec<Option<Unpacked>>>,
    /// No more will be downloaded.
    downloaded: bool,
    /// The first thing that went wrong.
    error: Option<Error>,
}

struct Shared {
    work: Mutex<Work>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn fail(&self, error: Error) {
        self.lock().error.get_or_insert(error);
        self.changed.notify_all();
    }
}

/// Downloads the packages of all layers into `archives`, lowest layer and largest package first, and unpacks them on
/// `threads` threads meanwhile.
///
/// `progress` gets bytes downloaded and bytes in all, on this thread; its error stops everything. `on_layer` gets a layer's
/// number and packages once all of them are unpacked, on a thread that unpacks nothing until it returns: it should pass
/// them on. [`Unpacking::complete`] is left to the caller, because it needs the layer below configured.
///
/// # Errors
/// The first error of any part.
pub fn install(
    apt: &Apt,
    layers: &[Layer<'_>],
    archives: &Path,
    threads: usize,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
    on_layer: &(dyn Fn(usize, Vec<Unpacked>) -> Result<()> + Sync),
) -> Result<()> {
    let mut order: Vec<(usize, usize)> =
        layers.iter().enumerate().flat_map(|(layer, l)| (0..l.packages.len()).map(move |at| (layer, at))).collect();
    order.sort_by_key(|&(layer, at)| (layer, std::cmp::Reverse(layers[layer].packages[at].size)));
    // A package may be in several layers; it is downloaded once.
    let mut packages: Vec<Package> = Vec::new();
    for &(layer, at) in &order {
        let package = &layers[layer].packages[at];
        if !packages.iter().any(|other| other.file_name == package.file_name) {
            packages.push(package.clone());
        }
    }
    let unpacked = layers.iter().map(|layer| layer.packages.iter().map(|_| None).collect()).collect();
    let shared = Shared { work: Mutex::new(Work { unpacked, ..Work::default() }), changed: Condvar::new() };
    for (number, _) in layers.iter().enumerate().filter(|(_, layer)| layer.packages.is_empty()) {
        on_layer(number, Vec::new())?;
    }
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                if let Err(error) = work(&shared, layers, on_layer) {
                    shared.fail(error);
                }
            });
        }
        let mut checked = |done, total| match shared.lock().error.is_some() {
            true => Err(Error::interrupted()),
            false => progress(done, total),
        };
        let mut on_file = |package: &Package, path: PathBuf| {
            let wanted = |&&(layer, at): &&(usize, usize)| layers[layer].packages[at].file_name == package.file_name;
            shared.lock().ready.extend(order.iter().filter(wanted).map(|&(layer, at)| (layer, at, path.clone())));
            shared.changed.notify_all();
            Ok(())
        };
        match download(apt, &packages, archives, &mut checked, &mut on_file) {
            Ok(()) => shared.lock().downloaded = true,
            Err(error) => shared.fail(error),
        }
        shared.changed.notify_all();
    });
    let work = shared.work.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    work.error.map_or(Ok(()), Err)
}

/// One thread's part: takes what is ready, lowest layer and largest package first, until there is nothing more to come.
fn work(
    shared: &Shared,
    layers: &[Layer<'_>],
    on_layer: &(dyn Fn(usize, Vec<Unpacked>) -> Result<()> + Sync),
) -> Result<()> {
    loop {
        let mut guard = shared.lock();
        let (layer, at, path) = loop {
            if guard.error.is_some() {
                return Ok(());
            }
            let rank =
                |&(layer, at, _): &(usize, usize, PathBuf)| (layer, std::cmp::Reverse(layers[layer].packages[at].size));
            let next = guard.ready.iter().enumerate().min_by_key(|(_, ready)| rank(ready)).map(|(place, _)| place);
            match next {
                Some(place) => break guard.ready.swap_remove(place),
                None if guard.downloaded => return Ok(()),
                None => guard = shared.changed.wait(guard).unwrap_or_else(std::sync::PoisonError::into_inner),
            }
        };
        drop(guard);
        let unpacked = layers[layer].unpacking.unpack(&layers[layer].packages[at], &path)?;
        let mut guard = shared.lock();
        guard.unpacked[layer][at] = Some(unpacked);
        if guard.unpacked[layer].iter().all(Option::is_some) {
            let all = std::mem::take(&mut guard.unpacked[layer]).into_iter().flatten().collect();
            drop(guard);
            on_layer(layer, all)?;
        }
    }
}
