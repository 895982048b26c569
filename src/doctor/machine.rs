//! What the machine is: kernel, processors, memory.

use std::fs;
use std::path::Path;

use super::Finding;
use super::finding::INFORMATION;

/// Below this, a compiler of C++ or Go may be killed.
const LITTLE: u64 = 2 << 30;

pub(super) fn version() -> Finding {
    let host = std::env::consts::ARCH;
    Finding::works("xbuild", INFORMATION, format!("{} for {host}", env!("CARGO_PKG_VERSION")))
}

pub(super) fn kernel() -> Finding {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_else(|_| "unknown".into());
    Finding::works("kernel", INFORMATION, format!("Linux {}", release.trim()))
}

pub(super) fn processors() -> Finding {
    let count = std::thread::available_parallelism().map_or(1, |count| count.get());
    Finding::works("processors", INFORMATION, count.to_string())
}

pub(super) fn memory() -> Finding {
    const NAME: &str = "memory";
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let (Some(total), Some(free)) = (field(&text, "MemTotal"), field(&text, "MemAvailable")) else {
        return Finding::limited(NAME, INFORMATION, "/proc/meminfo does not say");
    };
    let (usable, limit) = match group_limit() {
        Some(limit) if limit < total => (limit.min(free), format!(", limited to {} by the control group", size(limit))),
        _ => (free, String::new()),
    };
    let detail = format!("{} free of {}{limit}", size(free), size(total));
    if usable < LITTLE {
        Finding::limited(NAME, INFORMATION, detail).mend("lower `--jobs`, so that compilers are not killed for memory")
    } else {
        Finding::works(NAME, INFORMATION, detail)
    }
}

/// Bytes for people, in steps of 1024.
pub(super) fn size(bytes: u64) -> String {
    if bytes >= 1 << 30 {
        format!("{:.1} GiB", bytes as f64 / (1_u64 << 30) as f64)
    } else {
        format!("{} MiB", bytes >> 20)
    }
}

/// Bytes of a field of `/proc/meminfo`, which counts in KiB.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The lowest memory limit of this process's control groups, of either version.
fn group_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut files = Vec::new();
    for line in groups.lines() {
        let Some((root, path, file)) = group(line) else { continue };
        // In a container, the path is the machine's and what is mounted is the container's own.
        let folders = Path::new(path).ancestors().map(|folder| folder.strip_prefix("/").unwrap_or(folder));
        files.extend(folders.map(|folder| Path::new(root).join(folder).join(file)));
    }
    files.iter().filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok()).min()
}

/// Mount point, path and limit file of a line of `/proc/self/cgroup`, if it is about memory.
fn group(line: &str) -> Option<(&'static str, &str, &'static str)> {
    let (_, rest) = line.split_once(':')?;
    match rest.split_once(':')? {
        ("", path) => Some(("/sys/fs/cgroup", path, "memory.max")),
        (controllers, path) if controllers.split(',').any(|name| name == "memory") => {
            Some(("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_counts_in_kib() {
        let text = "MemTotal:        8130408 kB\nMemFree:           1 kB\nHugePages_Total:       0\n";
        assert_eq!(field(text, "MemTotal"), Some(8_130_408 << 10));
        assert_eq!(field(text, "Mem"), None);
        assert_eq!(field(text, "HugePages_Total"), None);
    }

    #[test]
    fn both_versions_of_control_groups_limit_memory() {
        assert_eq!(group("0::/user.slice"), Some(("/sys/fs/cgroup", "/user.slice", "memory.max")));
        assert_eq!(group("5:cpu,memory:/a"), Some(("/sys/fs/cgroup/memory", "/a", "memory.limit_in_bytes")));
        assert_eq!(group("5:cpu:/a"), None);
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(5 << 20), "5 MiB");
        assert_eq!(size(3 << 29), "1.5 GiB");
    }
}
