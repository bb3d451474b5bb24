//! The one place where a number is taken for a descriptor.
use crate::failure::{Code, Failure, Result};
use rustix::io::fcntl_dupfd_cloexec;
use std::fs::File;
use std::os::fd::BorrowedFd;

/// Standard input, output and error belong to the protocol and to messages.
const FIRST_FREE: i32 = 3;

/// A descriptor of our own for one that the process inherited. Fails with `io` when it is not open, with `protocol` when
/// it is one of the first three.
pub fn inherited(number: i32) -> Result<File> {
    if number < FIRST_FREE {
        return Err(Failure::new(Code::Protocol, format!("descriptor {number} is not for output")));
    }
    // SAFETY: the number is not negative, and the borrow ends with the duplication on the next line. Nothing in this
    // process closes a descriptor that it inherited; were the number not open, the call would fail with EBADF.
    #[allow(unsafe_code)]
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    Ok(File::from(fcntl_dupfd_cloexec(borrowed, FIRST_FREE)?))
}
