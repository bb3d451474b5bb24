//! What a step may do to processes where it has no pid namespace of its own: those that did not come of it are not there
//! for it. Whether it may do it to its own is for the kernel to say. Between this answer and the call itself a process
//! could end and another get its number: the numbers of a whole machine would have to be used up in between.
use super::{Answer, Caller};
use crate::sandbox::descendants::{find_descendants, parse_stat};
use rustix::fs::{openat, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{getpid, kill_process, test_kill_process, Pid, Signal};
use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;

const PROCESS: i32 = 0;
const GROUP: i32 = 1;
/// `which` of setpriority(2) counts from 0, that of ioprio_set(2) from 1.
const IO_PRIORITIES_FROM: i32 = 1;
/// A parent may end while its name is looked up.
const TRIES: usize = 100;
/// A line of /proc/PID/stat is shorter.
const MAX_STAT: u64 = 4096;

/// Answers calls that name a process; `None`: the call is none of them.
pub fn answer(caller: &Caller<'_>) -> Result<Option<Answer>, Errno> {
    match caller.name {
        "kill" if caller.int(0) == -1 => return signal_all(caller, caller.int(1)).map(Some),
        "kill" => check_signalled(caller, caller.int(0)),
        "fcntl" | "fcntl64" => check_signalled(caller, caller.int(2)),
        "tkill" | "tgkill" | "rt_sigqueueinfo" | "rt_tgsigqueueinfo" | "pidfd_open" | "prlimit64"
        | "process_vm_readv" | "process_vm_writev" | "sched_setaffinity" | "sched_setattr" | "sched_setparam"
        | "sched_setscheduler" => check_process(caller, caller.int(0)),
        "ptrace" => check_process(caller, caller.int(1)),
        "setpriority" => check_priority(caller, caller.int(0), caller.int(1)),
        "ioprio_set" => check_priority(caller, caller.int(0) - IO_PRIORITIES_FROM, caller.int(1)),
        _ => return Ok(None),
    }?;
    Ok(Some(Answer::CONTINUE))
}

/// A process by its number, or a group by the negative of it; 0 is the caller's own group, whose session the step began.
fn check_signalled(caller: &Caller<'_>, target: i32) -> Result<(), Errno> {
    match target {
        0 => Ok(()),
        1.. => check_process(caller, target),
        _ => check_group(target.checked_neg().ok_or(Errno::SRCH)?),
    }
}

fn check_priority(caller: &Caller<'_>, which: i32, target: i32) -> Result<(), Errno> {
    match which {
        PROCESS => check_process(caller, target),
        GROUP if target == 0 => Ok(()),
        GROUP => check_group(target),
        // All processes of a user, the machine's among them.
        _ => Err(Errno::PERM),
    }
}

/// 0 is the caller himself; a thread stands for its process.
fn check_process(caller: &Caller<'_>, process: i32) -> Result<(), Errno> {
    let is_itself = process == 0 || u32::try_from(process) == Ok(caller.asked.thread);
    if is_itself || (process > 0 && is_own(caller.proc, process)) {
        Ok(())
    } else {
        Err(Errno::SRCH)
    }
}

/// A group is never of several sessions, and a session that somebody of the step is in was begun by the step.
fn check_group(group: i32) -> Result<(), Errno> {
    let found = find_descendants().map_err(|_| Errno::SRCH)?;
    if found.iter().any(|process| process.group == group) {
        Ok(())
    } else {
        Err(Errno::SRCH)
    }
}

/// Whether a process came of the step: then this one, which takes in those whose parents have ended, is above it.
fn is_own(proc: BorrowedFd<'_>, process: i32) -> bool {
    (0..TRIES).find_map(|_| climb(proc, process)).unwrap_or(false)
}

/// `None`: a process in between has ended.
fn climb(proc: BorrowedFd<'_>, process: i32) -> Option<bool> {
    let top = getpid().as_raw_nonzero().get();
    let Some(mut parent) = parent_of(proc, process) else { return Some(false) };
    while parent != top {
        if parent <= 1 {
            return Some(false);
        }
        parent = parent_of(proc, parent)?;
    }
    Some(true)
}

fn parent_of(proc: BorrowedFd<'_>, process: i32) -> Option<i32> {
    let file = openat(proc, format!("{process}/stat"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut stat = Vec::new();
    File::from(file).take(MAX_STAT).read_to_end(&mut stat).ok()?;
    Some(parse_stat(&stat)?.0)
}

/// `kill(-1)`, as in a pid namespace: to all of the step but the caller and the first process.
fn signal_all(caller: &Caller<'_>, number: i32) -> Result<Answer, Errno> {
    let signal = match number {
        0 => None,
        _ => Some(Signal::from_named_raw(number).ok_or(Errno::INVAL)?),
    };
    let status = caller.status()?;
    let top = getpid().as_raw_nonzero().get();
    let mut outcome = Err(Errno::SRCH);
    for process in find_descendants().map_err(|_| Errno::SRCH)? {
        let is_first = parent_of(caller.proc, process.id) == Some(top) && process.group == process.id;
        let is_caller = u32::try_from(process.id) == Ok(status.process);
        if is_first || is_caller || !may_signal(caller, status.uid.0, process.id) {
            continue;
        }
        let Some(id) = Pid::from_raw(process.id) else { continue };
        if signal.map_or_else(|| test_kill_process(id), |signal| kill_process(id, signal)).is_ok() {
            outcome = Ok(Answer::value(0));
        }
    }
    outcome
}

/// Root may, and each user his own.
fn may_signal(caller: &Caller<'_>, user: u32, process: i32) -> bool {
    let is_his = || rustix::fs::statat(caller.proc, process.to_string(), rustix::fs::AtFlags::empty());
    user == 0 || is_his().is_ok_and(|found| found.st_uid == user)
}
