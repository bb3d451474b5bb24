//! How the core goes into its mode, before it has a second thread.
use super::calls::keep_standard_streams_only;
use super::fault::Called;
use super::maps;
use super::protocol::{Mode, SandboxEntry};
use crate::failure::{Code, Failure, Result};
use rustix::process::DumpableBehavior;
use rustix::thread::{Gid, Uid};
use std::sync::OnceLock;

/// The mode of this process, once it is in one. It cannot be left.
static ENTERED: OnceLock<Mode> = OnceLock::new();

/// Goes into the mode that `entry` (a `SandboxEntry` as JSON) asks for.
/// Fails with `sandbox`, and names the system call and its error.
pub fn enter(entry: &str) -> Result<()> {
    let entry: SandboxEntry = serde_json::from_str(entry)
        .map_err(|error| Failure::new(Code::Protocol, format!("the sandbox asked for cannot be read: {error}")))?;
    keep_standard_streams_only().called("close_range")?;
    match entry.mode {
        Mode::Chroot => {}
        Mode::Single => {
            maps::enter_single(&entry)?;
            become_root()?;
        }
        Mode::Userns => {
            maps::enter_ranges(&entry)?;
            become_root()?;
        }
    }
    ENTERED.get_or_init(|| entry.mode);
    Ok(())
}

/// The mode of this process.
pub fn entered() -> Result<Mode> {
    ENTERED.get().copied().ok_or_else(|| Failure::new(Code::Protocol, "this core has entered no sandbox"))
}

/// Root of the new user namespace. Its own files in /proc stay its own: without that the processes of steps, which it
/// has to look after, could not be looked at.
fn become_root() -> Result<()> {
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).called("setresgid(0)")?;
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).called("setresuid(0)")?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable).called("prctl(PR_SET_DUMPABLE)")
}
