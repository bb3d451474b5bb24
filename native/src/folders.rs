//! Folders below a descriptor, opened name by name without following links, so that nothing outside can be reached,
//! whatever names and links there are.
use crate::failure::{Code, Failure, Result};
use crate::table::Entry;
use rustix::fs::{mkdirat, openat, statat, unlinkat, AtFlags, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Folders on the way that are kept open: all down to this depth, and of the deeper ones each of so many, so that a
/// folder at any depth is only a few steps away.
pub const MAX_OPEN: usize = 64;
const EACH: usize = 32;

/// The folders on the way to where the last entry was.
pub struct Folders {
    root: OwnedFd,
    /// Their names; the last is always open.
    way: Vec<(Vec<u8>, Option<OwnedFd>)>,
}

impl Folders {
    pub fn new(root: OwnedFd) -> Self {
        Folders { root, way: Vec::new() }
    }

    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Closes everything but the root: a folder was removed or replaced.
    pub fn forget(&mut self) {
        self.way.clear();
    }

    /// A folder below the root, for resolving only, whose missing parts are made if `make`.
    /// Fails with `denied` when something else than a folder is on the way.
    pub fn at(&mut self, path: &[u8], make: bool) -> Result<BorrowedFd<'_>> {
        let mut names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).peekable();
        let mut common = 0;
        while let (Some((open, _)), Some(name)) = (self.way.get(common), names.peek()) {
            if open != name {
                break;
            }
            common += 1;
            names.next();
        }
        self.way.truncate(common);
        let mut depth = self.way.iter().rposition(|(_, folder)| folder.is_some()).map_or(0, |last| last + 1);
        self.way.extend(names.map(|name| (name.to_vec(), None)));
        while depth < self.way.len() {
            let next = self.above(depth).and_then(|above| open_folder(above, &self.way[depth].0, make));
            let next = match next {
                Ok(next) => next,
                Err(failure) => {
                    self.way.truncate(depth);
                    return Err(failure);
                }
            };
            self.way[depth].1 = Some(next);
            if depth > MAX_OPEN && (depth - 1) % EACH != 0 {
                self.way[depth - 1].1 = None;
            }
            depth += 1;
        }
        self.above(depth)
    }

    /// The folder above a depth, as far as it is open.
    fn above(&self, depth: usize) -> Result<BorrowedFd<'_>> {
        let Some(last) = depth.checked_sub(1) else { return Ok(self.root.as_fd()) };
        let closed = || Failure::new(Code::Protocol, "the core has a defect: a folder on the way is not open");
        self.way[last].1.as_ref().map(AsFd::as_fd).ok_or_else(closed)
    }
}

/// Opens the folder at a path of the machine, for resolving only.
pub fn open_root(path: &str) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(rustix::fs::CWD, path, flags, Mode::empty()).map_err(|error| Failure::from(error).at(path))
}

fn open_folder(at: BorrowedFd<'_>, name: &[u8], make: bool) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = match openat(at, name, flags, Mode::empty()) {
        Err(Errno::NOENT) if make => {
            mkdirat(at, name, Mode::from_raw_mode(0o755))?;
            openat(at, name, flags, Mode::empty())
        }
        other => other,
    };
    opened.map_err(|error| match error {
        Errno::NOTDIR | Errno::LOOP => Failure::new(Code::Denied, "a file or a link is where a folder should be"),
        _ => error.into(),
    })
}

/// Opens for reading a folder that is known only by its descriptor for resolving, or one below it.
pub fn open_listing(at: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, if name.is_empty() { b"." } else { name }, flags, Mode::empty())
}

/// Makes a folder. One that is there stays; anything else of that name is replaced. Whether it is a new one.
pub fn make_folder(at: BorrowedFd<'_>, name: &[u8]) -> Result<bool> {
    let usable = Mode::from_raw_mode(0o700);
    match mkdirat(at, name, usable) {
        Err(Errno::EXIST) => {}
        other => return Ok(other.map(|()| true)?),
    }
    let there = statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(there.st_mode) == FileType::Directory {
        return Ok(false);
    }
    unlinkat(at, name, AtFlags::empty())?;
    mkdirat(at, name, usable)?;
    Ok(true)
}

/// Modification time of an entry; the time of access is the same.
pub fn times(entry: &Entry<'_>) -> Timestamps {
    let time = Timespec { tv_sec: entry.seconds, tv_nsec: entry.nanoseconds.min(999_999_999).into() };
    Timestamps { last_access: time, last_modification: time }
}

/// Folder and last name of a path.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// The path of a name in a folder.
pub fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() {
        return name.to_vec();
    }
    [folder, b"/", name].concat()
}

/// Fails with `protocol` when a path is not clean.
pub fn check_path(path: &[u8]) -> Result<()> {
    let is_clean = |name: &[u8]| !name.is_empty() && name != b"." && name != b".." && !name.contains(&0);
    if path.is_empty() || path.split(|byte| *byte == b'/').all(is_clean) {
        return Ok(());
    }
    Err(Failure::new(Code::Protocol, "a path is not clean"))
}
