//! A folder that nothing leads out of. Whatever names and symbolic links below it say, a path is resolved as if the
//! folder were `/`: absolute targets start at it, and `..` stops at it.
use crate::failure::{Code, Failure, Result};
use rustix::fs::{fstat, openat, openat2, readlinkat, FileType, Mode, OFlags, ResolveFlags, CWD};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// What the kernel allows itself, path_resolution(7).
const MAX_LINKS: usize = 40;
/// Folders that a walk by hand opens at most: links may make a short path arbitrarily expensive.
const MAX_STEPS: usize = 200_000;
/// Longer paths are refused by the kernel (`PATH_MAX` with its final zero) and go in pieces.
const MAX_PATH: usize = 4095;
/// `openat2` gives up with `EAGAIN` when the tree is changed under it.
const ATTEMPTS: usize = 16;

/// A folder below which paths are resolved, by `openat2` with `RESOLVE_IN_ROOT`. Where the kernel has it not, or a
/// seccomp profile refuses it, a walk by hand without following anything, name by name, gives the same guarantee.
pub struct Root {
    folder: OwnedFd,
    by_hand: AtomicBool,
}

impl Root {
    /// Opens the folder at this path of the machine, for resolving only: it need not be readable.
    pub fn open(path: &str) -> Result<Root> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, path, flags, Mode::empty()).map_err(|error| Failure::from(error).at(path))?;
        Ok(Root { folder, by_hand: AtomicBool::new(false) })
    }

    /// Opens for reading whatever is there but a symbolic link; the caller asks what it is. A link in a parent is
    /// followed inside the root. Never waits for the writer of a fifo.
    /// Fails with `changed` when the last name is a link, `notFound` when a parent is missing or is no folder.
    pub fn open_file(&self, path: &[u8]) -> Result<File> {
        self.open_with(path, OFlags::RDONLY | OFlags::NONBLOCK).map(File::from).map_err(|error| failure(error, path))
    }

    /// Opens with these flags and `O_CLOEXEC`, `O_NOFOLLOW`. An empty path is the root. `ELOOP` tells of a link that is
    /// the last name (unless `O_PATH` was asked for) or of too many links on the way.
    pub fn open_with(&self, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        if path.is_empty() {
            return openat(&self.folder, ".", flags, Mode::empty());
        }
        if !self.by_hand.load(Ordering::Relaxed) {
            match self.open_at_once(path, flags) {
                Err(Errno::NOSYS | Errno::PERM) => self.by_hand.store(true, Ordering::Relaxed),
                Err(Errno::NAMETOOLONG | Errno::AGAIN) => {}
                done => return done,
            }
        }
        Walk::new(self, path).open(flags)
    }

    fn open_at_once(&self, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        if path.len() > MAX_PATH {
            return self.open_in_pieces(path, flags);
        }
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        retried(|| openat2(&self.folder, path, flags, Mode::empty(), resolve))
    }

    /// For paths that are longer than the kernel takes at once. Only right where no link is on the way, because a link
    /// is to be seen from the root: with one, the answer is `EAGAIN` and the walk by hand is to be taken.
    fn open_in_pieces(&self, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let mut rest = path;
        let mut folder: Option<OwnedFd> = None;
        loop {
            let at = folder.as_ref().map_or(self.folder.as_fd(), AsFd::as_fd);
            if rest.len() <= MAX_PATH {
                let opened = retried(|| openat2(at, rest, flags, Mode::empty(), resolve));
                return if opened.is_err_and_link() { Err(Errno::AGAIN) } else { opened };
            }
            let Some(cut) = rest[..MAX_PATH].iter().rposition(|byte| *byte == b'/') else {
                return Err(Errno::NAMETOOLONG);
            };
            let through = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let next = retried(|| openat2(at, &rest[..cut], through, Mode::empty(), resolve));
            if next.is_err_and_link() {
                return Err(Errno::AGAIN);
            }
            folder = Some(next?);
            rest = &rest[cut + 1..];
        }
    }
}

trait MetLink {
    /// Whether opening failed because of a symbolic link, or of a `..` that goes up.
    fn is_err_and_link(&self) -> bool;
}

impl MetLink for rustix::io::Result<OwnedFd> {
    fn is_err_and_link(&self) -> bool {
        matches!(self, Err(Errno::LOOP | Errno::XDEV))
    }
}

fn retried(open: impl Fn() -> rustix::io::Result<OwnedFd>) -> rustix::io::Result<OwnedFd> {
    for _ in 0..ATTEMPTS {
        match open() {
            Err(Errno::AGAIN | Errno::INTR) => {}
            done => return done,
        }
    }
    Err(Errno::AGAIN)
}

fn failure(error: Errno, path: &[u8]) -> Failure {
    let failure = match error {
        Errno::LOOP => Failure::new(Code::Changed, "it is a symbolic link"),
        Errno::NOTDIR => Failure::new(Code::NotFound, error.to_string()),
        _ => error.into(),
    };
    failure.at(path)
}

/// Resolves a path name by name without letting the kernel follow anything.
struct Walk<'a> {
    root: &'a Root,
    /// Names of the folders from the root to where the walk is; no links, no `..`.
    names: Vec<Vec<u8>>,
    /// The folder that `names` tells; `None`: it is to be opened again from the root, because of a `..` or a link.
    folder: Option<OwnedFd>,
    /// Names yet to go, the next one last.
    pending: Vec<Vec<u8>>,
    links: usize,
    steps: usize,
}

impl<'a> Walk<'a> {
    fn new(root: &'a Root, path: &[u8]) -> Self {
        let mut walk = Walk { root, names: Vec::new(), folder: None, pending: Vec::new(), links: 0, steps: 0 };
        walk.push(path);
        walk
    }

    fn push(&mut self, path: &[u8]) {
        let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".");
        self.pending.extend(names.rev().map(<[u8]>::to_vec));
    }

    fn open(mut self, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        while let Some(name) = self.pending.pop() {
            if name == b".." {
                if self.names.pop().is_some() {
                    self.folder = None;
                }
                continue;
            }
            self.arrive()?;
            let last = self.pending.is_empty();
            let opened = self.open_here(&name, if last { flags } else { OFlags::PATH })?;
            if last {
                return Ok(opened);
            }
            match FileType::from_raw_mode(fstat(&opened)?.st_mode) {
                FileType::Directory => {
                    self.names.push(name);
                    self.folder = Some(opened);
                }
                FileType::Symlink => self.follow(&opened)?,
                _ => return Err(Errno::NOTDIR),
            }
        }
        // The path ended in `..` or is only that.
        self.arrive()?;
        self.open_here(b".", flags)
    }

    fn follow(&mut self, link: &OwnedFd) -> rustix::io::Result<()> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::LOOP);
        }
        let target = readlinkat(link, "", Vec::new())?.into_bytes();
        if target.first() == Some(&b'/') {
            self.names.clear();
            self.folder = None;
        }
        self.push(&target);
        Ok(())
    }

    /// Opens the folder that `names` tells, if it is not open.
    fn arrive(&mut self) -> rustix::io::Result<()> {
        if self.folder.is_some() {
            return Ok(());
        }
        for at in 0..self.names.len() {
            let name = self.names[at].clone();
            self.folder = Some(self.open_here(&name, OFlags::PATH | OFlags::DIRECTORY)?);
        }
        Ok(())
    }

    fn open_here(&mut self, name: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(Errno::LOOP);
        }
        let at = self.folder.as_ref().map_or(self.root.folder.as_fd(), AsFd::as_fd);
        openat(at, name, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::mkdirat;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    /// Runs a check with `openat2` and by hand.
    fn both_ways(folder: &std::path::Path, check: impl Fn(&Root)) {
        let root = Root::open(folder.to_str().unwrap()).unwrap();
        check(&root);
        root.by_hand.store(true, Ordering::Relaxed);
        check(&root);
    }

    fn content(root: &Root, path: &str) -> String {
        let mut text = String::new();
        root.open_file(path.as_bytes()).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn links_in_parents_stay_inside() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("root");
        std::fs::create_dir_all(folder.join("a/b")).unwrap();
        std::fs::write(outer.path().join("secret"), "outside").unwrap();
        std::fs::write(folder.join("secret"), "inside").unwrap();
        std::fs::write(folder.join("a/b/file"), "deep").unwrap();
        symlink("/", folder.join("top")).unwrap();
        symlink("../../../..", folder.join("a/b/up")).unwrap();
        symlink("/a/b", folder.join("absolute")).unwrap();
        symlink(outer.path(), folder.join("out")).unwrap();
        both_ways(&folder, |root| {
            assert_eq!(content(root, "top/secret"), "inside");
            assert_eq!(content(root, "a/b/up/secret"), "inside");
            assert_eq!(content(root, "../../secret"), "inside");
            assert_eq!(content(root, "absolute/file"), "deep");
            assert_eq!(content(root, "absolute/../../secret"), "inside");
            assert_eq!(root.open_file(b"out/secret").unwrap_err().code, Code::NotFound);
        });
    }

    #[test]
    fn the_last_name_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        symlink("file", folder.path().join("link")).unwrap();
        symlink(".", folder.path().join("here")).unwrap();
        both_ways(folder.path(), |root| {
            assert_eq!(root.open_file(b"link").unwrap_err().code, Code::Changed);
            assert_eq!(root.open_with(b"here", OFlags::PATH | OFlags::DIRECTORY).unwrap_err(), Errno::NOTDIR);
            assert_eq!(root.open_file(b"file/below").unwrap_err().code, Code::NotFound);
            assert_eq!(root.open_file(b"missing").unwrap_err().path.as_deref(), Some("missing"));
            root.open_with(b"", OFlags::PATH | OFlags::DIRECTORY).unwrap();
            root.open_with(b"here/here/..", OFlags::PATH | OFlags::DIRECTORY).unwrap();
        });
    }

    #[test]
    fn loops_end() {
        let folder = tempfile::tempdir().unwrap();
        symlink("loop", folder.path().join("loop")).unwrap();
        symlink("big/a/../a/../big", folder.path().join("big")).unwrap();
        both_ways(folder.path(), |root| {
            assert!(root.open_file(b"loop/x").is_err());
            assert!(root.open_file(b"big/x").is_err());
        });
    }

    #[test]
    fn paths_of_any_length_open() {
        let folder = tempfile::tempdir().unwrap();
        let name = "n".repeat(200);
        let mut at = Root::open(folder.path().to_str().unwrap()).unwrap().folder;
        let mut path = String::new();
        for _ in 0..50 {
            mkdirat(&at, name.as_str(), Mode::RWXU).unwrap();
            at = openat(&at, name.as_str(), OFlags::PATH, Mode::empty()).unwrap();
            path = format!("{path}{name}/");
        }
        let file = openat(&at, "file", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap();
        rustix::io::write(&file, b"far").unwrap();
        symlink("/", folder.path().join("top")).unwrap();
        both_ways(folder.path(), |root| {
            assert_eq!(content(root, &format!("{path}file")), "far");
            assert_eq!(content(root, &format!("top/{path}file")), "far");
            assert_eq!(root.open_file(format!("{path}none").as_bytes()).unwrap_err().code, Code::NotFound);
            assert!(root.open_file("x".repeat(5000).as_bytes()).is_err());
        });
    }
}
