//! Everything from outside: the program itself, in real builders, judged by other programs where there are any.
//!
//! `scripts/test` runs these, and installs what they need. Environment:
//! - `XBUILD_TEST_STORE`: where warm and cold stores are; `target/test-store` when unset;
//! - `XBUILD_TEST_CASE`: a part of the names of those cases in `tests/equality` that are to be tried;
//! - `XBUILD_TEST_BLESS`: golden files are written, not compared;
//! - `XBUILD_FUZZ_SECONDS`, `XBUILD_FUZZ_SEED`: how long each parser is fuzzed, and with which inputs;
//! - `XBUILD_TEST_SEED`: chooses the moments of the kills;
//! - `XBUILD_TEST_SKIPPED`: a file that takes a line for each test that cannot run here. With `CI` set, it fails instead.

mod bases;
mod binaries;
mod command_line;
mod configuration;
mod crash;
mod determinism;
mod docker_client;
mod docker_in_docker;
mod downloads;
mod engines;
mod equality;
mod examples;
mod exports;
mod fuzz;
mod host_engine;
mod image_tests;
mod images;
mod imports;
mod libraries;
mod nothing_to_do;
mod plan;
mod project_git;
mod registries;
mod repositories;
mod run_lines;
mod sandbox;
mod store;
mod support;
mod templates;
mod toolchains;
