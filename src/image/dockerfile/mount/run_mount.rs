//! A mount as it is meant.

/// A mount of a RUN, checked. Owners and modes are those of what is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunMount {
    /// Files of the context, a stage or an image.
    Bind {
        /// The stage or image; the build context if `None`.
        from: Option<String>,
        /// The path in it.
        source: String,
        /// Where it appears.
        target: String,
        /// Whether the command may write there; nothing of what it writes is kept.
        writable: bool,
    },
    /// A folder that outlives the build.
    Cache {
        /// Its name; the target's path if none was given.
        id: String,
        /// Where it appears.
        target: String,
        /// Who may use it at the same time.
        sharing: Sharing,
        /// The stage or image whose files a new one begins with.
        from: Option<String>,
        /// The path in it.
        source: String,
        /// Permissions of a new one.
        mode: u32,
        /// Owner of a new one.
        uid: u32,
        /// Group of a new one.
        gid: u32,
        /// Whether the command may only read it.
        read_only: bool,
    },
    /// Memory.
    Tmpfs {
        /// Where it appears.
        target: String,
        /// Its limit in bytes.
        size: Option<u64>,
    },
    /// A secret of the command line.
    Secret {
        /// Its name.
        id: String,
        /// The file in which it appears.
        target: Option<String>,
        /// The variable in which it appears.
        env: Option<String>,
        /// Whether it is an error if there is none of that name.
        required: bool,
        /// Permissions of the file.
        mode: u32,
        /// Owner of the file.
        uid: u32,
        /// Group of the file.
        gid: u32,
    },
    /// The socket of an SSH agent.
    Ssh {
        /// Its name, `default` if none was given.
        id: String,
        /// Where the socket appears; `None` means a place of the executor's choice.
        target: Option<String>,
        /// Whether it is an error if there is none of that name.
        required: bool,
        /// Permissions of the socket.
        mode: u32,
        /// Owner of the socket.
        uid: u32,
        /// Group of the socket.
        gid: u32,
    },
}

/// Who may use a cache at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Everybody.
    Shared,
    /// Everybody gets one of their own.
    Private,
    /// One after the other.
    Locked,
}
