//! How a system call that failed is told: by its name, what it was about, and the error's name.
use crate::failure::{Code, Failure, Result};
use rustix::io::Errno;
use std::fmt::Display;

/// The failure `call: ERROR`.
pub fn fault(call: impl Display, error: Errno) -> Failure {
    Failure::new(Code::Sandbox, format!("{call}: {}", error_name(error)))
}

/// The failure of a call that gives something to a user and a group, or becomes them: an id may be one that no range of
/// the sandbox's user namespace has.
pub fn ids_fault(uid: u32, gid: u32, call: impl Display, error: Errno) -> Failure {
    match error {
        Errno::INVAL => {
            let message =
                format!("{uid}:{gid} is not among the ids that the sandbox has, as there are too few subordinate ones");
            Failure::new(Code::Unmapped, message)
        }
        _ => fault(call, error),
    }
}

/// Says of a failed system call which one it was.
pub trait Called<T> {
    fn called(self, call: impl Display) -> Result<T>;
}

impl<T> Called<T> for rustix::io::Result<T> {
    fn called(self, call: impl Display) -> Result<T> {
        self.map_err(|error| fault(call, error))
    }
}

impl<T> Called<T> for std::io::Result<T> {
    fn called(self, call: impl Display) -> Result<T> {
        self.map_err(|error| match error.raw_os_error() {
            Some(number) => fault(call, Errno::from_raw_os_error(number)),
            None => Failure::new(Code::Sandbox, format!("{call}: {error}")),
        })
    }
}

/// Says of a failure in which step of the set-up it was.
pub trait Stepped<T> {
    fn step(self, number: u32, name: &str) -> Result<T>;
}

impl<T> Stepped<T> for Result<T> {
    fn step(self, number: u32, name: &str) -> Result<T> {
        self.map_err(|failure| {
            if failure.is_of_plan() {
                return failure;
            }
            Failure { message: format!("step {number} ({name}): {}", failure.message), ..failure }
        })
    }
}

/// The name of errno(3), for instance `EPERM`.
pub fn error_name(error: Errno) -> String {
    let name = match error {
        Errno::PERM => "EPERM",
        Errno::NOENT => "ENOENT",
        Errno::SRCH => "ESRCH",
        Errno::INTR => "EINTR",
        Errno::IO => "EIO",
        Errno::NXIO => "ENXIO",
        Errno::TOOBIG => "E2BIG",
        Errno::NOEXEC => "ENOEXEC",
        Errno::BADF => "EBADF",
        Errno::CHILD => "ECHILD",
        Errno::AGAIN => "EAGAIN",
        Errno::NOMEM => "ENOMEM",
        Errno::ACCESS => "EACCES",
        Errno::FAULT => "EFAULT",
        Errno::BUSY => "EBUSY",
        Errno::EXIST => "EEXIST",
        Errno::XDEV => "EXDEV",
        Errno::NODEV => "ENODEV",
        Errno::NOTDIR => "ENOTDIR",
        Errno::ISDIR => "EISDIR",
        Errno::INVAL => "EINVAL",
        Errno::NFILE => "ENFILE",
        Errno::MFILE => "EMFILE",
        Errno::NOSPC => "ENOSPC",
        Errno::ROFS => "EROFS",
        Errno::MLINK => "EMLINK",
        Errno::PIPE => "EPIPE",
        Errno::RANGE => "ERANGE",
        Errno::NAMETOOLONG => "ENAMETOOLONG",
        Errno::NOSYS => "ENOSYS",
        Errno::NOTEMPTY => "ENOTEMPTY",
        Errno::LOOP => "ELOOP",
        Errno::OVERFLOW => "EOVERFLOW",
        Errno::USERS => "EUSERS",
        Errno::OPNOTSUPP => "EOPNOTSUPP",
        Errno::STALE => "ESTALE",
        Errno::DQUOT => "EDQUOT",
        Errno::TXTBSY => "ETXTBSY",
        _ => return format!("error {}", error.raw_os_error()),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_step_call_and_error() {
        let failed: rustix::io::Result<()> = Err(Errno::PERM);
        let failure = failed.called("mount(overlay)").step(3, "root").unwrap_err();
        assert_eq!(failure.message, "step 3 (root): mount(overlay): EPERM");
        assert_eq!(failure.code, Code::Sandbox);
        assert_eq!(error_name(Errno::from_raw_os_error(4000)), "error 4000");
    }

    #[test]
    fn a_command_that_is_not_there_is_no_step_that_failed() {
        let failed: Result<()> = Err(Failure::new(Code::Exec, "exec: \"x\": not found"));
        assert_eq!(failed.step(11, "command").unwrap_err().message, "exec: \"x\": not found");
    }
}
