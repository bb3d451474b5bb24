//! New user namespaces and their id maps, user_namespaces(7).
use super::calls::{exit_now, fork, unshare, Forked};
use super::fault::Called;
use super::protocol::{Helpers, IdRange, SandboxEntry};
use crate::failure::{Code, Failure, Result};
use rustix::process::{getpid, waitpid, Pid, WaitOptions};
use rustix::thread::UnshareFlags;
use std::fs::File;
use std::io::{Read, Write};
use std::process::Command;

/// A namespace in which one id is mapped. A process may map its own without any right, once it has given up to change
/// its groups.
pub fn enter_single(entry: &SandboxEntry) -> Result<()> {
    unshare(UnshareFlags::NEWUSER).called("unshare(CLONE_NEWUSER)")?;
    write_file("/proc/self/setgroups", "deny")?;
    write_file("/proc/self/uid_map", &rows(&entry.uids))?;
    write_file("/proc/self/gid_map", &rows(&entry.gids))
}

/// A namespace in which ranges of ids are mapped. The maps are written by a process that stayed outside, with its rights
/// or those of newuidmap and newgidmap.
pub fn enter_ranges(entry: &SandboxEntry) -> Result<()> {
    let (ready_reader, ready_writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).called("pipe2")?;
    let (said_reader, said_writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).called("pipe2")?;
    let process = getpid();
    let helper = match fork().called("fork")? {
        Forked::Parent(helper) => helper,
        Forked::Child => {
            drop((ready_writer, said_reader));
            let said = map_from_outside(process, entry, File::from(ready_reader));
            // What it could not say is said by its status.
            let written = File::from(said_writer).write_all(said.as_bytes());
            exit_now(i32::from(written.is_err()));
        }
    };
    drop((ready_reader, said_writer));
    let unshared = unshare(UnshareFlags::NEWUSER).called("unshare(CLONE_NEWUSER)");
    if unshared.is_ok() {
        File::from(ready_writer).write_all(b"!")?;
    } else {
        drop(ready_writer);
    }
    let mut said = String::new();
    File::from(said_reader).read_to_string(&mut said)?;
    let ended = waitpid(Some(helper), WaitOptions::empty()).called("waitpid")?;
    unshared?;
    let is_well = ended.is_some_and(|(_, status)| status.exit_status() == Some(0));
    match (said.as_str(), is_well) {
        ("", true) => Ok(()),
        ("", false) => Err(Failure::new(Code::Sandbox, "the process that maps ids ended without a word")),
        (why, _) => Err(Failure::new(Code::Sandbox, why)),
    }
}

/// Waits until the process is in its namespace, and maps its ids. Says why that failed, or nothing.
fn map_from_outside(process: Pid, entry: &SandboxEntry, mut ready: File) -> String {
    let mut byte = [0u8; 1];
    if !matches!(ready.read(&mut byte), Ok(1)) {
        // It has not come so far, and says itself why.
        return String::new();
    }
    let mapped = match &entry.helpers {
        Some(helpers) => map_by_helpers(process, entry, helpers),
        None => map_directly(process, entry),
    };
    mapped.err().map(|failure| failure.message).unwrap_or_default()
}

fn map_directly(process: Pid, entry: &SandboxEntry) -> Result<()> {
    let folder = format!("/proc/{}", process.as_raw_nonzero());
    write_file(&format!("{folder}/uid_map"), &rows(&entry.uids))?;
    write_file(&format!("{folder}/gid_map"), &rows(&entry.gids))
}

fn map_by_helpers(process: Pid, entry: &SandboxEntry, helpers: &Helpers) -> Result<()> {
    run_helper(&helpers.uid, process, &entry.uids)?;
    run_helper(&helpers.gid, process, &entry.gids)
}

fn run_helper(program: &str, process: Pid, ranges: &[IdRange]) -> Result<()> {
    let numbers = ranges.iter().flat_map(|range| [range.inside, range.outside, range.count]);
    let ended = Command::new(program)
        .arg(process.as_raw_nonzero().to_string())
        .args(numbers.map(|number| number.to_string()))
        .output()
        .called(program)?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let said = said.trim();
    let reason = if said.is_empty() { ended.status.to_string() } else { said.to_owned() };
    Err(Failure::new(Code::Sandbox, format!("{program}: {reason}")))
}

/// The rows of a map: `INSIDE OUTSIDE COUNT`.
fn rows(ranges: &[IdRange]) -> String {
    ranges.iter().map(|range| format!("{} {} {}\n", range.inside, range.outside, range.count)).collect()
}

/// The kernel takes a map, and the word about groups, by one write only.
fn write_file(path: &str, text: &str) -> Result<()> {
    let mut file = File::options().write(true).open(path).called(format_args!("open({path})"))?;
    file.write_all(text.as_bytes()).called(format_args!("write({path})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_rows() {
        let ranges =
            [IdRange { inside: 0, outside: 1000, count: 1 }, IdRange { inside: 1, outside: 100_000, count: 65536 }];
        assert_eq!(rows(&ranges), "0 1000 1\n1 100000 65536\n");
    }
}
