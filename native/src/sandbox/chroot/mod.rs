//! The sandbox where nothing can be mounted: the root is changed by chroot(2), and what elsewhere is mounted is put into
//! the tree before and taken out of it afterwards.
use super::command::become_command;
use super::fault::{fault, Called, Stepped};
use super::handover::{give_owned, Purpose};
use super::monitor::{end_with_monitor, filter};
use super::place::Kind;
use super::protocol::{Mode, Network, SandboxPlan, SandboxRoot};
use super::rights::{drop_rights, kept_capabilities, set_limits, Ids};
use super::seccomp;
use super::{base64, namespaces};
use crate::failure::{Code, Failure, Result};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

mod fifo;
mod fill;
mod imitation;
mod tree;

use fifo::Fifo;
pub use fill::view_source;
use tree::Tree;

/// What the monitor has to do while the step runs.
pub enum Service {
    /// Gives a content to whoever opens a fifo.
    Fifo { fifo: Fifo, opened: OwnedFd },
    /// Passes on connections to a socket of the machine.
    Socket { listener: UnixListener, source: String },
}

impl Service {
    /// Begins in a thread. Not before the process has made its last copy of itself.
    pub fn start(self) {
        match self {
            Service::Fifo { fifo, opened } => fifo.serve(opened),
            Service::Socket { listener, source } => super::forward::serve(listener, source),
        }
    }
}

/// Calls `action` while the tree has everything in it that the plan wants there, and takes it out again, whatever came of
/// that.
pub fn with_tree<T>(plan: &SandboxPlan, action: impl FnOnce(Vec<Service>) -> Result<T>) -> Result<T> {
    let SandboxRoot::Copy { path, .. } = &plan.root else {
        return Err(Failure::new(Code::Sandbox, "nothing can be mounted here: the root has to be a copy"));
    };
    changed(Tree::open(path)?, |tree| fill::fill(tree, plan), action)
}

/// The same where mounts can be made, but not an overlay: only the mount points are put into the tree.
pub fn with_points<T>(plan: &SandboxPlan, action: impl FnOnce(Vec<Service>) -> Result<T>) -> Result<T> {
    let SandboxRoot::Copy { path, .. } = &plan.root else { return action(Vec::new()) };
    let make = |tree: &mut Tree| {
        for folder in ["/proc", "/dev", "/sys"] {
            tree.make_point(folder, Kind::Folder)?;
        }
        for mount in &plan.mounts {
            let (target, kind) = fill::target(mount)?;
            tree.make_point(target, kind)?;
        }
        Ok(Vec::new())
    };
    changed(Tree::open(path)?, make, action)
}

fn changed<T>(
    mut tree: Tree,
    change: impl FnOnce(&mut Tree) -> Result<Vec<Service>>,
    action: impl FnOnce(Vec<Service>) -> Result<T>,
) -> Result<T> {
    let done = change(&mut tree).step(1, "tree").and_then(action);
    let restored = tree.restore().step(9, "taking the mounts out of the tree");
    done.and_then(|done| restored.map(|()| done))
}

/// Changes the root of this process and becomes the command. Returns only why it could not; then the process is to end.
pub fn enter(plan: &SandboxPlan, handover: &OwnedFd) -> Failure {
    match set_up(plan, handover) {
        Err(failure) => failure,
        // 8. The command.
        Ok(()) => become_command(&plan.command, &plan.environment),
    }
}

/// Step 1, the tree, is done before there is this process.
fn set_up(plan: &SandboxPlan, handover: &OwnedFd) -> Result<()> {
    // 2. The root. What it was can only be reached by who has CAP_SYS_CHROOT, or has it open: the command has neither.
    let SandboxRoot::Copy { path, raises } = &plan.root else { return Err(fault("chroot", Errno::INVAL)) };
    rustix::process::chroot(path.as_str()).called(format_args!("chroot({path})")).step(2, "root")?;
    rustix::process::chdir("/").called("chdir(/)").step(2, "root")?;
    // 3. The working directory.
    namespaces::go_to(&plan.directory).step(3, "working directory")?;
    // 4. Limits and keys.
    set_limits(&plan.limits).step(4, "limits")?;
    namespaces::leave_keyring().step(4, "keyring")?;
    // 5. System calls.
    limit_calls(plan, *raises, handover).step(5, "filter of system calls")?;
    // 6. Rights.
    let kept = kept_capabilities(plan.security, true);
    drop_rights(plan, Ids::Planned, kept).step(6, "rights")?;
    end_with_monitor().step(6, "rights")
}

/// Without CAP_SYS_ADMIN a filter costs the right to become somebody else by executing a file. Where there are programs for
/// just that, a step of a user keeps it rather than being filtered, unless it is to have no network: nothing else can see to
/// that.
fn limit_calls(plan: &SandboxPlan, raises: bool, handover: &OwnedFd) -> Result<()> {
    if plan.uid != 0 && raises && plan.network != Network::None {
        return Ok(());
    }
    rustix::thread::set_no_new_privs(true).called("prctl(PR_SET_NO_NEW_PRIVS)")?;
    match seccomp::install(&filter(Mode::Chroot, plan))? {
        Some(listener) => give_owned(handover, Purpose::Supervised, &listener).called("sendmsg(the listener)"),
        None => Ok(()),
    }
}

/// The bytes of a plan's file.
fn decoded(content: &str, target: &str) -> Result<Vec<u8>> {
    let failure = || Failure::new(Code::Protocol, "the content of a file is no base64").at(target);
    base64::decode(content).ok_or_else(failure)
}
