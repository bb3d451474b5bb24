//! Where paths of a sandbox lead, seen from outside: links are followed as if its root were `/`, name by name, so that
//! also a path that is not there yet has a place.
use super::fault::Called;
use crate::failure::{Code, Failure, Result};
use rustix::fs::{fstat, mkdirat, openat, readlinkat, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What the kernel allows itself, path_resolution(7).
const MAX_LINKS: usize = 40;
/// Folders inside of each other; each is held open.
const MAX_DEPTH: usize = 200;
/// Names on the way: links may make a short path arbitrarily long.
const MAX_STEPS: usize = 10_000;

/// What a path leads to as far as it is there.
pub struct Place {
    /// Folders from the root to the last thing that is there, each with its name; the root has none.
    pub there: Vec<(Vec<u8>, OwnedFd)>,
    /// The names that are missing below it.
    pub missing: Vec<Vec<u8>>,
}

/// Whether a missing place is to become a folder or a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Folder,
    File,
}

impl Kind {
    /// What can be mounted on something of this kind.
    pub fn of(descriptor: impl AsFd) -> rustix::io::Result<Kind> {
        let kind = FileType::from_raw_mode(fstat(descriptor)?.st_mode);
        Ok(if kind == FileType::Directory { Kind::Folder } else { Kind::File })
    }
}

impl Place {
    /// Finds the place of something that is to be mounted. Fails with `mount` when there is something else, or no way.
    pub fn of_mount(root: BorrowedFd<'_>, path: &str, kind: Kind) -> Result<Place> {
        let wrong = |message: String| Err(Failure::new(Code::Mount, message));
        let place = match Place::find(root, path.as_bytes()) {
            Err(Errno::NOTDIR) => {
                return wrong(format!("nothing can be mounted at {path}: a file is on the way there"))
            }
            Err(Errno::LOOP) => return wrong(format!("nothing can be mounted at {path}: the way there has no end")),
            found => found.called(format_args!("the mount point {path}"))?,
        };
        if place.missing.is_empty() {
            match (Kind::of(place.last().called("open")?).called(format_args!("stat({path})"))?, kind) {
                (Kind::File, Kind::Folder) => return wrong(format!("a folder cannot be mounted over {path}, a file")),
                (Kind::Folder, Kind::File) => return wrong(format!("a file cannot be mounted over {path}, a folder")),
                _ => {}
            }
        }
        Ok(place)
    }

    /// Finds where `path` leads below `root`.
    /// Fails with `NOTDIR` when something on the way is no folder, with `LOOP` when there is no end to it.
    pub fn find(root: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<Place> {
        let opened = openat(root, ".", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let mut place = Place { there: vec![(Vec::new(), opened)], missing: Vec::new() };
        let mut pending = Vec::new();
        push(&mut pending, path);
        let (mut links, mut steps) = (0, 0);
        while let Some(name) = pending.pop() {
            steps += 1;
            if steps > MAX_STEPS || place.there.len() + place.missing.len() > MAX_DEPTH {
                return Err(Errno::LOOP);
            }
            if name == b".." {
                if place.missing.pop().is_none() && place.there.len() > 1 {
                    place.there.pop();
                }
                continue;
            }
            if !place.missing.is_empty() {
                place.missing.push(name);
                continue;
            }
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let opened = match openat(place.last()?, &*name, flags, Mode::empty()) {
                Err(Errno::NOENT) => {
                    place.missing.push(name);
                    continue;
                }
                opened => opened?,
            };
            if FileType::from_raw_mode(fstat(&opened)?.st_mode) != FileType::Symlink {
                place.there.push((name, opened));
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::LOOP);
            }
            let target = readlinkat(&opened, "", Vec::new())?.into_bytes();
            if target.first() == Some(&b'/') {
                place.there.truncate(1);
            }
            push(&mut pending, &target);
        }
        Ok(place)
    }

    /// The last thing on the way that is there.
    pub fn last(&self) -> rustix::io::Result<BorrowedFd<'_>> {
        self.there.last().map(|(_, descriptor)| descriptor.as_fd()).ok_or(Errno::NOENT)
    }

    /// Makes what is missing, with root as its owner: folders 0755, a file at the end 0644 if it is to be one. Gives the
    /// place itself.
    pub fn make(mut self, kind: Kind) -> rustix::io::Result<OwnedFd> {
        let missing = std::mem::take(&mut self.missing);
        for (at, name) in missing.iter().enumerate() {
            let folder = self.last()?;
            if kind == Kind::File && at + 1 == missing.len() {
                make_file(folder, name)?;
            } else {
                mkdirat(folder, &**name, Mode::from_raw_mode(0o755))?;
            }
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let made = openat(folder, &**name, flags, Mode::empty())?;
            self.there.push((name.clone(), made));
        }
        self.there.pop().map(|(_, descriptor)| descriptor).ok_or(Errno::NOENT)
    }
}

/// An empty file (0644) that was not there.
pub fn make_file(folder: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::from_raw_mode(0o644))
}

fn push(pending: &mut Vec<Vec<u8>>, path: &[u8]) {
    let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".");
    pending.extend(names.rev().map(<[u8]>::to_vec));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(place: &Place) -> (String, String) {
        let there: Vec<String> = place.there.iter().map(|(name, _)| String::from_utf8(name.clone()).unwrap()).collect();
        let missing: Vec<String> = place.missing.iter().map(|name| String::from_utf8(name.clone()).unwrap()).collect();
        (there.join("/"), missing.join("/"))
    }

    #[test]
    fn links_stay_below_the_root() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("run/real")).unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        std::fs::write(folder.path().join("etc/file"), "").unwrap();
        symlink("/run/real", folder.path().join("a")).unwrap();
        symlink("../../../../run/stub/resolv.conf", folder.path().join("etc/resolv.conf")).unwrap();
        symlink("loop", folder.path().join("loop")).unwrap();
        let root = std::fs::File::open(folder.path()).unwrap();
        for (path, there, missing) in [
            ("/", "", ""),
            ("/a/x/y", "/run/real", "x/y"),
            ("/etc/resolv.conf", "/run", "stub/resolv.conf"),
            ("/none/../etc", "/etc", ""),
            ("/none/deep/../../../../run", "/run", ""),
            ("/a/..", "/run", ""),
        ] {
            let place = Place::find(root.as_fd(), path.as_bytes()).unwrap();
            assert_eq!(names(&place), (there.to_owned(), missing.to_owned()), "{path}");
        }
        assert_eq!(Place::find(root.as_fd(), b"/loop/x").err(), Some(Errno::LOOP));
        assert_eq!(Place::find(root.as_fd(), b"/etc/file/x").err(), Some(Errno::NOTDIR));
        assert_eq!(Place::find(root.as_fd(), "/x".repeat(1000).as_bytes()).err(), Some(Errno::LOOP));
    }

    #[test]
    fn what_is_missing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let root = std::fs::File::open(folder.path()).unwrap();
        for (path, kind) in [("/a/b/c", Kind::Folder), ("/a/b/file", Kind::File)] {
            let made = Place::find(root.as_fd(), path.as_bytes()).unwrap().make(kind).unwrap();
            assert_eq!(Kind::of(made).unwrap(), kind);
        }
        assert!(folder.path().join("a/b/c").is_dir());
        assert!(folder.path().join("a/b/file").is_file());
    }
}
