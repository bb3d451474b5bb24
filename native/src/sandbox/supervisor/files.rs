//! Whose files are: what is recorded of them, and how that is changed.
use super::caller::{by_name, Caller};
use super::facts::{is_device, Facts};
use super::identities::Identities;
use super::links::Links;
use crate::record::{Record, STAT};
use rustix::fs::{getxattr, removexattr, setxattr, XattrFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};

/// Longer than any record.
const LONGEST: usize = 64;

/// What is known of the step's files and processes.
pub struct State {
    pub identities: Identities,
    pub links: Links,
    /// The root of all processes, if it is known.
    pub root: Option<OwnedFd>,
    /// Device and inode of the folder that stands for /proc where none can be mounted.
    pub imitation: Option<(u64, u64)>,
    /// What is not to be changed, as paths of the machine.
    pub read_only: Vec<Vec<u8>>,
    /// Paths on the machine of what stands for mount points.
    pub points: Vec<Vec<u8>>,
    /// Whether they all have the same one.
    pub is_one_root: bool,
}

/// The owner that is not recorded.
pub const ROOT: (u32, u32) = (0, 0);

fn has_no_attributes(error: Errno) -> bool {
    matches!(error, Errno::NOTSUP | Errno::PERM | Errno::NODATA | Errno::NOSYS)
}

/// What the attribute of a file says. `name` is one that `by_name` gave, or another in /proc.
pub fn attribute(name: &str) -> Option<Record> {
    let mut value = [0; LONGEST];
    // What cannot be read is not there: the caller gets the file's own errors from the kernel.
    let length = getxattr(name, STAT, &mut value).ok()?;
    Record::parse(value.get(..length)?)
}

impl State {
    /// What is recorded of a file.
    pub fn record(&self, file: &OwnedFd) -> Result<Option<Record>, Errno> {
        if let Some(record) = attribute(&by_name(file)) {
            return Ok(Some(record));
        }
        if self.links.is_empty() {
            return Ok(None);
        }
        Ok(self.links.get(&Facts::of(file)?))
    }

    /// Records a file's owner. The file is open for nothing, or for anything.
    pub fn set_owner(&mut self, file: &OwnedFd, owner: (u32, u32)) -> Result<(), Errno> {
        let name = by_name(file);
        let mut record = match attribute(&name) {
            Some(record) => record,
            None => Record { uid: 0, gid: 0, mode: Facts::of(file)?.mode(), major: 0, minor: 0 },
        };
        (record.uid, record.gid) = owner;
        let kept = match record.mode & libc::S_IFMT {
            libc::S_IFLNK | libc::S_IFIFO | libc::S_IFSOCK => Err(Errno::NOTSUP),
            _ if owner == ROOT && !is_device(&record) => removexattr(&name, STAT),
            _ => setxattr(&name, STAT, record.text().as_bytes(), XattrFlags::empty()),
        };
        match kept {
            Err(Errno::NODATA) if owner == ROOT => Ok(()),
            // A file system without attributes, or a kind of file: it is only kept in mind.
            Err(error) if has_no_attributes(error) => self.links.set(file, owner),
            done => done,
        }
    }

    /// Whom something belongs to that the caller makes in a folder. `None`: to root, as the kernel does it.
    pub fn owner_of_new(&self, caller: &Caller<'_>, folder: &OwnedFd) -> Result<Option<(u32, u32)>, Errno> {
        let identity = self.identities.of(caller)?;
        let own = (identity.uid.files, identity.gid.files);
        let above = attribute(&by_name(folder)).map_or(0, |record| record.gid);
        if own == ROOT && above == 0 {
            return Ok(None);
        }
        let is_inherited = Facts::of(folder.as_fd())?.mode() & libc::S_ISGID != 0;
        let owner = (own.0, if is_inherited { above } else { own.1 });
        Ok((owner != ROOT).then_some(owner))
    }
}
