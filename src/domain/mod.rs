//! Leaf nouns that every other module speaks in.

mod arch;
mod content_digest;
mod digest;
mod error;
mod event;
mod git_reference;
mod glibc_version;
mod image_name;
mod image_reference;
mod mount;
mod name;

pub use arch::{Arch, ElfClass, ElfIdentity, Endianness};
pub use content_digest::{ContentDigest, ContentWriter, ParseContentDigestError};
pub use digest::{Digest, DigestReader, DigestWriter, ParseDigestError};
pub use error::{Error, ErrorKind, Result, ResultExt};
pub use event::{Event, Events, Outcome, Stream};
pub use git_reference::GitReference;
pub use glibc_version::{GlibcVersion, ParseGlibcVersionError};
pub use image_name::{ImageName, PlainName, SuffixStyle};
pub use image_reference::ImageReference;
pub use mount::Mount;
pub use name::{Name, ParseNameError};
