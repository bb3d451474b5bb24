//! What may have changed, with all that a layer says of it.
use super::walk::Item;
use crate::attributes::{self, Attributes};
use crate::cores::cores;
use crate::failure::{Failure, Result};
use crate::folders::{open_root, split, Folders};
use crate::pieces::{first_cause, joined};
use crate::record::{Record, Records};
use crate::sandbox::protocol::{ChangedTree, Owners};
use crate::session::Job;
use crate::table::Kind;
use rustix::fs::{openat, readlinkat, FileType, Mode, OFlags};
use rustix::io::{read, retry_on_intr, Errno};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

const MAX_THREADS: usize = 4;
/// Fewer are not worth a thread.
const SHARE: usize = 256;
/// Contents up to this size are read while their file is open for its attributes: opening it once more takes longer.
const SMALL: u64 = 4 << 10;
/// Bytes of contents that each thread keeps.
const KEPT: usize = 4 << 20;

pub struct Candidate {
    /// With what the records say, where they say something.
    pub item: Item,
    pub kind: Kind,
    /// Target of a symbolic link.
    pub link: Vec<u8>,
    pub attributes: Attributes,
    pub is_opaque: bool,
    /// Path of the file that fuse-overlayfs has made this one of.
    pub origin: Option<Vec<u8>>,
    /// Of a small file, which is open anyway; not of every one.
    pub content: Option<Vec<u8>>,
}

/// Looks at each item. Sockets, which no layer can have, are left out. Of a folder's marks only those count that whoever
/// makes this kind of tree sets and hides: a step can set the others itself.
pub fn candidates(
    root: &str,
    tree: &ChangedTree,
    items: Vec<Item>,
    owners: Owners,
    records: &Records,
    job: &Job,
) -> Result<Vec<Candidate>> {
    let threads = cores().min(MAX_THREADS);
    let share = items.len().div_ceil(threads).max(SHARE);
    let mut shares: Vec<Vec<Item>> = Vec::new();
    let mut items = items.into_iter().peekable();
    while items.peek().is_some() {
        shares.push(items.by_ref().take(share).collect());
    }
    let look_at = |share: Vec<Item>| -> Result<Vec<Candidate>> {
        let mut candidates = Vec::with_capacity(share.len());
        let mut look = Look { tree, folders: Folders::new(open_root(root)?), owners, records, room: KEPT };
        for item in share {
            job.check()?;
            let path = item.path.clone();
            candidates.extend(look.at(item).map_err(|failure| failure.at(path))?);
        }
        Ok(candidates)
    };
    let look_at = &look_at;
    let results: Vec<Result<Vec<Candidate>>> = std::thread::scope(|scope| {
        let mut shares = shares.into_iter();
        let first = shares.next();
        let threads: Vec<_> = shares.map(|share| scope.spawn(move || look_at(share))).collect();
        let first = first.map(look_at);
        first.into_iter().chain(threads.into_iter().map(joined)).collect()
    });
    let mut all = Vec::new();
    let mut failures = Vec::new();
    for result in results {
        match result {
            Ok(candidates) => all.extend(candidates),
            Err(failure) => failures.push(failure),
        }
    }
    first_cause(failures).map_or(Ok(all), Err)
}

/// What one thread looks at items with.
struct Look<'a> {
    tree: &'a ChangedTree,
    folders: Folders,
    owners: Owners,
    records: &'a Records,
    /// Bytes of contents that may still be kept.
    room: usize,
}

impl Look<'_> {
    fn at(&mut self, mut item: Item) -> Result<Option<Candidate>> {
        let (folder, name) = split(&item.path);
        let at = self.folders.at(folder, false)?;
        let mut found = attributes::Found::default();
        let mut link = Vec::new();
        let mut content = None;
        match item.kind {
            FileType::RegularFile | FileType::Directory => {
                let file = open_quietly(at, if name.is_empty() { b"." } else { name })?;
                found = attributes::read(file.as_fd())?;
                if item.kind == FileType::RegularFile && item.size <= SMALL && item.size <= self.room as u64 {
                    content = whole(file.as_fd(), item.size as usize)?;
                    self.room -= content.as_ref().map_or(0, Vec::len);
                }
            }
            FileType::Symlink => {
                link = readlinkat(at, name, Vec::new())?.into_bytes();
                found.record = self.records.get(&item.path).copied();
            }
            _ => found.record = self.records.get(&item.path).copied(),
        }
        let attributes::Found { attributes, record, is_opaque, is_served_opaque, origin } = found;
        let is_opaque = match self.tree {
            ChangedTree::Overlay { .. } => is_opaque,
            ChangedTree::FuseOverlay { .. } => is_opaque || is_served_opaque,
            ChangedTree::Copy { .. } => false,
        };
        let kind = match item.kind {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Symlink,
            FileType::Fifo => Kind::Fifo,
            FileType::CharacterDevice => Kind::CharacterDevice,
            FileType::BlockDevice => Kind::BlockDevice,
            _ => return Ok(None),
        };
        let kind = record.map_or(kind, |record| applied(&mut item, kind, record, self.owners));
        Ok(Some(Candidate { item, kind, link, attributes, is_opaque, origin, content }))
    }
}

/// Opens for reading without giving it a new time of access, which would be one more thing for the file system to write.
fn open_quietly(at: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match openat(at, name, flags | OFlags::NOATIME, Mode::empty()) {
        // That is for a file's owner, and for who stands in for it.
        Err(Errno::PERM) => openat(at, name, flags, Mode::empty()),
        opened => opened,
    }
}

/// A file's content if it has so many bytes. One that has fewer is told of when it is read for the layer.
fn whole(file: BorrowedFd<'_>, size: usize) -> Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; size];
    let read = if size == 0 { 0 } else { retry_on_intr(|| read(file, &mut bytes))? };
    Ok(if read == size { Some(bytes) } else { None })
}

/// Makes of an item what its record says that it is. A record of something else than the item is of something that had
/// its name before.
fn applied(item: &mut Item, kind: Kind, record: Record, owners: Owners) -> Kind {
    let told = FileType::from_raw_mode(record.mode);
    let is_placeholder = kind == Kind::File && item.size == 0;
    let kind = match told {
        FileType::CharacterDevice if is_placeholder => Kind::CharacterDevice,
        FileType::BlockDevice if is_placeholder => Kind::BlockDevice,
        _ if told == item.kind => kind,
        _ => return kind,
    };
    if matches!(kind, Kind::CharacterDevice | Kind::BlockDevice) {
        (item.major, item.minor) = (record.major, record.minor);
    }
    // Permissions are always the file's own, which chmod changes.
    if owners == Owners::Recorded {
        (item.uid, item.gid) = (record.uid, record.gid);
    }
    kind
}

impl Candidate {
    /// Fails when the file's name has a meaning of its own in a layer.
    pub fn check_name(&self) -> Result<()> {
        if super::parents::is_like_mark(&self.item.path) {
            let message = "a layer cannot have a file whose name begins with .wh., which stands for a deleted one";
            return Err(Failure::new(crate::failure::Code::Hostile, message).at(&self.item.path));
        }
        Ok(())
    }
}
