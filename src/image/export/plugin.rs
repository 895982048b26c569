//! A folder that `docker plugin create` takes: a root file system and the plugin's description.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::filesystem_folder;
use crate::domain::{Error, Result, ResultExt};
use crate::image::MergedImage;

/// A description is smaller than this.
const LARGEST: u64 = 1 << 20;

/// Writes `rootfs/` and `config.json` into a folder that is empty, or is made. The description is the project's own
/// file, checked to be one; what it leaves open comes from the image: the program to start, its folder, its environment.
///
/// # Errors
/// A description that is none, or has no interface; an image that starts no program; a folder that cannot be written.
pub fn plugin_folder(image: &MergedImage, description: &Path, into: &Path) -> Result<()> {
    let failed = || format!("cannot read {}", description.display());
    let size = description.metadata().or_usage(failed)?.len();
    if size > LARGEST {
        return Err(Error::usage(format!("{} has {size} bytes, and may have {LARGEST}", description.display())));
    }
    let text = fs::read_to_string(description).or_usage(failed)?;
    let config = describe(image, &text).context(|| description.display().to_string())?;
    let made = || format!("cannot write {}", into.display());
    fs::create_dir_all(into).or_environment(made)?;
    if fs::read_dir(into).or_environment(made)?.next().is_some() {
        return Err(Error::usage(format!("{} is not empty", into.display())));
    }
    filesystem_folder(image, &into.join("rootfs"))?;
    fs::write(into.join("config.json"), config + "\n").or_environment(made)
}

fn describe(image: &MergedImage, text: &str) -> Result<String> {
    let mut config: Value = serde_json::from_str(text).or_usage(|| "it is not JSON".into())?;
    let object = config.as_object_mut().ok_or_else(|| Error::usage("it is no JSON object"))?;
    if !object.get("interface").is_some_and(Value::is_object) {
        return Err(Error::usage("it has no 'interface'")
            .hint(r#"as in "interface": {"types": ["docker.networkdriver/1.0"], "socket": "example.sock"}"#));
    }
    let runtime = &image.config.config;
    if !object.contains_key("entrypoint") {
        let program: Vec<&String> = runtime.entrypoint.iter().chain(&runtime.cmd).flatten().collect();
        if program.is_empty() {
            return Err(Error::usage("neither it nor the image says which program to start")
                .hint("write ENTRYPOINT into the Dockerfile, or \"entrypoint\" into the description"));
        }
        object.insert("entrypoint".into(), program.into_iter().cloned().collect());
    }
    if !object.contains_key("workdir") && !runtime.working_dir.is_empty() {
        object.insert("workdir".into(), runtime.working_dir.clone().into());
    }
    if !object.contains_key("env") {
        let env = runtime.environment().map(
            |(name, value)| serde_json::json!({ "name": name, "description": "", "settable": null, "value": value }),
        );
        object.insert("env".into(), env.collect());
    }
    serde_json::to_string_pretty(&config).or_bug(|| "cannot write JSON".into())
}
