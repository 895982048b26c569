//! From a Dockerfile and a build context to an image in a layout.

use std::collections::BTreeMap;

use super::cache::{BuiltLayer, LayerCache, Origin};
use super::copy::{self, CopyRequest, Owner};
use super::dockerfile::{Copy, Dockerfile, Instruction, ParseError, Scope, Stage, Step, Word};
use super::settings::Settings;
use super::tree::ImageTree;
use super::{
    BaseImage, Context, Descriptor, History, ImageConfig, Index, Layout, Manifest, Platform, media_type, time,
};
use crate::domain::{Arch, Digest, Error, Result, ResultExt};

/// Docker gives this to every image that sets no PATH itself.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What an image is made for.
#[derive(Debug, Clone)]
pub struct Target {
    /// The architecture of the image.
    pub arch: Arch,
    /// The architecture that `BUILDPLATFORM` and its like tell.
    pub build_arch: Arch,
    /// Arguments for ARG.
    pub args: BTreeMap<String, String>,
    /// Labels that the Dockerfile may override.
    pub labels: BTreeMap<String, String>,
    /// When the image counts as made, in seconds since 1970.
    pub created: u64,
    /// The modification time of every file in a layer. If it changes with each commit, so does every layer.
    pub mtime: u64,
}

/// An image in a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltImage {
    /// Its manifest, with the platform.
    pub manifest: Descriptor,
    /// Its configuration.
    pub config: Digest,
    /// Its layers, those of the base first.
    pub layers: Vec<BuiltLayer>,
}

impl BuiltImage {
    /// The bytes of all its blobs.
    pub fn size(&self, layout: &Layout) -> Result<u64> {
        let manifest: Manifest = layout.read_json(&self.manifest)?;
        Ok(self.manifest.size + manifest.config.size + manifest.layers.iter().map(|layer| layer.size).sum::<u64>())
    }
}

fn stage(file: &Dockerfile) -> Result<&Stage> {
    file.stages.last().ok_or_else(|| Error::bug("a Dockerfile without a stage"))
}

/// The name after FROM with its variables put in; `None` for `scratch`. The caller finds the image of that name.
///
/// # Errors
/// A name that does not expand, or a `--platform` that is not the target's.
pub fn base_name(file: &Dockerfile, target: &Target) -> Result<Option<String>> {
    let scope = Scope::of_file(file, target.arch, target.build_arch, &target.args)?;
    let from = &stage(file)?.from;
    if let Some(word) = &from.platform {
        let platform = scope.expand(word)?;
        if Arch::find(&platform) != Some(target.arch) {
            let text = format!("--platform is {platform}, but the image is for {}", target.arch.platform());
            let error = word.span.error(text).hint("leave --platform out: the base is taken for the image's platform");
            return Err(error.into());
        }
    }
    let name = scope.expand(&from.image)?;
    if name.is_empty() {
        let error = from.image.span.error(format!("the base image '{}' is worth nothing", from.image.text));
        return Err(error.hint("give the argument a default: ARG NAME=value before FROM").into());
    }
    Ok((name != "scratch").then_some(name))
}

struct Assembly<'a> {
    context: &'a Context<'a>,
    layout: &'a Layout,
    cache: &'a LayerCache,
    mtime: u64,
    created: String,
    base: Option<&'a BaseImage>,
    /// Read from the base when first needed.
    tree: Option<ImageTree>,
    settings: Settings,
    layers: Vec<BuiltLayer>,
    history: Vec<History>,
}

/// Makes an image. `base` is the image that [`base_name`] names; its layers must be in the layout.
///
/// # Errors
/// What is wrong with the Dockerfile or the files that it copies, with line and column; a layout that cannot be written.
pub fn assemble(
    file: &Dockerfile,
    context: &Context<'_>,
    target: &Target,
    base: Option<&BaseImage>,
    layout: &Layout,
    cache: &LayerCache,
) -> Result<BuiltImage> {
    let from = &stage(file)?.from;
    if base_name(file, target)?.is_some() != base.is_some() {
        return Err(from.image.span.error(format!("the base image '{}' was not found", from.image.text)).into());
    }
    let mut config = base.map_or_else(|| ImageConfig::scratch(target.arch), |base| base.config.clone());
    let mut scope = Scope::of_file(file, target.arch, target.build_arch, &target.args)?;
    let mut runtime = std::mem::take(&mut config.config);
    if !runtime.environment().any(|(name, _)| name == "PATH") {
        runtime.set_env("PATH", PATH);
    }
    scope.enter_stage(runtime.environment().map(|(name, value)| (name.to_owned(), value.to_owned())));

    let mut assembly = Assembly {
        context,
        layout,
        cache,
        mtime: target.mtime,
        created: time::rfc3339(target.created),
        base,
        tree: None,
        settings: Settings::new(runtime, scope),
        layers: base.map(base_layers).unwrap_or_default(),
        history: std::mem::take(&mut config.history),
    };
    // Labels of the caller's come first: those of the Dockerfile win, those of the base do not.
    if !target.labels.is_empty() {
        assembly.settings.runtime.labels.get_or_insert_default().extend(target.labels.clone());
    }
    for step in &stage(file)?.steps {
        assembly.step(step)?;
    }

    let Assembly { created, settings, layers, history, .. } = assembly;
    config.created = Some(created);
    config.author = settings.author.or(config.author);
    config.config = settings.runtime;
    config.history = history;
    config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id).collect();
    let config = layout.write_json(media_type::CONFIG, &config)?;
    let digest = config.digest;
    let manifest = Manifest::new(config, layers.iter().map(|layer| layer.descriptor.clone()).collect());
    let mut manifest = layout.write_json(media_type::MANIFEST, &manifest)?;
    manifest.platform = Some(Platform::of(target.arch));
    Ok(BuiltImage { manifest, config: digest, layers })
}

fn base_layers(base: &BaseImage) -> Vec<BuiltLayer> {
    let layers = base.manifest.layers.iter().zip(&base.config.rootfs.diff_ids);
    let layer = |(descriptor, diff_id): (&Descriptor, &Digest)| BuiltLayer {
        descriptor: descriptor.clone(),
        diff_id: *diff_id,
        origin: Origin::Base,
    };
    layers.map(layer).collect()
}

impl Assembly<'_> {
    fn step(&mut self, step: &Step) -> Result<()> {
        self.settings.apply(&step.instruction)?;
        let entries = match &step.instruction {
            Instruction::Copy(instruction) => {
                let (context, tree) = (self.context, self.take_tree()?);
                let mut tree = tree;
                let request = self.request(instruction)?;
                let entries = copy::copy(&request, context, &mut tree)
                    .context(|| format!("{}: {}", step.span, instruction.kind.keyword()))?;
                self.tree = Some(tree);
                Some(entries)
            }
            Instruction::WorkDir(word) => {
                let mut tree = self.take_tree()?;
                let owner = workdir_owner(&self.settings.runtime.user);
                let path = &self.settings.runtime.working_dir;
                let entries = match owner {
                    Some(owner) => copy::make_folder(path, owner, &mut tree),
                    // Only whether there is anything to make.
                    None => match copy::make_folder(path, Owner::default(), &mut tree.clone()) {
                        Ok(entries) if !entries.is_empty() => {
                            let user = &self.settings.runtime.user;
                            let text = format!("WORKDIR {path} would belong to '{user}', whose number is not known");
                            let error = word.span.error(text);
                            return Err(error.hint("put WORKDIR before USER, or give USER as a number").into());
                        }
                        other => other,
                    },
                }
                .context(|| format!("{}: WORKDIR", step.span))?;
                self.tree = Some(tree);
                Some(entries).filter(|entries| !entries.is_empty())
            }
            _ => None,
        };
        let empty_layer = match entries {
            // An image may copy a folder that holds nothing to one that is there.
            Some(entries) if !entries.is_empty() => {
                self.layers.push(self.cache.layer(&entries, self.mtime, self.layout)?);
                false
            }
            _ => true,
        };
        self.history.push(History {
            created: Some(self.created.clone()),
            // As written: what arguments are worth may be nobody's business.
            created_by: Some(step.text.clone()),
            empty_layer,
            ..History::default()
        });
        Ok(())
    }

    fn take_tree(&mut self) -> Result<ImageTree> {
        match (self.tree.take(), self.base) {
            (Some(tree), _) => Ok(tree),
            (None, Some(base)) => base.tree(self.layout).context(|| "cannot read the base image".into()),
            (None, None) => Ok(ImageTree::default()),
        }
    }

    fn request(&self, instruction: &Copy) -> Result<CopyRequest<'_>, ParseError> {
        let expand = |word: &Word| self.settings.expand(word);
        let chmod = instruction.chmod.as_ref().map(|word| Ok((word, expand(word)?))).transpose()?;
        let mode = chmod.map(|(word, text)| {
            let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o7777);
            mode.ok_or_else(|| word.span.error(format!("'{text}' is not an octal mode")).hint("as in --chmod=755"))
        });
        let chown = instruction.chown.as_ref().map(|word| Ok((word, expand(word)?))).transpose()?;
        let owner = chown.map(|(word, text)| {
            let error = || word.span.error(format!("the owner '{text}' is not numeric: names are not supported yet"));
            owner(&text).ok_or_else(|| error().hint("as in --chown=1000:1000"))
        });
        Ok(CopyRequest {
            kind: instruction.kind,
            sources: instruction.sources.iter().map(expand).collect::<Result<_, _>>()?,
            destination: expand(&instruction.destination)?,
            workdir: &self.settings.runtime.working_dir,
            owner: owner.transpose()?.unwrap_or_default(),
            mode: mode.transpose()?,
        })
    }
}

/// `uid` or `uid:gid`; a lone user is its own group, as Docker has it. `root` is 0.
fn owner(text: &str) -> Option<Owner> {
    let number = |text: &str| if text == "root" { Some(0) } else { text.parse().ok() };
    let (uid, gid) = text.split_once(':').unwrap_or((text, text));
    Some(Owner { uid: number(uid)?, gid: number(gid)? })
}

fn workdir_owner(user: &str) -> Option<Owner> {
    if user.is_empty() { Some(Owner::default()) } else { owner(user) }
}

/// Writes the index of one image for several architectures, and names it.
///
/// # Errors
/// A layout that cannot be written.
pub fn index(layout: &Layout, name: &str, images: &[(Arch, BuiltImage)]) -> Result<Descriptor> {
    let mut images: Vec<&(Arch, BuiltImage)> = images.iter().collect();
    images.sort_by_key(|(arch, _)| *arch);
    let entries = images.into_iter().map(|(arch, image)| Descriptor {
        platform: Some(Platform::of(*arch)),
        annotations: BTreeMap::new(),
        ..image.manifest.clone()
    });
    let descriptor = layout.write_json(media_type::INDEX, &Index::new(entries.collect()))?;
    layout.set_name(name, descriptor.clone())?;
    Ok(descriptor)
}
