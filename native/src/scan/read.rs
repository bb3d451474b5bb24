//! Reads files for their digest, on all cores, in bounded memory.
use super::found::{vanished, Folder, Item};
use super::walk::threads;
use crate::failure::{Code, Failure, Result};
use crate::root::Root;
use crate::session::{lock, Job};
use crate::stat_cache::{FileStat, StatCache};
use rustix::fs::{fstat, openat, Mode, OFlags};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What is read at a time: large enough that the calls cost little, small enough to stay in a core's cache.
const BUFFER: usize = 256 << 10;
/// Files that a thread takes at a time. They lie side by side, so that most of their folders are opened once.
const BATCH: usize = 32;

/// A file to be read, and the number of its entry.
pub struct Unread<'a> {
    pub folder: &'a Folder,
    pub item: &'a Item,
    pub entry: usize,
}

pub struct Reader<'a> {
    pub root: &'a Root,
    pub job: &'a Job,
    pub cache: Option<&'a StatCache>,
}

impl Reader<'_> {
    /// The digests of the files, in their order. Fails with `changed` for a file that is not what the scan saw.
    pub fn read(&self, files: &[Unread<'_>]) -> Result<Vec<[u8; 32]>> {
        let digests = Mutex::new(vec![[0; 32]; files.len()]);
        let failure = Mutex::new(None);
        let stopped = AtomicBool::new(false);
        let next = AtomicUsize::new(0);
        let work = || {
            let mut buffer = vec![0; BUFFER];
            let mut batch = Vec::with_capacity(BATCH);
            while !stopped.load(Ordering::Relaxed) {
                let start = next.fetch_add(BATCH, Ordering::Relaxed);
                let Some(rest) = files.get(start..).filter(|rest| !rest.is_empty()) else { return };
                batch.clear();
                if let Err(reason) = self.read_batch(&rest[..rest.len().min(BATCH)], &mut buffer, &mut batch) {
                    stopped.store(true, Ordering::Relaxed);
                    lock(&failure).get_or_insert(reason);
                    return;
                }
                lock(&digests)[start..start + batch.len()].copy_from_slice(&batch);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads(files.len().div_ceil(BATCH)) {
                scope.spawn(work);
            }
            work();
        });
        let failure = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
        failure.map_or_else(|| Ok(digests.into_inner().unwrap_or_else(PoisonError::into_inner)), Err)
    }

    fn read_batch(&self, files: &[Unread<'_>], buffer: &mut [u8], digests: &mut Vec<[u8; 32]>) -> Result<()> {
        let mut open: Option<(&[u8], OwnedFd)> = None;
        for Unread { folder, item, .. } in files {
            let name = folder.name(item);
            let path = || folder.path_of(name);
            let at = match open.take() {
                Some((path, at)) if path == folder.path => at,
                _ => {
                    let at = self.root.open_with(&folder.path, OFlags::PATH | OFlags::DIRECTORY);
                    at.map_err(|error| vanished(error, &folder.path))?
                }
            };
            // A fifo that has come in the file's place must not be waited for.
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
            let file = openat(&at, name, flags, Mode::empty()).map_err(|error| vanished(error, &path()))?;
            let digest = self.digest(&file, &item.stat, buffer).map_err(|failure| failure.at(path()))?;
            if let Some(cache) = self.cache {
                cache.learn(item.stat, digest);
            }
            digests.push(digest);
            self.job.advance(0, 1)?;
            open = Some((&folder.path, at));
        }
        Ok(())
    }

    /// The digest of a file that must be the one of `expected`, before and after.
    fn digest(&self, file: &OwnedFd, expected: &FileStat, buffer: &mut [u8]) -> Result<[u8; 32]> {
        let mut hasher = blake3::Hasher::new();
        let mut left = expected.size;
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let read = match rustix::io::read(file, &mut buffer[..want]) {
                Ok(0) => break,
                Ok(read) => read,
                Err(rustix::io::Errno::INTR) => continue,
                // What is no file any more.
                Err(rustix::io::Errno::ISDIR | rustix::io::Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            };
            hasher.update(&buffer[..read]);
            left -= read as u64;
            self.job.advance(read as u64, 0)?;
        }
        // One look afterwards tells it all: had the file been another one, longer, or written to meanwhile, then its
        // change time would not be what it was when the scan came by.
        if left > 0 || FileStat::of(&fstat(file)?) != *expected {
            return Err(Failure::new(Code::Changed, "it was changed while it was read"));
        }
        Ok(hasher.finalize().into())
    }
}
