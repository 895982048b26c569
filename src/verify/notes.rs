//! Notes that compilers leave in a program.

use object::elf;
use object::read::elf::{FileHeader, Note, NoteIterator, ProgramHeader};

use super::elf_file::ElfFile;
use super::read_error::ReadError;
use super::strings;

/// More notes than any linker writes. Segments may overlap, so the file's size is no limit.
const MOST: usize = 4096;
/// `n_type` of the Go linker's build ID.
const GO_BUILD_ID: u32 = 4;

/// What the notes say.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) kernel: Option<String>,
    pub(super) build_id: Option<String>,
    pub(super) go_build_id: Option<String>,
}

impl Notes {
    /// Reads the notes of a program or library.
    pub(super) fn read<H: FileHeader>(file: &ElfFile<'_, H>) -> Result<Notes, ReadError> {
        let mut notes = Notes::default();
        let mut seen = 0;
        for segment in file.segments.iter().filter(|segment| segment.p_type(file.endian) == elf::PT_NOTE) {
            // Loaders too pass over alignments other than 4 and 8.
            let Ok(found) = NoteIterator::<H>::new(file.endian, segment.p_align(file.endian), file.data(segment))
            else {
                continue;
            };
            for note in found {
                seen += 1;
                if seen > MOST {
                    return Err(ReadError::malformed("there are more than 4096 notes"));
                }
                let note = note.map_err(|_| ReadError::malformed("a note reaches past the end of its segment"))?;
                notes.take(&note, file.endian)?;
            }
        }
        // Go's linker leaves its GNU build ID out of the segments. The notes looked for stand first in their sections;
        // others (probes, annotations) come in tens of thousands.
        for note in file.note_sections().filter_map(|mut found| found.next().ok().flatten()) {
            notes.take(&note, file.endian)?;
        }
        Ok(notes)
    }

    fn take<H: FileHeader>(&mut self, note: &Note<'_, H>, endian: H::Endian) -> Result<(), ReadError> {
        let content = note.desc();
        match (note.name(), note.n_type(endian)) {
            (b"GNU", elf::NT_GNU_ABI_TAG) => self.kernel = kernel(content, endian),
            (b"GNU", elf::NT_GNU_BUILD_ID) if content.len() > 256 => {
                return Err(ReadError::malformed("the build ID has more than 256 bytes"));
            }
            (b"GNU", elf::NT_GNU_BUILD_ID) => {
                self.build_id = Some(content.iter().map(|byte| format!("{byte:02x}")).collect());
            }
            (b"Go", elf::NoteType(GO_BUILD_ID)) if content.len() > 4096 => {
                return Err(ReadError::malformed("the Go build ID has more than 4096 bytes"));
            }
            (b"Go", elf::NoteType(GO_BUILD_ID)) => self.go_build_id = Some(strings::printable(content)),
            _ => {}
        }
        Ok(())
    }
}

/// The kernel of an ABI tag: four words, the system (Linux is 0) and its version.
fn kernel(content: &[u8], endian: impl object::Endian) -> Option<String> {
    let mut words = content.chunks_exact(4).map(|word| endian.read_u32(word.try_into().unwrap_or_default()));
    let system = words.next()?;
    let (major, minor, patch) = (words.next()?, words.next()?, words.next()?);
    (system == elf::ELF_NOTE_OS_LINUX).then(|| format!("{major}.{minor}.{patch}"))
}
