//! What an image must be like, in the format of container-structure-test.

use std::path::Path;

use serde::Deserialize;

use super::yaml;
use crate::domain::{Error, Result};

/// A file of tests, schema 2.0.0.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StructureSpec {
    /// `2.0.0`.
    pub schema_version: String,
    /// Variables for all commands.
    #[serde(default)]
    pub global_env_vars: Vec<SpecVariable>,
    /// Files that are there, or not.
    #[serde(default)]
    pub file_existence_tests: Vec<FileExistenceTest>,
    /// What is in files.
    #[serde(default)]
    pub file_content_tests: Vec<FileContentTest>,
    /// What commands say.
    #[serde(default)]
    pub command_tests: Vec<CommandTest>,
    /// The image's configuration.
    #[serde(default)]
    pub metadata_test: Option<MetadataTest>,
    /// How the containers of commands differ from what the image says.
    #[serde(default)]
    pub container_run_options: ContainerRunOptions,
}

/// How the containers of commands differ from what the image says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ContainerRunOptions {
    /// Instead of the image's own user.
    pub user: Option<String>,
    /// Names of variables that are handed on from the environment of whoever runs xbuild.
    pub env_vars: Vec<String>,
    /// Not supported.
    pub privileged: bool,
    /// Not supported.
    pub allocate_tty: bool,
    /// Not supported.
    pub env_file: Option<String>,
    /// Not supported.
    pub capabilities: Vec<String>,
    /// Not supported.
    pub bind_mounts: Vec<String>,
}

impl ContainerRunOptions {
    /// The first that cannot be had, and why.
    fn refused(&self) -> Option<(&'static str, &'static str)> {
        let here = "the test must be the same on every machine";
        let namespace = "commands run in a user namespace of their own, with all rights in it";
        [
            (self.privileged, "privileged", namespace),
            (!self.capabilities.is_empty(), "capabilities", namespace),
            (self.allocate_tty, "allocateTty", "output comes back as two streams, and there is no terminal"),
            (self.env_file.is_some(), "envFile", "variables stand in `envVars` and `globalEnvVars`"),
            (!self.bind_mounts.is_empty(), "bindMounts", here),
        ]
        .into_iter()
        .find(|(set, ..)| *set)
        .map(|(_, name, why)| (name, why))
    }
}

/// A variable or a label.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpecVariable {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Whether the value is a regular expression.
    #[serde(default)]
    pub is_regex: bool,
}

fn yes() -> bool {
    true
}

/// A file that is there, or not.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileExistenceTest {
    /// The test's name.
    pub name: String,
    /// The file.
    pub path: String,
    /// Whether it must be there.
    #[serde(default = "yes")]
    pub should_exist: bool,
    /// As `ls -l` shows them.
    #[serde(default)]
    pub permissions: Option<String>,
    /// The owner's number.
    #[serde(default)]
    pub uid: Option<u32>,
    /// The group's number.
    #[serde(default)]
    pub gid: Option<u32>,
    /// Who may run it.
    #[serde(default)]
    pub is_executable_by: Option<ExecutableBy>,
}

/// Who may run a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutableBy {
    /// Its owner.
    Owner,
    /// Its group.
    Group,
    /// All others.
    Other,
    /// Any of them.
    Any,
}

/// What is in a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileContentTest {
    /// The test's name.
    pub name: String,
    /// The file.
    pub path: String,
    /// Regular expressions that match.
    #[serde(default)]
    pub expected_contents: Vec<String>,
    /// Regular expressions that do not.
    #[serde(default)]
    pub excluded_contents: Vec<String>,
}

/// What a command says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommandTest {
    /// The test's name.
    pub name: String,
    /// Commands before it.
    #[serde(default)]
    pub setup: Vec<Vec<String>>,
    /// Commands after it.
    #[serde(default)]
    pub teardown: Vec<Vec<String>>,
    /// The program.
    pub command: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Variables.
    #[serde(default)]
    pub env_vars: Vec<SpecVariable>,
    /// Regular expressions that match its output.
    #[serde(default)]
    pub expected_output: Vec<String>,
    /// Regular expressions that do not.
    #[serde(default)]
    pub excluded_output: Vec<String>,
    /// Regular expressions that match its error output.
    #[serde(default)]
    pub expected_error: Vec<String>,
    /// Regular expressions that do not.
    #[serde(default)]
    pub excluded_error: Vec<String>,
    /// How it ends.
    #[serde(default)]
    pub exit_code: i32,
}

/// The image's configuration; what is not given is not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MetadataTest {
    /// Variables that are set so.
    #[serde(alias = "env")]
    pub env_vars: Vec<SpecVariable>,
    /// Names of variables that are not set.
    pub unbound_env_vars: Vec<String>,
    /// Labels.
    pub labels: Vec<SpecVariable>,
    /// Ports, as in `80` or `53/udp`.
    pub exposed_ports: Vec<String>,
    /// Ports that are not exposed.
    pub unexposed_ports: Vec<String>,
    /// Folders with data of their own.
    pub volumes: Vec<String>,
    /// Folders without.
    pub unmounted_volumes: Vec<String>,
    /// The program; `[]` for none.
    pub entrypoint: Option<Vec<String>>,
    /// Its arguments; `[]` for none.
    pub cmd: Option<Vec<String>>,
    /// Where it starts.
    pub workdir: Option<String>,
    /// As whom.
    pub user: Option<String>,
}

impl StructureSpec {
    /// Parses the text of a file, which is named in errors.
    ///
    /// # Errors
    /// What is wrong, with its place; another version of the schema.
    pub fn parse(name: &str, text: &str) -> Result<StructureSpec> {
        let spec: StructureSpec = yaml::parse(name, text)?;
        if !matches!(spec.schema_version.as_str(), "2.0.0" | "v2.0.0") {
            return Err(Error::usage(format!("{name}: schemaVersion is '{}'", spec.schema_version))
                .hint("xbuild reads schemaVersion: \"2.0.0\""));
        }
        if let Some((option, why)) = spec.container_run_options.refused() {
            return Err(Error::usage(format!("{name}: containerRunOptions: {option} is not supported: {why}")));
        }
        for test in &spec.command_tests {
            let chores = test.setup.iter().chain(&test.teardown);
            if test.command.is_empty() || chores.into_iter().any(|argv| argv.first().is_none_or(String::is_empty)) {
                return Err(Error::usage(format!("{name}: the test '{}' has a command that is empty", test.name)));
            }
        }
        Ok(spec)
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<StructureSpec> {
        StructureSpec::parse(&path.display().to_string(), &yaml::read(path)?)
    }
}
