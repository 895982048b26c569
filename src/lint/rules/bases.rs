//! FROM lines.

use crate::image::Dockerfile;
use crate::lint::{Finding, Level};

pub(super) fn check(file: &Dockerfile, own: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for stage in &file.stages {
        let from = &stage.from;
        let image = from.image.text.as_str();
        let mut add = |level, code, message: String| findings.push(Finding::new(from.image.span, level, code, message));
        // What a variable stands for is not known here.
        let foreign = image != "scratch" && !image.contains('$') && !names.contains(&image.to_lowercase());
        if foreign && !image.contains('@') && !own(image) {
            let tag = image.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
            match tag {
                None => add(Level::Warning, "DL3006", format!("give '{image}' a tag: what it is may change any day")),
                Some("latest") => {
                    add(Level::Warning, "DL3007", format!("'{image}' changes with every release: choose a version"));
                }
                Some(_) => {}
            }
            add(Level::Info, "XB1001", format!("'{image}' is not pinned: add @sha256:.., and it stays what it is"));
        }
        if let Some(platform) = from.platform.as_ref().filter(|platform| !platform.text.contains('$')) {
            let text = format!("--platform={} holds the image to one architecture", platform.text);
            findings.push(Finding::new(platform.span, Level::Warning, "DL3029", text));
        }
        if let Some(name) = &from.name {
            let name = name.to_lowercase();
            if names.contains(&name) {
                let text = format!("there is a stage '{name}' already");
                findings.push(Finding::new(from.span, Level::Error, "DL3024", text));
            }
            names.push(name);
        }
    }
    findings
}
