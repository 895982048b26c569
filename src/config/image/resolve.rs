//! Images as resolved.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::file::ImageFile;
use super::linuxkit;
use super::list::{ImageEntry, ImageList};
use super::naming::{Naming, NamingFile};
use super::per_arch::PerArch;
use crate::config::choice::{below, choose};
use crate::config::expansion::check_placeholder;
use crate::config::yaml::{self, nearest};
use crate::domain::{Arch, Error, Name, Result, ResultExt};

/// What a folder is described in, beside its Dockerfile.
const DESCRIPTION: &str = "build.yml";

/// One image.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its name without a tag; a template.
    pub name: String,
    /// Its tags; templates.
    pub tags: Vec<String>,
    /// What the images of its architectures are called.
    pub naming: Naming,
    /// The Dockerfile or its template, absolute.
    pub dockerfile: PathBuf,
    /// How the Dockerfile comes out of it.
    pub template: Template,
    /// The folder of the build context, absolute.
    pub context: PathBuf,
    /// The stage to build; the last one when absent.
    pub target: Option<String>,
    /// What the context has beside that folder, by name; both are templates.
    pub files: BTreeMap<String, ImageSource>,
    /// The folder that paths in `files` are relative to.
    pub folder: PathBuf,
    /// Values of ARG; templates.
    pub args: BTreeMap<String, PerArch>,
    /// Labels; templates.
    pub labels: BTreeMap<String, String>,
    /// Files of structure tests; templates.
    pub tests: Vec<String>,
    /// Architectures, in the table's order.
    pub arches: Vec<Arch>,
    /// Whether RUN may use the network.
    pub network: bool,
    /// Whether steps that were done need not run again.
    pub cached: bool,
}

/// How a Dockerfile comes out of its file. Values are templates themselves, of the small ones in a project's file.
#[derive(Debug, Clone)]
pub enum Template {
    /// It is the file.
    None,
    /// By placeholders.
    Literal {
        /// Values that the project has for all its templates, and that need not occur.
        shared: BTreeMap<String, PerArch>,
        /// Values of the image.
        own: BTreeMap<String, PerArch>,
    },
    /// By the template language.
    Language {
        /// Names beside those of the project.
        variables: BTreeMap<String, PerArch>,
    },
}

/// A file of a build context that stands elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// A program of the project, for the image's architecture.
    Program(Name),
    /// What runs the image's architecture on the machine that builds.
    Emulator,
    /// A file or folder of the project.
    Path(String),
}

/// What images are resolved against.
pub(in crate::config) struct Surroundings<'a> {
    pub(in crate::config) project: &'a Name,
    pub(in crate::config) folder: &'a Path,
    /// What programs there are.
    pub(in crate::config) outputs: Vec<&'a Name>,
    pub(in crate::config) arches: &'a [Arch],
    pub(in crate::config) naming: NamingFile,
    pub(in crate::config) substitute: &'a BTreeMap<String, PerArch>,
}

/// Resolves all images of a project, and reads the descriptions in folders.
pub(in crate::config) fn resolve_all(list: ImageList, around: &Surroundings<'_>) -> Result<BTreeMap<Name, Image>> {
    for (name, value) in around.substitute {
        check_placeholder(name).context(|| "substitute".into())?;
        value.check(&format!("substitute: {name}"), around.arches)?;
    }
    let mut images = BTreeMap::new();
    match list {
        ImageList::Named(map) => {
            for (key, entry) in map {
                let image = match entry {
                    ImageEntry::Here(file) => resolve(&key, *file, around.folder, false, around),
                    ImageEntry::Folder(folder) => in_folder(&folder, Some(&key), around).map(|(_, image)| image),
                };
                let image = image.context(|| format!("image '{key}'"))?;
                images.insert(key, image);
            }
        }
        ImageList::Folders(folders) => {
            for folder in folders {
                let (key, image) = in_folder(&folder, None, around).context(|| format!("images: {folder}"))?;
                if images.insert(key.clone(), image).is_some() {
                    return Err(Error::usage(format!("images: two folders describe an image '{key}'"))
                        .hint(format!("give them names: `images: {{ {key}: {folder} }}`")));
                }
            }
        }
    }
    Ok(images)
}

/// The image that a folder describes; without a key it is called as the description says, else as the folder.
fn in_folder(text: &str, key: Option<&Name>, around: &Surroundings<'_>) -> Result<(Name, Image)> {
    let folder = below(around.folder, around.folder, text)?;
    if !folder.is_dir() {
        return Err(Error::usage(format!("there is no folder {}", folder.display())).hint(format!(
            "an image's folder has a Dockerfile or a Dockerfile.template, and may have a {DESCRIPTION}"
        )));
    }
    let description = folder.join(DESCRIPTION);
    let there = description.exists();
    let file: ImageFile = if there {
        yaml::parse(&description.display().to_string(), &yaml::read(&description)?)?
    } else {
        ImageFile::default()
    };
    let context = || if there { description.display().to_string() } else { folder.display().to_string() };
    let key = match key {
        Some(key) => key.clone(),
        None => {
            let last = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            file.image.as_ref().unwrap_or(&last).parse().or_usage(context)?
        }
    };
    let image = resolve(&key, file, &folder, true, around).context(context)?;
    Ok((key, image))
}

/// `folder` is what paths are relative to; it is the image's own or the project's.
fn resolve(key: &Name, file: ImageFile, folder: &Path, own_folder: bool, around: &Surroundings<'_>) -> Result<Image> {
    let arches = choose(&file.arches, around.arches, || "project".into())?;
    let path = |text: &String| below(around.folder, folder, text);
    let context = file.context.as_ref().map(path).transpose()?;
    let place = context.as_deref().or(own_folder.then_some(folder));
    let (dockerfile, is_template) = match (&file.dockerfile, &file.template) {
        (Some(_), Some(_)) => return Err(Error::usage("it has both 'dockerfile' and 'template'")),
        (Some(dockerfile), None) => (path(dockerfile)?, false),
        (None, Some(template)) => (path(template)?, true),
        (None, None) => find_dockerfile(place)?,
    };
    let template = template(is_template, file.substitute, file.vars, around)?;
    match &template {
        Template::None => {}
        Template::Literal { own, .. } => {
            own.keys().try_for_each(|name| check_placeholder(name)).context(|| "substitute".into())?;
            own.iter().try_for_each(|(name, value)| value.check(&format!("substitute: {name}"), &arches))?;
        }
        Template::Language { variables } => {
            variables.iter().try_for_each(|(name, value)| value.check(&format!("vars: {name}"), &arches))?;
        }
    }
    let mut files = BTreeMap::new();
    for (inside, source) in file.files.into_iter().chain(linuxkit::extra_sources(file.extra_sources)?) {
        let source = source_of(source, around)?;
        if files.insert(inside.clone(), source).is_some() {
            return Err(Error::usage(format!("'{inside}' is in 'files' and in 'extra-sources'")));
        }
    }
    let mut args = linuxkit::arguments(file.build_args)?;
    args.extend(file.args);
    args.iter().try_for_each(|(name, value)| value.check(&format!("args: {name}"), &arches))?;
    let mut labels = linuxkit::labels(file.config.as_ref(), file.gitrepo);
    labels.extend(file.labels);
    let mut naming = file.naming.resolve(around.naming);
    let tags = match (file.tag, file.tags.is_empty()) {
        (Some(_), false) => return Err(Error::usage("it has both 'tag' and 'tags'")),
        (Some(tag), true) if linuxkit::is_content_tag(&tag) => {
            naming.content_tag = true;
            Vec::new()
        }
        (Some(tag), true) if tag.contains("{{.") || tag.contains("{{ .") => {
            return Err(Error::usage(format!("tag: '{tag}' is a template of LinuxKit's")).hint(
                "`naming: { content-tag: true }` gives a tag for what is in the image, `tags: [..]` further ones",
            ));
        }
        (Some(tag), true) => vec![tag],
        (None, true) => vec!["latest".into()],
        (None, false) => file.tags,
    };
    let name = match (file.name, file.image, file.org) {
        (Some(_), Some(_), _) => return Err(Error::usage("it has both 'name' and 'image'")),
        (Some(_), _, Some(_)) => return Err(Error::usage("it has both 'name' and 'org'")),
        (Some(name), None, None) => name,
        (None, image, org) => {
            let org = org.unwrap_or_else(|| around.project.as_str().to_lowercase());
            format!("{org}/{}", image.unwrap_or_else(|| key.as_str().to_lowercase()))
        }
    };
    let beside = dockerfile.parent().unwrap_or(folder).to_owned();
    Ok(Image {
        name,
        tags,
        naming,
        template,
        context: context.unwrap_or_else(|| if own_folder { folder.to_owned() } else { beside }),
        dockerfile,
        target: file.target,
        files,
        folder: folder.to_owned(),
        args,
        labels,
        tests: file.tests,
        arches,
        network: file.network.unwrap_or(true),
        cached: !file.disable_cache,
    })
}

/// The Dockerfile of a folder, and whether it is a template.
fn find_dockerfile(folder: Option<&Path>) -> Result<(PathBuf, bool)> {
    let hint = "`dockerfile:` names a Dockerfile, `template:` a template of one";
    let Some(folder) = folder else {
        return Err(Error::usage("it has neither 'dockerfile' nor 'template'").hint(hint));
    };
    let (plain, template) = (folder.join("Dockerfile"), folder.join("Dockerfile.template"));
    match (plain.exists(), template.exists()) {
        (true, false) => Ok((plain, false)),
        (false, true) => Ok((template, true)),
        (true, true) => {
            Err(Error::usage(format!("{} has a Dockerfile and a Dockerfile.template", folder.display())).hint(hint))
        }
        (false, false) => {
            let error = format!("{} has neither a Dockerfile nor a Dockerfile.template", folder.display());
            Err(Error::usage(error).hint(hint))
        }
    }
}

fn template(
    is_template: bool,
    own: Option<BTreeMap<String, PerArch>>,
    variables: Option<BTreeMap<String, PerArch>>,
    around: &Surroundings<'_>,
) -> Result<Template> {
    match (is_template, own, variables) {
        (_, Some(_), Some(_)) => Err(Error::usage("it has both 'substitute' and 'vars'")
            .hint("`substitute` gives placeholders values, `vars` gives names of the template language values")),
        (false, Some(_), None) => Err(Error::usage("'substitute' goes with 'template', but it has a Dockerfile")),
        (false, None, Some(_)) => Err(Error::usage("'vars' goes with 'template', but it has a Dockerfile")),
        (false, None, None) => Ok(Template::None),
        (true, None, Some(variables)) => Ok(Template::Language { variables }),
        (true, None, None) if around.substitute.is_empty() => Ok(Template::Language { variables: BTreeMap::new() }),
        (true, own, None) => Ok(Template::Literal { shared: around.substitute.clone(), own: own.unwrap_or_default() }),
    }
}

fn source_of(source: String, around: &Surroundings<'_>) -> Result<ImageSource> {
    if source == "emulator" {
        return Ok(ImageSource::Emulator);
    }
    let Some(program) = source.strip_prefix("binaries/") else { return Ok(ImageSource::Path(source)) };
    if let Some(name) = around.outputs.iter().find(|name| name.as_str() == program) {
        return Ok(ImageSource::Program((*name).clone()));
    }
    let error = Error::usage(format!("files: there is no binary '{program}'"));
    Err(match nearest(program, around.outputs.iter().map(|name| name.as_str())) {
        Some(near) => error.hint(format!("did you mean 'binaries/{near}'?")),
        None => error,
    })
}
