//! What a scan has found: folders with their entries, small enough for some hundred thousand of them.
use crate::failure::{Code, Failure, Result};
use crate::stat_cache::FileStat;
use rustix::fs::{readlinkat, FileType, Stat};
use std::os::fd::BorrowedFd;

/// Longer paths than any system takes: only a tree made to do harm has them.
pub const MAX_PATH: usize = 16 << 10;

/// Number of a listed folder.
pub type FolderId = usize;

/// The entries of one folder that no rule excludes, and those folders that may hold some.
pub struct Folder {
    /// From the root; empty for the root.
    pub path: Vec<u8>,
    /// Names and link targets, which items point into.
    text: Vec<u8>,
    /// Sorted by name, bytewise.
    pub items: Vec<Item>,
}

pub struct Item {
    name: (u32, u32),
    link: (u32, u32),
    pub kind: ItemKind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub has_other_names: bool,
    pub stat: FileStat,
}

#[derive(Clone, Copy)]
pub enum ItemKind {
    File,
    Symlink,
    /// `excluded`: it is only there if something in it is.
    Directory {
        listing: Option<FolderId>,
        excluded: bool,
    },
}

/// What in the machine's tree an image can have, and what not.
pub enum Sort {
    File,
    Symlink,
    Directory,
    Unwanted(&'static str),
}

impl Sort {
    pub fn of(kind: FileType) -> Sort {
        match kind {
            FileType::RegularFile => Sort::File,
            FileType::Symlink => Sort::Symlink,
            FileType::Directory => Sort::Directory,
            FileType::Socket => Sort::Unwanted("socket"),
            FileType::Fifo => Sort::Unwanted("fifo"),
            FileType::CharacterDevice | FileType::BlockDevice | FileType::Unknown => Sort::Unwanted("device"),
        }
    }
}

impl Folder {
    pub fn new(path: Vec<u8>) -> Self {
        Folder { path, text: Vec::new(), items: Vec::new() }
    }

    /// Adds an entry, and reads the target if it is a link. Fails with `changed` when it is one no longer.
    pub fn add(&mut self, at: BorrowedFd<'_>, name: &[u8], kind: ItemKind, stat: &Stat) -> Result<()> {
        let link = match kind {
            ItemKind::Symlink => {
                let target = readlinkat(at, name, Vec::new()).map_err(|error| vanished(error, &self.path_of(name)))?;
                self.put(target.as_bytes())?
            }
            ItemKind::File | ItemKind::Directory { .. } => (0, 0),
        };
        let name = self.put(name)?;
        self.items.push(Item {
            name,
            link,
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            has_other_names: stat.st_nlink > 1,
            stat: FileStat::of(stat),
        });
        Ok(())
    }

    /// Sorts the items; nothing is added afterwards.
    pub fn finish(&mut self) {
        let text = &self.text;
        self.items.sort_unstable_by(|left, right| part(text, left.name).cmp(part(text, right.name)));
        self.text.shrink_to_fit();
        self.items.shrink_to_fit();
    }

    pub fn name(&self, item: &Item) -> &[u8] {
        part(&self.text, item.name)
    }

    pub fn link(&self, item: &Item) -> &[u8] {
        part(&self.text, item.link)
    }

    /// The path of an entry with this name. The root is the entry of the root that has no name.
    pub fn path_of(&self, name: &[u8]) -> Vec<u8> {
        let mut path = Vec::with_capacity(self.path.len() + 1 + name.len());
        join(&mut path, &self.path, name);
        path
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(u32, u32)> {
        let place = (u32::try_from(self.text.len()), u32::try_from(bytes.len()));
        let (Ok(offset), Ok(length)) = place else {
            return Err(Failure::new(Code::Hostile, "a folder has more names than 4 GiB").at(&self.path));
        };
        self.text.extend_from_slice(bytes);
        Ok((offset, length))
    }
}

fn part(text: &[u8], (offset, length): (u32, u32)) -> &[u8] {
    &text[offset as usize..][..length as usize]
}

/// Makes `path` that of `name` in `folder`.
pub fn join(path: &mut Vec<u8>, folder: &[u8], name: &[u8]) {
    path.clear();
    path.extend_from_slice(folder);
    if !folder.is_empty() && !name.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

/// The failure of a call on something that was there a moment ago.
pub fn vanished(error: rustix::io::Errno, path: &[u8]) -> Failure {
    use rustix::io::Errno;
    match error {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::INVAL | Errno::NXIO => {
            Failure::new(Code::Changed, "it was changed while it was read").at(path)
        }
        _ => Failure::from(error).at(path),
    }
}
