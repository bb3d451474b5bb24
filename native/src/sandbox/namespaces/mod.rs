//! The sandbox where namespaces can be made.
use super::calls::{new_session_keyring, start_loopback, unshare};
use super::command::become_command;
use super::fault::{Called, Stepped};
use super::handover::{give_owned, Purpose};
use super::monitor::{end_with_monitor, filter};
use super::place::Kind;
use super::protocol::{Mode, Network, SandboxPlan, SandboxRoot, Security};
use super::rights::{drop_rights, kept_capabilities, set_limits, Ids};
use super::seccomp;
use crate::failure::{Code, Failure, Result};
use crate::unpack::implied;
use mounts::{Ready, Root};
use rustix::fs::{openat, OFlags, CWD};
use rustix::io::Errno;
use rustix::mount::{mount_change, unmount, MountPropagationFlags, UnmountFlags};
use rustix::process::{chdir, fchdir, pivot_root};
use rustix::thread::UnshareFlags;
use staging::{imitate, Staging};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;

mod kernel;
mod mounts;
mod points;
mod staging;

/// The group of terminals in /dev/pts, as everywhere.
const TERMINALS: u32 = 5;

/// Makes the sandbox around this process, which is the first of its pid namespace, and becomes the command. Returns only
/// why it could not; then the process is to end.
pub fn enter(plan: &SandboxPlan, mode: Mode, handover: &OwnedFd) -> Failure {
    match set_up(plan, mode, handover) {
        Err(failure) => failure,
        // 12. The command.
        Ok(()) => become_command(&plan.command, &plan.environment),
    }
}

fn set_up(plan: &SandboxPlan, mode: Mode, handover: &OwnedFd) -> Result<()> {
    let hand_over =
        |purpose: Purpose, listener: UnixListener| give_owned(handover, purpose, &listener).called("sendmsg(a socket)");
    let ids = if mode == Mode::Single { Ids::Kept } else { Ids::Planned };

    // 1. Namespaces: nothing that is mounted from here on is seen outside.
    leave_namespaces(plan.network).step(1, "namespaces")?;
    // 2. A place to put things together.
    let (mut staging, tree) = stage(plan, handover).step(2, "staging")?;
    // 3. What the plan's mounts show.
    let ready = mounts::prepare(plan, &mut staging, hand_over).step(3, "sources of mounts")?;
    // 4. The root, with a mount point for everything.
    let root = mount_root(&plan.root, tree, &ready, &mut staging).step(4, "root")?;
    // 5. What is of the kernel.
    kernel::mount_proc(&root).step(5, "/proc")?;
    let terminals = (ids == Ids::Planned).then_some(TERMINALS);
    kernel::mount_dev(&root, plan.shared_memory, terminals).step(5, "/dev")?;
    kernel::mount_sys(&root, plan.network, plan.security).step(5, "/sys")?;
    if plan.security == Security::Default {
        kernel::protect(&root).step(5, "masked and read-only paths")?;
    }
    // 6. The plan's mounts, in order.
    ready.iter().try_for_each(|each| mounts::mount_ready(&root, each)).step(6, "mounts")?;
    // 7. The machine's files are gone.
    change_root(&root).step(7, "pivot_root")?;
    // 8. What is told by the kernel alone.
    rustix::system::sethostname(plan.hostname.as_bytes()).called("sethostname").step(8, "host name")?;
    if plan.network == Network::None {
        start_loopback().called("ioctl(SIOCSIFFLAGS)").step(8, "loopback interface")?;
    }
    // 9. The working directory.
    go_to(&plan.directory).step(9, "working directory")?;
    // 10. Limits and keys.
    set_limits(&plan.limits).step(10, "limits")?;
    leave_keyring().step(10, "keyring")?;
    // 11. System calls, then rights: a filter takes rights to install.
    if let Some(listener) = seccomp::install(&filter(mode, plan)).step(11, "filter of system calls")? {
        give_owned(handover, Purpose::Supervised, &listener).called("sendmsg(the listener)")?;
    }
    drop_rights(plan, ids, kept_capabilities(plan.security, false)).step(11, "rights")?;
    end_with_monitor().step(11, "rights")
}

fn leave_namespaces(network: Network) -> Result<()> {
    let mut flags = UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS | UnshareFlags::NEWCGROUP;
    let mut names = "CLONE_NEWNS|CLONE_NEWIPC|CLONE_NEWUTS|CLONE_NEWCGROUP".to_owned();
    if network == Network::None {
        flags |= UnshareFlags::NEWNET;
        names.push_str("|CLONE_NEWNET");
    }
    unshare(flags).called(format_args!("unshare({names})"))?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).called("mount(/, private)")
}

/// Mounts the staging area where nothing else is needed; a root that is a copy is opened before, as it is hidden by that.
fn stage(plan: &SandboxPlan, handover: &OwnedFd) -> Result<(Staging, Option<OwnedFd>)> {
    let served = match plan.fuse_overlayfs {
        Some(_) => Some(rustix::io::fcntl_dupfd_cloexec(handover, 0).called("dup")?),
        None => None,
    };
    match &plan.root {
        SandboxRoot::Overlay { scratch, .. } => {
            for name in ["upper", "work", "root"] {
                std::fs::create_dir(format!("{scratch}/{name}")).called(format_args!("mkdir({scratch}/{name})"))?;
            }
            Ok((Staging::mount(&format!("{scratch}/root"), served)?, None))
        }
        SandboxRoot::Copy { path, .. } => {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let tree =
                openat(CWD, path.as_str(), flags, rustix::fs::Mode::empty()).called(format_args!("open({path})"))?;
            Ok((Staging::mount(path, served)?, Some(tree)))
        }
    }
}

fn mount_root(root: &SandboxRoot, tree: Option<OwnedFd>, ready: &[Ready], staging: &mut Staging) -> Result<Root> {
    if let Some(tree) = tree {
        return Ok(Root { folder: staging.bind(&tree)? });
    }
    let SandboxRoot::Overlay { lower, scratch } = root else {
        return Err(super::fault::fault("mount(root)", Errno::INVAL));
    };
    let mut lower = lower.clone();
    lower.push(restore_implied(&lower, scratch)?);
    let merged = staging.overlay(&lower, None)?;
    let kernel = ["/proc", "/dev", "/sys"].map(|path| (path, Kind::Folder));
    let planned = ready.iter().map(|each| (each.target.as_str(), each.kind));
    let wanted: Vec<(&str, Kind)> = kernel.into_iter().chain(planned).collect();
    // Not in the folder before: how things are there must not change while they are copied from.
    let points = format!("{scratch}/points");
    if points::make_missing(merged.as_fd(), &wanted, &points)? {
        lower.push(points);
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let upper = openat(CWD, format!("{scratch}/upper"), flags, rustix::fs::Mode::empty()).called("open(upper)")?;
    imitate(merged.as_fd(), upper.as_fd())?;
    drop(merged);
    Ok(Root { folder: staging.overlay(&lower, Some(scratch))? })
}

/// The highest directory of an overlay says how a folder is, also one whose layer only implies it: this makes one to be
/// on top, in which these are as the lower ones say. Gives its path.
fn restore_implied(lower: &[String], scratch: &str) -> Result<String> {
    let init = format!("{scratch}/init");
    std::fs::create_dir(&init).called("mkdir(init)")?;
    implied::restore(lower, &init)?;
    Ok(init)
}

/// Makes the sandbox's root that of this process, and lets go of the old one with all that is mounted there.
fn change_root(root: &Root) -> Result<()> {
    fchdir(&root.folder).called("fchdir")?;
    // The old root is mounted over the new one, from where it is taken off again.
    pivot_root(".", ".").called("pivot_root")?;
    unmount(".", UnmountFlags::DETACH).called("umount2(the old root)")?;
    chdir("/").called("chdir(/)")
}

pub fn go_to(directory: &str) -> Result<()> {
    let made = std::fs::create_dir_all(directory).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO));
    match made.and_then(|()| chdir(directory)) {
        // What is there is told of, and not that a folder cannot be made.
        Err(Errno::NOTDIR | Errno::EXIST | Errno::LOOP) => {
            Err(Failure::new(Code::Directory, format!("the working directory {directory} is no folder")))
        }
        done => done.called(format_args!("chdir({directory})")),
    }
}

/// The caller's keys are not the step's. Where there is no such thing as keys, or none may be made, there is no access
/// to them either.
pub fn leave_keyring() -> Result<()> {
    match new_session_keyring() {
        Err(Errno::NOSYS | Errno::PERM | Errno::ACCESS) => Ok(()),
        done => done.called("keyctl(KEYCTL_JOIN_SESSION_KEYRING)"),
    }
}
