//! Calls that set and tell the ids of a process.
use super::caller::Caller;
use super::credentials::{Identity, Ids};
use super::facts::Facts;
use super::files::State;
use super::Answer;
use rustix::io::Errno;

/// `NGROUPS_MAX`.
const MOST_GROUPS: usize = 65_536;
/// What calls for ids of 16 bits say of an id that has more.
const OVERFLOWN: u32 = 65_534;

/// Capabilities, a bit each.
pub const CHOWN: u64 = 1;
const SETGID: u64 = 1 << 6;
const SETUID: u64 = 1 << 7;
/// `SECBIT_KEEP_CAPS`.
const KEEP_CAPABILITIES: u64 = 1 << 4;

/// An id of a width: `is_short` are those of the oldest calls of 32-bit programs.
#[derive(Clone, Copy)]
pub struct Width {
    pub is_short: bool,
}

impl Width {
    /// The width of a call's ids, and the call's name without what tells it.
    pub fn of<'a>(caller: &Caller<'_>, name: &'a str) -> (Width, &'a str) {
        match name.strip_suffix("32") {
            Some(plain) => (Width { is_short: false }, plain),
            None => (Width { is_short: caller.abi.is_narrow() && name != "fchownat" }, name),
        }
    }

    /// The id in an argument; -1 is `None`.
    pub fn id(self, argument: u64) -> Option<u32> {
        if self.is_short {
            Some(argument as u32 & 0xffff).filter(|id| *id != 0xffff)
        } else {
            Some(argument as u32).filter(|id| *id != u32::MAX)
        }
    }

    fn told(self, id: u32) -> u32 {
        if self.is_short && id > 0xffff {
            OVERFLOWN
        } else {
            id
        }
    }

    fn bytes(self, id: u32) -> Vec<u8> {
        if self.is_short {
            (self.told(id) as u16).to_ne_bytes().to_vec()
        } else {
            id.to_ne_bytes().to_vec()
        }
    }

    fn length(self) -> usize {
        if self.is_short {
            2
        } else {
            4
        }
    }
}

/// Answers the calls for ids; `None`: it is none of them.
pub fn answer(state: &mut State, caller: &Caller<'_>) -> Result<Option<Answer>, Errno> {
    let (width, name) = Width::of(caller, caller.name);
    if let Some(answer) = told(state, caller, width, name)? {
        return Ok(Some(answer));
    }
    let mut identity = state.identities.of(caller)?.clone();
    let before = identity.uid;
    let is_privileged = may(caller, &identity, if name.ends_with("uid") { SETUID } else { SETGID })?;
    let id = |at| width.id(caller.argument(at));
    let ids = if name.ends_with("uid") { &mut identity.uid } else { &mut identity.gid };
    let mut value = 0;
    match name {
        "setuid" | "setgid" => ids.set(id(0), is_privileged)?,
        "setreuid" | "setregid" => ids.set_two(id(0), id(1), is_privileged)?,
        "setresuid" | "setresgid" => ids.set_three([id(0), id(1), id(2)], is_privileged)?,
        "setfsuid" | "setfsgid" => value = width.told(ids.set_files(id(0), is_privileged)).into(),
        "setgroups" => identity.groups = new_groups(caller, width, is_privileged)?,
        _ => return Ok(None),
    }
    identity.lose_rights(before);
    state.identities.change(caller, identity)?;
    Ok(Some(Answer::value(value)))
}

/// Whether the caller has a capability: as root, or because it has kept it.
pub fn may(caller: &Caller<'_>, identity: &Identity, capability: u64) -> Result<bool, Errno> {
    Ok(identity.is_root() || identity.kept && caller.status()?.capabilities & capability != 0)
}

/// prctl(2), about what happens to capabilities. The kernel does its part, too.
pub fn option(state: &mut State, caller: &Caller<'_>) -> Result<Answer, Errno> {
    let mut identity = state.identities.of(caller)?.clone();
    identity.keeps = match caller.int(0) {
        libc::PR_SET_KEEPCAPS => caller.argument(1) == 1,
        _ => caller.argument(1) & KEEP_CAPABILITIES != 0,
    };
    state.identities.change(caller, identity)?;
    Ok(Answer::CONTINUE)
}

fn told(state: &State, caller: &Caller<'_>, width: Width, name: &str) -> Result<Option<Answer>, Errno> {
    if !name.starts_with("get") {
        return Ok(None);
    }
    let identity = state.identities.of(caller)?;
    let value = match name {
        "getuid" => identity.uid.real,
        "geteuid" => identity.uid.effective,
        "getgid" => identity.gid.real,
        "getegid" => identity.gid.effective,
        "getresuid" => return three(caller, width, identity.uid).map(Some),
        "getresgid" => return three(caller, width, identity.gid).map(Some),
        "getgroups" => return groups(caller, width, identity).map(Some),
        _ => return Ok(None),
    };
    Ok(Some(Answer::value(width.told(value).into())))
}

fn three(caller: &Caller<'_>, width: Width, ids: Ids) -> Result<Answer, Errno> {
    for (at, id) in [ids.real, ids.effective, ids.saved].into_iter().enumerate() {
        caller.write(caller.argument(at), &width.bytes(id))?;
    }
    Ok(Answer::value(0))
}

fn groups(caller: &Caller<'_>, width: Width, identity: &Identity) -> Result<Answer, Errno> {
    let count = identity.groups.len();
    let room = usize::try_from(caller.int(0)).map_err(|_| Errno::INVAL)?;
    if room > 0 {
        if room < count {
            return Err(Errno::INVAL);
        }
        let bytes: Vec<u8> = identity.groups.iter().flat_map(|gid| width.bytes(*gid)).collect();
        if !bytes.is_empty() {
            caller.write(caller.argument(1), &bytes)?;
        }
    }
    Ok(Answer::value(count as i64))
}

fn new_groups(caller: &Caller<'_>, width: Width, is_privileged: bool) -> Result<Vec<u32>, Errno> {
    if !is_privileged {
        return Err(Errno::PERM);
    }
    let count = usize::try_from(caller.int(0)).map_err(|_| Errno::INVAL)?;
    if count > MOST_GROUPS {
        return Err(Errno::INVAL);
    }
    let bytes = if count == 0 { Vec::new() } else { caller.read(caller.argument(1), count * width.length())? };
    let mut groups = Vec::with_capacity(count);
    for each in bytes.chunks_exact(width.length()) {
        let id = each.iter().rev().fold(0u64, |id, byte| id << 8 | u64::from(*byte));
        groups.push(width.id(id).ok_or(Errno::INVAL)?);
    }
    groups.sort_unstable();
    Ok(groups)
}

/// execve(2): a set-id file gives its owner's ids. The kernel then goes on with the call.
pub fn execute(state: &mut State, caller: &Caller<'_>) -> Result<Answer, Errno> {
    let (folder, path, flags) = match caller.name {
        "execveat" => (caller.int(0), caller.path(1), caller.int(4)),
        _ => (libc::AT_FDCWD, caller.path(0), 0),
    };
    let Ok(file) = path.and_then(|path| caller.open_at(folder, &path, flags)) else { return Ok(Answer::CONTINUE) };
    let facts = Facts::of(&file)?;
    if facts.kind() != libc::S_IFREG || facts.mode() & 0o111 == 0 {
        return Ok(Answer::CONTINUE);
    }
    let mut identity = state.identities.of(caller)?.clone();
    let sets_uid = facts.mode() & libc::S_ISUID != 0;
    let sets_gid = facts.mode() & (libc::S_ISGID | libc::S_IXGRP) == libc::S_ISGID | libc::S_IXGRP;
    let mut owner = (None, None);
    if (sets_uid || sets_gid) && !caller.status()?.no_new_privileges {
        let (uid, gid) = state.record(&file)?.map_or(super::files::ROOT, |record| (record.uid, record.gid));
        owner = (sets_uid.then_some(uid), sets_gid.then_some(gid));
    }
    identity.execute(owner.0, owner.1);
    state.identities.change(caller, identity)?;
    Ok(Answer::CONTINUE)
}
