//! A file system in memory in which everything is put together that is then bound into the root, which is mounted in it
//! itself: it is gone from the sandbox with the old root.
use crate::failure::{Code, Failure, Result};
use crate::record::{Record, STAT};
use crate::sandbox::fault::{ids_fault, Called};
use crate::sandbox::fuse::{self, Layers};
use crate::sandbox::protocol::Owners;
use rustix::fs::{
    chmodat, chownat, fsetxattr, fstat, mkdirat, openat, symlinkat, AtFlags, Gid, Mode, OFlags, Uid, XattrFlags, CWD,
};
use rustix::io::Errno;
use rustix::mount::{mount, mount_bind, MountFlags};
use rustix::process::fchdir;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;

pub struct Staging {
    folder: OwnedFd,
    /// How many names are in use.
    made: u32,
    /// By whom overlays are served that the kernel does not make.
    served: Option<OwnedFd>,
}

impl Staging {
    /// Mounts it over a folder of the machine, below which nothing is needed any more.
    pub fn mount(anchor: &str, served: Option<OwnedFd>) -> Result<Staging> {
        // Scripts of heredocs are run from it.
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("tmpfs", anchor, "tmpfs", flags, Some(c"mode=0755")).called("mount(tmpfs)")?;
        let folder = open_path(CWD, anchor)?;
        Ok(Staging { folder, made: 0, served })
    }

    /// Mounts an open folder in it, to have a mount of its own; what is mounted over that folder is not seen there.
    pub fn bind(&mut self, folder: &OwnedFd) -> Result<OwnedFd> {
        let name = self.name();
        mkdirat(&self.folder, name.as_str(), Mode::from_raw_mode(0o755)).called("mkdir")?;
        fchdir(&self.folder).called("fchdir")?;
        mount_bind(by_descriptor(folder), name.as_str()).called("mount(root)")?;
        open_path(self.folder.as_fd(), &name)
    }

    /// A file with this content.
    pub fn file(&mut self, content: &[u8], mode: u32, uid: u32, gid: u32, owners: Owners) -> Result<OwnedFd> {
        let name = self.name();
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(&self.folder, name.as_str(), flags, Mode::from_raw_mode(0o600)).called("open(a file)")?;
        let mut rest = content;
        while !rest.is_empty() {
            let written = rustix::io::write(&file, rest).called("write(a file)")?;
            rest = rest.get(written..).unwrap_or_default();
        }
        if owners == Owners::Recorded && (uid, gid) != (0, 0) {
            let record = Record { uid, gid, mode: libc::S_IFREG | mode, major: 0, minor: 0 };
            // Before Linux 6.6 a file in memory has no such attributes: it is root's there.
            match fsetxattr(&file, STAT, record.text().as_bytes(), XattrFlags::empty()) {
                Ok(()) | Err(Errno::NOTSUP) => {}
                Err(error) => return Err(error).called("setxattr(a file)"),
            }
        }
        self.give(&name, mode, uid, gid, owners)?;
        drop(file);
        open_path(self.folder.as_fd(), &name)
    }

    /// A listening socket, and the file that it is reached by.
    pub fn socket(&mut self, mode: u32, uid: u32, gid: u32, owners: Owners) -> Result<(UnixListener, OwnedFd)> {
        let name = self.name();
        // An address has room for 107 bytes only: a relative one always fits.
        fchdir(&self.folder).called("fchdir")?;
        let listener = UnixListener::bind(&name).called("bind(a socket)")?;
        self.give(&name, mode, uid, gid, owners)?;
        Ok((listener, open_path(self.folder.as_fd(), &name)?))
    }

    /// Sets the owner and the permissions. Where owners are only recorded everything belongs to the one id that there is,
    /// which every process has, whatever it is told.
    fn give(&self, name: &str, mode: u32, uid: u32, gid: u32, owners: Owners) -> Result<()> {
        if owners == Owners::Real {
            let owner = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            chownat(&self.folder, name, owner.0, owner.1, AtFlags::empty())
                .map_err(|error| ids_fault(uid, gid, "chown(a file)", error))?;
        }
        chmodat(&self.folder, name, Mode::from_raw_mode(mode), AtFlags::empty()).called("chmod(a file)")
    }

    /// Mounts an overlay of these folders, lowest first, with `scratch/upper` as the one that is written to if there is
    /// one. Folders are told by links with short names: the kernel has one page for all of them, and their own names may
    /// have any character in them.
    pub fn overlay(&mut self, lower: &[String], scratch: Option<&str>) -> Result<OwnedFd> {
        let name = self.name();
        mkdirat(&self.folder, name.as_str(), Mode::from_raw_mode(0o755)).called("mkdir")?;
        let links = open_path(self.folder.as_fd(), &name)?;
        if let Some(handover) = &self.served {
            return served_overlay(handover, &links, lower, scratch);
        }
        for below in ["root", "empty"] {
            mkdirat(&links, below, Mode::from_raw_mode(0o755)).called("mkdir")?;
        }
        let mut names: Vec<String> = Vec::with_capacity(lower.len() + 1);
        for (number, path) in lower.iter().enumerate().rev() {
            let link = format!("{number:x}");
            symlinkat(path.as_str(), &links, link.as_str()).called("symlink")?;
            names.push(link);
        }
        // One folder alone is not taken when nothing is written to, and no folder never.
        if names.is_empty() || (scratch.is_none() && names.len() == 1) {
            names.push("empty".to_owned());
        }
        let mut options = format!("lowerdir={},userxattr,index=off", names.join(":"));
        let mut flags = MountFlags::empty();
        match scratch {
            Some(scratch) => {
                symlinkat(format!("{scratch}/upper"), &links, "upper").called("symlink")?;
                symlinkat(format!("{scratch}/work"), &links, "work").called("symlink")?;
                options.push_str(",upperdir=upper,workdir=work");
            }
            None => flags |= MountFlags::RDONLY,
        }
        fchdir(&links).called("fchdir")?;
        // Without `volatile` the end of the mount waits until everything is on the disk, whatever else is written there.
        let attempts: &[&str] = if scratch.is_some() { &[",volatile", ""] } else { &[""] };
        let mut outcome = Err(Errno::INVAL);
        for attempt in attempts {
            let options =
                CString::new(format!("{options}{attempt}")).map_err(|_| Errno::INVAL).called("mount(overlay)")?;
            outcome = mount("overlay", "root", "overlay", flags, Some(options.as_c_str()));
            if outcome != Err(Errno::INVAL) {
                break;
            }
        }
        outcome.called(format_args!("mount(overlay of {} layers)", lower.len()))?;
        open_path(links.as_fd(), "root")
    }

    fn name(&mut self) -> String {
        self.made += 1;
        self.made.to_string()
    }
}

fn served_overlay(handover: &OwnedFd, folder: &OwnedFd, lower: &[String], scratch: Option<&str>) -> Result<OwnedFd> {
    mkdirat(folder, "root", Mode::from_raw_mode(0o755)).called("mkdir")?;
    fchdir(folder).called("fchdir")?;
    let layers = Layers { lower: lower.to_vec(), scratch: scratch.map(str::to_owned) };
    fuse::mount_served(handover, &layers, "root")?;
    open_path(folder.as_fd(), "root")
}

/// Opens something only to know its place; the path is not to end in a link.
fn open_path(folder: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    openat(folder, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).called(format_args!("open({name})"))
}

/// The path by which mount(2) takes a descriptor.
pub fn by_descriptor(descriptor: impl AsFd) -> String {
    format!("/proc/self/fd/{}", descriptor.as_fd().as_raw_fd())
}

/// Gives the folder at `to` the permissions, owner, attributes and time of another one.
pub fn imitate(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let readable = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let from = openat(from, ".", readable, Mode::empty()).called("open(a folder)")?;
    let to = openat(to, ".", readable, Mode::empty()).called("open(a folder)")?;
    let stat = fstat(&from).called("fstat")?;
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::fchown(&to, Some(uid), Some(gid)).called("fchown")?;
    rustix::fs::fchmod(&to, Mode::from_raw_mode(stat.st_mode & 0o7777)).called("fchmod")?;
    copy_attributes(&from, &to)?;
    let modified = rustix::fs::Timespec { tv_sec: stat.st_mtime as _, tv_nsec: stat.st_mtime_nsec as _ };
    let accessed = rustix::fs::Timespec { tv_sec: stat.st_atime as _, tv_nsec: stat.st_atime_nsec as _ };
    let times = rustix::fs::Timestamps { last_access: accessed, last_modification: modified };
    rustix::fs::futimens(&to, &times).called("futimens")
}

/// What the kernel lets attributes and their names have, limits.h.
const MAX_ATTRIBUTE: usize = 64 << 10;

fn copy_attributes(from: &OwnedFd, to: &OwnedFd) -> Result<()> {
    let mut names = vec![0u8; MAX_ATTRIBUTE];
    let length = match rustix::fs::flistxattr(from, &mut names[..]) {
        Err(Errno::OPNOTSUPP) => return Ok(()),
        length => length.called("flistxattr")?,
    };
    let mut value = vec![0u8; MAX_ATTRIBUTE];
    for name in names[..length].split(|byte| *byte == 0) {
        let is_mark = name.starts_with(b"user.overlay.") || name.starts_with(b"user.fuseoverlayfs.");
        let is_own = name.starts_with(b"user.") && !is_mark;
        if is_own || name.starts_with(b"system.posix_acl_") {
            let length = rustix::fs::fgetxattr(from, name, &mut value[..]).called("fgetxattr")?;
            rustix::fs::fsetxattr(to, name, &value[..length], rustix::fs::XattrFlags::empty()).called("fsetxattr")?;
        }
    }
    Ok(())
}

/// A path of the machine that a plan names, opened for its place.
pub fn open_source(path: &str) -> Result<OwnedFd> {
    openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(|error| match error {
        Errno::NOENT => Failure::new(Code::Sandbox, format!("{path}: what is to be mounted is not there")),
        _ => crate::sandbox::fault::fault(format_args!("open({path})"), error),
    })
}
