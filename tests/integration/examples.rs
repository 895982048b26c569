//! The examples, for all their architectures: built, verified, run under QEMU, packaged.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::support::{Test, elf_header, host, readelf, tool};

const MACHINES: [(&str, &str); 6] = [
    ("amd64", "Advanced Micro Devices X86-64"),
    ("arm", "ARM"),
    ("arm64", "AArch64"),
    ("ppc64le", "PowerPC64"),
    ("riscv64", "RISC-V"),
    ("s390x", "IBM S/390"),
];

const FIVE: [&str; 5] = ["amd64", "arm", "arm64", "ppc64le", "s390x"];

const FIVE_PLATFORMS: [&str; 5] = ["amd64", "arm/v7", "arm64", "ppc64le", "s390x"];

/// Every program of an architecture is for its machine, and static.
fn is_static(test: &Test, arch: &str, name: &str) {
    let file = test.dist(&format!("{arch}/{name}"));
    let machine = MACHINES.iter().find(|(known, _)| *known == arch).expect("a known architecture").1;
    assert_eq!(elf_header(&file, "Machine"), machine, "{arch}/{name}");
    assert!(!readelf("-l", &file).contains("INTERP"), "{arch}/{name} has an interpreter");
}

/// What skopeo says of a name in the layout.
fn skopeo(test: &Test, options: &[&str], name: &str) -> Value {
    let place = format!("oci:{}:{name}", test.dist("images").display());
    let output = Command::new(tool("skopeo")).arg("inspect").args(options).arg(&place).output();
    let output = output.expect("skopeo can be run");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn platforms(test: &Test, name: &str) -> Vec<String> {
    let index = skopeo(test, &["--raw"], name);
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
    for arch in FIVE {
        is_static(&test, arch, "pcap-go");
        assert!(sums.contains(&format!("{arch}/pcap-go")), "{sums}");
    }
    assert!(elf_header(&test.dist("arm/pcap-go"), "Flags").contains("hard-float ABI"));
    let record = test.build_record();
    let name = record["images"].as_object().expect("a map").keys().next().expect("an image").clone();
    assert_eq!(platforms(&test, &name), FIVE_PLATFORMS);
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
    assert!(!test.path().join("internal/protocols/generated.go").exists(), "what is generated stays out of the tree");
    for arch in FIVE {
        for name in ["router", "proxy", "plugin", "npc", "npc-dry", "netutil"] {
            is_static(&test, arch, name);
        }
        assert!(readelf("-d", &test.dist(&format!("{arch}/witness"))).contains("libc.so.6"));
    }
    assert_eq!(test.read("SHA256SUMS").lines().count(), 35);
    test.xbuild(["images", "--set", "account=me"]).run();
    let record = test.build_record();
    let version = record["images"].as_object().expect("a map").keys().find_map(|name| name.strip_prefix("me/base:"));
    let version = version.expect("an image of the base").to_owned();
    for (image, below) in [("base", None), ("router", Some("base")), ("exec", Some("router")), ("npc", Some("base"))] {
        assert_eq!(platforms(&test, &format!("me/{image}:{version}")), FIVE_PLATFORMS);
        for arch in FIVE {
            let stands_on = match below {
                Some(below) => format!("me/{below}-{arch}:{version}"),
                None => stand_in(arch).to_owned(),
            };
            is_of_the_suite(&test, image, &format!("me/{image}-{arch}:{version}"), &stands_on);
        }
    }
    assert_eq!(platforms(&test, "me/npc:latest"), FIVE_PLATFORMS);
    for arch in FIVE {
        has_what_the_templates_say(&test, arch, &version);
    }
}

/// What the templates are given for Alpine, by the names of single architectures.
fn stand_in(arch: &str) -> &'static str {
    match arch {
        "amd64" => "alpine-amd64:3.20",
        "arm" => "arm32v7/alpine-arm:3.20",
        "arm64" => "arm64v8/alpine-arm64:3.20",
        "ppc64le" => "ppc64le/alpine-ppc64le:3.20",
        "s390x" => "s390x/alpine-s390x:3.20",
        other => panic!("netsuite is not built for {other}"),
    }
}

/// Layers and labels of an image of netsuite.
fn is_of_the_suite(test: &Test, image: &str, name: &str, below: &str) {
    let layers = |name: &str| skopeo(test, &["--raw"], name)["layers"].as_array().expect("layers").clone();
    assert!(layers(name).starts_with(&layers(below)), "{name} stands on {below}");
    let config = skopeo(test, &["--config", "--raw"], name);
    let labels = &config["config"]["Labels"];
    let revision = labels["org.opencontainers.image.revision"].as_str().expect("a revision");
    assert_eq!((revision.len(), revision.get(..12)), (40, name.rsplit('-').next()), "{name}");
    assert_eq!(labels["org.opencontainers.image.vendor"], "Netsuite examples", "of the lowest template: {name}");
    if image != "base" {
        assert_eq!(labels["org.opencontainers.image.title"], image);
    }
    assert_eq!(labels["org.example.netsuite.backend"].as_str(), (image == "npc").then_some("nft"), "{name}");
}

/// What lies in the images of netsuite for one architecture, once umoci has unpacked them.
fn has_what_the_templates_say(test: &Test, arch: &str, version: &str) {
    let machine = MACHINES.iter().find(|(known, _)| *known == arch).expect("a known architecture").1;
    let root = umoci(test, &format!("me/exec-{arch}:{version}"));
    for name in ["netutil", "router", "proxy", "plugin"] {
        let packaged = fs::read(root.join("usr/bin").join(name)).expect("the program is in the image");
        let built = fs::read(test.dist(&format!("{arch}/{name}"))).expect("and in dist");
        assert!(packaged == built, "{name} of {arch} is not the one in dist");
    }
    // What commands of the image have said and installed, wherever they ran.
    let says =
        |path: &str| fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{arch}: {path}: {error}"));
    let known = Command::new("uname").arg("-m").output().map(|output| output.stdout);
    let known = String::from_utf8(known.expect("uname")).expect("text");
    let expected = match arch {
        _ if arch == host() => known.trim(),
        "amd64" => "x86_64",
        "arm" => "armv7l",
        "arm64" => "aarch64",
        other => other,
    };
    assert_eq!(says("etc/netsuite/machine").trim(), expected);
    assert_eq!(elf_header(&root.join("usr/sbin/conntrack"), "Machine"), machine);
    assert!(says("etc/passwd").contains("netsuite:x:6783:6783:"), "{arch}");
    let emulators: Vec<_> = fs::read_dir(root.join("usr/bin"))
        .expect("programs")
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("qemu-"))
        .map(|entry| entry.path())
        .collect();
    // The lines with CROSS_BUILD_ are for all but amd64.
    assert_eq!(emulators.len(), usize::from(arch != "amd64"), "{arch}: {emulators:?}");
    for emulator in &emulators {
        assert!(readelf("-h", emulator).contains("Machine:"), "{}", emulator.display());
    }
    if arch == "s390x" {
        let root = umoci(test, &format!("me/npc-{arch}:{version}"));
        assert!(fs::symlink_metadata(root.join("var/log/npc.pcap")).expect("a pipe").file_type().is_fifo());
        assert!(root.join("etc/netsuite/launch.sh").exists());
    }
}

/// An image's root file system.
fn umoci(test: &Test, name: &str) -> PathBuf {
    let bundle = test.path().join(name.replace(['/', ':'], "-"));
    let image = format!("{}:{name}", test.dist("images").display());
    let mut command = Command::new(tool("umoci"));
    command.args(["unpack", "--image", &image]).arg(&bundle);
    if !nix::unistd::Uid::effective().is_root() {
        command.arg("--rootless");
    }
    let output = command.output().expect("umoci can be run");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    bundle.join("rootfs")
}
