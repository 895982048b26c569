//! The folders that the cache consists of.

/// A folder of the store; the number in its name goes up when the meaning of its contents changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bucket {
    /// One JSON record per finished step.
    Records,
    /// The last key of each step of each project.
    Steps,
    /// Package lists by what was asked for.
    Resolutions,
    /// Unpacked layers.
    RootFilesystems,
    /// Files that steps made.
    Outputs,
    /// Upstream archives by digest.
    Sources,
    /// Commits of git repositories, checked out.
    Repositories,
    /// Distribution packages that are not unpacked yet, and the package manager's state.
    Packages,
    /// Go's build caches.
    GoCache,
    /// Digests of files of projects.
    Files,
    /// Which blob an image layer came to.
    Layers,
    /// Layers of images as folders.
    ImageLayers,
    /// What the commands of images came to.
    ImageSteps,
    /// Which images engines' builders have made of which orders.
    EngineImages,
    /// Folders that the commands of images keep for themselves.
    ImageCaches,
    /// Which images passed which tests.
    Examinations,
    /// Images that others start from: an OCI layout, in which they have the keys of their steps as names.
    Images,
    /// Work in progress.
    Temporary,
    /// Locks of steps.
    Locks,
}

impl Bucket {
    /// Every bucket, in the order in which `cache ls` shows them.
    pub const ALL: [Bucket; 19] = [
        Bucket::Records,
        Bucket::Steps,
        Bucket::Resolutions,
        Bucket::RootFilesystems,
        Bucket::Outputs,
        Bucket::Sources,
        Bucket::Repositories,
        Bucket::Packages,
        Bucket::GoCache,
        Bucket::Files,
        Bucket::Layers,
        Bucket::ImageLayers,
        Bucket::ImageSteps,
        Bucket::EngineImages,
        Bucket::ImageCaches,
        Bucket::Examinations,
        Bucket::Images,
        Bucket::Temporary,
        Bucket::Locks,
    ];

    /// The folder's name.
    pub fn folder(self) -> &'static str {
        match self {
            Bucket::Records => "records-v1",
            Bucket::Steps => "steps-v1",
            Bucket::Resolutions => "resolutions-v1",
            Bucket::RootFilesystems => "rootfs-v1",
            Bucket::Outputs => "outputs-v1",
            Bucket::Sources => "sources-v1",
            Bucket::Repositories => "repositories-v2",
            Bucket::Packages => "packages-v1",
            Bucket::GoCache => "gocache-v1",
            Bucket::Files => "files-v2",
            Bucket::Layers => "layers-v1",
            Bucket::ImageLayers => "image-layers-v3",
            Bucket::ImageSteps => "image-steps-v3",
            Bucket::EngineImages => "engine-images-v1",
            Bucket::ImageCaches => "image-caches-v1",
            Bucket::Examinations => "examinations-v1",
            Bucket::Images => "images-v1",
            Bucket::Temporary => "tmp",
            Bucket::Locks => "locks",
        }
    }
}
