//! Programs that judge, golden files, and facts of the machine.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// xbuild's name of the machine's architecture.
pub(crate) fn host() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => panic!("no tests on {other}"),
    }
}

/// The path of a program that a test needs.
pub(crate) fn tool(name: &str) -> PathBuf {
    which::which(name).unwrap_or_else(|_| panic!("the program {name} is not there; scripts/test installs it"))
}

/// What `readelf` says of a file.
pub(crate) fn readelf(option: &str, file: &Path) -> String {
    let output = Command::new(tool("readelf")).args(["-W", option]).arg(file).env("LC_ALL", "C").output();
    let output = output.expect("readelf can be run");
    assert!(output.status.success(), "readelf {}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A line of `readelf -h`, as in `elf_header(file, "Machine")`.
pub(crate) fn elf_header(file: &Path, name: &str) -> String {
    let text = readelf("-h", file);
    let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("readelf tells no {name} of {}", file.display())).trim().to_owned()
}

/// Compares with a file in `tests/golden`, or writes it with `XBUILD_TEST_BLESS` set.
pub(crate) fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("XBUILD_TEST_BLESS").is_some() {
        fs::write(&path, text).expect("the golden file can be written");
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == text,
        "{name} is not as it was; if it should change, XBUILD_TEST_BLESS=1 writes it anew\n--- was\n{expected}\n--- is\n{text}"
    );
}

/// A number that no other test has.
pub(crate) fn unique() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    u64::from(std::process::id()) * 1000 + NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Processes with an argument.
pub(crate) fn processes_with(argument: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if line.split(|byte| *byte == 0).any(|word| word == argument.as_bytes()) {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found
}

/// Waits for something that another process does.
pub(crate) fn wait_until(what: &str, there: impl Fn() -> bool) {
    let started = Instant::now();
    while !there() {
        assert!(started.elapsed() < Duration::from_secs(300), "{what}: not within five minutes");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Says that a test cannot run here; in CI that is a failure.
pub(crate) fn skip(reason: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    assert!(std::env::var_os("CI").is_none(), "{name} cannot run: {reason}");
    if let Some(path) = std::env::var_os("XBUILD_TEST_SKIPPED") {
        let file = fs::File::options().append(true).create(true).open(path);
        let written = file.and_then(|mut file| writeln!(file, "{name}: {reason}"));
        written.expect("the list of skipped tests can be written");
    }
}
