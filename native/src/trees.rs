//! Removes and renames trees that belong to the ids of a sandbox.
use crate::cores::cores;
use crate::failure::{Code, Failure, Result};
use crate::pieces::{first_cause, joined};
use crate::protocol::Reply;
use crate::record::{implied_file, owners_file};
use crate::sandbox::protocol::{Move, Remove};
use crate::session::{lock, Job, Outcome};
use rustix::fs::{
    chmodat, openat, openat2, renameat, renameat_with, seek, statat, unlinkat, AtFlags, FileType, Mode, OFlags, RawDir,
    RenameFlags, ResolveFlags, SeekFrom, CWD,
};
use rustix::io::Errno;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Mutex;

/// Folders inside of each other that are worked on at a time; what is deeper is moved up first.
const MAX_DEPTH: usize = 32;
/// Folders down to this depth are shared out between threads.
const SHARED_DEPTH: usize = 3;
const MAX_THREADS: usize = 4;
/// Folders that are emptied before others help.
const FOLDERS_ALONE: usize = 16;
/// Folders that wait for a thread, each an open descriptor.
const MAX_WAITING: usize = 128;
/// Bytes that names are read into at once.
const NAMES: usize = 16 << 10;

pub fn remove(request: Remove, job: &Job) -> Outcome {
    for path in &request.paths {
        remove_tree(path, Some(job))?;
    }
    Ok((Reply::Removed { id: request.id }, Vec::new()))
}

pub fn rename(request: Move, job: &Job) -> Outcome {
    let (from, to) = (&request.from, &request.to);
    // What is beside the tree goes first: where a tree is, it is whole.
    if statat(CWD, to, AtFlags::SYMLINK_NOFOLLOW).is_err() {
        for file in [owners_file, implied_file] {
            match renameat(CWD, file(from), CWD, file(to)) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(Failure::from(error).at(file(to))),
            }
        }
    }
    let renamed = match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system knows the flag. A folder that has something in it is not replaced without it either.
        Err(Errno::INVAL | Errno::NOSYS) => renameat(CWD, from, CWD, to),
        other => other,
    };
    match renamed {
        Ok(()) => {}
        Err(Errno::EXIST | Errno::NOTEMPTY) => remove_tree(from, Some(job))?,
        Err(error) => return Err(Failure::from(error).at(from)),
    }
    Ok((Reply::Moved { id: request.id }, Vec::new()))
}

/// Removes what is at a path of the machine and the files beside it that are about it. What is not there is no fault.
/// Without a job it goes on to the end.
pub fn remove_tree(path: &str, job: Option<&Job>) -> Result<()> {
    remove_path(path, job).map_err(|failure| failure.at(path))?;
    for file in [owners_file(path), implied_file(path)] {
        match unlinkat(CWD, &file, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(Failure::from(error).at(file)),
        }
    }
    Ok(())
}

fn remove_path(path: &str, job: Option<&Job>) -> Result<()> {
    match unlinkat(CWD, path, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    let remover = Remover::new(open_folder(CWD, path.as_bytes())?, job);
    remover.share_out()?;
    remover.clear(remover.root.as_fd(), MAX_DEPTH)?;
    Ok(unlinkat(CWD, path, AtFlags::REMOVEDIR)?)
}

/// Removes what has this name in a folder, with all that is below it. What is not there is no fault.
pub fn remove_at(at: BorrowedFd<'_>, name: &[u8], job: &Job) -> Result<()> {
    match unlinkat(at, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    let remover = Remover::new(open_folder(at, name)?, Some(job));
    remover.clear(remover.root.as_fd(), MAX_DEPTH)?;
    Ok(unlinkat(at, name, AtFlags::REMOVEDIR)?)
}

/// Removes everything in a folder, but not the folder.
pub fn empty(folder: OwnedFd, job: &Job) -> Result<()> {
    let remover = Remover::new(folder, Some(job));
    remover.clear(remover.root.as_fd(), MAX_DEPTH)
}

struct Remover<'a> {
    root: OwnedFd,
    /// Folders that a thread has yet to empty, with how deep they are.
    waiting: Mutex<Vec<(OwnedFd, usize)>>,
    /// For the names of folders that are moved up.
    moved: AtomicU64,
    job: Option<&'a Job>,
}

impl<'a> Remover<'a> {
    fn new(root: OwnedFd, job: Option<&'a Job>) -> Self {
        Remover { root, waiting: Mutex::new(Vec::new()), moved: AtomicU64::new(0), job }
    }

    /// Empties the upper folders side by side; their skeleton stays. A tree of a few folders is not worth a thread.
    fn share_out(&self) -> Result<()> {
        self.skim(self.root.try_clone()?.as_fd(), 0)?;
        for _ in 0..FOLDERS_ALONE {
            if !self.next()? {
                return Ok(());
            }
        }
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..cores().min(MAX_THREADS))
                .map(|_| {
                    scope.spawn(|| -> Result<()> {
                        while self.next()? {}
                        Ok(())
                    })
                })
                .collect();
            first_cause(workers.into_iter().filter_map(|worker| joined(worker).err())).map_or(Ok(()), Err)
        })
    }

    /// Empties a folder that waits; whether there was one.
    fn next(&self) -> Result<bool> {
        let next = lock(&self.waiting).pop();
        let Some((folder, depth)) = next else { return Ok(false) };
        self.skim(folder.as_fd(), depth)?;
        Ok(true)
    }

    /// Removes what is in a folder but for the folders that others are to empty.
    fn skim(&self, folder: BorrowedFd<'_>, depth: usize) -> Result<()> {
        self.each(folder, &mut |name, is_folder| {
            if is_folder && depth < SHARED_DEPTH && lock(&self.waiting).len() < MAX_WAITING {
                let below = open_folder(folder, name)?;
                lock(&self.waiting).push((below, depth + 1));
                return Ok(());
            }
            self.remove(folder, name, is_folder, MAX_DEPTH)
        })
    }

    /// Removes everything in a folder.
    fn clear(&self, folder: BorrowedFd<'_>, depth: usize) -> Result<()> {
        loop {
            let moved = self.moved.load(Relaxed);
            self.each(folder, &mut |name, is_folder| self.remove(folder, name, is_folder, depth))?;
            // What was moved up is in the root, maybe behind where the list of its names was.
            if depth < MAX_DEPTH || self.moved.load(Relaxed) == moved {
                return Ok(());
            }
        }
    }

    fn remove(&self, folder: BorrowedFd<'_>, name: &[u8], is_folder: bool, depth: usize) -> Result<()> {
        self.job.map_or(Ok(()), Job::check)?;
        if !is_folder {
            return Ok(unlinkat(folder, name, AtFlags::empty())?);
        }
        if depth == 0 {
            let number = self.moved.fetch_add(1, Relaxed);
            // A name that is there already, be it a file's, only means another try.
            for attempt in 0..u64::MAX {
                let up = format!(".kbuild-removed-{number}-{attempt}");
                match renameat_with(folder, name, &self.root, &up, RenameFlags::NOREPLACE) {
                    Err(Errno::EXIST | Errno::NOTEMPTY) => {}
                    other => return Ok(other?),
                }
            }
        }
        let below = open_folder(folder, name)?;
        self.clear(below.as_fd(), depth - 1)?;
        drop(below);
        Ok(unlinkat(folder, name, AtFlags::REMOVEDIR)?)
    }

    fn each(&self, folder: BorrowedFd<'_>, take: &mut dyn FnMut(&[u8], bool) -> Result<()>) -> Result<()> {
        let mut buffer = vec![MaybeUninit::uninit(); NAMES];
        // It may have been listed before.
        seek(folder, SeekFrom::Start(0))?;
        let mut dir = RawDir::new(folder, &mut buffer);
        while let Some(entry) = dir.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let is_folder = match entry.file_type() {
                FileType::Unknown => is_folder(folder, name)?,
                kind => kind == FileType::Directory,
            };
            take(name, is_folder)?;
        }
        Ok(())
    }
}

fn is_folder(at: impl AsFd, name: &[u8]) -> Result<bool> {
    let stat = statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Opens a folder whose files are to be removed; who may not do so but owns it gets the right first.
/// What is mounted somewhere in the tree is never gone into.
fn open_folder(at: impl AsFd, name: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || {
        if name.contains(&b'/') {
            return openat(&at, name, flags, Mode::empty());
        }
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
        match openat2(&at, name, flags, Mode::empty(), resolve) {
            Err(Errno::NOSYS | Errno::PERM) => openat(&at, name, flags, Mode::empty()),
            other => other,
        }
    };
    let failed = |error| match error {
        Errno::XDEV => Failure::new(Code::Denied, "something is mounted in a tree that is to be removed"),
        _ => Failure::from(error),
    };
    let usable = Mode::from_raw_mode(0o700);
    let folder = match open() {
        Err(Errno::ACCESS) if is_folder(&at, name)? => {
            chmodat(&at, name, usable, AtFlags::empty())?;
            open().map_err(failed)?
        }
        opened => opened.map_err(failed)?,
    };
    if !rustix::process::geteuid().is_root() {
        let mode = Mode::from_raw_mode(rustix::fs::fstat(&folder)?.st_mode);
        if !mode.contains(usable) {
            rustix::fs::fchmod(&folder, usable)?;
        }
    }
    Ok(folder)
}

#[cfg(test)]
mod tests;
