//! An ELF file's header and its two tables, all known to lie within the file.

use object::elf;
use object::read::elf::{FileHeader, NoteIterator, ProgramHeader, SectionHeader};

use super::read_error::ReadError;
use super::strings;

/// An ELF file whose segments and sections lie within it.
pub(super) struct ElfFile<'data, H: FileHeader> {
    bytes: &'data [u8],
    pub(super) header: &'data H,
    pub(super) endian: H::Endian,
    pub(super) segments: &'data [H::ProgramHeader],
    sections: &'data [H::SectionHeader],
}

impl<'data, H: FileHeader> ElfFile<'data, H> {
    /// Reads the header and both tables.
    pub(super) fn parse(bytes: &'data [u8]) -> Result<Self, ReadError> {
        let broken = |rule| move |_| ReadError::malformed(rule);
        let header = H::parse(bytes).map_err(broken("the header is cut short or of an unknown version"))?;
        let endian = header.endian().map_err(broken("the header gives no byte order"))?;
        let segments = header
            .program_headers(endian, bytes)
            .map_err(broken("the program headers are of a wrong size or reach past the end of the file"))?;
        let sections = header
            .section_headers(endian, bytes)
            .map_err(broken("the section headers are of a wrong size or reach past the end of the file"))?;
        let within = |(offset, size): (u64, u64)| offset.checked_add(size).is_some_and(|end| end <= bytes.len() as u64);
        if !segments.iter().all(|segment| within(segment.file_range(endian))) {
            return Err(ReadError::malformed("a segment reaches past the end of the file"));
        }
        let used = sections.iter().filter(|section| section.sh_type(endian) != elf::SHT_NULL);
        if !used.filter_map(|section| section.file_range(endian)).all(within) {
            return Err(ReadError::malformed("a section reaches past the end of the file"));
        }
        Ok(ElfFile { bytes, header, endian, segments, sections })
    }

    /// The first segment of a type.
    pub(super) fn segment(&self, wanted: elf::ProgramType) -> Option<&'data H::ProgramHeader> {
        self.segments.iter().find(|segment| segment.p_type(self.endian) == wanted)
    }

    /// The bytes of a segment.
    pub(super) fn data(&self, segment: &H::ProgramHeader) -> &'data [u8] {
        segment.data(self.endian, self.bytes).unwrap_or_default()
    }

    /// The bytes from an address in memory to the end of its segment.
    pub(super) fn at(&self, address: u64) -> Result<&'data [u8], ReadError> {
        let loaded = self.segments.iter().filter(|segment| segment.p_type(self.endian) == elf::PT_LOAD);
        loaded
            .filter_map(|segment| {
                let skip = address.checked_sub(segment.p_vaddr(self.endian).into())?;
                self.data(segment).get(usize::try_from(skip).ok()?..).filter(|rest| !rest.is_empty())
            })
            .next()
            .ok_or(ReadError::malformed("the dynamic section points at an address that the file does not fill"))
    }

    /// The path of the dynamic linker.
    pub(super) fn interpreter(&self) -> Result<Option<String>, ReadError> {
        let Some(segment) = self.segment(elf::PT_INTERP) else { return Ok(None) };
        let content = self.data(segment);
        // Files that hold nothing but what debuggers want keep the segment and not its content.
        if content.is_empty() {
            return Ok(None);
        }
        let path = strings::until_nul(content)
            .ok_or(ReadError::malformed("the interpreter's path has no end, or more than 4096 bytes"))?;
        Ok((!path.is_empty()).then(|| strings::printable(path)))
    }

    /// The notes of each section that holds some.
    pub(super) fn note_sections(&self) -> impl Iterator<Item = NoteIterator<'data, H>> {
        self.sections.iter().filter_map(|section| section.notes(self.endian, self.bytes).ok().flatten())
    }

    /// Whether there are symbols for debuggers; those for the dynamic linker do not count.
    pub(super) fn has_symbol_table(&self) -> bool {
        self.sections.iter().any(|section| section.sh_type(self.endian) == elf::SHT_SYMTAB)
    }
}
