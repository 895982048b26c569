//! Docker contexts, as `docker context create` writes them.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

/// Adds a context to a folder such as `~/.docker`; `certificates` is a folder with `ca.pem`, `cert.pem` and `key.pem`.
pub(super) fn add_context(docker_config: &Path, name: &str, endpoint: &str, certificates: Option<&Path>) {
    let id: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
    let meta = docker_config.join("contexts/meta").join(&id);
    fs::create_dir_all(&meta).expect("a folder");
    let text = serde_json::json!({
        "Name": name,
        "Metadata": {},
        "Endpoints": { "docker": { "Host": endpoint, "SkipTLSVerify": false } },
    });
    fs::write(meta.join("meta.json"), text.to_string()).expect("a file");
    if let Some(certificates) = certificates {
        let tls = docker_config.join("contexts/tls").join(&id).join("docker");
        fs::create_dir_all(&tls).expect("a folder");
        for file in ["ca.pem", "cert.pem", "key.pem"] {
            fs::copy(certificates.join(file), tls.join(file)).expect("a certificate");
        }
    }
}
