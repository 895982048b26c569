//! The flow of the modules, as the imports tell it: they point up the list of the crate's own documentation, never down.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Who may use whom. A module that is not here fails the test.
const ALLOWED: [(&str, &[&str]); 17] = [
    ("domain", &[]),
    ("config", &["domain"]),
    ("plan", &["config", "domain"]),
    ("store", &["domain"]),
    ("debian", &["domain"]),
    ("source", &["config", "store", "domain"]),
    ("verify", &["domain"]),
    ("image", &["store", "domain"]),
    ("registry", &["image", "domain"]),
    ("lint", &["image", "domain"]),
    ("structure", &["config", "image", "domain"]),
    ("fit", &["verify", "image", "domain"]),
    ("report", &["domain"]),
    ("docker", &["domain"]),
    ("doctor", &["debian", "docker", "engine", "store", "domain"]),
    // Images that others start from are steps of a plan like others: the engine puts them into the store's layout.
    ("engine", &["plan", "config", "store", "source", "debian", "docker", "verify", "image", "registry", "domain"]),
    (
        "cli",
        &[
            "plan",
            "config",
            "store",
            "source",
            "debian",
            "verify",
            "image",
            "lint",
            "structure",
            "fit",
            "report",
            "doctor",
            "docker",
            "engine",
            "domain",
        ],
    ),
];

#[test]
fn imports_point_with_the_flow() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for entry in ignore::WalkBuilder::new(&sources).build() {
        let entry = entry.expect("the sources can be read");
        let path = entry.path().strip_prefix(&sources).expect("it is below");
        if entry.path().extension().is_none_or(|extension| extension != "rs") || path.components().count() < 2 {
            continue;
        }
        let module = path.components().next().expect("a folder").as_os_str().to_str().expect("a name");
        let text = fs::read_to_string(entry.path()).expect("the sources can be read");
        match ALLOWED.iter().find(|(name, _)| *name == module) {
            None => wrong.push(format!("{}: the flow has no module {module}", path.display())),
            Some((_, allowed)) => {
                for used in uses(&text) {
                    seen += 1;
                    if used != module && !allowed.contains(&used.as_str()) {
                        wrong.push(format!("{}: {module} uses {used}", path.display()));
                    }
                }
            }
        }
    }
    assert!(seen > 50, "only {seen} imports found");
    assert!(wrong.is_empty(), "against the flow:\n{}", wrong.join("\n"));
}

/// The modules after `crate::`, in imports and in expressions.
fn uses(text: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for (place, _) in line.match_indices("crate::") {
            let rest = &line[place + "crate::".len()..];
            let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
            match rest.strip_prefix('{') {
                Some(list) => used.extend(list.split(',').map(|part| name(part.trim()))),
                None => _ = used.insert(name(rest)),
            }
        }
    }
    used.remove("");
    used
}

#[test]
fn uses_are_found_wherever_they_stand() {
    let text = "use crate::domain::{Arch, Error};\nlet x = crate::config::Variables::default();\n// crate::comment\n";
    assert_eq!(uses(text).into_iter().collect::<Vec<_>>(), ["config", "domain"]);
}
