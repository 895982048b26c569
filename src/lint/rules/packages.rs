//! RUN lines that install packages.

use super::runs::script;
use crate::image::{Instruction, Run, Stage};
use crate::lint::shell::{Script, has, operands};
use crate::lint::{Finding, Level};

/// What has a version, or cannot have one: a file, an address, a variable.
fn pinned(package: &str, versions: &[&str]) -> bool {
    versions.iter().any(|version| package.contains(version))
        || package.contains(['$', '/', '*'])
        || package.starts_with('.')
        || [".deb", ".apk", ".rpm", ".whl", ".tar.gz", ".tgz", ".gem"].iter().any(|ending| package.ends_with(ending))
}

/// The packages of commands as in `apt-get install a b`.
fn packages<'a>(arguments: &'a [String], verbs: &[&str], valued: &[&str]) -> Option<Vec<&'a str>> {
    let operands = operands(arguments, valued);
    let (verb, rest) = operands.split_first()?;
    verbs.contains(verb).then(|| rest.to_vec())
}

fn cached(run: &Run, folder: &str) -> bool {
    let names = |text: &str| text == "target" || text == "dst" || text == "destination";
    run.mounts.iter().any(|mount| {
        mount.options.iter().any(|option| {
            let value = option.value.as_ref().map_or("", |value| value.text.as_str());
            names(&option.name.text) && (value.starts_with(folder) || folder.starts_with(value))
        })
    })
}

pub(super) fn check(stage: &Stage, kept: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut no_pip_cache = false;
    for step in &stage.steps {
        if let Instruction::Env(pairs) = &step.instruction {
            no_pip_cache |= pairs.iter().any(|pair| pair.name.text == "PIP_NO_CACHE_DIR");
        }
        let (Instruction::Run(run), Some(script)) = (&step.instruction, script(&step.instruction)) else { continue };
        let mut add = |level, code, message: String| findings.push(Finding::new(step.span, level, code, message));
        apt(&script, run, kept, &mut add);
        apk(&script, run, &mut add);
        pip(&script, run, no_pip_cache, &mut add);
        for arguments in script.of("npm") {
            let names = packages(arguments, &["install", "i", "add"], &["--prefix", "--registry"]);
            for package in names.into_iter().flatten() {
                if !package[1..].contains('@') && !pinned(package, &["://", "git+"]) {
                    add(Level::Warning, "DL3016", format!("which version of {package}? As in {package}@1.2.3"));
                }
            }
        }
        for arguments in script.of("gem") {
            let versioned = has(arguments, &["-v", "--version"]);
            for package in packages(arguments, &["install", "i"], &["-v", "--version"]).into_iter().flatten() {
                if !versioned && !pinned(package, &[":"]) {
                    add(Level::Warning, "DL3028", format!("which version of {package}? As in {package}:1.2.3"));
                }
            }
        }
        if script.of("yarn").any(|arguments| operands(arguments, &[]).first() == Some(&"install"))
            && !script.of("yarn").any(|arguments| operands(arguments, &[]).starts_with(&["cache", "clean"]))
            && !cached(run, "/usr/local/share/.cache/yarn")
        {
            add(Level::Info, "DL3060", "`yarn cache clean` in the same RUN makes the layer smaller".into());
        }
    }
    findings
}

fn apt(script: &Script, run: &Run, kept: bool, add: &mut dyn FnMut(Level, &'static str, String)) {
    let valued = ["-t", "--target-release", "-o", "--option", "-c", "--config-file"];
    let mut updates = false;
    for arguments in script.of("apt-get").chain(script.of("apt")) {
        updates |= operands(arguments, &valued).first() == Some(&"update");
        let Some(names) = packages(arguments, &["install"], &valued) else { continue };
        let loose: Vec<&str> = names.into_iter().filter(|package| !pinned(package, &["="])).collect();
        if !loose.is_empty() {
            let text = format!("which version of {}? As in {}=1.2.3", loose.join(", "), loose[0]);
            add(Level::Warning, "DL3008", text);
        }
        if !has(arguments, &["-y", "--yes", "--assume-yes", "-qq"]) {
            add(Level::Warning, "DL3014", "nobody is there to say yes: -y".into());
        }
        let option = arguments.iter().any(|argument| argument.contains("APT::Install-Recommends"));
        if !has(arguments, &["--no-install-recommends"]) && !option {
            add(Level::Info, "DL3015", "--no-install-recommends leaves out what nothing needs".into());
        }
    }
    let removes = script.of("rm").any(|arguments| arguments.iter().any(|path| path.starts_with("/var/lib/apt")));
    if updates && kept && !removes && !cached(run, "/var/lib/apt") {
        add(Level::Info, "DL3009", "`rm -rf /var/lib/apt/lists/*` in the same RUN makes the layer smaller".into());
    }
}

fn apk(script: &Script, run: &Run, add: &mut dyn FnMut(Level, &'static str, String)) {
    let valued = ["-t", "--virtual", "-X", "--repository", "-p", "--root", "--arch"];
    for arguments in script.of("apk") {
        let Some(names) = packages(arguments, &["add"], &valued) else { continue };
        let loose: Vec<&str> = names.into_iter().filter(|package| !pinned(package, &["=", "<", ">", "~"])).collect();
        if !loose.is_empty() {
            let text = format!("which version of {}? As in {}=1.2.3-r0", loose.join(", "), loose[0]);
            add(Level::Warning, "DL3018", text);
        }
        let removes = script.of("rm").any(|arguments| arguments.iter().any(|path| path.starts_with("/var/cache/apk")));
        if !has(arguments, &["--no-cache"]) && !removes && !cached(run, "/var/cache/apk") {
            add(Level::Info, "DL3019", "--no-cache leaves no index in the layer".into());
        }
    }
}

fn pip(script: &Script, run: &Run, no_cache: bool, add: &mut dyn FnMut(Level, &'static str, String)) {
    let valued = [
        "-r",
        "--requirement",
        "-c",
        "--constraint",
        "-i",
        "--index-url",
        "--extra-index-url",
        "-e",
        "--editable",
        "-t",
        "--target",
        "--prefix",
        "--root",
        "--trusted-host",
        "--find-links",
        "-f",
    ];
    let as_module =
        |arguments: &'static str| move |words: &&[String]| words.first().is_some_and(|word| word == arguments);
    let modules = ["python", "python3"].into_iter().flat_map(|python| {
        let after =
            |words: &[String]| words.iter().position(|word| word == "pip").map(|place| words[place + 1..].to_vec());
        script.of(python).filter(as_module("-m")).filter_map(after).collect::<Vec<_>>()
    });
    let direct =
        ["pip", "pip2", "pip3"].into_iter().flat_map(|pip| script.of(pip).map(<[String]>::to_vec).collect::<Vec<_>>());
    for arguments in direct.chain(modules).collect::<Vec<_>>() {
        let Some(names) = packages(&arguments, &["install"], &valued) else { continue };
        let held = has(&arguments, &["-r", "--requirement", "-c", "--constraint", "-e", "--editable"]);
        let loose: Vec<&str> = names
            .into_iter()
            .filter(|package| !pinned(package, &["==", ">=", "<=", ">", "<", "~=", "@", "!="]))
            .collect();
        if !loose.is_empty() && !held {
            add(Level::Warning, "DL3013", format!("which version of {}? As in {}==1.2.3", loose.join(", "), loose[0]));
        }
        if !no_cache && !has(&arguments, &["--no-cache-dir"]) && !cached(run, "/root/.cache/pip") {
            add(Level::Warning, "DL3042", "--no-cache-dir leaves no downloads in the layer".into());
        }
    }
}
