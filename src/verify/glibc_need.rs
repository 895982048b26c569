//! Versions of the GNU C library that a program cannot start without.

use std::collections::BTreeMap;
use std::fmt;

use object::read::elf::{FileHeader, Sym};
use object::{ReadRef, elf};
use serde::{Deserialize, Serialize};

use super::dynamic::Dynamic;
use super::elf_file::ElfFile;
use super::read_error::ReadError;
use super::strings;
use crate::domain::GlibcVersion;

/// How many symbols a message names.
const NAMED: usize = 5;
/// A version's index has 15 bits.
const MOST_VERSIONS: usize = 0x7fff;

/// A version of one of the GNU C library's parts, and the symbols for whose sake it is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GlibcNeed {
    /// The version.
    pub version: GlibcVersion,
    /// The part, as in `libc.so.6`.
    pub library: String,
    /// The symbols, sorted. `GLIBC_ABI_DT_RELR` is the ability to read packed relocations, and not a symbol.
    pub symbols: Vec<String>,
}

impl fmt::Display for GlibcNeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GLIBC_{} (", self.version)?;
        match self.symbols.as_slice() {
            [] => {}
            [symbol] => write!(f, "symbol {symbol} ")?,
            symbols => {
                write!(f, "symbols {}", symbols[..symbols.len().min(NAMED)].join(", "))?;
                match symbols.len().saturating_sub(NAMED) {
                    0 => f.write_str(" ")?,
                    more => write!(f, " and {more} more ")?,
                }
            }
        }
        write!(f, "from {})", self.library)
    }
}

/// The needs of a file, highest version first.
pub(super) fn read<'data, H: FileHeader>(
    file: &ElfFile<'data, H>,
    dynamic: &Dynamic<'data, H>,
) -> Result<Vec<GlibcNeed>, ReadError> {
    let mut needs = versions(file, dynamic)?;
    if !needs.is_empty() {
        name_symbols(file, dynamic, &mut needs)?;
    }
    let mut needs: Vec<GlibcNeed> = needs.into_values().collect();
    for need in &mut needs {
        need.symbols.sort();
        need.symbols.dedup();
    }
    needs.sort_by(|a, b| (b.version, &a.library).cmp(&(a.version, &b.library)));
    Ok(needs)
}

/// Walks `.gnu.version_r`: libraries, each with its versions. The keys are the versions' indexes.
fn versions<'data, H: FileHeader>(
    file: &ElfFile<'data, H>,
    dynamic: &Dynamic<'data, H>,
) -> Result<BTreeMap<u16, GlibcNeed>, ReadError> {
    let cut = |()| ReadError::malformed("the list of needed versions is cut short or not aligned");
    let table = dynamic.table(file, elf::DT_VERNEED)?;
    let libraries = dynamic.value(elf::DT_VERNEEDNUM).unwrap_or(0);
    let mut needs = BTreeMap::new();
    let (mut seen, mut offset) = (0, 0);
    for _ in 0..libraries {
        let library: &elf::Verneed<H::Endian> = table.read_at(offset).map_err(cut)?;
        let mut at = offset + u64::from(library.vn_aux.get(file.endian));
        for _ in 0..library.vn_cnt.get(file.endian) {
            seen += 1;
            if seen > MOST_VERSIONS {
                return Err(ReadError::malformed("there are more needed versions than a symbol can refer to"));
            }
            let version: &elf::Vernaux<H::Endian> = table.read_at(at).map_err(cut)?;
            let name = dynamic.strings.get(version.vna_name.get(file.endian).into())?;
            // A loader lets a program start without the versions that it marks as weak.
            let weak = version.vna_flags.get(file.endian).contains(elf::VER_FLG_WEAK);
            if let Some(number) = glibc_version(name).filter(|_| !weak) {
                let from = dynamic.strings.printable(library.vn_file.get(file.endian).into())?;
                let ability = name.starts_with(b"GLIBC_ABI_").then(|| strings::printable(name));
                let need = GlibcNeed { version: number, library: from, symbols: ability.into_iter().collect() };
                needs.insert(version.vna_other(file.endian).index().0, need);
            }
            match version.vna_next.get(file.endian) {
                0 => break,
                next => at += u64::from(next),
            }
        }
        match library.vn_next.get(file.endian) {
            0 => break,
            next => offset += u64::from(next),
        }
    }
    Ok(needs)
}

/// The version that a name stands for; `None` for other libraries' names, and for `GLIBC_PRIVATE`.
fn glibc_version(name: &[u8]) -> Option<GlibcVersion> {
    match std::str::from_utf8(name).ok()?.strip_prefix("GLIBC_")? {
        "ABI_DT_RELR" => Some(GlibcVersion::new(2, 36)),
        number => number.parse().ok(),
    }
}

/// Adds to each version the symbols that refer to it.
fn name_symbols<'data, H: FileHeader>(
    file: &ElfFile<'data, H>,
    dynamic: &Dynamic<'data, H>,
    needs: &mut BTreeMap<u16, GlibcNeed>,
) -> Result<(), ReadError> {
    let cut = |()| ReadError::malformed("the dynamic symbols are not aligned");
    let symbols = dynamic.table(file, elf::DT_SYMTAB)?;
    let indexes = dynamic.table(file, elf::DT_VERSYM)?;
    let count = (symbols.len() / size_of::<H::Sym>()).min(indexes.len() / size_of::<elf::Versym<H::Endian>>());
    let symbols: &[H::Sym] = symbols.read_slice_at(0, count).map_err(cut)?;
    let indexes: &[elf::Versym<H::Endian>] = indexes.read_slice_at(0, count).map_err(cut)?;
    for (symbol, index) in symbols.iter().zip(indexes) {
        if let Some(need) = needs.get_mut(&index.0.get(file.endian).index().0) {
            need.symbols.push(dynamic.strings.printable(symbol.st_name(file.endian).into())?);
        }
    }
    Ok(())
}
