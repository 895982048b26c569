//! What an image is built from beside its Dockerfile: for what it is made, and files that are not in its context.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::arguments::BuiltBy;
use super::setup::Loaded;
use crate::domain::{Arch, Result};
use crate::engine::{Execution, layer_path};
use crate::image::{self, Target};
use crate::plan::{Facts, ImageBuild, StepId};
use crate::store::Bucket;

/// Files in layers carry no date: a commit that changes no file then changes no layer.
const FILE_TIME: u64 = 0;

/// What an image is made for.
pub(super) fn target(loaded: &Loaded, build: &ImageBuild, arch: Arch, built_by: BuiltBy) -> Target {
    let mut labels = build.labels.clone();
    labels.entry("org.opencontainers.image.created".into()).or_insert_with(|| image::rfc3339(build.created));
    Target {
        arch,
        build_arch: build_arch(&loaded.facts, arch, built_by),
        stage: build.target.clone(),
        args: build.args.clone(),
        labels,
        created: build.created,
        mtime: FILE_TIME,
    }
}

/// The architecture that an image's `BUILDPLATFORM` tells: that of the machine which carries out its Dockerfile.
pub(super) fn build_arch(facts: &Facts, arch: Arch, built_by: BuiltBy) -> Arch {
    match built_by {
        BuiltBy::Xbuild => facts.host,
        BuiltBy::Engine => facts.host_of(arch),
    }
}

/// Files of the context that stand elsewhere. Programs come from the step of the image's own architecture; `undone` says
/// what stands for those of a step that is not done.
pub(super) fn files(
    loaded: &Loaded,
    execution: &Execution,
    build: &ImageBuild,
    undone: &dyn Fn(&StepId) -> Result<PathBuf>,
) -> Result<BTreeMap<PathBuf, PathBuf>> {
    let store = &loaded.workshop.store;
    let mut files: BTreeMap<PathBuf, PathBuf> =
        build.files.iter().map(|(inside, path)| (inside.into(), path.clone())).collect();
    for (inside, program) in &build.programs {
        let path = match execution.done(&program.step) {
            Some(record) => store.place(Bucket::Outputs, &record.key).join(program.output.as_str()),
            None => undone(&program.step)?,
        };
        files.insert(inside.into(), path);
    }
    for (inside, emulator) in &build.emulators {
        let path = match execution.done(&emulator.step) {
            Some(record) => layer_path(store, &record.key).join(&emulator.path),
            None => undone(&emulator.step)?,
        };
        files.insert(inside.into(), path);
    }
    Ok(files)
}
