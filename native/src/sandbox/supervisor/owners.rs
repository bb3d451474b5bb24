//! Calls that change or tell whose files are.
use super::caller::{by_name, Caller};
use super::facts::Facts;
use super::files::{attribute, State, ROOT};
use super::ids::{may, Width, CHOWN};
use super::Answer;
use crate::record::STAT;
use rustix::fs::{chownat, listxattr, renameat_with, AtFlags, Gid, RenameFlags, Uid};
use rustix::io::Errno;
use std::os::fd::OwnedFd;

/// `XATTR_LIST_MAX`.
const LONGEST_LIST: usize = 65_536;
/// What of the flags of statx(2) is about how fresh the answer has to be.
const SYNC: u32 = 0x6000;

/// Answers the calls for owners; `None`: it is none of them.
pub fn answer(state: &mut State, caller: &Caller<'_>) -> Result<Option<Answer>, Errno> {
    Ok(Some(match caller.name {
        "chown" | "lchown" | "fchown" | "chown32" | "lchown32" | "fchown32" | "fchownat" => chown(state, caller)?,
        "fstat" | "fstat64" => stat_descriptor(state, caller)?,
        "stat" | "stat64" | "lstat" | "lstat64" | "newfstatat" | "fstatat64" | "statx" => stat(state, caller)?,
        "listxattr" | "llistxattr" | "flistxattr" => list(caller)?,
        "rename" | "renameat" | "renameat2" => rename(state, caller)?,
        _ => return Ok(None),
    }))
}

// ------------------------------------------------------------------ chown

fn chown(state: &mut State, caller: &Caller<'_>) -> Result<Answer, Errno> {
    let (width, name) = Width::of(caller, caller.name);
    let (file, at) = match name {
        "fchown" => (caller.descriptor(caller.int(0))?, 1),
        "fchownat" => (caller.open_at(caller.int(0), &caller.path(1)?, caller.int(4))?, 2),
        _ => (caller.open(libc::AT_FDCWD, &caller.path(0)?, name == "chown")?, 1),
    };
    let (uid, gid) = (width.id(caller.argument(at)), width.id(caller.argument(at + 1)));
    let before = match state.record(&file)? {
        Some(record) => (record.uid, record.gid),
        None => Facts::of(&file)?.owner(),
    };
    let after = (uid.unwrap_or(before.0), gid.unwrap_or(before.1));
    let identity = state.identities.of(caller)?;
    let is_privileged = may(caller, identity, CHOWN)?;
    // Who changes nothing may do so everywhere.
    let is_same = uid.is_none() && gid.is_none();
    let is_own = is_same || identity.uid.files == before.0 && after.0 == before.0;
    if !is_privileged && !(is_own && (after.1 == before.1 || identity.is_in(after.1))) {
        return Err(Errno::PERM);
    }
    caller.check()?;
    // The kernel's own chown to the ids that there are does all the rest: the change of ctime, the loss of set-id bits
    // and capabilities, the copy in the upper directory, the errors.
    let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
    chownat(&file, "", Some(Uid::ROOT), Some(Gid::ROOT), flags)?;
    if after != before || after != ROOT {
        state.set_owner(&file, after)?;
    }
    Ok(Answer::value(0))
}

// ------------------------------------------------------------------ stat

/// A record is what makes an answer differ from the kernel's; without one the kernel shall give it.
fn stat(state: &State, caller: &Caller<'_>) -> Result<Answer, Errno> {
    let (folder, path, flags) = match caller.name {
        "newfstatat" | "fstatat64" => (caller.int(0), 1, caller.int(3)),
        "statx" => (caller.int(0), 1, caller.int(2)),
        "lstat" | "lstat64" => (libc::AT_FDCWD, 0, libc::AT_SYMLINK_NOFOLLOW),
        _ => (libc::AT_FDCWD, 0, 0),
    };
    let may_be_empty = flags & libc::AT_EMPTY_PATH != 0;
    // Since Linux 6.11 no path at all is an empty one.
    let text = if may_be_empty && caller.argument(path) == 0 { Ok(Vec::new()) } else { caller.path(path) };
    let opened = match text {
        Ok(text) if text.is_empty() && may_be_empty && folder >= 0 => {
            return told_of_descriptor(state, caller, folder);
        }
        Ok(text) if text.is_empty() => caller.open_at(folder, &text, flags),
        Ok(text) => caller.open_simply(folder, &text, flags & libc::AT_SYMLINK_NOFOLLOW == 0),
        Err(error) => Err(error),
    };
    match opened {
        Ok(file) => told(state, caller, &file),
        Err(_) => Ok(Answer::CONTINUE),
    }
}

fn stat_descriptor(state: &State, caller: &Caller<'_>) -> Result<Answer, Errno> {
    told_of_descriptor(state, caller, caller.int(0))
}

fn told_of_descriptor(state: &State, caller: &Caller<'_>, number: i32) -> Result<Answer, Errno> {
    if number < 0 {
        return Ok(Answer::CONTINUE);
    }
    let name = caller.path_of(&format!("fd/{number}"));
    if attribute(&name).is_none() && state.links.is_empty() {
        return Ok(Answer::CONTINUE);
    }
    match caller.descriptor(number) {
        Ok(file) => told(state, caller, &file),
        Err(_) => Ok(Answer::CONTINUE),
    }
}

fn told(state: &State, caller: &Caller<'_>, file: &OwnedFd) -> Result<Answer, Errno> {
    let Some(record) = state.record(file)? else { return Ok(Answer::CONTINUE) };
    let (mut facts, at) = if caller.name == "statx" {
        (Facts::asked(file, caller.int(2) as u32 & SYNC, caller.argument(3) as u32)?, 4)
    } else {
        let at = if matches!(caller.name, "newfstatat" | "fstatat64") { 2 } else { 1 };
        (Facts::of(file)?, at)
    };
    facts.amend(&record);
    if caller.name == "statx" {
        caller.write(caller.argument(at), facts.extended())?;
    } else if caller.abi.is_narrow() && !caller.name.contains("64") {
        // A structure with ids of 16 bits, which programs of this century do not use.
        return Ok(Answer::CONTINUE);
    } else {
        caller.write(caller.argument(at), &facts.plain(caller.abi))?;
    }
    Ok(Answer::value(0))
}

// ------------------------------------------------------------------ extended attributes

/// The names of a file's attributes without the one that is ours: whoever copies a file with its attributes shall not
/// copy its owner.
fn list(caller: &Caller<'_>) -> Result<Answer, Errno> {
    let opened = match caller.name {
        "flistxattr" => caller.descriptor(caller.int(0)),
        name => caller.path(0).and_then(|path| caller.open(libc::AT_FDCWD, &path, name == "listxattr")),
    };
    let Ok(file) = opened else { return Ok(Answer::CONTINUE) };
    let mut names = vec![0; LONGEST_LIST];
    let Ok(length) = listxattr(by_name(&file), &mut names) else { return Ok(Answer::CONTINUE) };
    names.truncate(length);
    let shown: Vec<u8> =
        names.split_inclusive(|byte| *byte == 0).filter(|name| !is_ours(name)).flatten().copied().collect();
    if shown.len() == names.len() {
        return Ok(Answer::CONTINUE);
    }
    let room = usize::try_from(caller.argument(2)).unwrap_or(usize::MAX);
    if room > 0 {
        if room < shown.len() {
            return Err(Errno::RANGE);
        }
        if !shown.is_empty() {
            caller.write(caller.argument(1), &shown)?;
        }
    }
    Ok(Answer::value(shown.len() as i64))
}

fn is_ours(name: &[u8]) -> bool {
    name.strip_suffix(b"\0").unwrap_or(name) == STAT.as_bytes()
}

// ------------------------------------------------------------------ rename

/// The kernel renames, except what is in a layer and has a record that goes with its inode there: the overlay makes a
/// copy with an inode of its own, which gets the record too.
fn rename(state: &mut State, caller: &Caller<'_>) -> Result<Answer, Errno> {
    if state.links.is_empty() {
        return Ok(Answer::CONTINUE);
    }
    let (from, to, flags) = match caller.name {
        "rename" => ((libc::AT_FDCWD, 0), (libc::AT_FDCWD, 1), 0),
        "renameat" => ((caller.int(0), 1), (caller.int(2), 3), 0),
        _ => ((caller.int(0), 1), (caller.int(2), 3), caller.int(4) as u32),
    };
    let Ok(source) = caller.path(from.1).and_then(|path| caller.find(from.0, &path, false)) else {
        return Ok(Answer::CONTINUE);
    };
    let Some(file) = source.file else { return Ok(Answer::CONTINUE) };
    let facts = Facts::of(&file)?;
    let Some(record) = state.links.get(&facts).filter(|_| state.links.is_below(&facts)) else {
        return Ok(Answer::CONTINUE);
    };
    let target = caller.find(to.0, &caller.path(to.1)?, false)?;
    caller.check()?;
    let flags = RenameFlags::from_bits_retain(flags);
    renameat_with(&source.folder, source.name, &target.folder, &target.name, flags)?;
    state.links.set(&file, (record.uid, record.gid))?;
    Ok(Answer::value(0))
}
