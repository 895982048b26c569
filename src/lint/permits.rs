//! Comments that allow what a rule forbids: `# hadolint ignore=DL3006,DL3008` for the instruction below it, and
//! `# hadolint global ignore=..` for the whole file.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;

/// Codes that are allowed, by the line of the instruction, and everywhere.
#[derive(Debug, Default)]
pub(super) struct Permits {
    lines: BTreeMap<usize, BTreeSet<String>>,
    everywhere: BTreeSet<String>,
}

fn codes(text: &str) -> Option<BTreeSet<String>> {
    // What comes after the list is people's reason.
    let list = text.trim_start().strip_prefix("ignore")?.trim_start().strip_prefix('=')?;
    let list = list.split('#').next().unwrap_or_default();
    Some(list.split([',', ' ', '\t']).filter(|code| !code.is_empty()).map(str::to_owned).collect())
}

impl Permits {
    pub(super) fn read(text: &str) -> Permits {
        let mut permits = Permits::default();
        let mut waiting = BTreeSet::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_start();
            match line.strip_prefix('#') {
                Some(comment) => {
                    for tool in ["hadolint", "xbuild"] {
                        let Some(rest) = comment.trim_start().strip_prefix(tool) else { continue };
                        let rest = rest.trim_start();
                        match rest.strip_prefix("global") {
                            Some(rest) => permits.everywhere.extend(codes(rest).into_iter().flatten()),
                            None => waiting.extend(codes(rest).into_iter().flatten()),
                        }
                    }
                }
                None if line.is_empty() => {}
                None if waiting.is_empty() => {}
                None => _ = permits.lines.insert(index + 1, std::mem::take(&mut waiting)),
            }
        }
        permits
    }

    /// Whether a finding of an instruction that starts in a line counts.
    pub(super) fn allow(&self, instruction: usize, finding: &Finding) -> bool {
        self.everywhere.contains(&finding.code)
            || self.lines.get(&instruction).is_some_and(|codes| codes.contains(&finding.code))
    }
}
