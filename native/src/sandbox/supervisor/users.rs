//! Holds processes that are no root in their own eyes to what a user may do with files and other processes: to the kernel
//! they are all the one who owns everything. inode_permission(), path_resolution(7), capabilities(7).
//! What is allowed here the kernel then does by itself, by the same path: who changes the path in between gets at what he
//! must not. This imitates, it is no boundary: between the step and the machine stand the namespaces.
//! Left out: POSIX access control lists, sockets (bind, connect), signals to groups of processes, ptrace(2). In steps that
//! begin as root, whoever becomes a user there may still read everything: to ask about each open(2) without `O_CREAT` of an
//! `apt-get install`, nearly all of them root's, takes a sixth more time.
use super::caller::{by_name, Caller};
use super::credentials::Identity;
use super::facts::Facts;
use super::files::{attribute, State};
use super::ids::{may, Width};
use super::lookup::Found;
use super::Answer;
use rustix::fs::{chmodat, fstatfs, AtFlags, Mode, CWD};
use rustix::io::Errno;
use std::cell::Cell;
use std::os::fd::OwnedFd;

const READ: u32 = 4;
const WRITE: u32 = 2;
const SEARCH: u32 = 1;

/// Capabilities, a bit each.
const DAC_OVERRIDE: u64 = 1 << 1;
const FOWNER: u64 = 1 << 3;
const KILL: u64 = 1 << 5;
const SYS_CHROOT: u64 = 1 << 18;

/// `O_TMPFILE` without the folder's flag, which it holds.
const TEMPORARY: i32 = 0o20_000_000;
const EMPTY_PATH: i32 = libc::AT_EMPTY_PATH;
/// Nanoseconds that stand for the time of the call, and for no change. utimensat(2).
const NOW: u32 = 0x3fff_ffff;
const OMIT: u32 = 0x3fff_fffe;

/// Calls that tell of a file: the most frequent of all, and next to nothing to keep from anybody.
const LOOKS: [&str; 9] = ["stat", "lstat", "fstat", "newfstatat", "stat64", "lstat64", "fstat64", "fstatat64", "statx"];

/// File systems in which the kernel keeps things of its own, and guards them: proc, sysfs, cgroup2, devpts, mqueue, and
/// those of pipes, sockets, namespaces and nameless files.
const GUARDED: [i64; 9] =
    [0x9fa0, 0x6265_6572, 0x6367_7270, 0x1cd1, 0x1980_0202, 0x5049_5045, 0x534f_434b, 0x6e73_6673, 0x0904_1934];

/// What a call is about: a path, or without one the descriptor itself.
#[derive(Clone, Copy)]
struct Subject {
    folder: i32,
    path: Option<usize>,
    follow: bool,
}

/// What a call needs of its subject, besides the way to it.
#[derive(Clone, Copy)]
enum Need {
    Way,
    Access(u32),
    /// The same, if it is there; else to make it, if it `makes`.
    Open {
        access: u32,
        makes: bool,
        keeps_time: bool,
    },
    Make,
    Remove,
    /// A name that is given to something else; what had it before is removed.
    Replace,
    Own,
    /// To be its owner, or to write to it.
    Touch,
    /// Another name for it.
    Link,
}

/// Who asks, as the kernel would see him.
struct User<'a> {
    state: &'a State,
    identity: &'a Identity,
    uid: u32,
    gid: u32,
    /// Rights that go with capabilities, which a user has kept at most.
    overrides: bool,
    owns_all: bool,
}

/// Fails as the kernel would when a user asks for what he may not do. `Some`: it is done already. `looks`: the caller also
/// has to have the way to what he only looks at.
pub fn check(state: &State, caller: &Caller<'_>, looks: bool) -> Result<Option<Answer>, Errno> {
    if !state.identities.has_users() || !looks && LOOKS.contains(&caller.name) {
        return Ok(None);
    }
    let Some(user) = User::of(state, caller)? else { return Ok(None) };
    if matches!(caller.name, "kill") {
        return kill(state, caller, user.identity).map(|()| None);
    }
    // What cannot be read the kernel cannot read either, and says so.
    let Ok(needs) = needs(caller) else { return Ok(None) };
    let mut found = Vec::with_capacity(needs.len());
    for (subject, need) in needs {
        let Some(there) = user.find(caller, subject)? else { return Ok(None) };
        user.meets(&there, need)?;
        found.push(there);
    }
    match (caller.name, found.as_slice()) {
        ("rename" | "renameat" | "renameat2", [from, to]) => user.move_folder(from, to).map(|()| None),
        ("chmod" | "fchmod" | "fchmodat" | "fchmodat2", [file]) => user.change_mode(caller, file),
        _ => Ok(None),
    }
}

/// Whether the caller may get another root.
pub fn may_change_root(state: &State, caller: &Caller<'_>) -> Result<bool, Errno> {
    may(caller, state.identities.of(caller)?, SYS_CHROOT)
}

// ------------------------------------------------------------------ what calls need

fn needs(caller: &Caller<'_>) -> Result<Vec<(Subject, Need)>, Errno> {
    const HERE: i32 = libc::AT_FDCWD;
    let int = |at| caller.int(at);
    let at = |folder: i32, path: usize, follow: bool| Subject { folder, path: Some(path), follow };
    let itself = |number: i32| Subject { folder: number, path: None, follow: true };
    // With `AT_EMPTY_PATH`, and an empty path or none, a call is about the descriptor.
    let flagged = |path: usize, flags: i32| {
        let is_itself = flags & EMPTY_PATH != 0
            && (caller.argument(path) == 0 || caller.path(path).is_ok_and(|text| text.is_empty()));
        let follow = flags & libc::AT_SYMLINK_NOFOLLOW == 0;
        if is_itself {
            itself(int(0))
        } else {
            at(int(0), path, follow)
        }
    };
    let one = |subject, need| Ok(vec![(subject, need)]);
    match Width::of(caller, caller.name).1 {
        "open" => one(at(HERE, 0, follows(int(1))), opened(int(1))),
        "openat" => one(at(int(0), 1, follows(int(2))), opened(int(2))),
        "creat" => one(at(HERE, 0, true), opened(libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC)),
        "openat2" => {
            let flags = word(&caller.read(caller.argument(2), 8)?, 0) as i32;
            one(at(int(0), 1, follows(flags)), opened(flags))
        }
        "access" => one(at(HERE, 0, true), Need::Access(int(1) as u32 & 7)),
        "faccessat" => one(at(int(0), 1, true), Need::Access(int(2) as u32 & 7)),
        "faccessat2" => one(flagged(1, int(3)), Need::Access(int(2) as u32 & 7)),
        "execve" => one(at(HERE, 0, true), Need::Access(SEARCH)),
        "execveat" => one(flagged(1, int(4)), Need::Access(SEARCH)),
        "chdir" => one(at(HERE, 0, true), Need::Access(SEARCH)),
        "fchdir" => one(itself(int(0)), Need::Access(SEARCH)),
        "truncate" | "truncate64" => one(at(HERE, 0, true), Need::Access(WRITE)),
        "stat" | "stat64" | "chown" => one(at(HERE, 0, true), Need::Way),
        "lstat" | "lstat64" | "lchown" | "readlink" => one(at(HERE, 0, false), Need::Way),
        "newfstatat" | "fstatat64" => one(flagged(1, int(3)), Need::Way),
        "statx" => one(flagged(1, int(2)), Need::Way),
        "fchownat" => one(flagged(1, int(4)), Need::Way),
        "readlinkat" => one(flagged(1, EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW), Need::Way),
        "mkdir" | "mknod" => one(at(HERE, 0, false), Need::Make),
        "mkdirat" | "mknodat" => one(at(int(0), 1, false), Need::Make),
        "symlink" => one(at(HERE, 1, false), Need::Make),
        "symlinkat" => one(at(int(1), 2, false), Need::Make),
        "unlink" | "rmdir" => one(at(HERE, 0, false), Need::Remove),
        "unlinkat" => one(at(int(0), 1, false), Need::Remove),
        "rename" => Ok(vec![(at(HERE, 0, false), Need::Remove), (at(HERE, 1, false), Need::Replace)]),
        "renameat" | "renameat2" => {
            Ok(vec![(at(int(0), 1, false), Need::Remove), (at(int(2), 3, false), Need::Replace)])
        }
        "link" => Ok(vec![(at(HERE, 0, false), Need::Link), (at(HERE, 1, false), Need::Make)]),
        "linkat" => {
            let follow = int(4) & libc::AT_SYMLINK_FOLLOW != 0;
            Ok(vec![(at(int(0), 1, follow), Need::Link), (at(int(2), 3, false), Need::Make)])
        }
        "chmod" => one(at(HERE, 0, true), Need::Own),
        "fchmod" => one(itself(int(0)), Need::Own),
        "fchmodat" => one(at(int(0), 1, true), Need::Own),
        "fchmodat2" => one(flagged(1, int(3)), Need::Own),
        "utime" | "utimes" => one(at(HERE, 0, true), touched(caller, 1)?),
        "futimesat" if caller.argument(1) == 0 => one(itself(int(0)), touched(caller, 2)?),
        "futimesat" => one(at(int(0), 1, true), touched(caller, 2)?),
        "utimensat" | "utimensat_time64" => match touched(caller, 2)? {
            Need::Way => Ok(Vec::new()),
            need if caller.argument(1) == 0 => one(itself(int(0)), need),
            need => one(flagged(1, int(3)), need),
        },
        _ => Ok(Vec::new()),
    }
}

fn follows(flags: i32) -> bool {
    flags & libc::O_NOFOLLOW == 0 && flags & (libc::O_CREAT | libc::O_EXCL) != libc::O_CREAT | libc::O_EXCL
}

fn opened(flags: i32) -> Need {
    if flags & libc::O_PATH != 0 {
        return Need::Way;
    }
    if flags & TEMPORARY != 0 {
        return Need::Access(WRITE | SEARCH);
    }
    let access = match flags & libc::O_ACCMODE {
        libc::O_RDONLY => READ,
        libc::O_WRONLY => WRITE,
        _ => READ | WRITE,
    };
    let access = if flags & libc::O_TRUNC != 0 { access | WRITE } else { access };
    Need::Open { access, makes: flags & libc::O_CREAT != 0, keeps_time: flags & libc::O_NOATIME != 0 }
}

/// What it takes to set the times that an argument points to.
fn touched(caller: &Caller<'_>, at: usize) -> Result<Need, Errno> {
    let address = caller.argument(at);
    if address == 0 {
        return Ok(Need::Touch);
    }
    let wide = match caller.name {
        "utimensat" => !caller.abi.is_narrow(),
        "utimensat_time64" => true,
        _ => return Ok(Need::Own),
    };
    let times = caller.read(address, if wide { 32 } else { 16 })?;
    let nanoseconds = if wide { [8, 24] } else { [4, 12] };
    Ok(match nanoseconds.map(|at| word(&times, at) as u32) {
        [NOW, NOW] => Need::Touch,
        [OMIT, OMIT] => Need::Way,
        _ => Need::Own,
    })
}

/// The number at an offset; of the last four bytes, these.
fn word(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].iter().take(8).rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

// ------------------------------------------------------------------ what users may do

/// Of a file: its owner, and its mode.
struct Owned {
    uid: u32,
    gid: u32,
    mode: u32,
}

impl<'a> User<'a> {
    /// `None`: it is root, who may do what the kernel lets him.
    fn of(state: &'a State, caller: &Caller<'_>) -> Result<Option<User<'a>>, Errno> {
        let identity = state.identities.of(caller)?;
        // access(2) answers for who started a set-id program.
        let is_real = match caller.name {
            "access" | "faccessat" => true,
            "faccessat2" => caller.int(3) & libc::AT_EACCESS == 0,
            _ => false,
        };
        let (uid, gid) =
            if is_real { (identity.uid.real, identity.gid.real) } else { (identity.uid.files, identity.gid.files) };
        if uid == 0 {
            return Ok(None);
        }
        let kept = if identity.kept && !is_real { caller.status()?.capabilities } else { 0 };
        let (overrides, owns_all) = (kept & DAC_OVERRIDE != 0, kept & FOWNER != 0);
        Ok(Some(User { state, identity, uid, gid, overrides, owns_all }))
    }

    /// Goes to what a call is about. `None`: it does not get there, and not for want of rights.
    fn find(&self, caller: &Caller<'_>, subject: Subject) -> Result<Option<Found>, Errno> {
        let Some(path) = subject.path else {
            let found = caller.descriptor(subject.folder).and_then(Found::itself);
            return Ok(found.ok());
        };
        let Ok(text) = caller.path(path) else { return Ok(None) };
        let is_refused = Cell::new(false);
        let gate = |folder: &OwnedFd| match self.may(folder, SEARCH)? {
            true => Ok(()),
            false => {
                is_refused.set(true);
                Err(Errno::ACCESS)
            }
        };
        match caller.walk_through(subject.folder, &text, subject.follow, &gate) {
            Ok(found) => {
                // Not even the folder itself is found in one that is not to be searched.
                if text == b"." || text.ends_with(b"/.") {
                    found.file.as_ref().map_or(Ok(()), |folder| self.demand(folder, SEARCH))?;
                }
                Ok(Some(found))
            }
            Err(error) if is_refused.get() => Err(error),
            Err(_) => Ok(None),
        }
    }

    fn meets(&self, found: &Found, need: Need) -> Result<(), Errno> {
        // What has no name is a root, or ends in dots: the kernel knows what to say of these.
        let is_named = !found.name.is_empty();
        match (need, &found.file) {
            (Need::Access(0), _) => Ok(()),
            (Need::Access(access), Some(file)) => self.demand(file, access),
            (Need::Open { access, keeps_time, .. }, Some(file)) => {
                self.demand(file, access)?;
                if keeps_time {
                    self.demand_own(file)
                } else {
                    Ok(())
                }
            }
            (Need::Open { makes: true, .. } | Need::Make | Need::Replace, None) if is_named => {
                self.demand(&found.folder, WRITE | SEARCH)
            }
            (Need::Remove | Need::Replace, Some(file)) if is_named => {
                self.demand(&found.folder, WRITE | SEARCH)?;
                let folder = self.owned(&found.folder)?;
                let is_kept = folder.mode & libc::S_ISVTX != 0 && folder.uid != self.uid;
                if is_kept {
                    self.demand_own(file)
                } else {
                    Ok(())
                }
            }
            (Need::Own, Some(file)) => self.demand_own(file),
            (Need::Touch, Some(file)) if self.owns(file)? => Ok(()),
            (Need::Touch, Some(file)) => self.demand(file, WRITE),
            // As it is where fs.protected_hardlinks is on: everywhere.
            (Need::Link, Some(file)) if !self.owns(file)? => {
                let mode = self.owned(file)?.mode;
                let gives_ids = mode & libc::S_ISUID != 0
                    || mode & (libc::S_ISGID | libc::S_IXGRP) == libc::S_ISGID | libc::S_IXGRP;
                let is_plain = mode & libc::S_IFMT == libc::S_IFREG && !gives_ids;
                if is_plain && self.may(file, READ | WRITE)? {
                    Ok(())
                } else {
                    Err(Errno::PERM)
                }
            }
            _ => Ok(()),
        }
    }

    /// A folder that gets another parent has its `..` written.
    fn move_folder(&self, from: &Found, to: &Found) -> Result<(), Errno> {
        let Some(file) = &from.file else { return Ok(()) };
        let is_moved = Facts::of(&from.folder)?.place() != Facts::of(&to.folder)?.place();
        if is_moved && self.owned(file)?.mode & libc::S_IFMT == libc::S_IFDIR {
            self.demand(file, WRITE)?;
        }
        Ok(())
    }

    /// Nobody gives the rights of a group that is not his: the bit is left out without a word. chmod(2).
    fn change_mode(&self, caller: &Caller<'_>, found: &Found) -> Result<Option<Answer>, Errno> {
        let mode = caller.argument(if matches!(caller.name, "fchmodat" | "fchmodat2") { 2 } else { 1 }) as u32;
        let Some(file) = found.file.as_ref().filter(|_| mode & libc::S_ISGID != 0) else { return Ok(None) };
        if self.is_in(self.owned(file)?.gid) {
            return Ok(None);
        }
        caller.check()?;
        chmodat(CWD, by_name(file), Mode::from_raw_mode(mode & 0o7777 & !libc::S_ISGID), AtFlags::empty())?;
        Ok(Some(Answer::value(0)))
    }

    fn owned(&self, file: &OwnedFd) -> Result<Owned, Errno> {
        let facts = Facts::of(file)?;
        let (uid, gid) = match attribute(&by_name(file)).or_else(|| self.state.links.get(&facts)) {
            Some(record) => (record.uid, record.gid),
            None => facts.owner(),
        };
        Ok(Owned { uid, gid, mode: facts.mode() })
    }

    fn is_in(&self, gid: u32) -> bool {
        gid == self.gid || self.identity.groups.binary_search(&gid).is_ok()
    }

    fn may(&self, file: &OwnedFd, access: u32) -> Result<bool, Errno> {
        let Owned { uid, gid, mode } = self.owned(file)?;
        let bits = if uid == self.uid {
            mode >> 6
        } else if self.is_in(gid) {
            mode >> 3
        } else {
            mode
        };
        let is_executable = mode & libc::S_IFMT == libc::S_IFDIR || access & SEARCH == 0 || mode & 0o111 != 0;
        Ok(access & !bits == 0 || self.overrides && is_executable || GUARDED.contains(&(fstatfs(file)?.f_type as i64)))
    }

    fn demand(&self, file: &OwnedFd, access: u32) -> Result<(), Errno> {
        // A link has no rights of its own: there it is what the call says of links that counts.
        if self.may(file, access)? || Facts::of(file)?.kind() == libc::S_IFLNK {
            Ok(())
        } else {
            Err(Errno::ACCESS)
        }
    }

    fn owns(&self, file: &OwnedFd) -> Result<bool, Errno> {
        Ok(self.owns_all || self.owned(file)?.uid == self.uid || GUARDED.contains(&(fstatfs(file)?.f_type as i64)))
    }

    fn demand_own(&self, file: &OwnedFd) -> Result<(), Errno> {
        if self.owns(file)? {
            Ok(())
        } else {
            Err(Errno::PERM)
        }
    }
}

/// kill(2) of a single process.
fn kill(state: &State, caller: &Caller<'_>, identity: &Identity) -> Result<(), Errno> {
    let (process, signal) = (caller.int(0), caller.int(1));
    if process <= 0 || signal == libc::SIGCONT || may(caller, identity, KILL)? {
        return Ok(());
    }
    let Ok(other) = state.identities.of_process(caller, process) else { return Ok(()) };
    let own = [identity.uid.real, identity.uid.effective];
    if own.contains(&other.uid.real) || own.contains(&other.uid.saved) {
        Ok(())
    } else {
        Err(Errno::PERM)
    }
}
