//! Which of a project's images a name in a Dockerfile means.

use std::collections::BTreeMap;

use super::step::{ImageBuild, Plan, Work};
use crate::config::Naming;
use crate::domain::{Arch, Error, ImageName, Name, PlainName, Result, SuffixStyle};

const STYLES: [SuffixStyle; 3] = [SuffixStyle::NameSuffix, SuffixStyle::TagSuffix, SuffixStyle::BareSuffix];

/// The images of a plan by their names.
#[derive(Debug, Clone)]
pub struct ProjectImages<'a> {
    images: Vec<(&'a ImageBuild, Arch)>,
}

impl ImageBuild {
    /// What one architecture's image is called.
    pub fn names_for(&self, arch: Arch) -> Vec<ImageName> {
        self.names.iter().flat_map(|name| self.names_of(name, arch)).collect()
    }

    /// What one architecture's image is called after a name of the image.
    pub fn names_of(&self, name: &ImageName, arch: Arch) -> Vec<ImageName> {
        let Naming { style, plain, .. } = self.naming;
        name.all_for_arch(arch, style, plain)
    }

    /// What the index of all architectures is called; nothing where amd64 has the plain name.
    pub fn index_names(&self) -> &[ImageName] {
        if self.naming.plain == PlainName::Index { &self.names } else { &[] }
    }
}

impl<'a> ProjectImages<'a> {
    /// Those of a plan.
    ///
    /// # Errors
    /// A usage error where two images have one name.
    pub fn of(plan: &'a Plan) -> Result<ProjectImages<'a>> {
        let image = |step: &'a super::Step| match (&step.work, step.arch) {
            (Work::Image(build), Some(arch)) => Some((build, arch)),
            _ => None,
        };
        let images: Vec<_> = plan.steps.iter().filter_map(image).collect();
        let mut owners: BTreeMap<ImageName, (&Name, Option<Arch>)> = BTreeMap::new();
        for (build, arch) in &images {
            let single = build.names_for(*arch).into_iter().map(|name| (name, Some(*arch)));
            for (name, arch) in single.chain(build.index_names().iter().cloned().map(|name| (name, None))) {
                let claim = (&build.image, arch);
                let other = *owners.entry(name.clone()).or_insert(claim);
                if other != claim {
                    return Err(Error::usage(format!("images '{}' and '{}' are both called {name}", other.0, claim.0))
                        .hint("give one another `name`, or other `tags`"));
                }
            }
        }
        Ok(ProjectImages { images })
    }

    /// The image that a name means where an image for `arch` is built: its key in the project, or any name that it is
    /// published by, in any style. Without a tag, or with `latest`, it is meant whatever its tags are. `None` for an image
    /// of somebody else's.
    ///
    /// # Errors
    /// A usage error for an image of the project's that is not there for the architecture, or is named as another's.
    pub fn find(&self, text: &str, arch: Arch) -> Result<Option<&'a Name>> {
        if let Some((build, _)) = self.images.iter().find(|(build, _)| build.image.as_str() == text) {
            return if self.images.iter().any(|(other, found)| other.image == build.image && *found == arch) {
                Ok(Some(&build.image))
            } else {
                Err(Error::usage(format!("image '{text}' is not built for {arch}"))
                    .hint("give both images the same `arches`, and name that architecture with --arch"))
            };
        }
        let Ok(wanted) = text.parse::<ImageName>() else { return Ok(None) };
        let own = || self.images.iter().filter(|(_, found)| *found == arch);
        let plain = own().find(|(build, _)| names(build, None).any(|name| means(&wanted, &name)));
        let suffixed = || own().find(|(build, _)| names(build, Some(arch)).any(|name| means(&wanted, &name)));
        if let Some((build, _)) = plain.or_else(suffixed) {
            return Ok(Some(&build.image));
        }
        let other = |(build, other): &&(&ImageBuild, Arch)| {
            *other != arch && names(build, Some(*other)).any(|name| means(&wanted, &name))
        };
        match self.images.iter().find(other) {
            None => Ok(None),
            Some((build, other)) => {
                let error =
                    format!("{text} is the image '{}' for {other}, but the image is built for {arch}", build.image);
                Err(Error::usage(error).hint("`{{ arch.suffix }}` and `{{ arch.name }}` tell the architecture"))
            }
        }
    }
}

/// All names of an image in all styles, with a suffix or without.
fn names(build: &ImageBuild, arch: Option<Arch>) -> impl Iterator<Item = ImageName> + '_ {
    let bare = build.repository.parse::<ImageName>().into_iter();
    bare.chain(build.names.iter().cloned()).flat_map(move |name| match arch {
        None => vec![name],
        Some(arch) => STYLES.map(|style| name.for_arch(arch, style)).to_vec(),
    })
}

/// Whether a name that was written is one of an image's; no tag is the same as `latest`, and may be any.
fn means(wanted: &ImageName, name: &ImageName) -> bool {
    wanted == name || (wanted.tag() == "latest" && wanted.repository() == name.repository())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::Expansion;
    use crate::plan::{Step, StepId};

    fn image(key: &str, name: &str, tags: &[&str], arch: Arch, style: SuffixStyle, plain: PlainName) -> Step {
        let build = ImageBuild {
            image: key.parse().unwrap(),
            repository: name.into(),
            names: tags.iter().map(|tag| format!("{name}:{tag}").parse().unwrap()).collect(),
            naming: Naming { style, plain, content_tag: false },
            dockerfile: PathBuf::new(),
            expansion: Expansion::None,
            context: PathBuf::new(),
            target: None,
            bases: Vec::new(),
            emulator: None,
            programs: BTreeMap::new(),
            emulators: BTreeMap::new(),
            files: BTreeMap::new(),
            args: BTreeMap::new(),
            labels: BTreeMap::new(),
            tests: Vec::new(),
            network: true,
            cached: true,
            created: 0,
        };
        let id = StepId::new(&["image", key, arch.name()]);
        Step { id, arch: Some(arch), needs: Vec::new(), inputs: BTreeMap::new(), work: Work::Image(build) }
    }

    fn weave() -> Plan {
        let arches = [Arch::Amd64, Arch::Arm, Arch::Arm64];
        let mut steps = Vec::new();
        for arch in arches {
            let (style, plain) = (SuffixStyle::NameSuffix, PlainName::Index);
            steps.push(image("weaver", "me/weave", &["git-1"], arch, style, plain));
            steps.push(image("kube", "me/weave-kube", &["git-1", "latest"], arch, style, plain));
        }
        steps.push(image("only", "me/only", &["1"], Arch::Amd64, SuffixStyle::TagSuffix, PlainName::Index));
        Plan { steps }
    }

    #[test]
    fn images_are_found_by_key_and_by_published_name() {
        let plan = weave();
        let images = ProjectImages::of(&plan).unwrap();
        for (text, arch, wanted) in [
            ("weaver", Arch::Arm, Some("weaver")),
            ("me/weave", Arch::Amd64, Some("weaver")),
            ("me/weave", Arch::Arm, Some("weaver")),
            ("me/weave:latest", Arch::Arm, Some("weaver")),
            ("me/weave-arm", Arch::Arm, Some("weaver")),
            ("me/weave-arm:git-1", Arch::Arm, Some("weaver")),
            ("me/weavearm64:git-1", Arch::Arm64, Some("weaver")),
            ("me/weave:git-1-arm64", Arch::Arm64, Some("weaver")),
            ("me/weave-amd64", Arch::Amd64, Some("weaver")),
            ("me/weave-kube-arm", Arch::Arm, Some("kube")),
            ("me/weave:git-0", Arch::Arm, None),
            ("me/weave-s390x", Arch::Arm, None),
            ("me/weave@sha256:0", Arch::Arm, None),
            ("alpine:3.10", Arch::Arm, None),
        ] {
            assert_eq!(images.find(text, arch).unwrap().map(Name::as_str), wanted, "{text} {arch}");
        }
    }

    #[test]
    fn another_architectures_image_is_an_error() {
        let plan = weave();
        let images = ProjectImages::of(&plan).unwrap();
        for text in ["me/weave-arm", "me/weave:git-1-arm", "me/weavearm:git-1"] {
            let error = images.find(text, Arch::Arm64).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("{text} is the image 'weaver' for arm, but the image is built for arm64")
            );
        }
        assert_eq!(images.find("only", Arch::Arm).unwrap_err().to_string(), "image 'only' is not built for arm");
    }

    #[test]
    fn two_images_of_one_name_are_an_error() {
        let (style, plain) = (SuffixStyle::NameSuffix, PlainName::Index);
        let one = |key, name, arch| image(key, name, &["1"], arch, style, plain);
        let clash = Plan { steps: vec![one("a", "me/x", Arch::Arm), one("b", "me/x-arm", Arch::Amd64)] };
        assert_eq!(ProjectImages::of(&clash).unwrap_err().to_string(), "images 'a' and 'b' are both called me/x-arm:1");
        let apart = Plan { steps: vec![one("a", "me/x", Arch::Arm), one("b", "me/x-arms", Arch::Arm)] };
        assert!(ProjectImages::of(&apart).is_ok());
    }

    #[test]
    fn amd64_may_have_the_plain_name() {
        let step = image("a", "x", &["1"], Arch::Amd64, SuffixStyle::BareSuffix, PlainName::Amd64);
        let Work::Image(build) = &step.work else { unreachable!() };
        let names = |arch| build.names_for(arch).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(Arch::Amd64), ["xamd64:1", "x:1"]);
        assert_eq!(names(Arch::Arm), ["xarm:1"]);
        assert!(build.index_names().is_empty());
    }
}
