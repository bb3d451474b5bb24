//! Ending all that came of a step where there is no pid namespace to do it. This process is the subreaper of them: those
//! whose parents have ended are its own children, so none can get away.
use super::fault::{fault, Called};
use crate::failure::{Code, Failure, Result};
use rustix::io::Errno;
use rustix::process::{getpid, kill_process, kill_process_group, wait, Pid, Signal, WaitOptions};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// How long processes may take to end that have been killed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Kills all descendants of this process and waits until there are none.
pub fn end_all() -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut stopped = HashSet::new();
    loop {
        if !reap()? {
            return Ok(());
        }
        // Stopped processes make no new ones and run no handlers. When a round finds none that runs, all are there.
        let found = find_descendants()?;
        let mut is_new = false;
        for process in &found {
            is_new |= stopped.insert(process.id);
            signal(process, if is_new { Signal::STOP } else { Signal::KILL })?;
        }
        if !is_new {
            for process in &found {
                signal(process, Signal::KILL)?;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        if Instant::now() > deadline {
            return Err(Failure::new(Code::Sandbox, format!("{} processes of a step do not end", found.len())));
        }
    }
}

/// Takes in children that have ended. Gives whether there are others.
fn reap() -> Result<bool> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return Ok(true),
            Err(Errno::CHILD) => return Ok(false),
            Err(error) => return Err(fault("waitpid", error)),
        }
    }
}

pub struct Process {
    pub id: i32,
    pub group: i32,
}

/// Signals a process and the whole group that it is in, at one moment: none of the group can start another meanwhile.
/// A group is never one of others: the step began a session of its own.
fn signal(process: &Process, signal: Signal) -> Result<()> {
    let ids =
        [Pid::from_raw(process.group).map(|group| (group, true)), Pid::from_raw(process.id).map(|id| (id, false))];
    for (id, is_group) in ids.into_iter().flatten() {
        let done = if is_group { kill_process_group(id, signal) } else { kill_process(id, signal) };
        match done {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(fault("kill", error)),
        }
    }
    Ok(())
}

/// All that came of this process, as far as they live.
pub fn find_descendants() -> Result<Vec<Process>> {
    let mut parents: HashMap<i32, Vec<Process>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").called("open(/proc)")? {
        let name = entry.called("getdents(/proc)")?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        // One that has ended meanwhile has nothing to read.
        let Ok(stat) = std::fs::read(format!("/proc/{id}/stat")) else { continue };
        if let Some((parent, group)) = parse_stat(&stat) {
            parents.entry(parent).or_default().push(Process { id, group });
        }
    }
    let mut pending = vec![getpid().as_raw_nonzero().get()];
    let mut found = Vec::new();
    while let Some(parent) = pending.pop() {
        let children = parents.remove(&parent).unwrap_or_default();
        pending.extend(children.iter().map(|child| child.id));
        found.extend(children);
    }
    Ok(found)
}

/// Parent and process group, proc_pid_stat(5). The name may have anything in it.
pub fn parse_stat(stat: &[u8]) -> Option<(i32, i32)> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    fields.next()?;
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_processes_say_what_they_like() {
        assert_eq!(parse_stat(b"12 (a) R 9 9 (x) S 7 8 9 0"), Some((7, 8)));
        assert_eq!(parse_stat(b"12 (\xff\n) Z 3 4 5"), Some((3, 4)));
        assert_eq!(parse_stat(b"12 (cut"), None);
    }
}
