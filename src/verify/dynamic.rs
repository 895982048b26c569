//! The dynamic section, found as a loader finds it: by the program headers, so that it is there in stripped files too.

use object::elf;
use object::read::elf::{Dyn, FileHeader};

use super::elf_file::ElfFile;
use super::read_error::ReadError;
use super::strings::Strings;

/// The dynamic section; empty where a file has none.
pub(super) struct Dynamic<'data, H: FileHeader> {
    endian: H::Endian,
    entries: &'data [H::Dyn],
    pub(super) strings: Strings<'data>,
}

impl<'data, H: FileHeader> Dynamic<'data, H> {
    /// The section of a file that has none.
    pub(super) fn none(endian: H::Endian) -> Self {
        Dynamic { endian, entries: &[], strings: Strings::new(&[]) }
    }

    /// Reads a file's section.
    pub(super) fn parse(file: &ElfFile<'data, H>) -> Result<Self, ReadError> {
        let mut dynamic = Dynamic::none(file.endian);
        let Some(segment) = file.segment(elf::PT_DYNAMIC) else { return Ok(dynamic) };
        let entries: &[H::Dyn] = object::pod::slice_from_all_bytes(file.data(segment))
            .map_err(|()| ReadError::malformed("the dynamic section is not aligned or ends within an entry"))?;
        let end = entries.iter().position(|entry| entry.tag(file.endian) == elf::DT_NULL);
        dynamic.entries = &entries[..end.unwrap_or(entries.len())];
        if let Some(address) = dynamic.value(elf::DT_STRTAB) {
            let size = dynamic.value(elf::DT_STRSZ).and_then(|size| usize::try_from(size).ok());
            let table = size.and_then(|size| file.at(address).ok()?.get(..size));
            dynamic.strings = Strings::new(table.ok_or(ReadError::malformed("the string table is not in the file"))?);
        }
        Ok(dynamic)
    }

    /// The value of a tag that stands once; as for a loader, the last one counts.
    pub(super) fn value(&self, tag: elf::DynamicTag) -> Option<u64> {
        self.values(tag).last()
    }

    fn values(&self, tag: elf::DynamicTag) -> impl Iterator<Item = u64> {
        self.entries.iter().filter(move |entry| entry.tag(self.endian) == tag).map(|entry| entry.val(self.endian))
    }

    /// The table that a tag points at, as far as it may reach: no table's length is given,
    /// but each ends at the latest where the next thing that the section points at begins.
    pub(super) fn table(&self, file: &ElfFile<'data, H>, tag: elf::DynamicTag) -> Result<&'data [u8], ReadError> {
        let Some(address) = self.value(tag) else { return Ok(&[]) };
        let bytes = file.at(address)?;
        let addresses = self.entries.iter().filter(|entry| entry.is_address(self.endian));
        let next = addresses.map(|entry| entry.val(self.endian)).filter(|other| *other > address).min();
        let length = next.and_then(|next| usize::try_from(next - address).ok()).unwrap_or(usize::MAX);
        Ok(&bytes[..bytes.len().min(length)])
    }

    /// Whether the linker marked the file as a program rather than a library.
    pub(super) fn says_program(&self) -> bool {
        self.value(elf::DT_FLAGS_1).is_some_and(|flags| flags & elf::DF_1_PIE.0 != 0)
    }

    /// Names of the libraries that must be there.
    pub(super) fn needed(&self) -> Result<Vec<String>, ReadError> {
        self.values(elf::DT_NEEDED).map(|offset| self.strings.printable(offset)).collect()
    }

    /// The directories that libraries are looked for in before the usual ones.
    pub(super) fn rpath(&self) -> Result<Vec<String>, ReadError> {
        let mut directories = Vec::new();
        for offset in self.values(elf::DT_RPATH).chain(self.values(elf::DT_RUNPATH)) {
            directories.extend(self.strings.printable(offset)?.split(':').map(str::to_owned));
        }
        Ok(directories)
    }
}
