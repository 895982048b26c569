//! Reading: of sound files of every layout, and of the same files damaged in every place.

use super::sample::Sample;
use super::*;
use crate::domain::{Arch, ElfClass, ElfIdentity, Endianness, GlibcVersion};

fn identities() -> impl Iterator<Item = ElfIdentity> {
    // No architecture of the table is 32 bits wide and big-endian; PowerPC's old ABI was.
    let odd = ElfIdentity { machine: 20, class: ElfClass::Elf32, endianness: Endianness::Big };
    Arch::ALL.into_iter().map(Arch::elf).chain([odd])
}

fn samples() -> impl Iterator<Item = Sample> {
    identities().flat_map(|identity| {
        [(true, true), (true, false), (false, true), (false, false)].map(|(dynamic, sections)| Sample {
            identity,
            dynamic,
            sections,
        })
    })
}

#[test]
fn every_layout_gives_its_facts() {
    for sample in samples() {
        let identity = sample.identity;
        let facts = Facts::read(&sample.bytes()).unwrap();
        assert_eq!(
            (facts.machine, facts.class, facts.endianness),
            (identity.machine, identity.class, identity.endianness)
        );
        assert_eq!(facts.arch, Arch::ALL.into_iter().find(|arch| arch.elf() == identity));
        assert_eq!(facts.kernel.as_deref(), Some("3.2.0"));
        assert_eq!(facts.build_id.as_deref(), Some("deadbeef"));
        assert_eq!(facts.stripped, !sample.sections);
        if sample.dynamic {
            assert_eq!((facts.kind, facts.linkage), (Kind::PositionIndependentExecutable, Some(Linkage::Dynamic)));
            assert_eq!(facts.interpreter.as_deref(), Some("/lib/ld.so.1"));
            assert_eq!(facts.needed, ["libpcap.so.0.8", "libc.so.6"]);
            assert_eq!(facts.rpath, ["$ORIGIN/lib", "/b/lib"]);
            let needs: Vec<String> = facts.glibc.iter().map(GlibcNeed::to_string).collect();
            let expected =
                ["GLIBC_2.38 (symbol __isoc23_strtol from libc.so.6)", "GLIBC_2.4 (symbol memcpy from libc.so.6)"];
            assert_eq!(needs, expected);
        } else {
            assert_eq!((facts.kind, facts.linkage), (Kind::StaticPie, Some(Linkage::Static)));
            assert_eq!((facts.interpreter, facts.glibc), (None, vec![]));
        }
    }
}

#[test]
fn where_the_bytes_lie_in_memory_does_not_matter() {
    for sample in samples() {
        let bytes = sample.bytes();
        let shifted = [&[0], bytes.as_slice()].concat();
        assert_eq!(Facts::read(&shifted[1..]), Facts::read(&bytes));
    }
}

#[test]
fn a_file_cut_short_is_refused() {
    for sample in samples() {
        let bytes = sample.bytes();
        for length in 0..bytes.len() {
            let expected = if length < 4 { "is neither an ELF file nor a script" } else { "is damaged: " };
            let error = Facts::read(&bytes[..length]).expect_err("the segment that holds all is cut").to_string();
            assert!(error.starts_with(expected), "{length}: {error}");
        }
    }
}

#[test]
fn damage_in_any_place_ends_in_facts_or_an_error() {
    for sample in samples() {
        let bytes = sample.bytes();
        for place in 0..bytes.len() {
            for value in [0x00, 0x01, 0x7f, 0x80, 0xff, bytes[place] ^ 1] {
                let mut damaged = bytes.clone();
                damaged[place] = value;
                if let Ok(facts) = Facts::read(&damaged) {
                    describe(&facts);
                    check(&facts, &Expectations::new(Arch::Amd64)).iter().for_each(|m| drop(m.to_string()));
                }
            }
            // Whole numbers gone wrong, not only one of their bytes.
            for width in [2, 4, 8] {
                let mut damaged = bytes.clone();
                let end = (place + width).min(bytes.len());
                damaged[place..end].fill(0xff);
                let _ = Facts::read(&damaged);
            }
        }
    }
}

#[test]
fn every_mismatch_is_told() {
    let sample = Sample { identity: Arch::Arm64.elf(), dynamic: true, sections: true };
    let mut facts = Facts::read(&sample.bytes()).unwrap();
    facts.rpath.extend([String::new(), "/usr/s390x-linux-gnu/lib".into(), "/usr/lib".into()]);
    let mut expectations = Expectations::new(Arch::S390x);
    expectations.statically_linked = Some(true);
    expectations.glibc = Some(GlibcVersion::new(2, 36));
    expectations.builder_directories = vec!["/b".into()];
    let told: Vec<String> = check(&facts, &expectations).iter().map(Mismatch::to_string).collect();
    assert_eq!(
        told,
        [
            "is for arm64, not s390x",
            "is dynamically linked (needs libpcap.so.0.8, libc.so.6), but `static: true` is declared",
            "needs GLIBC_2.38 (symbol __isoc23_strtol from libc.so.6), but at most 2.36 is allowed",
            "looks for libraries in /b/lib (RPATH), which is there in the builder only",
            "looks for libraries in '' (RPATH), relative to the directory that it is started in",
            "looks for libraries in /usr/s390x-linux-gnu/lib (RPATH), which is there in the builder only",
        ]
    );
    facts.glibc[0].symbols = ["a", "b", "c", "d", "e", "f", "g"].map(str::to_owned).to_vec();
    assert_eq!(facts.glibc[0].to_string(), "GLIBC_2.38 (symbols a, b, c, d, e and 2 more from libc.so.6)");
}

#[test]
fn this_very_test_is_as_it_should_be() {
    let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let facts = Facts::read(&bytes).unwrap();
    assert_eq!(check(&facts, &Expectations::new(Arch::host().unwrap())), []);
    assert_eq!(facts.size, bytes.len() as u64);
    assert!(!facts.stripped);
    assert!(facts.glibc.iter().all(|need| !need.symbols.is_empty()), "{:?}", facts.glibc);
}

#[test]
fn json_keeps_its_form() {
    let sample = Sample { identity: Arch::Arm.elf(), dynamic: true, sections: false };
    let subject = Subject::read(&sample.bytes()).unwrap();
    let json = serde_json::to_value(&subject).unwrap();
    assert_eq!(serde_json::from_value::<Subject>(json.clone()).unwrap(), subject);
    assert_eq!(
        json,
        serde_json::json!({
            "type": "program", "arch": "arm", "machine": 40, "class": "elf32", "endianness": "little",
            "kind": "position-independent-executable", "linkage": "dynamic", "interpreter": "/lib/ld.so.1",
            "needed": ["libpcap.so.0.8", "libc.so.6"], "rpath": ["$ORIGIN/lib", "/b/lib"],
            "glibc": [
                { "version": "2.38", "library": "libc.so.6", "symbols": ["__isoc23_strtol"] },
                { "version": "2.4", "library": "libc.so.6", "symbols": ["memcpy"] },
            ],
            "kernel": "3.2.0", "build-id": "deadbeef", "go-build-id": null, "stripped": true, "size": sample.bytes().len(),
        })
    );
}

#[test]
fn the_header_decides_the_kind() {
    for (number, dynamic, kind, linkage) in [
        (1, true, Kind::Relocatable, None),
        (2, true, Kind::Executable, Some(Linkage::Dynamic)),
        (2, false, Kind::Executable, Some(Linkage::Static)),
        (4, true, Kind::Core, None),
        (9, true, Kind::Other, None),
    ] {
        let mut bytes = Sample { identity: Arch::Amd64.elf(), dynamic, sections: true }.bytes();
        bytes[16] = number;
        let facts = Facts::read(&bytes).unwrap();
        assert_eq!((facts.kind, facts.linkage), (kind, linkage));
    }
}
