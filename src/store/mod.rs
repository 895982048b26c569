//! The content-addressed cache on disk: layers, outputs, sources, records.
//!
//! ```text
//! CACHEDIR.TAG  lock                     shared while a process works, exclusive for `cache gc`
//! locks/<key>                            held while a step is made, so that two processes never make it twice
//! tmp/<random>/                          work in progress; garbage once its process is gone
//! tmp/spare/                             empty folders for the next `xbuild run`
//! records-v1/<key>.json                  what a step did; written last, so a record means that all else is there
//! steps-v1/<digest of project and step>  the key of the step's last record, to say why a new one is needed
//! resolutions-v1/<key>.json              which packages a list of names came to
//! rootfs-v1/<key>/                       one unpacked layer
//! outputs-v1/<key>/                      files that a step made
//! sources-v1/<sha256>                    an upstream archive
//! repositories-v2/<key>/                 a commit of a git repository, checked out, and the digest of its files
//! packages-v1/                           distribution packages, until they are unpacked
//! gocache-v1/<builder>/                  Go's build cache
//! files-v2/<digest of folder>.json       digests of files, by size, times and inode
//! layers-v1/                             which blob an image layer came to
//! image-layers-v3/<identity>/            an image layer as a folder, with its listing
//! image-steps-v3/<key>.json              which layer a RUN came to
//! image-caches-v1/<key>/                 what a RUN keeps for itself
//! examinations-v1/<key>.json             says that an image has passed its tests
//! images-v1/                             an OCI layout: images that others start from, named by the keys of their steps
//! ```

mod bucket;
mod check;
mod collect;
mod file_digests;
mod locks;
mod open;
mod record;
mod remove;
mod scratch;
mod seal;
mod tree_digest;

pub use bucket::Bucket;
pub use check::{Damage, check};
pub use collect::{Collected, Usage, collect, usage};
pub use file_digests::{FileDigests, FileStamp, content_digest};
pub use locks::KeyLock;
pub use open::{Store, mark_used, write_atomically};
pub use record::{Output, Record, Source};
pub use remove::remove_tree;
pub use scratch::Scratch;
pub use tree_digest::tree_digest;
