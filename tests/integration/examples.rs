//! The examples, for all their architectures: built, verified, run under QEMU, packaged.

use std::process::Command;

use crate::support::{Test, elf_header, readelf, tool};

const MACHINES: [(&str, &str); 6] = [
    ("amd64", "Advanced Micro Devices X86-64"),
    ("arm", "ARM"),
    ("arm64", "AArch64"),
    ("ppc64le", "PowerPC64"),
    ("riscv64", "RISC-V"),
    ("s390x", "IBM S/390"),
];

/// Every program of an architecture is for its machine, and static.
fn is_static(test: &Test, arch: &str, name: &str) {
    let file = test.dist(&format!("{arch}/{name}"));
    let machine = MACHINES.iter().find(|(known, _)| *known == arch).expect("a known architecture").1;
    assert_eq!(elf_header(&file, "Machine"), machine, "{arch}/{name}");
    assert!(!readelf("-l", &file).contains("INTERP"), "{arch}/{name} has an interpreter");
}

fn platforms(test: &Test, name: &str) -> Vec<String> {
    let place = format!("oci:{}:{name}", test.dist("images").display());
    let output = Command::new(tool("skopeo")).args(["inspect", "--raw", &place]).output().expect("it can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let index: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut platforms: Vec<String> = index["manifests"]
        .as_array()
        .unwrap_or_else(|| panic!("{name} is no index"))
        .iter()
        .map(|manifest| {
            let platform = &manifest["platform"];
            let variant = platform["variant"].as_str().map(|variant| format!("/{variant}")).unwrap_or_default();
            format!("{}{variant}", platform["architecture"].as_str().expect("an architecture"))
        })
        .collect();
    platforms.sort();
    platforms
}

#[test]
fn pcap_go_for_five_architectures() {
    let test = Test::example("pcap-go");
    test.xbuild(["test"]).run();
    test.xbuild(["images"]).stdout_contains("example/pcap-go:git-").run();
    let sums = test.read("SHA256SUMS");
    for arch in ["amd64", "arm", "arm64", "ppc64le", "s390x"] {
        is_static(&test, arch, "pcap-go");
        assert!(sums.contains(&format!("{arch}/pcap-go")), "{sums}");
    }
    assert!(elf_header(&test.dist("arm/pcap-go"), "Flags").contains("hard-float ABI"));
    let record = test.build_record();
    let name = record["images"].as_object().expect("a map").keys().next().expect("an image").clone();
    assert_eq!(platforms(&test, &name), ["amd64", "arm/v7", "arm64", "ppc64le", "s390x"]);
}

#[test]
fn tcpdump_says_the_same_on_both_byte_orders() {
    let test = Test::example("tcpdump");
    let arches = "amd64,arm,s390x";
    test.xbuild(["test", "--arch", arches]).run();
    for arch in arches.split(',') {
        is_static(&test, arch, "tcpdump");
    }
    test.xbuild(["images", "--arch", arches]).stdout_contains("example/tcpdump:4.99").run();
    assert_eq!(platforms(&test, "example/tcpdump:latest"), ["amd64", "arm/v7", "s390x"]);
}

#[test]
fn netsuite_for_five_architectures() {
    let test = Test::example("netsuite");
    test.xbuild(["test"]).run();
    test.xbuild(["images", "--set", "account=me"]).run();
    assert!(!test.path().join("internal/protocols/generated.go").exists(), "what is generated stays out of the tree");
    for arch in ["amd64", "arm", "arm64", "ppc64le", "s390x"] {
        for name in ["router", "proxy", "plugin", "npc", "npc-dry", "netutil"] {
            is_static(&test, arch, name);
        }
        assert!(readelf("-d", &test.dist(&format!("{arch}/witness"))).contains("libc.so.6"));
    }
    assert_eq!(test.read("SHA256SUMS").lines().count(), 35);
    let record = test.build_record();
    let images: Vec<&String> = record["images"].as_object().expect("a map").keys().collect();
    for name in ["base", "router", "exec", "npc"] {
        assert!(images.iter().any(|image| image.starts_with(&format!("me/{name}:"))), "{name} is not in {images:?}");
    }
    assert_eq!(platforms(&test, "me/npc:latest"), ["amd64", "arm/v7", "arm64", "ppc64le", "s390x"]);
}
