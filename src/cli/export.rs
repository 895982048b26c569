//! `xbuild images --output`: built images in the forms that other programs take.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::domain::{Arch, Error, Name, Result, ResultExt};
use crate::image::export::{NamedImage, docker_archive, filesystem_folder, filesystem_tar, oci_archive, plugin_folder};
use crate::image::{BuiltImage, Layout, MergedImage};
use crate::plan::{ImageBuild, Plan, Work};

/// A form, and where it goes: `type=TYPE,dest=PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Export {
    form: Form,
    place: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Docker,
    Oci,
    Tar,
    Local,
    /// With the plugin's description.
    Plugin(PathBuf),
}

const SYNTAX: &str = "type=docker|oci|tar|local|plugin,dest=PATH";

impl FromStr for Export {
    type Err = String;

    fn from_str(text: &str) -> Result<Export, String> {
        let (mut kind, mut place, mut config) = (None, None, None);
        for part in text.split(',') {
            match part.split_once('=') {
                Some((name @ ("type" | "dest" | "config"), "")) => return Err(format!("{name}= has no value")),
                Some(("type", value)) => kind = Some(value),
                Some(("dest", "-")) => {
                    return Err("dest=- is no place: outputs go to files, and standard output tells names".into());
                }
                Some(("dest", value)) => place = Some(PathBuf::from(value)),
                Some(("config", value)) => config = Some(PathBuf::from(value)),
                _ => return Err(format!("'{part}' is none of its parts: it is {SYNTAX}")),
            }
        }
        let form = match (kind, config) {
            (Some("docker"), None) => Form::Docker,
            (Some("oci"), None) => Form::Oci,
            (Some("tar"), None) => Form::Tar,
            (Some("local"), None) => Form::Local,
            (Some("plugin"), Some(config)) => Form::Plugin(config),
            (Some("plugin"), None) => return Err("a plugin needs config=FILE, its description".into()),
            (Some("docker" | "oci" | "tar" | "local"), Some(_)) => return Err("config= belongs to type=plugin".into()),
            (Some(other), _) => {
                return Err(format!("there is no type '{other}': there are docker, oci, tar, local and plugin"));
            }
            (None, _) => return Err(format!("it has no type=: it is {SYNTAX}")),
        };
        let place = place.ok_or_else(|| format!("it has no dest=: it is {SYNTAX}"))?;
        Ok(Export { form, place })
    }
}

/// The images of a plan that the user asked for, by their names or all, not their bases.
pub(super) fn asked<'a>(plan: &'a Plan, names: &[Name]) -> Vec<(&'a ImageBuild, Arch)> {
    let images = plan.steps.iter().filter_map(|step| match (&step.work, step.arch) {
        (Work::Image(build), Some(arch)) => Some((build, arch)),
        _ => None,
    });
    images.filter(|(build, _)| names.is_empty() || names.contains(&build.image)).collect()
}

impl Export {
    /// Objects to images that do not fit into this form, before they are built.
    ///
    /// # Errors
    /// A usage error.
    pub(super) fn check(&self, images: &[(&ImageBuild, Arch)]) -> Result<()> {
        let arches: BTreeSet<Arch> = images.iter().map(|(_, arch)| *arch).collect();
        let place = self.place.display();
        if self.form != Form::Oci && arches.len() > 1 {
            let names: Vec<String> = arches.iter().map(ToString::to_string).collect();
            let text = format!("the output {place} takes one architecture, and here are {}", names.join(", "));
            return Err(Error::usage(text).hint("choose one with --arch; type=oci takes all"));
        }
        match (&self.form, images) {
            (_, []) => Err(Error::usage(format!("there is no image for the output {place}"))),
            (Form::Oci | Form::Docker, _) | (_, [_]) => Ok(()),
            (_, several) => {
                Err(Error::usage(format!("the output {place} takes one image, and here are {}", several.len()))
                    .hint("name one: `xbuild images NAME --output ..`"))
            }
        }
    }
}

/// Images that may be exported, with their names.
pub(super) struct Exportable<'a> {
    pub(super) layout: &'a Layout,
    /// Those that the user asked for, not their bases.
    pub(super) images: Vec<(&'a ImageBuild, Arch, &'a BuiltImage)>,
    /// Where there is room for unpacked layers.
    pub(super) scratch: &'a Path,
}

impl Exportable<'_> {
    /// Writes one export.
    pub(super) fn write(&self, export: &Export) -> Result<()> {
        let place = &export.place;
        let written = match &export.form {
            Form::Oci => self.archive(place, |writer| oci_archive(self.layout, &self.all_names(), writer)),
            Form::Docker => {
                let images: Vec<NamedImage> = self.images.iter().map(named).collect();
                self.archive(place, |writer| docker_archive(self.layout, &images, writer))
            }
            Form::Tar => {
                let image = self.only()?;
                self.archive(place, |writer| filesystem_tar(&image, writer))
            }
            Form::Local => filesystem_folder(&self.only()?, place),
            Form::Plugin(config) => plugin_folder(&self.only()?, config, place),
        };
        written.context(|| format!("the output {}", place.display()))
    }

    /// Names in the layout: of indexes, or of each architecture's image where there are none.
    fn all_names(&self) -> Vec<String> {
        let names = self.images.iter().flat_map(|(build, arch, _)| match build.index_names() {
            [] => build.names_for(*arch),
            names => names.to_vec(),
        });
        names.map(|name| name.to_string()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// A file system is that of one image.
    fn only(&self) -> Result<MergedImage> {
        match self.images.as_slice() {
            [(_, _, built)] => MergedImage::read(self.layout, &built.manifest, self.scratch),
            _ => Err(Error::bug("an output of one image was not checked")),
        }
    }

    /// Writes a file that is there whole or not at all; one that ends in `gz` is compressed.
    fn archive(&self, place: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        let failed = || format!("cannot write {}", place.display());
        let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder).or_environment(failed)?;
        let file = tempfile::NamedTempFile::new_in(folder).or_environment(failed)?;
        let mut writer = BufWriter::with_capacity(1 << 18, file);
        if place.extension().is_some_and(|extension| extension == "gz" || extension == "tgz") {
            let mut gzip = flate2::write::GzEncoder::new(&mut writer, flate2::Compression::fast());
            write(&mut gzip)?;
            gzip.finish().or_environment(failed)?;
        } else {
            write(&mut writer)?;
        }
        let file = writer.into_inner().map_err(|error| error.into_error()).or_environment(failed)?;
        readable(file.as_file()).or_environment(failed)?;
        file.persist(place).map_err(|error| error.error).or_environment(failed)?;
        Ok(())
    }
}

/// An image under the names that it has without its architecture: Docker's archive has one architecture.
fn named((build, _, built): &(&ImageBuild, Arch, &BuiltImage)) -> NamedImage {
    NamedImage { manifest: built.manifest.clone(), names: build.names.iter().map(ToString::to_string).collect() }
}

/// A temporary file is its owner's alone; what people asked for is as any file.
fn readable(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}
