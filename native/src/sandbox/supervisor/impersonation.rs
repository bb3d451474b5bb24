//! The user that the supervisor's thread passes for while it looks into a process. A container's root has not the right to
//! look into every process of its container; but what is there of a process may be looked at by its own user. And whatever
//! is opened for a process is opened with its rights.
use super::caller::Status;
use crate::sandbox::calls::{set_file_group, set_file_user, set_own_groups};
use rustix::fs::{openat, statat, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;

/// The ids by which the kernel judges this thread's access to files and processes; root's at first.
#[derive(Debug, Default)]
pub struct Impersonation {
    uid: u32,
    gid: u32,
}

impl Impersonation {
    /// Makes this thread pass for the user of another. One that the kernel keeps to itself (its program may not be read by
    /// its user) is root's.
    pub fn become_owner(&mut self, proc: BorrowedFd<'_>, thread: u32) -> Result<(), Errno> {
        let found = statat(proc, thread.to_string(), AtFlags::empty())?;
        if (found.st_uid, found.st_gid) == (self.uid, self.gid) {
            return Ok(());
        }
        let groups = if found.st_uid == 0 { Vec::new() } else { groups_of(proc, thread)? };
        // As root, who may take any group; and who it stays should that fail.
        set_file_user(0);
        self.uid = 0;
        set_own_groups(&groups)?;
        set_file_group(found.st_gid);
        set_file_user(found.st_uid);
        (self.uid, self.gid) = (found.st_uid, found.st_gid);
        Ok(())
    }
}

fn groups_of(proc: BorrowedFd<'_>, thread: u32) -> Result<Vec<u32>, Errno> {
    let file = openat(proc, format!("{thread}/status"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = String::new();
    File::from(file).read_to_string(&mut text).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(Status::groups(&text))
}
