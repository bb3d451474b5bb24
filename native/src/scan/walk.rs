//! Lists folders whole, with all that is below them, on all cores. What is excluded is not looked at: its name and kind
//! come with the folder's listing, and a folder in which nothing can be let in again is not opened.
use super::found::{join, vanished, Folder, FolderId, ItemKind, Sort, MAX_PATH};
use crate::cores::cores;
use crate::failure::{Code, Failure, Result};
use crate::ignore::{Ignore, Matched};
use crate::protocol::ScanWarning;
use crate::root::Root;
use crate::session::{lock, Job};
use rustix::fs::{statat, AtFlags, FileType, OFlags, RawDir};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Condvar, Mutex, PoisonError};

/// Names of a folder come in pieces of this many bytes.
pub const NAMES: usize = 64 << 10;
/// More threads than this only wait for each other.
const MAX_THREADS: usize = 8;
/// Warnings that are told at most.
const MAX_WARNINGS: usize = 1_000;
/// Entries of a scan at most: their table takes about 1 GiB.
pub const MAX_ENTRIES: usize = 4_000_000;

/// Threads that are worth having for work in this many pieces.
pub fn threads(pieces: usize) -> usize {
    cores().min(MAX_THREADS).min(pieces).max(1)
}

/// A folder that is to be listed.
struct Listing {
    id: FolderId,
    path: Vec<u8>,
    matched: Matched,
}

/// Folders to be listed, and what came of it.
pub struct Walk<'a> {
    root: &'a Root,
    ignore: &'a Ignore,
    job: &'a Job,
    shared: Mutex<Shared>,
    changed: Condvar,
}

#[derive(Default)]
struct Shared {
    /// The last one is next: so few are waiting at any time.
    waiting: Vec<Listing>,
    /// By number; `None` until it is listed.
    folders: Vec<Option<Folder>>,
    /// Threads that are at a folder, and so may still find more.
    busy: usize,
    entries: usize,
    warnings: Vec<ScanWarning>,
    failure: Option<Failure>,
}

/// One folder, listed.
struct Listed {
    folder: Folder,
    /// What the numbers of listings in the folder's items mean, until each has one of the whole walk.
    below: Vec<(Vec<u8>, Matched)>,
    warnings: Vec<ScanWarning>,
}

/// What a walk has found.
pub struct Walked {
    /// By number. The number of a folder is higher than that of the one that it is in.
    pub folders: Vec<Folder>,
    pub warnings: Vec<ScanWarning>,
}

impl<'a> Walk<'a> {
    pub fn new(root: &'a Root, ignore: &'a Ignore, job: &'a Job) -> Self {
        Walk { root, ignore, job, shared: Mutex::default(), changed: Condvar::new() }
    }

    /// Takes in a folder to be listed; gives the number that the listing will have.
    pub fn add(&self, path: Vec<u8>, matched: Matched) -> FolderId {
        lock(&self.shared).add(path, matched)
    }

    /// Lists all folders that were added, and all below them.
    pub fn run(self) -> Result<Walked> {
        if !lock(&self.shared).waiting.is_empty() {
            std::thread::scope(|scope| {
                for _ in 1..threads(MAX_THREADS) {
                    scope.spawn(|| self.work());
                }
                self.work();
            });
        }
        let shared = self.shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        match shared.failure {
            Some(failure) => Err(failure),
            None => Ok(Walked { folders: shared.folders.into_iter().flatten().collect(), warnings: shared.warnings }),
        }
    }

    fn work(&self) {
        let mut names = vec![MaybeUninit::uninit(); NAMES];
        while let Some(listing) = self.next() {
            // The others wait for this thread's word: it has to come even after a panic.
            let listed = catch_unwind(AssertUnwindSafe(|| self.list(&listing, &mut names)))
                .unwrap_or_else(|_| Err(Failure::new(Code::Protocol, "the core has a defect: a scan panicked")));
            lock(&self.shared).take(listing.id, listed);
            self.changed.notify_all();
        }
    }

    /// The next folder to be listed; `None` when all is done or something failed.
    fn next(&self) -> Option<Listing> {
        let mut shared = lock(&self.shared);
        loop {
            if shared.failure.is_some() {
                return None;
            }
            if let Some(listing) = shared.waiting.pop() {
                shared.busy += 1;
                return Some(listing);
            }
            if shared.busy == 0 {
                return None;
            }
            shared = self.changed.wait(shared).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn list(&self, listing: &Listing, names: &mut [MaybeUninit<u8>]) -> Result<Listed> {
        let mut listed = Listed { folder: Folder::new(listing.path.clone()), below: Vec::new(), warnings: Vec::new() };
        let folder = self.root.open_with(&listing.path, OFlags::RDONLY | OFlags::DIRECTORY);
        let folder = folder.map_err(|error| vanished(error, &listing.path))?;
        let mut path = Vec::new();
        let mut dir = RawDir::new(&folder, names);
        while let Some(entry) = dir.next() {
            let entry = entry.map_err(|error| vanished(error, &listing.path))?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            join(&mut path, &listing.path, name);
            if path.len() > MAX_PATH {
                let message = format!("a path is longer than {MAX_PATH} bytes");
                return Err(Failure::new(Code::Hostile, message).at(&path[..256]));
            }
            let stat = || statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| vanished(error, &path));
            let mut known = None;
            let mut told = entry.file_type();
            if told == FileType::Unknown {
                let stat = stat()?;
                told = FileType::from_raw_mode(stat.st_mode);
                known = Some(stat);
            }
            let kind = match Sort::of(told) {
                Sort::Directory => {
                    let (excluded, matched) = self.ignore.enter(&listing.matched, &path);
                    if excluded.is_some_and(|rule| !self.ignore.may_readmit(rule, &path)) {
                        continue;
                    }
                    listed.below.push((path.clone(), matched));
                    ItemKind::Directory { listing: Some(listed.below.len() - 1), excluded: excluded.is_some() }
                }
                _ if self.ignore.excludes(&listing.matched, &path).is_some() => continue,
                Sort::File => ItemKind::File,
                Sort::Symlink => ItemKind::Symlink,
                Sort::Unwanted(kind) => {
                    listed.warnings.push(warning(&path, kind));
                    continue;
                }
            };
            let stat = known.map_or_else(stat, Ok)?;
            if FileType::from_raw_mode(stat.st_mode) != told {
                return Err(vanished(rustix::io::Errno::NOENT, &path));
            }
            listed.folder.add(folder.as_fd(), name, kind, &stat)?;
        }
        listed.folder.finish();
        self.job.advance(0, listed.folder.items.len() as u64)?;
        Ok(listed)
    }
}

impl Shared {
    fn add(&mut self, path: Vec<u8>, matched: Matched) -> FolderId {
        let id = self.folders.len();
        self.folders.push(None);
        self.waiting.push(Listing { id, path, matched });
        id
    }

    /// Takes what came of listing a folder.
    fn take(&mut self, id: FolderId, listed: Result<Listed>) {
        self.busy -= 1;
        let Listed { mut folder, below, warnings } = match listed {
            Ok(listed) => listed,
            Err(failure) => {
                self.failure.get_or_insert(failure);
                return;
            }
        };
        self.entries += folder.items.len();
        if self.entries > MAX_ENTRIES {
            self.failure.get_or_insert_with(too_many);
        }
        let ids: Vec<FolderId> = below.into_iter().map(|(path, matched)| self.add(path, matched)).collect();
        for item in &mut folder.items {
            if let ItemKind::Directory { listing: Some(number), .. } = &mut item.kind {
                *number = ids[*number];
            }
        }
        self.folders[id] = Some(folder);
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.extend(warnings);
        }
    }
}

pub fn too_many() -> Failure {
    Failure::new(Code::Hostile, format!("there are more than {MAX_ENTRIES} files"))
}

pub fn warning(path: &[u8], kind: &'static str) -> ScanWarning {
    ScanWarning { path: String::from_utf8_lossy(path).into_owned(), kind }
}

/// In order, each once, and not too many.
pub fn tidy(mut warnings: Vec<ScanWarning>) -> Vec<ScanWarning> {
    warnings.sort_by(|left, right| left.path.cmp(&right.path));
    warnings.dedup_by(|left, right| left.path == right.path);
    warnings.truncate(MAX_WARNINGS);
    warnings
}
