//! The private apt's configuration: the machine's connections, and nothing else of its.

use crate::domain::Arch;

/// `Acquire` settings of the machine that do not concern how to reach a mirror.
const NOT_CARRIED: [&str; 9] = [
    "Acquire::Allow",
    "Acquire::Changelogs",
    "Acquire::CompressionTypes",
    "Acquire::ForceHash",
    "Acquire::GzipIndexes",
    "Acquire::IndexTargets",
    "Acquire::Languages",
    "Acquire::PDiffs",
    "Acquire::cdrom",
];

/// The text of the private `apt.conf`; `machine` is what `apt-config dump` prints.
pub(crate) fn configuration(directory: &str, host: Arch, machine: &str) -> String {
    let value = |key: &str| {
        let line = machine.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" \"")?.strip_suffix("\";"));
        line.unwrap_or_default().to_owned()
    };
    let rooted = |key: &str| match value(key) {
        path if path.starts_with('/') => path,
        path => format!("/{}/{path}", value("Dir::Etc")),
    };
    let (netrc, netrc_parts) = (rooted("Dir::Etc::netrc"), rooted("Dir::Etc::netrcparts"));
    let mut text: String = machine
        .lines()
        .filter(|line| line.starts_with("Acquire::") && !NOT_CARRIED.iter().any(|prefix| line.starts_with(prefix)))
        .flat_map(|line| [line, "\n"])
        .collect();
    // Uncompressed indexes and no sandbox user: half a second less, and a private directory that apt can read. The cache
    // that a status file belongs to is not kept: several are asked for at once, each with another status.
    text += &format!(
        r#"Dir "{directory}/";
Dir::State "{directory}/";
Dir::State::lists "{directory}/lists/";
Dir::State::status "{directory}/etc/status";
Dir::State::extended_states "{directory}/extended_states";
Dir::Cache "{directory}/cache/";
Dir::Cache::pkgcache "";
Dir::Cache::archives "{directory}/cache/archives/";
Dir::Log "{directory}/";
Dir::Etc "{directory}/etc/";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::sourcelist "{directory}/etc/sources.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts "/dev/null";
Dir::Etc::netrc "{netrc}";
Dir::Etc::netrcparts "{netrc_parts}";
APT::Architecture "{arch}";
APT::Architectures:: "{arch}";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::GzipIndexes "false";
Acquire::PDiffs "false";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
"#,
        arch = host.debian()
    );
    if value("Acquire::Retries").is_empty() {
        text += "Acquire::Retries \"3\";\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_carried_over_and_hooks_are_not() {
        let machine = "Dir::Etc \"etc/apt\";\nDir::Etc::netrc \"auth.conf\";\nDir::Etc::netrcparts \"auth.conf.d\";\n\
            Acquire::http::Proxy \"http://u:p@proxy:3128\";\nAcquire::AllowInsecureRepositories \"1\";\n\
            Acquire::Languages:: \"de\";\nAPT::Update::Post-Invoke:: \"rm -f /var/cache/apt/*.bin\";\n\
            DPkg::Post-Invoke:: \"x\";\n";
        let text = configuration("/state", Arch::Amd64, machine);
        assert!(text.starts_with("Acquire::http::Proxy \"http://u:p@proxy:3128\";\nDir \"/state/\";\n"), "{text}");
        assert!(text.contains("Dir::Etc::netrc \"/etc/apt/auth.conf\";\n"), "{text}");
        assert!(!text.contains("Invoke") && !text.contains("\"1\"") && !text.contains("\"de\""), "{text}");
    }
}
