//! The tar format: POSIX.1-2017 pax, "ustar Interchange Format" and "pax Interchange Format", and what GNU tar adds.
pub mod read;
pub mod write;

pub const BLOCK: usize = 512;

/// Bytes from the end of a content of this size to the next block.
pub fn padding(size: u64) -> usize {
    ((BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64) as usize
}
