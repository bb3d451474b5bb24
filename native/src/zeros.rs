//! Zeros, which files need not hold on disk.

/// Whether all bytes are zero.
pub fn is_zero(bytes: &[u8]) -> bool {
    // Most bytes that are not all zero begin so.
    bytes.iter().take(16).all(|byte| *byte == 0) && bytes.iter().fold(0, |all, byte| all | byte) == 0
}
