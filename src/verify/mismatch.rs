//! One thing about a program that is not as it was asked for.

use serde::Serialize;

use super::glibc_need::GlibcNeed;
use crate::domain::Arch;
use crate::domain::GlibcVersion;

/// How many things a message lists.
const LISTED: usize = 5;

/// One thing about a program that is not as it was asked for; reads on from the program's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "mismatch", rename_all = "kebab-case")]
pub enum Mismatch {
    /// It is for another machine.
    #[error("is for {found}, not {wanted}")]
    Arch {
        /// What it is for: an architecture's name, or words for one that is not in the table.
        found: String,
        /// What was asked for.
        wanted: Arch,
    },
    /// It needs a dynamic linker, and should not.
    #[error("is dynamically linked{}, but `static: true` is declared", needing(.needed))]
    Dynamic {
        /// The libraries that it needs.
        needed: Vec<String>,
    },
    /// It should need a dynamic linker, and does not.
    #[error("is statically linked, but `static: false` is declared")]
    Static,
    /// It needs a later version of the GNU C library than allowed.
    #[error("needs {}, but at most {ceiling} is allowed", list(.above))]
    Glibc {
        /// The needs above the highest version allowed, highest first.
        above: Vec<GlibcNeed>,
        /// The highest version allowed.
        ceiling: GlibcVersion,
    },
    /// Its dynamic linker is not there where it runs.
    #[error("asks for the interpreter {path}, which is there in the builder only")]
    Interpreter {
        /// The path.
        path: String,
    },
    /// It looks for libraries in a directory that is not there where it runs.
    #[error("looks for libraries in {directory} (RPATH), which is there in the builder only")]
    BuilderRpath {
        /// The directory.
        directory: String,
    },
    /// It loads libraries out of whichever directory it is started in.
    #[error("looks for libraries in '{directory}' (RPATH), relative to the directory that it is started in")]
    RelativeRpath {
        /// The directory; empty means the one that it is started in.
        directory: String,
    },
}

fn needing(needed: &[String]) -> String {
    if needed.is_empty() { String::new() } else { format!(" (needs {})", list(needed)) }
}

fn list<T: ToString>(items: &[T]) -> String {
    let named: Vec<String> = items.iter().take(LISTED).map(T::to_string).collect();
    match items.len().saturating_sub(LISTED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
