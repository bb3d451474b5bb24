//! SHA-256 digests in the form that OCI writes them.
use sha2::{Digest, Sha256};

/// The `sha256:` string of a hash. OCI image-spec descriptor.md, "Digests".
pub fn sha256(hash: Sha256) -> String {
    hash.finalize().iter().fold(String::from("sha256:"), |mut text, byte| {
        for half in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(half), 16).unwrap_or('0'));
        }
        text
    })
}
