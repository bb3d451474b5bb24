//! Lists everything in a tree, several folders at a time.
use crate::cores::cores;
use crate::failure::{Code, Failure, Result};
use crate::folders::join;
use crate::root::Root;
use crate::session::{lock, Job};
use rustix::fs::{fstat, major, minor, statat, AtFlags, FileType, OFlags, RawDir, Stat};
use std::mem::MaybeUninit;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Condvar, Mutex, PoisonError};

const MAX_THREADS: usize = 4;
/// Bytes that names are read into at once.
const NAMES: usize = 32 << 10;
/// What readers of layers take.
pub const MAX_PATH: usize = 4096;
const MAX_ITEMS: usize = 4_000_000;

/// Something in a tree, as the kernel tells of it.
#[derive(Clone, Debug)]
pub struct Item {
    /// Empty for the root.
    pub path: Vec<u8>,
    pub kind: FileType,
    /// The low 12 bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub modified: (i64, u32),
    pub changed: (i64, u32),
    pub device: u64,
    pub inode: u64,
    pub links: u64,
    /// Numbers of a device.
    pub major: u32,
    pub minor: u32,
}

impl Item {
    // Not every processor's kernel has a number of links of 64 bits.
    #[allow(clippy::unnecessary_cast)]
    fn new(path: Vec<u8>, stat: &Stat) -> Item {
        let number = stat.st_rdev;
        Item {
            path,
            kind: FileType::from_raw_mode(stat.st_mode),
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: stat.st_size as u64,
            modified: (stat.st_mtime, stat.st_mtime_nsec as u32),
            changed: (stat.st_ctime, stat.st_ctime_nsec as u32),
            device: stat.st_dev,
            inode: stat.st_ino,
            links: stat.st_nlink as u64,
            major: major(number),
            minor: minor(number),
        }
    }

    pub fn is_folder(&self) -> bool {
        self.kind == FileType::Directory
    }
}

/// Everything in the tree, in tree order, the root first. Fails with `hostile` when there is more than a layer can have.
pub fn walk(root: &Root, job: &Job) -> Result<Vec<Item>> {
    let top = Item::new(Vec::new(), &fstat(root.open_with(b"", OFlags::PATH | OFlags::DIRECTORY)?)?);
    let shared = Shared { waiting: vec![(0, Vec::new())], listed: vec![None], items: 0, busy: 0, failure: None };
    let walk = Walk { root, shared: Mutex::new(shared), changed: Condvar::new(), job };
    let threads = cores().min(MAX_THREADS);
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| walk.work());
        }
        walk.work();
    });
    let mut shared = walk.shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(failure) = shared.failure {
        return Err(failure);
    }
    let mut items = Vec::with_capacity(shared.items + 1);
    items.push(top);
    // The lists of the folders on the way, each at its next item.
    let mut way = vec![shared.listed[0].take().unwrap_or_default().into_iter()];
    while let Some(list) = way.last_mut() {
        let Some((item, folder)) = list.next() else {
            way.pop();
            continue;
        };
        items.push(item);
        if let Some(below) = folder.and_then(|number| shared.listed[number].take()) {
            way.push(below.into_iter());
        }
    }
    Ok(items)
}

/// Items of a folder sorted by name, each folder with the number of its own list.
type Listed = Vec<(Item, Option<usize>)>;

struct Shared {
    /// Folders to be listed: number and path.
    waiting: Vec<(usize, Vec<u8>)>,
    listed: Vec<Option<Listed>>,
    items: usize,
    busy: usize,
    failure: Option<Failure>,
}

struct Walk<'a> {
    root: &'a Root,
    shared: Mutex<Shared>,
    changed: Condvar,
    job: &'a Job,
}

impl Walk<'_> {
    fn work(&self) {
        let mut names = vec![MaybeUninit::uninit(); NAMES];
        while let Some((number, path)) = self.next() {
            // The others wait for this thread's word: it has to come even after a panic.
            let listed = catch_unwind(AssertUnwindSafe(|| self.list(&path, &mut names)))
                .unwrap_or_else(|_| Err(Failure::new(Code::Protocol, "the core has a defect: a walk panicked")));
            lock(&self.shared).take(number, listed);
            self.changed.notify_all();
        }
    }

    fn next(&self) -> Option<(usize, Vec<u8>)> {
        let mut shared = lock(&self.shared);
        loop {
            if shared.failure.is_some() {
                return None;
            }
            if let Some(next) = shared.waiting.pop() {
                shared.busy += 1;
                return Some(next);
            }
            if shared.busy == 0 {
                return None;
            }
            shared = self.changed.wait(shared).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn list(&self, path: &[u8], names: &mut [MaybeUninit<u8>]) -> Result<Vec<Item>> {
        self.job.check()?;
        let opened = self.root.open_with(path, OFlags::RDONLY | OFlags::DIRECTORY);
        let folder = opened.map_err(|error| Failure::from(error).at(path))?;
        let mut items = Vec::new();
        let mut dir = RawDir::new(&folder, names);
        while let Some(entry) = dir.next() {
            let entry = entry.map_err(|error| Failure::from(error).at(path))?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let path = join(path, name);
            if path.len() > MAX_PATH {
                let message = format!("a path is longer than {MAX_PATH} bytes, which no layer can have");
                return Err(Failure::new(Code::Hostile, message).at(&path[..256]));
            }
            let stat = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW);
            let stat = stat.map_err(|error| Failure::from(error).at(&path))?;
            items.push(Item::new(path, &stat));
        }
        items.sort_unstable_by(|left, right| left.path.cmp(&right.path));
        Ok(items)
    }
}

impl Shared {
    fn take(&mut self, number: usize, listed: Result<Vec<Item>>) {
        self.busy -= 1;
        let items = match listed {
            Ok(items) => items,
            Err(failure) => {
                self.failure.get_or_insert(failure);
                return;
            }
        };
        self.items += items.len();
        if self.items > MAX_ITEMS {
            let message = format!("there are more than {MAX_ITEMS} files");
            self.failure.get_or_insert(Failure::new(Code::Hostile, message));
            return;
        }
        let list = items.into_iter().map(|item| {
            let below = item.is_folder().then(|| {
                self.listed.push(None);
                self.waiting.push((self.listed.len() - 1, item.path.clone()));
                self.listed.len() - 1
            });
            (item, below)
        });
        self.listed[number] = Some(list.collect());
    }
}
