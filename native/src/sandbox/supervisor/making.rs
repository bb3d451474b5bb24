//! Calls that make files: what is made belongs to whom the caller believes to be, and devices are only recorded.
use super::caller::{by_name, Caller};
use super::facts::Facts;
use super::files::State;
use super::lookup::Found;
use super::Answer;
use crate::record::{Record, STAT};
use rustix::fs::{
    chownat, fsetxattr, mkdirat, mknodat, openat, symlinkat, unlinkat, AtFlags, FileType, Gid, Mode, OFlags, Uid,
    XattrFlags,
};
use rustix::io::Errno;
use std::os::fd::OwnedFd;

/// `O_TMPFILE` without the folder's flag, which it holds.
const TEMPORARY: i32 = 0o20_000_000;
const ITSELF: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const PERMISSIONS: u32 = 0o7777;

/// Answers the calls that make files; `None`: it is none of them. `is_recorded`: owners are on record.
pub fn answer(state: &mut State, caller: &Caller<'_>, is_recorded: bool) -> Result<Option<Answer>, Errno> {
    Ok(Some(match caller.name {
        "open" | "openat" | "openat2" | "creat" => open(state, caller)?,
        "mkdir" => folder(state, caller, libc::AT_FDCWD, 0)?,
        "mkdirat" => folder(state, caller, caller.int(0), 1)?,
        "symlink" => link(state, caller, libc::AT_FDCWD, 1)?,
        "symlinkat" => link(state, caller, caller.int(1), 2)?,
        "mknod" => node(state, caller, libc::AT_FDCWD, 0, is_recorded)?,
        "mknodat" => node(state, caller, caller.int(0), 1, is_recorded)?,
        _ => return Ok(None),
    }))
}

/// Where something is to be made; `None`: the kernel knows better why it cannot be.
fn free(caller: &Caller<'_>, folder: i32, path: &[u8], follow: bool) -> Option<Found> {
    caller.find(folder, path, follow).ok().filter(|found| found.file.is_none() && !found.name.is_empty())
}

fn permissions(caller: &Caller<'_>, mode: u32) -> Result<Mode, Errno> {
    Ok(Mode::from_raw_mode(mode & PERMISSIONS & !caller.status()?.umask))
}

/// Makes something in a folder, and records its owner.
fn make(
    state: &mut State,
    caller: &Caller<'_>,
    at: &Found,
    owner: (u32, u32),
    make: impl FnOnce(&OwnedFd, &[u8]) -> Result<(), Errno>,
) -> Result<Answer, Errno> {
    caller.check()?;
    make(&at.folder, &at.name)?;
    let made = openat(&at.folder, at.name.as_slice(), ITSELF, Mode::empty())?;
    state.set_owner(&made, owner)?;
    Ok(Answer::value(0))
}

fn folder(state: &mut State, caller: &Caller<'_>, folder: i32, path: usize) -> Result<Answer, Errno> {
    let Some(at) = free(caller, folder, &caller.path(path)?, false) else { return Ok(Answer::CONTINUE) };
    let Some(owner) = state.owner_of_new(caller, &at.folder)? else { return Ok(Answer::CONTINUE) };
    let mode = permissions(caller, caller.argument(path + 1) as u32)?;
    make(state, caller, &at, owner, |folder, name| mkdirat(folder, name, mode))
}

fn link(state: &mut State, caller: &Caller<'_>, folder: i32, path: usize) -> Result<Answer, Errno> {
    let text = caller.path(path)?;
    let Some(at) = free(caller, folder, &text, false).filter(|_| !text.ends_with(b"/")) else {
        return Ok(Answer::CONTINUE);
    };
    let Some(owner) = state.owner_of_new(caller, &at.folder)? else { return Ok(Answer::CONTINUE) };
    let target = caller.path(0)?;
    if target.is_empty() {
        return Ok(Answer::CONTINUE);
    }
    make(state, caller, &at, owner, |folder, name| symlinkat(target, folder, name))
}

// ------------------------------------------------------------------ open

struct Opening {
    folder: i32,
    path: Vec<u8>,
    flags: i32,
    mode: u32,
}

fn opening(caller: &Caller<'_>) -> Result<Option<Opening>, Errno> {
    let (folder, path, flags, mode) = match caller.name {
        "open" => (libc::AT_FDCWD, 0, caller.int(1), caller.argument(2) as u32),
        "openat" => (caller.int(0), 1, caller.int(2), caller.argument(3) as u32),
        "creat" => (libc::AT_FDCWD, 0, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, caller.argument(1) as u32),
        _ => {
            let how = caller.read(caller.argument(2), 24)?;
            let word =
                |at: usize| how.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_ne_bytes);
            // Whoever restricts where a path may lead gets the kernel's own word for it; what is made belongs to root.
            if word(16) != 0 {
                return Ok(None);
            }
            (caller.int(0), 1, word(0) as i32, word(8) as u32)
        }
    };
    if flags & (libc::O_CREAT | TEMPORARY) == 0 || flags & libc::O_PATH != 0 {
        return Ok(None);
    }
    Ok(Some(Opening { folder, path: caller.path(path)?, flags, mode }))
}

fn open(state: &mut State, caller: &Caller<'_>) -> Result<Answer, Errno> {
    let Some(Opening { folder, path, flags, mode }) = opening(caller)? else { return Ok(Answer::CONTINUE) };
    let is_temporary = flags & TEMPORARY != 0;
    if !is_temporary && (flags & libc::O_DIRECTORY != 0 || path.ends_with(b"/")) {
        return Ok(Answer::CONTINUE);
    }
    let wanted = OFlags::from_bits_retain(flags as u32) | OFlags::CLOEXEC;
    let (file, owner) = if is_temporary {
        let Ok(folder) = caller.open(folder, &path, true) else { return Ok(Answer::CONTINUE) };
        let Some(owner) = state.owner_of_new(caller, &folder)? else { return Ok(Answer::CONTINUE) };
        (openat(caller.proc, by_name(&folder), wanted, permissions(caller, mode)?)?, owner)
    } else {
        let follow = flags & (libc::O_EXCL | libc::O_NOFOLLOW) == 0;
        let Some(at) = free(caller, folder, &path, follow) else { return Ok(Answer::CONTINUE) };
        let Some(owner) = state.owner_of_new(caller, &at.folder)? else { return Ok(Answer::CONTINUE) };
        let wanted = wanted | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::NOCTTY;
        caller.check()?;
        match openat(&at.folder, at.name.as_slice(), wanted, permissions(caller, mode)?) {
            // Somebody was faster: then nothing is to be made.
            Err(Errno::EXIST) => return Ok(Answer::CONTINUE),
            opened => (opened?, owner),
        }
    };
    state.set_owner(&file, owner)?;
    Ok(Answer::Descriptor { file, close_on_exec: flags & libc::O_CLOEXEC != 0 })
}

// ------------------------------------------------------------------ mknod

fn node(state: &mut State, caller: &Caller<'_>, folder: i32, path: usize, is_recorded: bool) -> Result<Answer, Errno> {
    let mode = caller.argument(path + 1) as u32 & 0xffff;
    let kind = mode & libc::S_IFMT;
    if !is_recorded && !matches!(kind, libc::S_IFCHR | libc::S_IFBLK) {
        return Ok(Answer::CONTINUE);
    }
    let text = caller.path(path)?;
    let Some(at) = free(caller, folder, &text, false).filter(|_| !text.ends_with(b"/")) else {
        return Ok(Answer::CONTINUE);
    };
    let file_type = match kind {
        0 | libc::S_IFREG => FileType::RegularFile,
        libc::S_IFIFO => FileType::Fifo,
        libc::S_IFSOCK => FileType::Socket,
        libc::S_IFCHR | libc::S_IFBLK => {
            let device = caller.argument(path + 2) as u32;
            return placeholder(state, caller, &at, (mode, device), is_recorded);
        }
        _ => return Ok(Answer::CONTINUE),
    };
    let Some(owner) = state.owner_of_new(caller, &at.folder)? else { return Ok(Answer::CONTINUE) };
    let mode = permissions(caller, mode)?;
    make(state, caller, &at, owner, |folder, name| mknodat(folder, name, file_type, mode, 0))
}

/// A device is an empty file with a record of what it would be, made for those who could make one with docker.
fn placeholder(
    state: &mut State,
    caller: &Caller<'_>,
    at: &Found,
    (mode, device): (u32, u32),
    is_recorded: bool,
) -> Result<Answer, Errno> {
    let status = caller.status()?;
    let user = if is_recorded { state.identities.of(caller)?.uid.effective } else { status.uid.0 };
    // The kernel refuses: nobody in a sandbox has CAP_MKNOD. An overlay's own marks are refused by the overlay.
    if user != 0 || (mode & libc::S_IFMT == libc::S_IFCHR && device == 0) {
        return Err(Errno::PERM);
    }
    let permissions = Mode::from_raw_mode(mode & 0o777 & !status.umask);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let recorded = if is_recorded { state.owner_of_new(caller, &at.folder)?.unwrap_or_default() } else { (0, 0) };
    caller.check()?;
    let file = openat(&at.folder, at.name.as_slice(), flags, permissions)?;
    let kept = (|| {
        let owner = if is_recorded { recorded } else { real_owner(&at.folder, &file, (status.uid.1, status.gid.1))? };
        let record = Record {
            uid: owner.0,
            gid: owner.1,
            mode: mode & libc::S_IFMT | permissions.as_raw_mode(),
            major: device >> 8 & 0xfff,
            minor: device & 0xff | device >> 12 & 0xf_ff00,
        };
        fsetxattr(&file, STAT, record.text().as_bytes(), XattrFlags::empty())
    })();
    if kept.is_err() {
        // A file system that holds no attributes holds no device either.
        unlinkat(&at.folder, at.name.as_slice(), AtFlags::empty())?;
        return Err(Errno::PERM);
    }
    Ok(Answer::value(0))
}

/// Gives a file that was made for another process the owner that it would have given it.
fn real_owner(folder: &OwnedFd, file: &OwnedFd, (uid, gid): (u32, u32)) -> Result<(u32, u32), Errno> {
    let made = Facts::of(file)?.owner();
    let gid = if Facts::of(folder)?.mode() & libc::S_ISGID != 0 { made.1 } else { gid };
    if made != (uid, gid) {
        let flags = AtFlags::EMPTY_PATH;
        chownat(file, "", Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), flags)?;
    }
    Ok((uid, gid))
}
