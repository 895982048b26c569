//! `images:` of a project.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::file::ImageFile;
use crate::config::map;
use crate::domain::Name;

/// Images by name, or folders with an image each.
#[derive(Debug, Clone)]
pub(in crate::config) enum ImageList {
    /// By their names in the project.
    Named(BTreeMap<Name, ImageEntry>),
    /// Named by their folders.
    Folders(Vec<String>),
}

impl Default for ImageList {
    fn default() -> ImageList {
        ImageList::Named(BTreeMap::new())
    }
}

/// An image of a project.
#[derive(Debug, Clone)]
pub(in crate::config) enum ImageEntry {
    /// It is described here.
    Here(Box<ImageFile>),
    /// A folder describes it: with a `build.yml`, or by its Dockerfile alone.
    Folder(String),
}

impl<'de> Deserialize<'de> for ImageList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ImageList, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = ImageList;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of images, or a list of folders")
            }

            fn visit_unit<E>(self) -> Result<ImageList, E> {
                Ok(ImageList::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<ImageList, A::Error> {
                map::unique(MapAccessDeserializer::new(access)).map(ImageList::Named)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<ImageList, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(access)).map(ImageList::Folders)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for ImageEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ImageEntry, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = ImageEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the keys of an image, or its folder")
            }

            fn visit_str<E>(self, text: &str) -> Result<ImageEntry, E> {
                Ok(ImageEntry::Folder(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<ImageEntry, A::Error> {
                let file = ImageFile::deserialize(MapAccessDeserializer::new(access))?;
                Ok(ImageEntry::Here(Box::new(file)))
            }
        }

        deserializer.deserialize_any(Either)
    }
}
