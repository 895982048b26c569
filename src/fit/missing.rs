//! What a program needs and an image lacks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use super::ld_so;
use crate::domain::Arch;
use crate::image::MergedImage;
use crate::verify::{Facts, Linkage};

/// Libraries that are looked at for one program; no honest one has more.
const MAX_LIBRARIES: usize = 4096;

/// A library that was found.
struct Library {
    bytes: Vec<u8>,
    facts: Facts,
}

/// What a program at a path of an image needs and the image lacks: its dynamic linker, libraries, versions of the GNU C
/// library, each as a sentence. Nothing for a static program.
pub fn missing(facts: &Facts, path: &Path, arch: Arch, image: &MergedImage) -> Vec<String> {
    if facts.arch != Some(arch) {
        let found = facts.arch.map_or_else(|| format!("machine {}", facts.machine), |arch| arch.to_string());
        return vec![format!("it is for {found}, and the image for {arch}")];
    }
    if facts.linkage != Some(Linkage::Dynamic) {
        return Vec::new();
    }
    let mut lacks = Vec::new();
    if let Some(interpreter) = &facts.interpreter
        && image.file(Path::new(interpreter)).is_none()
    {
        lacks.push(format!("the dynamic linker {interpreter} is not in the image"));
    }
    let usual = ld_so::folders(image, arch);
    let mut found: BTreeMap<String, Option<Library>> = BTreeMap::new();
    // A program's own folders count for its libraries too, if they came by RPATH.
    let own = search_path(facts, path);
    let mut todo: VecDeque<(String, String, Vec<PathBuf>)> =
        facts.needed.iter().map(|name| (name.clone(), shown(path), own.clone())).collect();
    while let Some((name, by, folders)) = todo.pop_front() {
        if found.contains_key(&name) || found.len() >= MAX_LIBRARIES {
            continue;
        }
        let library = find(&name, folders.iter().chain(&usual), arch, image);
        match &library {
            None => lacks.push(format!("{name}, which {by} needs, is not in the image")),
            Some((place, library)) => {
                let folders: Vec<PathBuf> =
                    search_path(&library.facts, place).into_iter().chain(own.iter().cloned()).collect();
                let needs = library.facts.needed.iter();
                todo.extend(needs.map(|needed| (needed.clone(), shown(place), folders.clone())));
            }
        }
        found.insert(name, library.map(|(_, library)| library));
    }
    let mut told = BTreeSet::new();
    let libraries = found.iter().filter_map(|(name, library)| Some((name.as_str(), &library.as_ref()?.facts)));
    for (user, facts) in [(path.to_str().unwrap_or("the program"), facts)].into_iter().chain(libraries) {
        for need in &facts.glibc {
            let Some(Some(library)) = found.get(&need.library) else { continue };
            let relocations = need.symbols.iter().any(|symbol| symbol == "GLIBC_ABI_DT_RELR");
            let version = if relocations { "GLIBC_ABI_DT_RELR".to_owned() } else { format!("GLIBC_{}", need.version) };
            if !defines(&library.bytes, &version) && told.insert((need.library.clone(), version.clone())) {
                let text = format!("{} of the image has no {version}, which {user} needs: {need}", need.library);
                lacks.push(text);
            }
        }
    }
    lacks
}

fn shown(path: &Path) -> String {
    Path::new("/").join(path).display().to_string()
}

/// Whether a library has a version's name among its texts, whole.
fn defines(bytes: &[u8], version: &str) -> bool {
    let text = [b"\0", version.as_bytes(), b"\0"].concat();
    bytes.windows(text.len()).any(|window| window == text)
}

/// The folders that a file itself says, with what they stand for.
fn search_path(facts: &Facts, path: &Path) -> Vec<PathBuf> {
    let origin = Path::new("/").join(path).parent().unwrap_or(Path::new("/")).display().to_string();
    let lib = if facts.class == crate::domain::ElfClass::Elf64 { "lib64" } else { "lib" };
    let folders = facts.rpath.iter().filter(|folder| !folder.is_empty());
    let put_in = |folder: &String| {
        let folder = folder.replace("$ORIGIN", &origin).replace("${ORIGIN}", &origin);
        PathBuf::from(folder.replace("$LIB", lib).replace("${LIB}", lib))
    };
    folders.map(put_in).collect()
}

/// The first library of the name that is for the architecture; a loader passes over the others too.
fn find<'a>(
    name: &str,
    folders: impl Iterator<Item = &'a PathBuf>,
    arch: Arch,
    image: &MergedImage,
) -> Option<(PathBuf, Library)> {
    let places: Vec<PathBuf> = match name.contains('/') {
        true => vec![PathBuf::from(name)],
        false => folders.map(|folder| folder.join(name)).collect(),
    };
    places.into_iter().find_map(|place| {
        let bytes = fs::read(image.file(&place)?).ok()?;
        let facts = Facts::read(&bytes).ok().filter(|facts| facts.arch == Some(arch))?;
        // `$ORIGIN` of a library is where it really is.
        let (real, _) = image.find(&place, true)?;
        Some((real, Library { bytes, facts }))
    })
}
