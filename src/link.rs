//! How the program is linked, for `cargo`.
#![expect(clippy::print_stdout, reason = "it is how a build script speaks")]

fn main() {
    println!("cargo::rerun-if-changed=src/link.rs");
    // At fixed addresses nothing needs relocating: the 27,000 relocations of a movable program, and the pages that they
    // touch, are a tenth of the time that a command in a sandbox takes, which starts it twice.
    if std::env::var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("gnu") {
        println!("cargo::rustc-link-arg-bin=xbuild=-no-pie");
    }
}
