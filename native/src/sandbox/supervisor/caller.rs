//! A process that waits for an answer: its memory, its files, and the paths that it names.
use super::lookup::{Found, Gate, Lookup};
use crate::sandbox::seccomp::calls::{is_valid, read_memory, write_memory, Notification};
use crate::sandbox::seccomp::Abi;
use rustix::fs::{openat, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// What the kernel takes of a path, with its final zero.
const PATH_MAX: usize = 4096;
const PAGE: u64 = 4096;
/// Files of /proc that are read here are shorter.
const MAX_TEXT: u64 = 16 << 10;

pub struct Caller<'a> {
    /// /proc with the supervisor's own process ids.
    pub proc: BorrowedFd<'a>,
    pub listener: BorrowedFd<'a>,
    pub asked: Notification,
    pub abi: Abi,
    pub name: &'static str,
    /// The root of the step, if no process can have another one.
    pub root: Option<BorrowedFd<'a>>,
    /// Device and inode of the folder that stands for /proc where none can be mounted.
    pub imitation: Option<(u64, u64)>,
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

impl Caller<'_> {
    pub fn argument(&self, at: usize) -> u64 {
        self.asked.arguments.get(at).copied().unwrap_or(0)
    }

    pub fn int(&self, at: usize) -> i32 {
        self.argument(at) as i32
    }

    /// Fails when the call waits no longer: then what was read of its process may be another one's.
    pub fn check(&self) -> Result<(), Errno> {
        if is_valid(self.listener, self.asked.id) {
            Ok(())
        } else {
            Err(Errno::SRCH)
        }
    }

    // -------------------------------------------------------------- memory

    /// Reads as much as there is, up to the buffer's length.
    fn read_some(&self, address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        match read_memory(self.asked.thread, address, buffer) {
            Ok(length) => Ok(length),
            Err(error) => match errno(&error) {
                Errno::PERM | Errno::NOSYS => self.memory(OFlags::RDONLY)?.read_at(buffer, address),
                other => return Err(other),
            }
            .map_err(|_| Errno::FAULT),
        }
    }

    fn memory(&self, flags: OFlags) -> Result<File, Errno> {
        openat(self.proc, self.path_of("mem"), flags | OFlags::CLOEXEC, Mode::empty()).map(File::from)
    }

    pub fn read(&self, address: u64, length: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; length];
        let mut done = 0;
        while done < length {
            let some = self.read_some(address.wrapping_add(done as u64), &mut bytes[done..])?;
            if some == 0 {
                return Err(Errno::FAULT);
            }
            done += some;
        }
        Ok(bytes)
    }

    /// Writes, if the call still waits.
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.check()?;
        let written = match write_memory(self.asked.thread, address, bytes) {
            Err(error) => match errno(&error) {
                Errno::PERM | Errno::NOSYS => self.memory(OFlags::WRONLY)?.write_at(bytes, address),
                other => return Err(other),
            }
            .map_err(|_| Errno::FAULT)?,
            Ok(length) => length,
        };
        if written == bytes.len() {
            Ok(())
        } else {
            Err(Errno::FAULT)
        }
    }

    /// The path that an argument points to.
    pub fn path(&self, at: usize) -> Result<Vec<u8>, Errno> {
        self.string(self.argument(at))
    }

    pub fn string(&self, address: u64) -> Result<Vec<u8>, Errno> {
        let mut string = Vec::new();
        let mut piece = [0; PAGE as usize];
        while string.len() < PATH_MAX {
            let address = address.wrapping_add(string.len() as u64);
            // Up to the end of the page: the next one may not be there.
            let length = (PAGE - address % PAGE) as usize;
            let read = self.read_some(address, &mut piece[..length])?;
            if read == 0 {
                return Err(Errno::FAULT);
            }
            if let Some(end) = piece[..read].iter().position(|byte| *byte == 0) {
                string.extend_from_slice(&piece[..end]);
                return if string.len() < PATH_MAX { Ok(string) } else { Err(Errno::NAMETOOLONG) };
            }
            string.extend_from_slice(&piece[..read]);
        }
        Err(Errno::NAMETOOLONG)
    }

    // -------------------------------------------------------------- /proc

    pub fn path_of(&self, name: &str) -> String {
        format!("{}/{name}", self.asked.thread)
    }

    /// A short file of /proc about the thread.
    pub fn text(&self, name: &str) -> Result<String, Errno> {
        let file = openat(self.proc, self.path_of(name), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut text = String::new();
        File::from(file).take(MAX_TEXT).read_to_string(&mut text).map_err(|error| errno(&error))?;
        Ok(text)
    }

    pub fn write_text(&self, name: &str, text: &str) -> Result<(), Errno> {
        let file = openat(self.proc, self.path_of(name), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::io::write(file, text.as_bytes()).map(drop)
    }

    pub fn status(&self) -> Result<Status, Errno> {
        Status::parse(&self.text("status")?).ok_or(Errno::SRCH)
    }

    // -------------------------------------------------------------- files

    /// A descriptor of the caller's, as a place in the file system.
    pub fn descriptor(&self, number: i32) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        if number < 0 {
            return Err(Errno::BADF);
        }
        openat(self.proc, self.path_of(&format!("fd/{number}")), flags, Mode::empty()).map_err(|error| match error {
            Errno::NOENT => Errno::BADF,
            other => other,
        })
    }

    fn folder(&self, name: &str) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(self.proc, self.path_of(name), flags, Mode::empty())
    }

    pub fn own_root(&self) -> Result<OwnedFd, Errno> {
        self.folder("root")
    }

    /// The folder that a relative path starts at.
    fn base(&self, folder: i32) -> Result<OwnedFd, Errno> {
        if folder == libc::AT_FDCWD {
            self.folder("cwd")
        } else {
            self.descriptor(folder)
        }
    }

    fn at<T>(&self, folder: i32, path: &[u8], work: impl FnOnce(Lookup<'_>) -> Result<T, Errno>) -> Result<T, Errno> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        let own = if self.root.is_none() { Some(self.own_root()?) } else { None };
        let root = match (&own, self.root) {
            (Some(own), _) => own.as_fd(),
            (None, Some(root)) => root,
            (None, None) => return Err(Errno::SRCH),
        };
        let base = if path.starts_with(b"/") { None } else { Some(self.base(folder)?) };
        let base = base.as_ref().map_or(root, AsFd::as_fd);
        let thread = self.asked.thread;
        work(Lookup { proc: self.proc, thread, root, base, path, imitation: self.imitation, gate: None })
    }

    /// What a path of the caller leads to, as a place in the file system. `folder` is the argument of the `*at` calls.
    pub fn open(&self, folder: i32, path: &[u8], follow: bool) -> Result<OwnedFd, Errno> {
        self.at(folder, path, |lookup| lookup.open(follow))
    }

    /// The same, but only if the kernel finds it in one go; for questions that have to be answered fast.
    pub fn open_simply(&self, folder: i32, path: &[u8], follow: bool) -> Result<OwnedFd, Errno> {
        self.at(folder, path, |lookup| lookup.open_simply(follow))
    }

    /// Whether the kernel finds something there in one go.
    pub fn is_there(&self, folder: i32, path: &[u8], follow: bool) -> bool {
        let flags = OFlags::PATH | OFlags::CLOEXEC | if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
        self.at(folder, path, |lookup| lookup.at_once(path, flags)).is_ok()
    }

    /// The folder and the name of something that is there or is to be made.
    pub fn find(&self, folder: i32, path: &[u8], follow: bool) -> Result<Found, Errno> {
        self.at(folder, path, |lookup| lookup.find(follow))
    }

    /// The same, name by name, so that nothing that stands for something else is missed.
    pub fn walk(&self, folder: i32, path: &[u8], follow: bool) -> Result<Found, Errno> {
        self.at(folder, path, |lookup| lookup.walk(follow))
    }

    /// As `walk`, and asks the gate about each folder on the way.
    pub fn walk_through(&self, folder: i32, path: &[u8], follow: bool, gate: Gate<'_>) -> Result<Found, Errno> {
        self.at(folder, path, |lookup| Lookup { gate: Some(gate), ..lookup }.walk(follow))
    }

    /// What an `*at` call with `AT_EMPTY_PATH` is about: the path, or if it is empty the descriptor itself.
    pub fn open_at(&self, folder: i32, path: &[u8], flags: i32) -> Result<OwnedFd, Errno> {
        if path.is_empty() && flags & libc::AT_EMPTY_PATH != 0 {
            return self.base(folder);
        }
        self.open(folder, path, flags & libc::AT_SYMLINK_NOFOLLOW == 0)
    }
}

/// A name by which a file that is open here can be given to calls that take a path, for threads in /proc.
pub fn by_name(file: impl AsFd) -> String {
    format!("self/fd/{}", file.as_fd().as_raw_fd())
}

/// What /proc/PID/status says of interest.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub process: u32,
    pub umask: u32,
    /// Effective, and for files.
    pub uid: (u32, u32),
    pub gid: (u32, u32),
    pub no_new_privileges: bool,
    /// The effective capabilities, a bit each.
    pub capabilities: u64,
}

impl Status {
    /// The supplementary groups.
    pub fn groups(text: &str) -> Vec<u32> {
        let line = text.lines().find_map(|line| line.strip_prefix("Groups:"));
        line.unwrap_or_default().split_ascii_whitespace().filter_map(|id| id.parse().ok()).collect()
    }

    fn parse(text: &str) -> Option<Status> {
        let field = |name: &str| text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()));
        let ids = |name: &str| {
            let mut ids = field(name)?.split_ascii_whitespace().skip(1);
            let effective = ids.next()?.parse().ok()?;
            Some((effective, ids.nth(1)?.parse().ok()?))
        };
        Some(Status {
            process: field("Tgid")?.parse().ok()?,
            umask: u32::from_str_radix(field("Umask")?, 8).ok()?,
            uid: ids("Uid")?,
            gid: ids("Gid")?,
            no_new_privileges: field("NoNewPrivs") == Some("1"),
            capabilities: u64::from_str_radix(field("CapEff")?, 16).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read() {
        let text =
            "Name:\tx\nUmask:\t0022\nTgid:\t12\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nNoNewPrivs:\t1\nCapEff:\t00ff\n";
        let expected =
            Status { process: 12, umask: 0o22, uid: (2, 4), gid: (6, 8), no_new_privileges: true, capabilities: 0xff };
        assert_eq!(Status::parse(text), Some(expected));
        assert_eq!(Status::parse("Name:\tUmask:\t0022\n"), None);
        assert_eq!(Status::groups("Name:\tx\nGroups:\t4 27 1000 \nNStgid:\t1\n"), [4, 27, 1000]);
        assert!(Status::groups("Groups:\t\n").is_empty());
    }
}
