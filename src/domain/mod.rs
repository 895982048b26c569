//! Leaf nouns that every other module speaks in.

mod arch;
mod builder_choice;
mod content_digest;
mod digest;
mod docker_access;
mod engine_choice;
mod error;
mod event;
mod from_text;
mod git_reference;
mod glibc_version;
mod image_name;
mod image_reference;
mod mount;
mod name;
mod time_limit;

pub use arch::{Arch, ElfClass, ElfIdentity, Endianness};
pub use builder_choice::BuilderChoice;
pub use content_digest::{ContentDigest, ContentWriter, ParseContentDigestError};
pub use digest::{Digest, DigestReader, DigestWriter, ParseDigestError};
pub use docker_access::DockerAccess;
pub use engine_choice::EngineChoice;
pub use error::{Error, ErrorKind, Result, ResultExt};
pub use event::{Event, Events, Outcome, Stream};
pub use from_text::from_text;
pub use git_reference::GitReference;
pub use glibc_version::{GlibcVersion, ParseGlibcVersionError};
pub use image_name::{ImageName, PlainName, SuffixStyle};
pub use image_reference::ImageReference;
pub use mount::Mount;
pub use name::{Name, ParseNameError};
pub use time_limit::TimeLimit;
