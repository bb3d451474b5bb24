//! The attribute in which kbuild keeps what a file really is: for a step there is none of that name.
use super::caller::Caller;
use crate::record::STAT;
use rustix::io::Errno;

/// Refuses to set or to remove the attribute.
pub fn check(caller: &Caller<'_>) -> Result<(), Errno> {
    let (name, refusal) = match caller.name {
        "setxattr" | "lsetxattr" | "fsetxattr" => (1, Errno::OPNOTSUPP),
        "setxattrat" => (3, Errno::OPNOTSUPP),
        "removexattr" | "lremovexattr" | "fremovexattr" => (1, Errno::NODATA),
        "removexattrat" => (3, Errno::NODATA),
        _ => return Ok(()),
    };
    match caller.path(name) {
        Ok(name) if name == STAT.as_bytes() => Err(refusal),
        _ => Ok(()),
    }
}
