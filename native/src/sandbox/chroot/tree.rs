//! Changes to a tree for the time of a step: what elsewhere is mounted over it is put into it, and afterwards it is as it
//! was, but for what the step itself did. The step may have replaced any folder by a link that leads elsewhere meanwhile:
//! nothing is ever found again by its path, only by the folder that was opened before.
use crate::failure::Result;
use crate::sandbox::fault::Called;
use crate::sandbox::place::{make_file, Kind, Place};
use crate::session::lock;
use crate::trees::remove_tree;
use rustix::fs::{
    fstat, mkdirat, openat, renameat, statat, unlinkat, AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, CWD,
};
use rustix::io::{fcntl_dupfd_cloexec, Errno};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};

/// A tree that is changed for a step.
pub struct Tree {
    pub root: OwnedFd,
    /// A folder beside the tree for what is in the way, and for what is to be removed; made when it is needed.
    aside: String,
    moved: u32,
    undo: Vec<Undo>,
    /// Folders whose paths by descriptor are in use.
    held: Vec<OwnedFd>,
    /// Whether threads may still change it; whoever does so holds it locked.
    is_in_use: Arc<Mutex<bool>>,
}

/// Whether what is open has this name.
fn is_at(itself: &OwnedFd, folder: &OwnedFd, name: &[u8]) -> Result<bool> {
    let own = fstat(itself).called("fstat")?;
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(false),
        there => there.called("stat").map(|there| (there.st_dev, there.st_ino) == (own.st_dev, own.st_ino)),
    }
}

/// How a change is taken back.
enum Undo {
    /// What has this name is not the step's: it goes. Before it, something else may have been there.
    Restore { folder: OwnedFd, name: Vec<u8>, kept: Option<String> },
    /// A folder that only leads to something of that kind: it goes, unless the step has put something into it.
    Empty { folder: OwnedFd, name: Vec<u8> },
    /// What has this name belongs to the machine, where it has this path. Before it, something else may have been there.
    /// `itself` is it, held open: only that is taken back, not what a step may have put in its place.
    Return { folder: OwnedFd, name: Vec<u8>, path: String, kept: Option<String>, itself: OwnedFd },
}

/// A name in the tree that something can be put at; nothing is there.
pub struct Spot {
    pub folder: OwnedFd,
    pub name: Vec<u8>,
    kept: Option<String>,
}

impl Tree {
    pub fn open(path: &str) -> Result<Tree> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, path, flags, Mode::empty()).called(format_args!("open({path})"))?;
        Ok(Tree {
            root,
            aside: format!("{path}.aside"),
            moved: 0,
            undo: Vec::new(),
            held: Vec::new(),
            is_in_use: Arc::new(Mutex::new(true)),
        })
    }

    /// Makes a mount point where none is. It is to be found there by others, and goes in the end.
    pub fn make_point(&mut self, path: &str, kind: Kind) -> Result<()> {
        let Some(spot) = self.free_if_missing(path, kind)? else { return Ok(()) };
        keeping_times(spot.folder.as_fd(), || match kind {
            Kind::Folder => mkdirat(&spot.folder, &*spot.name, Mode::from_raw_mode(0o755)).called("mkdir"),
            Kind::File => make_file(spot.folder.as_fd(), &spot.name).map(drop).called("open"),
        })?;
        self.undo.push(Undo::Restore { folder: spot.folder, name: spot.name, kept: None });
        Ok(())
    }

    /// Frees the place of a path: folders that lead there are made, what is there already is kept aside.
    pub fn free(&mut self, path: &str, kind: Kind) -> Result<Spot> {
        if let Some(spot) = self.free_if_missing(path, kind)? {
            return Ok(spot);
        }
        let mut place = Place::of_mount(self.root.as_fd(), path, kind)?;
        let Some((name, there)) = place.there.pop().filter(|_| !place.there.is_empty()) else {
            return Err(crate::sandbox::fault::fault("a mount over /", Errno::INVAL));
        };
        drop(there);
        let folder = fcntl_dupfd_cloexec(place.last().called("open")?, 0).called("dup")?;
        let kept = self.next_aside()?;
        keeping_times(folder.as_fd(), || {
            renameat(&folder, &*name, CWD, kept.as_str()).called("rename(out of the tree)")
        })?;
        Ok(Spot { folder, name, kept: Some(kept) })
    }

    /// Keeps a descriptor open for as long as the tree is changed.
    pub fn hold(&mut self, descriptor: OwnedFd) {
        self.held.push(descriptor);
    }

    /// What a thread holds locked while it changes the tree, and then only if it is still true.
    pub fn in_use(&self) -> Arc<Mutex<bool>> {
        Arc::clone(&self.is_in_use)
    }

    /// Says that what was put at a spot is to be removed in the end.
    pub fn remove_later(&mut self, spot: Spot) {
        self.undo.push(Undo::Restore { folder: spot.folder, name: spot.name, kept: spot.kept });
    }

    /// Moves something of the machine into the tree; it is moved back in the end.
    pub fn move_in(&mut self, source: &str, spot: Spot) -> Result<()> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let itself = match openat(CWD, source, flags, Mode::empty()) {
            Ok(itself) => itself,
            Err(error) => {
                self.remove_later(spot);
                return Err(error).called(format_args!("open({source})"));
            }
        };
        let moved = keeping_times(spot.folder.as_fd(), || {
            renameat(CWD, source, &spot.folder, &*spot.name).called(format_args!("rename({source})"))
        });
        if let Err(failure) = moved {
            self.remove_later(spot);
            return Err(failure);
        }
        let Spot { folder, name, kept } = spot;
        self.undo.push(Undo::Return { folder, name, path: source.to_owned(), kept, itself });
        Ok(())
    }

    /// Takes all changes back, the last one first. Goes on when one cannot be, and tells the first reason.
    pub fn restore(mut self) -> Result<()> {
        *lock(&self.is_in_use) = false;
        let mut first = Ok(());
        while let Some(undo) = self.undo.pop() {
            let done = self.take_back(undo);
            if first.is_ok() {
                first = done;
            }
        }
        if self.moved > 0 {
            first = first.and(remove_tree(&self.aside, None));
        }
        first
    }

    fn take_back(&mut self, undo: Undo) -> Result<()> {
        match undo {
            Undo::Restore { folder, name, kept } => keeping_times(folder.as_fd(), || {
                self.discard(&folder, &name)?;
                put_back(&folder, &name, kept)
            }),
            Undo::Empty { folder, name } => {
                keeping_times(folder.as_fd(), || match unlinkat(&folder, &*name, AtFlags::REMOVEDIR) {
                    Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT | Errno::NOTDIR) => Ok(()),
                    done => done.called("rmdir"),
                })
            }
            Undo::Return { folder, name, path, kept, itself } => keeping_times(folder.as_fd(), || {
                // A step that has removed or renamed it has lost it: a mount point could be neither.
                if is_at(&itself, &folder, &name)? {
                    renameat(&folder, &*name, CWD, path.as_str()).called(format_args!("rename(back to {path})"))?;
                } else {
                    self.discard(&folder, &name)?;
                }
                put_back(&folder, &name, kept)
            }),
        }
    }

    /// Moves what is at a name out of the tree, to be removed there by its path, which nobody else has a hand in.
    fn discard(&mut self, folder: &OwnedFd, name: &[u8]) -> Result<()> {
        let is_folder = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            stat => FileType::from_raw_mode(stat.called("stat")?.st_mode) == FileType::Directory,
        };
        if !is_folder {
            return unlinkat(folder, name, AtFlags::empty()).called("unlink");
        }
        let trash = self.next_aside()?;
        renameat(folder, name, CWD, trash.as_str()).called("rename(what a step leaves behind)")?;
        remove_tree(&trash, None)
    }

    /// A path of the machine beside the tree, where nothing is; what is there in the end is removed.
    pub fn next_aside(&mut self) -> Result<String> {
        if self.moved == 0 {
            std::fs::create_dir(&self.aside).called(format_args!("mkdir({})", self.aside))?;
        }
        self.moved += 1;
        Ok(format!("{}/{}", self.aside, self.moved))
    }

    /// The place of a path that is missing; folders that lead there are made.
    fn free_if_missing(&mut self, path: &str, kind: Kind) -> Result<Option<Spot>> {
        let place = Place::of_mount(self.root.as_fd(), path, kind)?;
        let Some((name, above)) = place.missing.split_last() else { return Ok(None) };
        let mut folder = fcntl_dupfd_cloexec(place.last().called("open")?, 0).called("dup")?;
        for name in above {
            keeping_times(folder.as_fd(), || {
                mkdirat(&folder, &**name, Mode::from_raw_mode(0o755)).called(format_args!("mkdir(for {path})"))
            })?;
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let made = openat(&folder, &**name, flags, Mode::empty()).called("open")?;
            self.undo.push(Undo::Empty { folder, name: name.clone() });
            folder = made;
        }
        Ok(Some(Spot { folder, name: name.clone(), kept: None }))
    }
}

fn put_back(folder: &OwnedFd, name: &[u8], kept: Option<String>) -> Result<()> {
    let Some(kept) = kept else { return Ok(()) };
    renameat(CWD, kept.as_str(), folder, name).called("rename(back into the tree)")
}

/// Gives a folder the times afterwards that it has now: what `action` does in it is not the step's doing.
pub fn keeping_times<T>(folder: BorrowedFd<'_>, action: impl FnOnce() -> Result<T>) -> Result<T> {
    let stat = fstat(folder).called("fstat")?;
    let done = action()?;
    let times = Timestamps {
        last_access: Timespec { tv_sec: stat.st_atime as _, tv_nsec: stat.st_atime_nsec as _ },
        last_modification: Timespec { tv_sec: stat.st_mtime as _, tv_nsec: stat.st_mtime_nsec as _ },
    };
    let itself = openat(folder, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    match itself.and_then(|itself| rustix::fs::futimens(itself, &times)) {
        // The step has removed it.
        Err(Errno::NOENT) => Ok(done),
        set => set.called("futimens").map(|()| done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{symlink, MetadataExt};
    use std::path::Path;

    /// Every path with its type, size, time and inode.
    fn state(folder: &Path) -> Vec<(String, u32, u64, i64, i64, u64)> {
        let mut found = Vec::new();
        let mut pending = vec![folder.to_owned()];
        while let Some(at) = pending.pop() {
            let stat = std::fs::symlink_metadata(&at).unwrap();
            if stat.is_dir() {
                pending.extend(std::fs::read_dir(&at).unwrap().map(|entry| entry.unwrap().path()));
            }
            let size = if stat.is_dir() { 0 } else { stat.size() };
            found.push((at.display().to_string(), stat.mode(), size, stat.mtime(), stat.mtime_nsec(), stat.ino()));
        }
        found.sort();
        found
    }

    fn sample() -> (tempfile::TempDir, String) {
        let outer = tempfile::tempdir().unwrap();
        let tree = outer.path().join("tree");
        std::fs::create_dir_all(tree.join("etc")).unwrap();
        std::fs::create_dir_all(tree.join("var/lib/full/deep")).unwrap();
        std::fs::write(tree.join("etc/hosts"), "image").unwrap();
        symlink("/var/lib", tree.join("link")).unwrap();
        let path = tree.to_str().unwrap().to_owned();
        (outer, path)
    }

    #[test]
    fn all_is_as_it_was() {
        let (outer, path) = sample();
        std::fs::create_dir(outer.path().join("cache")).unwrap();
        std::fs::write(outer.path().join("cache/kept"), "1").unwrap();
        let before = state(Path::new(&path));
        let mut tree = Tree::open(&path).unwrap();
        let spot = tree.free("/etc/hosts", Kind::File).unwrap();
        keeping_times(spot.folder.as_fd(), || Ok(std::fs::write(format!("{path}/etc/hosts"), "ours")?)).unwrap();
        tree.remove_later(spot);
        let spot = tree.free("/link/full", Kind::Folder).unwrap();
        tree.move_in(outer.path().join("cache").to_str().unwrap(), spot).unwrap();
        tree.make_point("/new/deep/point", Kind::Folder).unwrap();
        tree.make_point("/new/file", Kind::File).unwrap();
        tree.make_point("/etc", Kind::Folder).unwrap();
        std::fs::write(format!("{path}/var/lib/full/more"), "2").unwrap();
        assert!(!outer.path().join("cache").exists());
        tree.restore().unwrap();
        assert_eq!(state(Path::new(&path)), before);
        assert_eq!(std::fs::read(outer.path().join("cache/more")).unwrap(), b"2");
        assert_eq!(std::fs::read_dir(outer.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_the_step_did_stays() {
        let (_outer, path) = sample();
        let mut tree = Tree::open(&path).unwrap();
        tree.make_point("/new/deep/point", Kind::Folder).unwrap();
        std::fs::write(format!("{path}/new/own"), "").unwrap();
        tree.restore().unwrap();
        assert!(Path::new(&path).join("new/own").exists());
        assert!(!Path::new(&path).join("new/deep").exists());
    }

    #[test]
    fn links_that_the_step_makes_lead_nowhere() {
        let (outer, path) = sample();
        std::fs::create_dir(outer.path().join("machine")).unwrap();
        std::fs::write(outer.path().join("machine/hosts"), "precious").unwrap();
        let mut tree = Tree::open(&path).unwrap();
        let spot = tree.free("/etc/hosts", Kind::File).unwrap();
        std::fs::write(format!("{path}/etc/hosts"), "ours").unwrap();
        tree.remove_later(spot);
        std::fs::rename(format!("{path}/etc"), format!("{path}/elsewhere")).unwrap();
        symlink(outer.path().join("machine"), format!("{path}/etc")).unwrap();
        tree.restore().unwrap();
        assert_eq!(std::fs::read(outer.path().join("machine/hosts")).unwrap(), b"precious");
        assert_eq!(std::fs::read(format!("{path}/elsewhere/hosts")).unwrap(), b"image");
    }
}
