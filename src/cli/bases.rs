//! Images that the project's images start from: where each is once its step is done.

use std::sync::{Arc, OnceLock};

use super::setup::Loaded;
use crate::domain::{Arch, Error, Result};
use crate::engine::{Execution, open_images};
use crate::image::{BaseImage, Layout};
use crate::plan::BaseName;

/// An image to start from or to copy from, and the layout that has its blobs.
#[derive(Clone)]
pub(super) struct Base {
    pub(super) image: BaseImage,
    pub(super) layout: Arc<Layout>,
}

/// What a name after FROM is, for an architecture: the only place that knows, for FROM, COPY --from and RUN --mount.
pub(super) struct Bases<'a> {
    loaded: &'a Loaded,
    execution: &'a Execution,
    /// Opened when first needed: a project without bases has no use for it.
    layout: OnceLock<Arc<Layout>>,
}

impl<'a> Bases<'a> {
    pub(super) fn new(loaded: &'a Loaded, execution: &'a Execution) -> Bases<'a> {
        Bases { loaded, execution, layout: OnceLock::new() }
    }

    /// The image of a name that is none of the project's; the plan has its step.
    ///
    /// # Errors
    /// An environment error when the store has lost it.
    pub(super) fn find(&self, name: &str, arch: Arch) -> Result<Base> {
        let step = BaseName { name: name.to_owned(), arch }.step();
        let record = self.execution.done(&step).ok_or_else(|| Error::bug(format!("{step} is not done")))?;
        let layout = match self.layout.get() {
            Some(layout) => layout,
            None => {
                let layout = Arc::new(open_images(&self.loaded.workshop.store)?);
                self.layout.get_or_init(|| layout)
            }
        };
        let image = BaseImage::find(layout, &record.key.hex(), arch)?;
        let image = image.ok_or_else(|| Error::environment(format!("the store has lost {step}")))?;
        Ok(Base { image, layout: layout.clone() })
    }
}
