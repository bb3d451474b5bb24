//! Compression and decompression.
pub mod decode;
mod gzip;
pub mod parallel;
