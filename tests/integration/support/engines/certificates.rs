//! Certificates for one engine and one client, from an authority that is made for them.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::tool;

/// `$1` is the address of the engine. The client's folder is as `DOCKER_CERT_PATH` wants it.
const SCRIPT: &str = r#"
printf '[req]\ndistinguished_name=name\n[name]\n' > openssl.cnf
new() {
  openssl req -x509 -config openssl.cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "$@"
}
new -subj /CN=authority -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign \
  -keyout authority.pem -out ca.pem
signed() {
  mkdir "$1"
  cp ca.pem "$1"
  new -CA ca.pem -CAkey authority.pem -subj "/CN=$1" -keyout "$1/key.pem" -out "$1/cert.pem" \
    -addext basicConstraints=critical,CA:FALSE -addext "extendedKeyUsage=$1Auth" -addext "$2"
}
signed server "subjectAltName=IP:$1"
signed client subjectAltName=DNS:client
"#;

/// Writes the folders `server` and `client`, each with `ca.pem`, `cert.pem` and `key.pem`.
pub(super) fn certificates(folder: &Path, address: &str) {
    fs::create_dir_all(folder).expect("a folder");
    tool("openssl");
    let output = Command::new(tool("sh")).args(["-ec", SCRIPT, "sh", address]).current_dir(folder).output();
    let output = output.expect("sh can be run");
    assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
}
