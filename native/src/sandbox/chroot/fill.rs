//! Putting into a tree what elsewhere is mounted over it.
use super::fifo::Fifo;
use super::tree::{keeping_times, Spot, Tree};
use super::{decoded, imitation, Service};
use crate::failure::{Code, Failure, Result};
use crate::sandbox::fault::Called;
use crate::sandbox::place::{Kind, Place};
use crate::sandbox::protocol::{SandboxMount, SandboxPlan};
use rustix::fs::{
    chmodat, chownat, makedev, mkdirat, mknodat, openat, symlinkat, AtFlags, FileType, Gid, Mode, OFlags, Uid, CWD,
};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{chdir, fchdir};
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Name, major and minor number of the nodes in /dev.
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Puts everything of the plan into the tree. Gives what has to be done for it while the step runs.
pub fn fill(tree: &mut Tree, plan: &SandboxPlan) -> Result<Vec<Service>> {
    let proc = put_folder(tree, "/proc", 0o555)?;
    imitation::fill_proc(&proc, plan)?;
    let dev = put_folder(tree, "/dev", 0o755)?;
    fill_dev(&dev)?;
    let sys = put_folder(tree, "/sys", 0o555)?;
    imitation::fill_sys(&sys, plan.network)?;
    let mut services = Vec::new();
    for mount in &plan.mounts {
        services.extend(put(tree, mount)?);
    }
    Ok(services)
}

fn put(tree: &mut Tree, mount: &SandboxMount) -> Result<Option<Service>> {
    let (_, kind) = target(mount)?;
    match mount {
        SandboxMount::Bind { source, target, .. } => {
            let spot = tree.free(target, kind)?;
            tree.move_in(source, spot).map(|()| None)
        }
        SandboxMount::View { target, .. } => {
            let source = view_source(mount)?;
            let spot = tree.free(target, kind)?;
            tree.move_in(&source, spot).map(|()| None)
        }
        SandboxMount::Tmpfs { target, mode, .. } => put_folder(tree, target, *mode).map(|_| None),
        // What may be read only is a secret: it is not to be on a disk.
        SandboxMount::File { target, content, mode, uid, gid, read_only: true } => {
            let content = decoded(content, target)?;
            let spot = tree.free(target, kind)?;
            let folder = fcntl_dupfd_cloexec(&spot.folder, 0).called("dup")?;
            let (name, spare) = (spot.name.clone(), tree.next_aside()?);
            tree.remove_later(spot);
            let fifo = Fifo { folder, name, spare, mode: *mode, uid: *uid, gid: *gid, content, in_use: tree.in_use() };
            Ok(Some(Service::Fifo { opened: fifo.put()?, fifo }))
        }
        SandboxMount::File { target, content, mode, uid, gid, read_only: false } => {
            let content = decoded(content, target)?;
            put_with(tree, (target, kind), *mode, (*uid, *gid), |spot| {
                std::fs::write(path_of(&spot.folder, &spot.name), content).called(format_args!("open({target})"))
            })?;
            Ok(None)
        }
        SandboxMount::Socket { source, target, mode, uid, gid } => {
            let listener = put_with(tree, (target, kind), *mode, (*uid, *gid), |spot| {
                // An address has room for 107 bytes only.
                fchdir(&spot.folder).called("fchdir")?;
                let listener = UnixListener::bind(OsStr::from_bytes(&spot.name)).called(format_args!("bind({target})"));
                chdir("/").called("chdir(/)")?;
                listener
            })?;
            Ok(Some(Service::Socket { listener, source: source.clone() }))
        }
    }
}

/// Makes something at a path, and gives it its owner and permissions.
fn put_with<T>(
    tree: &mut Tree,
    (target, kind): (&str, Kind),
    mode: u32,
    (uid, gid): (u32, u32),
    make: impl FnOnce(&Spot) -> Result<T>,
) -> Result<T> {
    let spot = tree.free(target, kind)?;
    let made = keeping_times(spot.folder.as_fd(), || {
        let made = make(&spot)?;
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        chownat(&spot.folder, &*spot.name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .called(format_args!("chown({target})"))?;
        chmodat(&spot.folder, &*spot.name, Mode::from_raw_mode(mode), AtFlags::empty())
            .called(format_args!("chmod({target})"))?;
        Ok(made)
    });
    tree.remove_later(spot);
    made
}

/// Makes an empty folder at a path of the tree; gives a path of it for this process.
fn put_folder(tree: &mut Tree, target: &str, mode: u32) -> Result<PathBuf> {
    let opened = put_with(tree, (target, Kind::Folder), mode, (0, 0), |spot| {
        mkdirat(&spot.folder, &*spot.name, Mode::from_raw_mode(0o700)).called(format_args!("mkdir({target})"))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&spot.folder, &*spot.name, flags, Mode::empty()).called(format_args!("open({target})"))
    })?;
    let path = path_of(&opened, b".");
    tree.hold(opened);
    Ok(path)
}

fn fill_dev(folder: &Path) -> Result<()> {
    for (name, major, minor) in DEVICES {
        let path = folder.join(name);
        mknodat(CWD, &path, FileType::CharacterDevice, Mode::from_raw_mode(0o600), makedev(major, minor))
            .called(format_args!("mknod(/dev/{name})"))?;
        chmodat(CWD, &path, Mode::from_raw_mode(0o666), AtFlags::empty()).called(format_args!("chmod(/dev/{name})"))?;
    }
    for (name, to) in LINKS {
        symlinkat(to, CWD, folder.join(name)).called(format_args!("symlink(/dev/{name})"))?;
    }
    for (name, mode) in [("pts", 0o755), ("shm", 0o1777), ("mqueue", 0o1777)] {
        let path = folder.join(name);
        mkdirat(CWD, &path, Mode::from_raw_mode(0o755)).called(format_args!("mkdir(/dev/{name})"))?;
        chmodat(CWD, &path, Mode::from_raw_mode(mode), AtFlags::empty()).called(format_args!("chmod(/dev/{name})"))?;
    }
    Ok(())
}

/// A path by which this process finds a name in a folder that it has open.
fn path_of(folder: &OwnedFd, name: &[u8]) -> PathBuf {
    Path::new(&format!("/proc/self/fd/{}", folder.as_raw_fd())).join(OsStr::from_bytes(name))
}

/// Where a mount goes, and what it is mounted on.
pub fn target(mount: &SandboxMount) -> Result<(&str, Kind)> {
    Ok(match mount {
        SandboxMount::Bind { source, target, .. } => (target, kind_at(source)?),
        SandboxMount::View { target, .. } => (target, kind_at(&view_source(mount)?)?),
        SandboxMount::Tmpfs { target, .. } => (target, Kind::Folder),
        SandboxMount::File { target, .. } | SandboxMount::Socket { target, .. } => (target, Kind::File),
    })
}

fn kind_at(path: &str) -> Result<Kind> {
    let opened = openat(CWD, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
        .called(format_args!("open({path})"))?;
    Kind::of(opened).called(format_args!("stat({path})"))
}

/// The path on the machine of what a view shows. There is one layer only: nothing can be laid over another.
pub fn view_source(mount: &SandboxMount) -> Result<String> {
    let SandboxMount::View { lower, path, .. } = mount else {
        return Err(Failure::new(Code::Protocol, "this mount is no view"));
    };
    let [layer] = lower.as_slice() else {
        return Err(Failure::new(Code::Sandbox, format!("a view of {} layers takes an overlay", lower.len())));
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, layer.as_str(), flags, Mode::empty()).called(format_args!("open({layer})"))?;
    let place = Place::find(root.as_fd(), path.as_bytes()).called(format_args!("open({path})"))?;
    if !place.missing.is_empty() {
        return Err(Failure::new(Code::Sandbox, format!("{path}: what is to be mounted is not in the layers")));
    }
    let mut source = layer.clone();
    for (name, _) in place.there.iter().skip(1) {
        source.push('/');
        let name = std::str::from_utf8(name);
        source.push_str(name.map_err(|_| Failure::new(Code::Sandbox, format!("{path}: a name is no UTF-8")))?);
    }
    Ok(source)
}
