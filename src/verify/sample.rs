//! Small ELF files for tests, put together by hand so that no compiler is needed.

use crate::domain::{ElfClass, ElfIdentity, Endianness};

const BASE: u64 = 0x10000;
const STRINGS: &[u8] =
    b"\0libpcap.so.0.8\0libc.so.6\0GLIBC_2.38\0GLIBC_2.4\0__isoc23_strtol\0memcpy\0$ORIGIN/lib:/b/lib\0";

/// A position-independent program with two needed libraries and two versions of glibc.
pub(super) struct Sample {
    /// What its header says.
    pub(super) identity: ElfIdentity,
    /// Whether it has an interpreter, libraries and versions; without them it is a static-pie.
    pub(super) dynamic: bool,
    /// Whether it has section headers, with a symbol table among them.
    pub(super) sections: bool,
}

impl Sample {
    /// The bytes of the file.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let (header, program_header) = if self.wide() { (64, 56) } else { (52, 32) };
        let mut body = vec![0; header + 4 * program_header];
        let interpreter = if self.dynamic { self.append(&mut body, b"/lib/ld.so.1\0") } else { (0, 0) };
        let notes = self.notes();
        let notes = self.append(&mut body, &notes);
        let symbols = self.symbols();
        let symbols = self.append(&mut body, &symbols);
        let strings = self.append(&mut body, STRINGS);
        let indexes: Vec<u8> = [0, 2, 3].iter().flat_map(|index| self.number(*index, 2)).collect();
        let indexes = self.append(&mut body, &indexes);
        let versions = self.versions();
        let versions = self.append(&mut body, &versions);
        let mut entries =
            vec![(5, BASE + strings.0), (10, strings.1), (6, BASE + symbols.0), (0x6fff_fffb, 0x0800_0000)];
        if self.dynamic {
            entries.extend([(1, find("libpcap")), (1, find("libc")), (29, find("$ORIGIN"))]);
            entries.extend([(0x6fff_fff0, BASE + indexes.0), (0x6fff_fffe, BASE + versions.0), (0x6fff_ffff, 1)]);
        }
        entries.push((0, 0));
        let entries: Vec<u8> =
            entries.iter().flat_map(|(tag, value)| [self.address(*tag), self.address(*value)].concat()).collect();
        let dynamic = self.append(&mut body, &entries);
        let sections = if self.sections {
            let size = if self.wide() { 64 } else { 40 };
            let mut table = vec![0; 2 * size];
            table[size + 4..size + 8].copy_from_slice(&self.number(2, 4));
            self.append(&mut body, &table)
        } else {
            (0, 0)
        };
        let interpreter_type = if self.dynamic { 3 } else { 0 };
        let parts = [(1, (0, body.len() as u64)), (interpreter_type, interpreter), (2, dynamic), (4, notes)];
        let head: Vec<u8> = [self.header(sections.0), parts.map(|part| self.program_header(part)).concat()].concat();
        body[..head.len()].copy_from_slice(&head);
        body
    }

    fn wide(&self) -> bool {
        self.identity.class == ElfClass::Elf64
    }

    fn number(&self, value: u64, size: usize) -> Vec<u8> {
        match self.identity.endianness {
            Endianness::Little => value.to_le_bytes()[..size].to_vec(),
            Endianness::Big => value.to_be_bytes()[8 - size..].to_vec(),
        }
    }

    fn address(&self, value: u64) -> Vec<u8> {
        self.number(value, if self.wide() { 8 } else { 4 })
    }

    fn words(&self, values: &[u64]) -> Vec<u8> {
        values.iter().flat_map(|value| self.number(*value, 4)).collect()
    }

    /// Adds a part; returns where it is and how long.
    fn append(&self, body: &mut Vec<u8>, part: &[u8]) -> (u64, u64) {
        body.resize(body.len().next_multiple_of(8), 0);
        let offset = body.len() as u64;
        body.extend(part);
        (offset, part.len() as u64)
    }

    fn header(&self, sections: u64) -> Vec<u8> {
        let wide = self.wide();
        let little = self.identity.endianness == Endianness::Little;
        let mut bytes = b"\x7fELF".to_vec();
        bytes.extend([if wide { 2 } else { 1 }, if little { 1 } else { 2 }, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(self.number(3, 2));
        bytes.extend(self.number(self.identity.machine.into(), 2));
        bytes.extend(self.number(1, 4));
        bytes.extend(self.address(BASE));
        bytes.extend(self.address(if wide { 64 } else { 52 }));
        bytes.extend(self.address(sections));
        bytes.extend(self.number(0, 4));
        let sizes = if wide { [64, 56, 4, 64] } else { [52, 32, 4, 40] };
        bytes.extend(sizes.iter().flat_map(|size| self.number(*size, 2)));
        bytes.extend(self.number(if sections == 0 { 0 } else { 2 }, 2));
        bytes.extend(self.number(0, 2));
        bytes
    }

    fn program_header(&self, (kind, (offset, size)): (u64, (u64, u64))) -> Vec<u8> {
        let place = [offset, BASE + offset, BASE + offset, size, size].map(|value| self.address(value)).concat();
        let (kind, flags) = (self.number(kind, 4), self.number(4, 4));
        if self.wide() {
            [kind, flags, place, self.address(4)].concat()
        } else {
            [kind, place, flags, self.address(4)].concat()
        }
    }

    fn notes(&self) -> Vec<u8> {
        let abi = [self.words(&[4, 16, 1]), b"GNU\0".to_vec(), self.words(&[0, 3, 2, 0])].concat();
        let build = [self.words(&[4, 4, 3]), b"GNU\0".to_vec(), vec![0xde, 0xad, 0xbe, 0xef]].concat();
        [abi, build].concat()
    }

    fn symbols(&self) -> Vec<u8> {
        let size = if self.wide() { 24 } else { 16 };
        let names = [0, find("__isoc23"), find("memcpy")];
        names.iter().flat_map(|name| [self.words(&[*name]), vec![0; size - 4]].concat()).collect()
    }

    fn versions(&self) -> Vec<u8> {
        let library = [self.number(1, 2), self.number(2, 2), self.words(&[find("libc"), 16, 0])];
        let version = |name, index, next| {
            [self.words(&[0]), self.number(0, 2), self.number(index, 2), self.words(&[find(name), next])].concat()
        };
        [library.concat(), version("GLIBC_2.4", 3, 16), version("GLIBC_2.38", 2, 0)].concat()
    }
}

fn find(name: &str) -> u64 {
    // The first hit is the right one: no name's start stands inside an earlier name.
    STRINGS.windows(name.len()).position(|window| window == name.as_bytes()).expect("a name of the table") as u64
}
