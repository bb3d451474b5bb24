//! Writes single files below a folder, with as few system calls as they need.
use crate::attributes;
use crate::failure::{Code, Failure, Result};
use crate::folders::{split, times, Folders};
use crate::pieces::PIECE;
use crate::record::{Record, Records, STAT};
use crate::sandbox::fault::ids_fault;
use crate::sandbox::protocol::Owners;
use crate::session::{lock, Job};
use crate::table::{Entry, Kind};
use crate::trees::remove_at;
use crate::zeros::is_zero;
use rustix::fs::{
    chmodat, chownat, fchmod, fchown, fremovexattr, fsetxattr, futimens, linkat, mknodat, openat, symlinkat, utimensat,
    AtFlags, FileType, Gid, Mode, OFlags, Uid, XattrFlags,
};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Mutex;

/// Runs of zeros that are at least this long are not written.
const HOLE: usize = 64 << 10;
/// Zeros are looked for in blocks of this size, the file system's own.
const BLOCK: usize = 4 << 10;

/// How files of a tree are written; shared by the threads that do so.
pub struct Writing<'a> {
    pub owners: Owners,
    /// Whether the tree is a new one, where nothing is inherited from what is there.
    pub is_fresh: bool,
    /// Ids that a new file has.
    own: (u32, u32),
    /// Bits that the process takes from a new file's mode.
    mask: u32,
    /// Of what can have no attribute.
    pub records: Mutex<Records>,
    /// Grows when a folder was removed, which a thread may have open.
    removals: AtomicU64,
    pub job: &'a Job,
}

impl<'a> Writing<'a> {
    pub fn new(owners: Owners, is_fresh: bool, records: Records, job: &'a Job) -> Self {
        let own = (geteuid().as_raw(), getegid().as_raw());
        Writing { owners, is_fresh, own, mask: mask(), records: Mutex::new(records), removals: AtomicU64::new(0), job }
    }
}

/// The umask; all bits when it is not told, so that no new file's mode is relied on.
fn mask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.and_then(|text| u32::from_str_radix(text.trim(), 8).ok()).unwrap_or(0o777)
}

/// Writes files for one thread.
pub struct Hand<'a> {
    pub folders: Folders,
    pub writing: &'a Writing<'a>,
    removals: u64,
}

impl<'a> Hand<'a> {
    pub fn new(root: OwnedFd, writing: &'a Writing<'a>) -> Self {
        Hand { folders: Folders::new(root), writing, removals: 0 }
    }

    /// Closes folders that another thread may have removed. To be called while no other removes any.
    pub fn catch_up(&mut self) {
        let removals = self.writing.removals.load(Relaxed);
        if self.removals != removals {
            self.removals = removals;
            self.folders.forget();
        }
    }

    /// Begins a regular file. What has its name already is removed if `replace`, and a fault if not.
    pub fn begin(&mut self, entry: &Entry<'_>, replace: bool) -> Result<NewFile> {
        let mode = self.writing.first_mode(entry);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = self.make(entry, replace, |at, name| openat(at, name, flags, Mode::from_raw_mode(mode)))?;
        Ok(NewFile { file: File::from(file), written: 0, length: 0, mode })
    }

    /// Writes a regular file whose content is at hand.
    pub fn file(&mut self, entry: &Entry<'_>, content: &[u8], replace: bool) -> Result<()> {
        let mut file = self.begin(entry, replace)?;
        file.write(content)?;
        self.writing.finish(file, entry)
    }

    /// Writes what is neither a file nor a folder nor a hard link.
    pub fn special(&mut self, entry: &Entry<'_>, replace: bool) -> Result<()> {
        let mode = Mode::from_raw_mode(entry.mode & 0o7777);
        match entry.kind {
            Kind::CharacterDevice | Kind::BlockDevice => {
                let file = self.begin(entry, replace)?;
                fsetxattr(&file.file, STAT, Record::of(entry).text().as_bytes(), XattrFlags::empty())?;
                return self.writing.finish(file, entry);
            }
            Kind::Symlink => self.make(entry, replace, |at, name| symlinkat(entry.link, at, name))?,
            Kind::Fifo => self.make(entry, replace, |at, name| mknodat(at, name, FileType::Fifo, mode, 0))?,
            _ => return Err(Failure::new(Code::Protocol, "an entry is nothing that can be written")),
        }
        let (folder, name) = split(entry.path);
        let writing = self.writing;
        let at = self.folders.at(folder, false)?;
        match writing.owners {
            Owners::Real if writing.is_owned_by_other(entry) => {
                let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
                chownat(at, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(|error| owner_fault(entry, error))?;
            }
            Owners::Recorded if (entry.uid, entry.gid) != (0, 0) => {
                lock(&writing.records).insert(entry.path.to_vec(), Record::of(entry));
            }
            _ => {}
        }
        if entry.kind == Kind::Fifo {
            chmodat(at, name, mode, AtFlags::empty())?;
        }
        Ok(utimensat(at, name, &times(entry), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Writes a file with the content of one that is there already.
    pub fn copy(&mut self, entry: &Entry<'_>, from: &[u8], replace: bool) -> Result<()> {
        let (folder, name) = split(from);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut original = File::from(openat(self.folders.at(folder, false)?, name, flags, Mode::empty())?);
        let mut file = self.begin(entry, replace)?;
        let mut piece = vec![0; entry.size.clamp(1, PIECE as u64) as usize];
        loop {
            let count = original.read(&mut piece)?;
            if count == 0 {
                return self.writing.finish(file, entry);
            }
            file.write(&piece[..count])?;
            self.writing.job.advance(count as u64, 0)?;
        }
    }

    /// Makes a hard link to a file that is there.
    pub fn link(&mut self, entry: &Entry<'_>, replace: bool) -> Result<()> {
        let (folder, target) = split(entry.link);
        let missing = || {
            let message = "a hard link leads to a file that is not in its layer, which is not supported";
            Failure::new(Code::Hostile, message)
        };
        let from = self.folders.at(folder, false).map_err(|failure| match failure.code {
            Code::NotFound | Code::Denied => missing(),
            _ => failure,
        })?;
        let from = from.try_clone_to_owned()?;
        if entry.link == entry.path {
            return Err(missing());
        }
        let linked = self.make(entry, replace, |at, name| linkat(&from, target, at, name, AtFlags::empty()));
        linked.map_err(|failure| if failure.code == Code::NotFound { missing() } else { failure })?;
        let mut records = lock(&self.writing.records);
        if let Some(record) = records.get(entry.link).copied() {
            records.insert(entry.path.to_vec(), record);
        }
        Ok(())
    }

    /// Makes something that must not be there.
    fn make<T>(
        &mut self,
        entry: &Entry<'_>,
        replace: bool,
        make: impl Fn(BorrowedFd<'_>, &[u8]) -> rustix::io::Result<T>,
    ) -> Result<T> {
        let (folder, name) = split(entry.path);
        let at = self.folders.at(folder, false)?;
        match make(at, name) {
            Err(Errno::EXIST) if replace => {}
            Err(Errno::EXIST) => {
                return Err(Failure::new(Code::Hostile, "a layer has a file and a folder of the same name"));
            }
            made => return Ok(made?),
        }
        self.remove(entry.path)?;
        let at = self.folders.at(folder, false)?;
        Ok(make(at, name)?)
    }

    /// Removes what is at a path with all that is below it, also from the records. What is not there is no fault.
    pub fn remove(&mut self, path: &[u8]) -> Result<()> {
        let (folder, name) = split(path);
        remove_at(self.folders.at(folder, false)?, name, self.writing.job)?;
        self.writing.removals.fetch_add(1, Relaxed);
        self.folders.forget();
        self.forget_below(path, true);
        Ok(())
    }

    /// Takes what is below a path out of the records, and what is at it if `with_itself`.
    pub fn forget_below(&self, path: &[u8], with_itself: bool) {
        let mut records = lock(&self.writing.records);
        if records.is_empty() {
            return;
        }
        if with_itself {
            records.remove(path);
        }
        let prefix = if path.is_empty() { Vec::new() } else { [path, b"/"].concat() };
        let below = records.range(prefix.clone()..).map(|(name, _)| name).take_while(|name| name.starts_with(&prefix));
        for name in below.cloned().collect::<Vec<_>>() {
            records.remove(&name);
        }
    }
}

impl Writing<'_> {
    fn is_owned_by_other(&self, entry: &Entry<'_>) -> bool {
        // What is there may give its group to what is made in it.
        !self.is_fresh || (entry.uid, entry.gid) != self.own
    }

    /// The mode that a file is made with: already the right one where that can be.
    fn first_mode(&self, entry: &Entry<'_>) -> u32 {
        let mode = entry.mode & 0o7777;
        let is_final = self.is_fresh && mode & (self.mask | 0o7000) == 0;
        if is_final {
            mode
        } else {
            0o600
        }
    }

    /// Gives a file that is written its owner, attributes, mode and time.
    pub fn finish(&self, file: NewFile, entry: &Entry<'_>) -> Result<()> {
        let NewFile { file, written, length, mode } = file;
        if written < length {
            file.set_len(length)?;
        }
        self.set_owner(&file, entry, true)?;
        if !entry.xattrs.is_empty() {
            // After the owner, which takes capabilities away.
            attributes::set(&file, entry, true)?;
        }
        if mode != entry.mode & 0o7777 {
            fchmod(&file, Mode::from_raw_mode(entry.mode & 0o7777))?;
        }
        Ok(futimens(&file, &times(entry))?)
    }

    fn set_owner(&self, file: impl AsFd, entry: &Entry<'_>, is_new: bool) -> Result<()> {
        match self.owners {
            Owners::Real if self.is_owned_by_other(entry) => {
                let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
                fchown(file, Some(uid), Some(gid)).map_err(|error| owner_fault(entry, error))
            }
            Owners::Recorded if (entry.uid, entry.gid) != (0, 0) => {
                Ok(fsetxattr(file, STAT, Record::of(entry).text().as_bytes(), XattrFlags::empty())?)
            }
            Owners::Recorded if !is_new => match fremovexattr(file, STAT) {
                Ok(()) | Err(Errno::NODATA | Errno::NOTSUP) => Ok(()),
                Err(error) => Err(error.into()),
            },
            _ => Ok(()),
        }
    }

    /// Gives a folder what its entry says, after everything in it was written.
    pub fn finish_folder(&self, folder: &OwnedFd, entry: &Entry<'_>, is_new: bool, is_opaque: bool) -> Result<()> {
        self.set_owner(folder, entry, is_new)?;
        if !is_new || !entry.xattrs.is_empty() {
            attributes::set(folder, entry, is_new)?;
        }
        if is_opaque {
            fsetxattr(folder, attributes::OPAQUE, b"y", XattrFlags::empty())?;
        }
        fchmod(folder, Mode::from_raw_mode(entry.mode & 0o7777))?;
        Ok(futimens(folder, &times(entry))?)
    }
}

fn owner_fault(entry: &Entry<'_>, error: Errno) -> Failure {
    match error {
        Errno::INVAL => ids_fault(entry.uid, entry.gid, "chown", error),
        _ => error.into(),
    }
}

/// A file that is being written.
pub struct NewFile {
    file: File,
    /// Where the last written byte is.
    written: u64,
    length: u64,
    mode: u32,
}

impl NewFile {
    /// Appends bytes; long runs of zeros become holes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() < HOLE {
            return self.put(bytes);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let (data, zeros) = next_hole(rest);
            self.put(&rest[..data])?;
            self.length += zeros as u64;
            rest = &rest[data + zeros..];
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if !bytes.is_empty() {
            self.file.write_all_at(bytes, self.length)?;
            self.length += bytes.len() as u64;
            self.written = self.length;
        }
        Ok(())
    }
}

/// Lengths of what comes before the next long run of zeros, and of that run.
fn next_hole(bytes: &[u8]) -> (usize, usize) {
    let mut start = 0;
    let mut end = 0;
    for block in bytes.chunks(BLOCK) {
        if is_zero(block) {
            end += block.len();
            continue;
        }
        if end - start >= HOLE {
            break;
        }
        end += block.len();
        start = end;
    }
    if end - start >= HOLE {
        (start, end - start)
    } else {
        (bytes.len(), 0)
    }
}
