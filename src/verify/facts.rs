//! What an ELF file says about itself.

use object::read::elf::FileHeader;
use object::{Endianness as Order, elf};
use serde::{Deserialize, Serialize};

use super::dynamic::Dynamic;
use super::elf_file::ElfFile;
use super::glibc_need::{self, GlibcNeed};
use super::notes::Notes;
use super::read_error::ReadError;
use crate::domain::{Arch, ElfClass, ElfIdentity, Endianness};

/// What an ELF file says about itself. Texts from the file have anything unprintable replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Facts {
    /// The architecture, where it is one that xbuild builds for.
    pub arch: Option<Arch>,
    /// `e_machine`.
    pub machine: u16,
    /// Width of addresses.
    pub class: ElfClass,
    /// Byte order.
    pub endianness: Endianness,
    /// What sort of file it is.
    pub kind: Kind,
    /// Whether it needs a dynamic linker; none for files that are not loaded by anything.
    pub linkage: Option<Linkage>,
    /// The dynamic linker that it asks for.
    pub interpreter: Option<String>,
    /// Names of the libraries that it is linked with, in its own order.
    pub needed: Vec<String>,
    /// The directories of `DT_RPATH` and `DT_RUNPATH`.
    pub rpath: Vec<String>,
    /// Versions of the GNU C library that it cannot start without, highest first.
    pub glibc: Vec<GlibcNeed>,
    /// The lowest kernel that it runs on, as in `3.2.0`.
    pub kernel: Option<String>,
    /// The GNU build ID, in hexadecimal.
    pub build_id: Option<String>,
    /// The Go linker's build ID, which only Go programs have.
    pub go_build_id: Option<String>,
    /// Whether it is without a symbol table.
    pub stripped: bool,
    /// Bytes of the whole file.
    pub size: u64,
}

/// What sort of file an ELF file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A program with a fixed address.
    Executable,
    /// A program without one, which a dynamic linker loads.
    PositionIndependentExecutable,
    /// A program without one, which relocates itself.
    StaticPie,
    /// A library to be linked at run time.
    SharedLibrary,
    /// An object file.
    Relocatable,
    /// A memory dump.
    Core,
    /// Something else.
    Other,
}

/// Whether a program or library needs a dynamic linker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Linkage {
    /// It needs none.
    Static,
    /// It needs one.
    Dynamic,
}

impl Facts {
    /// Reads the facts of an ELF file.
    ///
    /// # Errors
    /// When it is no ELF file, or one that breaks the format's rules.
    pub fn read(bytes: &[u8]) -> Result<Facts, ReadError> {
        if !bytes.starts_with(&elf::ELFMAG) {
            return Err(ReadError::NotElf);
        }
        // The tables are read in place, so the bytes must lie in memory as they would from the start of a page.
        let words: Vec<u64>;
        let bytes = if bytes.as_ptr().align_offset(align_of::<u64>()) == 0 {
            bytes
        } else {
            words = bytes.chunks(8).map(word).collect();
            &object::pod::bytes_of_slice(&words)[..bytes.len()]
        };
        match bytes.get(4) {
            Some(1) => read_class::<elf::FileHeader32<Order>>(bytes, ElfClass::Elf32),
            Some(2) => read_class::<elf::FileHeader64<Order>>(bytes, ElfClass::Elf64),
            _ => Err(ReadError::malformed("the header gives neither 32 nor 64 bits as the class")),
        }
    }
}

fn word(chunk: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..chunk.len()].copy_from_slice(chunk);
    u64::from_ne_bytes(word)
}

fn read_class<H: FileHeader<Endian = Order>>(bytes: &[u8], class: ElfClass) -> Result<Facts, ReadError> {
    let file = ElfFile::<H>::parse(bytes)?;
    let endianness = match file.endian {
        Order::Little => Endianness::Little,
        Order::Big => Endianness::Big,
    };
    let machine = file.header.e_machine(file.endian).0;
    let identity = ElfIdentity { machine, class, endianness };
    let loadable = matches!(file.header.e_type(file.endian), elf::ET_EXEC | elf::ET_DYN);
    // The segments of other files, memory dumps above all, mean other things.
    let dynamic = if loadable { Dynamic::parse(&file)? } else { Dynamic::none(file.endian) };
    let notes = if loadable { Notes::read(&file)? } else { Notes::default() };
    let interpreter = if loadable { file.interpreter()? } else { None };
    let needed = dynamic.needed()?;
    let kind = kind(&file, &dynamic, interpreter.is_some());
    let linkage = loadable.then(|| match kind {
        Kind::SharedLibrary => Linkage::Dynamic,
        _ if interpreter.is_some() || !needed.is_empty() => Linkage::Dynamic,
        _ => Linkage::Static,
    });
    Ok(Facts {
        arch: Arch::ALL.into_iter().find(|arch| arch.elf() == identity),
        machine,
        class,
        endianness,
        kind,
        linkage,
        interpreter,
        needed,
        rpath: dynamic.rpath()?,
        glibc: glibc_need::read(&file, &dynamic)?,
        kernel: notes.kernel,
        build_id: notes.build_id,
        go_build_id: notes.go_build_id,
        stripped: !file.has_symbol_table(),
        size: bytes.len() as u64,
    })
}

fn kind<H: FileHeader<Endian = Order>>(file: &ElfFile<'_, H>, dynamic: &Dynamic<'_, H>, interpreter: bool) -> Kind {
    match file.header.e_type(file.endian) {
        elf::ET_EXEC => Kind::Executable,
        elf::ET_REL => Kind::Relocatable,
        elf::ET_CORE => Kind::Core,
        elf::ET_DYN => {
            // A library may have an interpreter (libc.so.6 does), but then it has a name too.
            let named = dynamic.value(elf::DT_SONAME).is_some();
            match (dynamic.says_program(), interpreter) {
                (true, false) => Kind::StaticPie,
                (true, true) => Kind::PositionIndependentExecutable,
                (false, true) if !named => Kind::PositionIndependentExecutable,
                (false, _) => Kind::SharedLibrary,
            }
        }
        _ => Kind::Other,
    }
}
