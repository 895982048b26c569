//! How much an archive may become.

/// What an archive may unpack to; more is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the archive itself once it is decompressed, holes in its files counted.
    pub unpacked: u64,
    /// Entries.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { unpacked: 64 << 30, entries: 4 << 20 }
    }
}
