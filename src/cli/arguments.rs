//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::examples;
use super::export::Export;
use super::secrets::{AgentOption, SecretOption};
use crate::config::Passing;
use crate::domain::{Arch, BuilderChoice, EngineChoice, Name, TimeLimit};
use crate::lint::Level;
use crate::report::{Colour, Verbosity};

/// Cross-builds programs and multi-architecture images.
#[derive(Debug, Parser)]
#[command(name = "xbuild", version, max_term_width = 100, after_help = examples::XBUILD)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct Global {
    /// The project's folder, which paths in its file are relative to [default: the current one]
    #[arg(short = 'C', value_name = "DIR", default_value = ".", global = true, hide_default_value = true)]
    pub(super) folder: PathBuf,
    /// The project's file, relative to the current folder [default: DIR/xbuild.yaml]
    #[arg(short = 'f', long = "file", value_name = "FILE", global = true)]
    pub(super) file: Option<PathBuf>,
    /// Give a variable of the project a value; XBUILD_<NAME> in the environment does the same
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_pair, global = true)]
    pub(super) set: Vec<(String, String)>,
    /// Let commands see a variable: NAME as it is here, or NAME=VALUE
    #[arg(short = 'e', long = "env", value_name = "NAME[=VALUE]", value_parser = parse_passing, global = true)]
    pub(super) environment: Vec<Passing>,
    /// What runs commands: native, docker, docker=ENDPOINT for an address or a context, or host for the machine's own compilers [env: XBUILD_ENGINE] [default: native where the kernel allows it]
    #[arg(long, value_name = "ENGINE", value_parser = parse_engine, global = true)]
    pub(super) engine: Option<EngineChoice>,
    /// Build for a platform on another machine's engine, a context or an address; several share the work [env: XBUILD_BUILDERS]
    #[arg(long, value_name = "PLATFORM=ENGINE,..", value_delimiter = ',', value_parser = parse_builder, global = true)]
    pub(super) builders: Vec<BuilderChoice>,
    /// Processors to use [default: all]
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), global = true)]
    pub(super) jobs: Option<u16>,
    /// Kill commands of builds, tests and RUN lines that run for longer, as in 90s, 10m or 2h [default: never]
    #[arg(long, value_name = "TIME", value_parser = parse_time_limit, global = true)]
    pub(super) time_limit: Option<TimeLimit>,
    /// Download nothing
    #[arg(long, global = true)]
    pub(super) offline: bool,
    /// Write results and events as JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Show the output of commands, and cached steps
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    verbose: bool,
    /// Show failures only
    #[arg(short, long, global = true)]
    quiet: bool,
    /// When to use colour
    #[arg(long, value_enum, default_value_t = ColourChoice::Auto, value_name = "WHEN", global = true, hide_default_value = true, hide_possible_values = false)]
    color: ColourChoice,
}

impl Global {
    pub(super) fn verbosity(&self) -> Verbosity {
        match (self.verbose, self.quiet) {
            (true, _) => Verbosity::Verbose,
            (_, true) => Verbosity::Quiet,
            _ => Verbosity::Normal,
        }
    }

    pub(super) fn colour(&self) -> Colour {
        match self.color {
            ColourChoice::Auto => Colour::Auto,
            ColourChoice::Always => Colour::Always,
            ColourChoice::Never => Colour::Never,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ColourChoice {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Prepare builders, or look at toolchains
    #[command(after_help = examples::TOOLCHAIN)]
    Toolchain(ToolchainOptions),
    /// Cross-build programs into dist/<arch>/
    #[command(after_help = examples::BINARIES)]
    Binaries(Selection),
    /// Run the programs' tests, foreign ones under QEMU
    #[command(after_help = examples::TEST)]
    Test(TestOptions),
    /// Package programs into images in dist/images
    #[command(after_help = examples::IMAGES)]
    Images(ImagesOptions),
    /// Look for mistakes in Dockerfiles and scripts
    #[command(after_help = examples::LINT)]
    Lint(LintOptions),
    /// Run a command in a builder, in the project's tree
    #[command(after_help = examples::RUN)]
    Run(RunOptions),
    /// Open a shell in a builder, in the project's tree
    #[command(after_help = examples::SHELL)]
    Shell(BuilderOptions),
    /// Show every step: its key, its state, what runs
    #[command(after_help = examples::PLAN)]
    Plan(PlanOptions),
    /// Show facts of programs: machine, linkage, C library, and more
    #[command(after_help = examples::VERIFY)]
    Verify(VerifyOptions),
    /// Say what works on this machine, and what mends the rest
    #[command(after_help = examples::DOCTOR)]
    Doctor,
    /// Look at the store, clean it, check it
    #[command(after_help = examples::CACHE)]
    Cache(CacheOptions),
}

#[derive(Debug, Args)]
pub(super) struct ArchOptions {
    /// Architectures, with commas between [default: the project's]
    #[arg(short, long = "arch", value_name = "ARCH,..", value_delimiter = ',', value_parser = parse_arch)]
    pub(super) arches: Vec<Arch>,
}

#[derive(Debug, Args)]
pub(super) struct Selection {
    /// Only these [default: all of the project]
    #[arg(value_name = "NAME", value_parser = parse_name)]
    pub(super) names: Vec<Name>,
    #[command(flatten)]
    pub(super) arch: ArchOptions,
    /// Ask the package mirror again which versions there are
    #[arg(long)]
    pub(super) update: bool,
}

#[derive(Debug, Args)]
pub(super) struct ImagesOptions {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// Ask again what the names of base images stand for
    #[arg(long)]
    pub(super) pull: bool,
    /// Run every command again
    #[arg(long)]
    pub(super) no_cache: bool,
    /// End with this stage of the Dockerfiles
    #[arg(long, value_name = "STAGE")]
    pub(super) target: Option<String>,
    /// Who carries out the Dockerfiles: xbuild, or the builder of the engine that --engine or --builders names
    #[arg(long, value_enum, default_value_t = BuiltBy::Xbuild, value_name = "BUILDER")]
    pub(super) built_by: BuiltBy,
    /// Show a secret to the RUN lines that ask for it: id=NAME,src=FILE or id=NAME,env=VARIABLE
    #[arg(long, value_name = "SECRET")]
    pub(super) secret: Vec<SecretOption>,
    /// Let the RUN lines that ask for it use an SSH agent: NAME or NAME=SOCKET
    #[arg(long, value_name = "AGENT")]
    pub(super) ssh: Vec<AgentOption>,
    /// Also write the images as `type=TYPE,dest=PATH`; may be repeated
    ///
    /// type=docker is an archive for `docker load`, type=oci an OCI layout as an archive with all architectures,
    /// type=tar the root file system as an archive, type=local as a folder, and type=plugin with config=FILE the
    /// folder that `docker plugin create` takes. An archive whose name ends in gz is compressed. All but oci take
    /// one architecture (--arch); tar, local and plugin take one image.
    #[arg(short, long = "output", value_name = "OUTPUT", value_parser = parse_export)]
    pub(super) outputs: Vec<Export>,
    /// Load the images into Docker or Podman
    #[arg(long)]
    pub(super) load: bool,
    /// Test the images by this file, too, in the format of container-structure-test; may be repeated
    #[arg(long = "test", value_name = "FILE")]
    pub(super) tests: Vec<PathBuf>,
    /// How long each command of a test may run
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) test_timeout: u32,
}

/// Who carries out Dockerfiles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum BuiltBy {
    #[default]
    Xbuild,
    Engine,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct ToolchainOptions {
    #[command(subcommand)]
    pub(super) verb: Option<ToolchainVerb>,
    #[command(flatten)]
    pub(super) build: ToolchainBuild,
}

#[derive(Debug, Args)]
pub(super) struct ToolchainBuild {
    /// The toolchain [default: the project's, or debian-trixie]
    #[arg(value_name = "TOOLCHAIN", value_parser = parse_name)]
    pub(super) name: Option<Name>,
    #[command(flatten)]
    pub(super) arch: ArchOptions,
    /// Ask the package mirror again which versions there are
    #[arg(long)]
    pub(super) update: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum ToolchainVerb {
    /// List the toolchains there are
    Ls,
    /// Show a toolchain's definition
    #[command(after_help = examples::TOOLCHAIN_SHOW)]
    Show {
        /// The toolchain
        #[arg(value_name = "TOOLCHAIN", value_parser = parse_name)]
        name: Name,
        /// Show it as a Dockerfile that makes the same builder
        #[arg(long)]
        dockerfile: bool,
        #[command(flatten)]
        arch: ArchOptions,
    },
    /// Prepare builders
    Build(ToolchainBuild),
}

#[derive(Debug, Args)]
pub(super) struct TestOptions {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// Run the programs with these arguments instead of their tests
    #[arg(last = true, value_name = "ARG")]
    pub(super) arguments: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct RunOptions {
    #[command(flatten)]
    pub(super) builder: BuilderOptions,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(super) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct BuilderOptions {
    /// The builder's architecture
    #[arg(short, long, value_name = "ARCH", value_parser = parse_arch)]
    pub(super) arch: Arch,
    /// Give it the machine's network
    #[arg(long)]
    pub(super) network: bool,
}

#[derive(Debug, Args)]
pub(super) struct PlanOptions {
    /// Only these images or programs [default: all of the project]
    #[arg(value_name = "NAME", value_parser = parse_name)]
    pub(super) names: Vec<Name>,
    #[command(flatten)]
    pub(super) arch: ArchOptions,
    /// How to show it
    #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
    pub(super) format: PlanFormat,
    /// Show the Dockerfiles of images, as their templates expand
    #[arg(long, conflicts_with = "format")]
    pub(super) dockerfile: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PlanFormat {
    Text,
    Json,
    Dot,
}

#[derive(Debug, Args)]
pub(super) struct VerifyOptions {
    /// Programs to look at [default: all in dist/]
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct LintOptions {
    /// Dockerfiles and shell scripts [default: those of the project's images]
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Leave out a rule, such as DL3008; may be repeated
    #[arg(long, value_name = "CODE")]
    pub(super) ignore: Vec<String>,
    /// The least level that makes the command fail
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = FailOn::Warning)]
    pub(super) fail_on: FailOn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    Error,
    Warning,
    Info,
    Style,
    None,
}

impl FailOn {
    /// The level; none where nothing is to fail.
    pub(super) fn level(self) -> Option<Level> {
        match self {
            FailOn::Error => Some(Level::Error),
            FailOn::Warning => Some(Level::Warning),
            FailOn::Info => Some(Level::Info),
            FailOn::Style => Some(Level::Style),
            FailOn::None => None,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct CacheOptions {
    #[command(subcommand)]
    pub(super) verb: CacheVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum CacheVerb {
    /// Show what the store holds
    Ls,
    /// Remove what is left over, and what was not used for a while
    #[command(after_help = examples::CACHE_GC)]
    Gc {
        /// Days without use after which something goes
        #[arg(long, value_name = "DAYS", default_value_t = 30)]
        unused: u32,
    },
    /// Check the store against its records
    Fsck,
}

fn parse_arch(text: &str) -> Result<Arch, String> {
    Arch::find(text).ok_or_else(|| format!("there are {}", Arch::names()))
}

fn parse_name(text: &str) -> Result<Name, String> {
    text.parse().map_err(|error: crate::domain::ParseNameError| error.to_string())
}

fn parse_engine(text: &str) -> Result<EngineChoice, String> {
    text.parse().map_err(|error: crate::domain::Error| error.with_hints())
}

fn parse_time_limit(text: &str) -> Result<TimeLimit, String> {
    text.parse().map_err(|error: crate::domain::Error| error.with_hints())
}

fn parse_builder(text: &str) -> Result<BuilderChoice, String> {
    text.parse().map_err(|error: crate::domain::Error| error.with_hints())
}

fn parse_passing(text: &str) -> Result<Passing, String> {
    text.parse().map_err(|error: crate::domain::Error| error.with_hints())
}

fn parse_export(text: &str) -> Result<Export, String> {
    text.parse()
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it is NAME=VALUE".into()),
    }
}
