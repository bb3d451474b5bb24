//! Resolves a path as the kernel would for another process: from its root and its working directory. path_resolution(7).
use rustix::fs::{fstat, fstatfs, openat, openat2, readlinkat, FileType, Mode, OFlags, ResolveFlags, PROC_SUPER_MAGIC};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What the kernel allows itself.
const MAX_LINKS: usize = 40;
/// Links may make a short path long.
const MAX_STEPS: usize = 20_000;
/// The inode of the root of a proc file system.
const PROC_ROOT: u64 = 1;

const PLACE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
const ITSELF: OFlags = PLACE.union(OFlags::NOFOLLOW);

/// Is asked about each folder in which a walk looks for a name; its error ends the walk.
pub type Gate<'a> = &'a dyn Fn(&OwnedFd) -> Result<(), Errno>;

pub struct Lookup<'a> {
    pub proc: BorrowedFd<'a>,
    pub thread: u32,
    pub root: BorrowedFd<'a>,
    /// Where a relative path starts.
    pub base: BorrowedFd<'a>,
    pub path: &'a [u8],
    /// Device and inode of the folder that stands for /proc where none can be mounted.
    pub imitation: Option<(u64, u64)>,
    pub gate: Option<Gate<'a>>,
}

/// Where a path leads.
pub struct Found {
    pub folder: OwnedFd,
    /// Empty when the path is a root, or ends in `.` or `..`; then `file` is there.
    pub name: Vec<u8>,
    pub file: Option<OwnedFd>,
    pub through: Through,
}

/// Whether a path went through the caller's own part of /proc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    Nothing,
    /// It ends there; so many folders below its top.
    Inside(usize),
    /// It left it by one of the links there, which was the last name or was not.
    Beyond {
        at_last: bool,
    },
}

impl Found {
    /// Something that was named by no path.
    pub fn itself(file: OwnedFd) -> Result<Found, Errno> {
        let folder = file.try_clone().map_err(|_| Errno::NFILE)?;
        Ok(Found { folder, name: Vec::new(), file: Some(file), through: Through::Nothing })
    }
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(0) => (b"/", &path[1..]),
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b".", path),
    }
}

impl<'a> Lookup<'a> {
    /// An absolute path, in a root that is known without any process in it.
    pub fn below(proc: BorrowedFd<'a>, root: BorrowedFd<'a>, path: &'a [u8]) -> Self {
        Lookup { proc, thread: 0, root, base: root, path, imitation: None, gate: None }
    }
}

impl Lookup<'_> {
    pub fn open(&self, follow: bool) -> Result<OwnedFd, Errno> {
        match self.at_once(self.path, if follow { PLACE } else { ITSELF }) {
            Err(_) => self.walk(follow)?.file.ok_or(Errno::NOENT),
            opened => opened,
        }
    }

    /// As `open`, but something that is not there is not looked for by hand, unless the caller's own part of /proc, which
    /// the kernel does not show to others by this name, may be on the way.
    pub fn open_simply(&self, follow: bool) -> Result<OwnedFd, Errno> {
        match self.at_once(self.path, if follow { PLACE } else { ITSELF }) {
            Err(Errno::NOENT)
                if !self.path.starts_with(b"/dev/") && !self.path.windows(5).any(|part| part == b"/self") =>
            {
                Err(Errno::NOENT)
            }
            Err(_) => self.walk(follow)?.file.ok_or(Errno::NOENT),
            opened => opened,
        }
    }

    pub fn find(&self, follow: bool) -> Result<Found, Errno> {
        let (folder, name) = split(self.path);
        if name.is_empty() || name == b"." || name == b".." {
            return self.walk(follow);
        }
        let Ok(folder) = self.at_once(folder, PLACE | OFlags::DIRECTORY) else { return self.walk(follow) };
        let file = match openat(&folder, name, ITSELF, Mode::empty()) {
            Ok(file) if follow && is_link(&file)? => return self.walk(follow),
            Ok(file) => Some(file),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(error),
        };
        Ok(Found { folder, name: name.to_vec(), file, through: Through::Nothing })
    }

    /// Lets the kernel do it where it can do it right: from the root, or below the folder that a path starts at.
    pub fn at_once(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let (base, within) = if path.starts_with(b"/") {
            (self.root, ResolveFlags::IN_ROOT)
        } else {
            (self.base, ResolveFlags::BENEATH)
        };
        openat2(base, path, flags, Mode::empty(), within | ResolveFlags::NO_MAGICLINKS)
    }

    /// Goes name by name.
    pub fn walk(&self, follow: bool) -> Result<Found, Errno> {
        let folder = self.base.try_clone_to_owned().map_err(|_| Errno::NFILE)?;
        let mut walk = Walk { lookup: self, folder, own: None, links: 0, is_beyond: false };
        if self.path.starts_with(b"/") {
            walk.folder = walk.to_root()?;
        }
        walk.run(self.path, follow)
    }
}

fn is_link(file: &OwnedFd) -> Result<bool, Errno> {
    Ok(FileType::from_raw_mode(fstat(file)?.st_mode) == FileType::Symlink)
}

struct Walk<'a> {
    lookup: &'a Lookup<'a>,
    folder: OwnedFd,
    /// While the walk is in the caller's part of the supervisor's /proc: the caller's own /proc, and how many folders
    /// below the part's top the walk is. Nothing leads from there to the rest of the supervisor's.
    own: Option<(OwnedFd, usize)>,
    links: usize,
    /// Whether the walk was in the caller's part of /proc and left it by a link.
    is_beyond: bool,
}

impl Walk<'_> {
    fn to_root(&self) -> Result<OwnedFd, Errno> {
        self.lookup.root.try_clone_to_owned().map_err(|_| Errno::NFILE)
    }

    fn run(&mut self, path: &[u8], follow: bool) -> Result<Found, Errno> {
        let mut must_be_folder = path.ends_with(b"/");
        let mut pending = names(path);
        for _ in 0..MAX_STEPS {
            let Some(name) = pending.pop() else {
                let file = openat(&self.folder, ".", PLACE, Mode::empty())?;
                return self.found(Vec::new(), Some(file));
            };
            if let Some(gate) = self.lookup.gate {
                gate(&self.folder)?;
            }
            if name == b".." {
                self.go_up()?;
                continue;
            }
            let is_last = pending.is_empty();
            let file = match self.enter(&name) {
                Err(Errno::NOENT) if is_last => return self.found(name, None),
                entered => entered?,
            };
            match FileType::from_raw_mode(fstat(&file)?.st_mode) {
                FileType::Symlink if !is_last || follow || must_be_folder => {
                    self.links += 1;
                    if self.links > MAX_LINKS {
                        return Err(Errno::LOOP);
                    }
                    if self.leads_away()? {
                        // What it leads to is not what it says: only the kernel can go there.
                        let there = openat(&self.folder, &name, PLACE, Mode::empty())?;
                        if is_last {
                            let mut found = self.found(name, Some(there))?;
                            found.through = Through::Beyond { at_last: true };
                            return Ok(found);
                        }
                        self.leave(there);
                        continue;
                    }
                    let target = readlinkat(&file, "", Vec::new())?.into_bytes();
                    if target.starts_with(b"/") {
                        self.folder = self.to_root()?;
                        self.own = None;
                    }
                    must_be_folder |= is_last && target.ends_with(b"/");
                    pending.extend(names(&target));
                }
                FileType::Directory if !is_last => self.go_down(&name, file)?,
                _ if !is_last => return Err(Errno::NOTDIR),
                FileType::Directory => return self.found(name, Some(file)),
                _ if must_be_folder => return Err(Errno::NOTDIR),
                _ => return self.found(name, Some(file)),
            }
        }
        Err(Errno::LOOP)
    }

    fn found(&self, name: Vec<u8>, file: Option<OwnedFd>) -> Result<Found, Errno> {
        let through = match &self.own {
            Some((_, depth)) => Through::Inside(*depth),
            None if is_own(&name) && file.is_some() && self.is_top(&self.folder)? => Through::Inside(0),
            None if self.is_beyond => Through::Beyond { at_last: false },
            None => Through::Nothing,
        };
        let folder = self.folder.try_clone().map_err(|_| Errno::NFILE)?;
        Ok(Found { folder, name, file, through })
    }

    /// Whether links in the folder lead elsewhere than they say.
    fn leads_away(&self) -> Result<bool, Errno> {
        Ok(is_proc(&self.folder)? && fstat(&self.folder)?.st_ino != PROC_ROOT)
    }

    fn leave(&mut self, there: OwnedFd) {
        self.own = None;
        self.is_beyond = true;
        self.folder = there;
    }

    fn go_up(&mut self) -> Result<(), Errno> {
        match self.own.take() {
            Some((proc, 0)) => {
                self.folder = proc;
                return Ok(());
            }
            Some((proc, depth)) => self.own = Some((proc, depth - 1)),
            None => {}
        }
        let (here, root) = (fstat(&self.folder)?, fstat(self.lookup.root)?);
        if (here.st_dev, here.st_ino) != (root.st_dev, root.st_ino) {
            self.folder = openat(&self.folder, "..", PLACE | OFlags::DIRECTORY, Mode::empty())?;
        }
        Ok(())
    }

    fn go_down(&mut self, name: &[u8], folder: OwnedFd) -> Result<(), Errno> {
        let before = std::mem::replace(&mut self.folder, folder);
        if let Some((_, depth)) = &mut self.own {
            *depth += 1;
        } else if is_own(name) && self.is_top(&before)? {
            self.own = Some((before, 0));
        }
        Ok(())
    }

    /// Whether a folder is /proc itself, or stands for it.
    fn is_top(&self, folder: &OwnedFd) -> Result<bool, Errno> {
        if self.lookup.imitation.is_some() {
            let here = fstat(folder)?;
            return Ok(self.lookup.imitation == Some((here.st_dev, here.st_ino)));
        }
        is_proc(folder)
    }

    /// Opens a name in the folder. What a process finds in /proc under `self` is its own part, not the supervisor's.
    fn enter(&self, name: &[u8]) -> Result<OwnedFd, Errno> {
        if is_own(name) && self.is_top(&self.folder)? {
            let own = format!("{}", self.lookup.thread);
            return openat(self.lookup.proc, own, PLACE | OFlags::DIRECTORY, Mode::empty());
        }
        openat(&self.folder, name, ITSELF, Mode::empty())
    }
}

/// Names under which a process finds itself in /proc.
fn is_own(name: &[u8]) -> bool {
    name == b"self" || name == b"thread-self"
}

/// The names of a path, the first one last. `.` is none.
fn names(path: &[u8]) -> Vec<Vec<u8>> {
    let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".");
    names.rev().map(<[u8]>::to_vec).collect()
}

fn is_proc(folder: impl AsFd) -> Result<bool, Errno> {
    Ok(fstatfs(folder)?.f_type == PROC_SUPER_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::CWD;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn place(path: impl AsRef<Path>) -> OwnedFd {
        openat(CWD, path.as_ref(), PLACE, Mode::empty()).unwrap()
    }

    /// A root with a folder `a/b`, a file in it, and links of all sorts; beside the root is something to be found by those
    /// who get out.
    fn tree() -> tempfile::TempDir {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(outer.path().join("secret"), "outside").unwrap();
        std::fs::write(root.join("a/b/file"), "deep").unwrap();
        std::fs::write(root.join("top"), "top").unwrap();
        symlink("/top", root.join("a/absolute")).unwrap();
        symlink("../../../../top", root.join("a/b/high")).unwrap();
        symlink("b", root.join("a/folder")).unwrap();
        symlink("b/new", root.join("a/dangling")).unwrap();
        symlink("loop", root.join("a/loop")).unwrap();
        symlink("/proc/self/fd", root.join("a/own")).unwrap();
        symlink(outer.path().join("secret"), root.join("a/out")).unwrap();
        outer
    }

    /// What is found from the folder `a`, by the quick way and by the long one.
    fn both<T: PartialEq + std::fmt::Debug>(outer: &Path, path: &str, look: impl Fn(&Lookup<'_>, bool) -> T) -> T {
        let (root, base, proc) = (place(outer.join("root")), place(outer.join("root/a")), place("/proc"));
        let base = if path.starts_with('/') { root.as_fd() } else { base.as_fd() };
        let thread = std::process::id();
        let lookup = Lookup {
            proc: proc.as_fd(),
            thread,
            root: root.as_fd(),
            base,
            path: path.as_bytes(),
            imitation: None,
            gate: None,
        };
        let quick = look(&lookup, true);
        assert_eq!(quick, look(&lookup, false), "{path}");
        quick
    }

    fn content(outer: &Path, path: &str) -> Result<String, Errno> {
        both(outer, path, |lookup, is_quick| {
            let file = if is_quick { lookup.open(true) } else { lookup.walk(true)?.file.ok_or(Errno::NOENT) }?;
            let name = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
            Ok(std::fs::read_to_string(name).unwrap_or_else(|error| error.kind().to_string()))
        })
    }

    #[test]
    fn paths_lead_where_the_kernel_would_go() {
        let outer = tree();
        for (path, expected) in [
            ("b/file", Ok("deep")),
            ("./b/./file", Ok("deep")),
            ("folder/file", Ok("deep")),
            ("folder/", Ok("is a directory")),
            ("absolute", Ok("top")),
            ("b/high", Ok("top")),
            ("../top", Ok("top")),
            ("../../../top", Ok("top")),
            ("/a/../../top", Ok("top")),
            ("/a/folder/../absolute", Ok("top")),
            ("/", Ok("is a directory")),
            ("..", Ok("is a directory")),
            ("out", Err(Errno::NOENT)),
            ("../../secret", Err(Errno::NOENT)),
            ("dangling", Err(Errno::NOENT)),
            ("loop", Err(Errno::LOOP)),
            ("b/file/", Err(Errno::NOTDIR)),
            ("b/file/x", Err(Errno::NOTDIR)),
            ("none/x", Err(Errno::NOENT)),
        ] {
            assert_eq!(content(outer.path(), path), expected.map(str::to_owned), "{path}");
        }
    }

    #[test]
    fn what_is_to_be_made_has_a_place() {
        let outer = tree();
        let found = |path: &str, follow: bool| {
            both(outer.path(), path, |lookup, is_quick| {
                let found = if is_quick { lookup.find(follow) } else { lookup.walk(follow) }?;
                let there = fstat(&found.folder)?;
                Ok::<_, Errno>((there.st_ino, String::from_utf8(found.name).unwrap(), found.file.is_some()))
            })
        };
        let inode = |path: &str| fstat(place(outer.path().join("root").join(path))).unwrap().st_ino;
        let (a, b) = (inode("a"), inode("a/b"));
        assert_eq!(found("new", false), Ok((a, "new".into(), false)));
        assert_eq!(found("new/", false), Ok((a, "new".into(), false)));
        assert_eq!(found("folder/new", false), Ok((b, "new".into(), false)));
        assert_eq!(found("dangling", true), Ok((b, "new".into(), false)));
        assert_eq!(found("dangling", false), Ok((a, "dangling".into(), true)));
        assert_eq!(found("b/file", true), Ok((b, "file".into(), true)));
        assert_eq!(found("none/new", true), Err(Errno::NOENT));
        assert_eq!(found("/new", false), Ok((inode("."), "new".into(), false)));
    }

    /// The machine's own root has the proc file system in it, as a step's has.
    #[test]
    fn a_process_finds_its_own_part_of_proc_and_no_other() {
        let (root, proc) = (place("/"), place("/proc"));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let look = |path: &str| {
            let (proc, root) = (proc.as_fd(), root.as_fd());
            Lookup { proc, thread: child.id(), root, base: root, path: path.as_bytes(), imitation: None, gate: None }
                .walk(true)
                .map(|found| {
                    found.file.map(|file| {
                        let facts = fstat(file).unwrap();
                        (facts.st_dev, facts.st_ino)
                    })
                })
        };
        let expected = fstat(place(format!("/proc/{}/exe", child.id()))).unwrap();
        assert_eq!(look("/proc/self/exe"), Ok(Some((expected.st_dev, expected.st_ino))));
        assert_eq!(look("/proc/self/task/../exe"), Ok(Some((expected.st_dev, expected.st_ino))));
        let own = fstat(place("/proc")).unwrap();
        assert_eq!(look("/proc/self/.."), Ok(Some((own.st_dev, own.st_ino))));
        assert_eq!(look("/proc/self/task/../.."), Ok(Some((own.st_dev, own.st_ino))));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
