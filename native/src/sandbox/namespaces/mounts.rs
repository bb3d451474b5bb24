//! The mounts of a plan: what is mounted, and where.
use super::staging::{by_descriptor, imitate, open_source, Staging};
use crate::failure::{Code, Failure, Result};
use crate::sandbox::base64;
use crate::sandbox::calls::restrict_mount;
use crate::sandbox::chroot::view_source;
use crate::sandbox::fault::{fault, Called};
use crate::sandbox::handover::Purpose;
use crate::sandbox::place::{Kind, Place};
use crate::sandbox::protocol::{SandboxMount, SandboxPlan, SandboxRoot};
use rustix::fs::{fstatvfs, StatVfsMountFlags};
use rustix::io::Errno;
use rustix::mount::{mount, mount_bind_recursive, mount_remount, MountFlags};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;

/// The root of the sandbox, while it is seen from outside.
pub struct Root {
    pub folder: OwnedFd,
}

impl Root {
    /// The place of a path, to be mounted on; made when it is missing.
    pub fn point(&self, path: &str, kind: Kind) -> Result<OwnedFd> {
        let place = Place::of_mount(self.folder.as_fd(), path, kind)?;
        place.make(kind).called(format_args!("the mount point {path}"))
    }

    /// The place of a path, unless it is missing.
    pub fn existing(&self, path: &str) -> Result<Option<OwnedFd>> {
        match Place::find(self.folder.as_fd(), path.as_bytes()) {
            Err(Errno::NOTDIR) => Ok(None),
            found => {
                let mut place = found.called(format_args!("open({path})"))?;
                Ok(if place.missing.is_empty() { place.there.pop().map(|(_, descriptor)| descriptor) } else { None })
            }
        }
    }

    /// Makes what is mounted at a path read-only, with what is mounted below it.
    pub fn restrict(&self, path: &str) -> Result<()> {
        let Some(mounted) = self.existing(path)? else { return Ok(()) };
        match restrict_mount(mounted.as_fd(), libc::MOUNT_ATTR_RDONLY, true) {
            // Linux before 5.12; those below stay as they are.
            Err(Errno::NOSYS) => remount_read_only(&mounted).called(format_args!("mount({path}, read-only)")),
            done => done.called(format_args!("mount_setattr({path}, read-only)")),
        }
    }
}

/// What a mount may be is never more than what the one that it is a copy of may be: those flags have to be told again.
fn remount_read_only(mounted: &OwnedFd) -> rustix::io::Result<()> {
    let had = fstatvfs(mounted)?.f_flag;
    let mut flags = MountFlags::BIND | MountFlags::RDONLY;
    for (one, other) in [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ] {
        if had.contains(one) {
            flags |= other;
        }
    }
    mount_remount(by_descriptor(mounted), flags, c"")
}

/// A mount whose source is there and opened, before it is known where its target leads.
pub struct Ready {
    pub target: String,
    pub kind: Kind,
    what: What,
}

enum What {
    Bound { source: OwnedFd, read_only: bool },
    Memory { options: CString },
}

/// Makes the sources of all mounts. Sockets that listen are given to `hand_over`.
pub fn prepare(
    plan: &SandboxPlan,
    staging: &mut Staging,
    mut hand_over: impl FnMut(Purpose, UnixListener) -> Result<()>,
) -> Result<Vec<Ready>> {
    let owners = plan.owners;
    let is_copied = matches!(plan.root, SandboxRoot::Copy { .. });
    let mut ready = Vec::with_capacity(plan.mounts.len());
    for (number, each) in plan.mounts.iter().enumerate() {
        let (source, target, read_only) = match each {
            SandboxMount::Bind { source, target, read_only } => (open_source(source)?, target, *read_only),
            SandboxMount::View { target, writable, .. } if is_copied => {
                (open_source(&view_source(each)?)?, target, !writable)
            }
            SandboxMount::View { lower, path, target, writable, scratch } => {
                (view(staging, lower, path, scratch, *writable)?, target, !writable)
            }
            SandboxMount::File { target, content, mode, uid, gid, read_only } => {
                let bytes = base64::decode(content)
                    .ok_or_else(|| Failure::new(Code::Protocol, "the content of a file is no base64").at(target))?;
                (staging.file(&bytes, *mode, *uid, *gid, owners)?, target, *read_only)
            }
            SandboxMount::Socket { target, mode, uid, gid, .. } => {
                let number = u16::try_from(number).map_err(|_| Failure::new(Code::Protocol, "too many mounts"))?;
                let (listener, path) = staging.socket(*mode, *uid, *gid, owners)?;
                hand_over(Purpose::Socket(number), listener)?;
                (path, target, false)
            }
            SandboxMount::Tmpfs { target, size, mode } => {
                let options = match size {
                    Some(size) => format!("mode={mode:o},size={size}"),
                    None => format!("mode={mode:o}"),
                };
                let options = CString::new(options).map_err(|_| fault("mount(tmpfs)", Errno::INVAL))?;
                ready.push(Ready { target: target.clone(), kind: Kind::Folder, what: What::Memory { options } });
                continue;
            }
        };
        let kind = Kind::of(&source).called(format_args!("stat(what is mounted at {target})"))?;
        ready.push(Ready { target: target.clone(), kind, what: What::Bound { source, read_only } });
    }
    Ok(ready)
}

/// A folder or file of layers: they are laid over each other aside, and the path is looked up in what comes of it.
fn view(staging: &mut Staging, lower: &[String], path: &str, scratch: &str, is_writable: bool) -> Result<OwnedFd> {
    let mut lower = lower.to_vec();
    lower.push(super::restore_implied(&lower, scratch)?);
    if is_writable {
        for name in ["upper", "work"] {
            std::fs::create_dir(format!("{scratch}/{name}")).called(format_args!("mkdir({name})"))?;
        }
        let [top, upper] = ["init", "upper"].map(|name| open_source(&format!("{scratch}/{name}")));
        imitate(top?.as_fd(), upper?.as_fd())?;
    }
    let merged = Root { folder: staging.overlay(&lower, is_writable.then_some(scratch))? };
    let missing = || Failure::new(Code::Sandbox, format!("{path}: what is to be mounted is not in the layers"));
    merged.existing(path)?.ok_or_else(missing)
}

/// Mounts one of them.
pub fn mount_ready(root: &Root, ready: &Ready) -> Result<()> {
    let Ready { target, kind, what } = ready;
    let point = root.point(target, *kind)?;
    match what {
        What::Memory { options } => {
            let flags = MountFlags::NOSUID | MountFlags::NODEV;
            mount("tmpfs", by_descriptor(&point), "tmpfs", flags, Some(options.as_c_str()))
                .called(format_args!("mount(tmpfs at {target})"))
        }
        What::Bound { source, read_only } => {
            mount_bind_recursive(by_descriptor(source), by_descriptor(&point))
                .called(format_args!("mount({target})"))?;
            if *read_only {
                root.restrict(target)?;
            }
            Ok(())
        }
    }
}
