//! Runs programs of other architectures in a container: with a registration of its own, so that nothing changes for the
//! engine's machine.

use crate::docker::Container;
use crate::domain::Result;
use crate::engine::native::sandbox::{Emulator, registration};

use super::sources::{run, send_file};

/// Where the emulator is in the container.
const PROGRAM: &str = "/xbuild/emulator";

/// Registers the emulator by `$1` in a user namespace of its own, or is content with one that the machine has under the
/// name `$2`, and becomes the command that follows.
const BEGIN: &str = r#"folder=/proc/sys/fs/binfmt_misc line=$1 name=$2
shift 2
export PATH="$PATH:/usr/bin:/bin"
if mount -t binfmt_misc binfmt_misc "$folder" 2>/dev/null; then
  printf %s "$line" >"$folder/register" || exit 126
elif [ ! -e "$folder/$name" ]; then
  echo "the kernel of this engine has no binfmt_misc for containers, which came with Linux 6.7," >&2
  echo "and no $name is registered: install qemu-user-static on its machine" >&2
  exit 126
fi
exec "$@""#;

/// Puts the emulator into a container.
pub(super) async fn bring(container: &Container, emulator: &Emulator) -> Result<()> {
    run(container, &["mkdir", "-p", "/xbuild"]).await?;
    send_file(container, &emulator.program, PROGRAM).await
}

/// A command as it runs with the emulator.
pub(super) fn emulated(argv: &[String], emulator: &Emulator) -> Vec<String> {
    let line = String::from_utf8_lossy(&registration(emulator.arch, PROGRAM)).into_owned();
    let begin = ["unshare", "--user", "--map-root-user", "--mount", "--", "/bin/sh", "-c", BEGIN, "sh", &line];
    let name = format!("qemu-{}", emulator.arch);
    begin.into_iter().map(str::to_owned).chain([name]).chain(argv.iter().cloned()).collect()
}
