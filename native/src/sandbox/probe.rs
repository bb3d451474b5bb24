//! Finding out what a sandbox may do here, by doing it: each in a process that ends with it.
use super::calls::{exit_now, fork, unshare, Forked};
use super::fault::{error_name, Called};
use super::fuse::{self, Layers};
use super::seccomp::{self, Filter, Traps};
use super::wire::{receive, send, Check, TriedCheck};
use crate::failure::{Code, Failure, Result};
use rustix::io::Errno;
use rustix::mount::{mount, mount_change, unmount, MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::process::{waitpid, Pid, WaitOptions};
use rustix::thread::{set_no_new_privs, UnshareFlags};
use std::ffi::CString;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// What is tried, with a folder for it.
type Try = fn(&Path) -> Attempt;

type Attempt = std::result::Result<(), (&'static str, Errno)>;

trait In<T> {
    fn of(self, call: &'static str) -> std::result::Result<T, (&'static str, Errno)>;
}

impl<T> In<T> for rustix::io::Result<T> {
    fn of(self, call: &'static str) -> std::result::Result<T, (&'static str, Errno)> {
        self.map_err(|error| (call, error))
    }
}

impl<T> In<T> for std::io::Result<T> {
    fn of(self, call: &'static str) -> std::result::Result<T, (&'static str, Errno)> {
        self.map_err(|error| (call, Errno::from_io_error(&error).unwrap_or(Errno::IO)))
    }
}

/// Tries everything, with trial mounts below `temporary`, which is left as it was.
pub fn try_all(temporary: &str, fuse_overlayfs: Option<&str>) -> Result<Vec<TriedCheck>> {
    let folder = format!("{temporary}/probe-{}", std::process::id());
    std::fs::create_dir(&folder).called(format_args!("mkdir({folder})"))?;
    let checks: [(Check, Try); 7] = [
        (Check::Namespaces, |_| namespaces()),
        (Check::Network, |_| unshare(UnshareFlags::NEWNET).of("unshare(CLONE_NEWNET)")),
        (Check::Overlay, overlay),
        (Check::Proc, proc),
        (Check::Seccomp, |_| filter(Traps::default())),
        (Check::Listener, |_| filter(Traps { devices: true, ..Traps::default() })),
        (Check::Chroot, |folder| rustix::process::chroot(folder).of("chroot")),
    ];
    // Side by side: most of the time they wait for the kernel.
    let begun: Result<Vec<Apart>> =
        checks.into_iter().map(|(check, attempt)| Apart::begin(check, || attempt(Path::new(&folder)))).collect();
    let tried: Result<Vec<TriedCheck>> = begun.and_then(|begun| {
        // All of them have ended before anything is told: they use the folder.
        let ended: Vec<Result<TriedCheck>> = begun.into_iter().map(Apart::end).collect();
        ended.into_iter().collect()
    });
    let mut tried = tried;
    if let (Some(program), Ok(tried)) = (fuse_overlayfs, &mut tried) {
        // What does the same, slower, is of interest only where it is needed.
        if tried.iter().any(|one| one.check == Check::Overlay && one.failed.is_some()) {
            tried.push(Apart::begin(Check::FuseOverlay, || fuse_overlay(program, &format!("{folder}/fuse")))?.end()?);
        }
    }
    crate::trees::remove_tree(&folder, None)?;
    tried
}

/// An attempt in a process of its own.
struct Apart {
    check: Check,
    child: Pid,
    near: UnixStream,
}

impl Apart {
    fn begin(check: Check, attempt: impl FnOnce() -> Attempt) -> Result<Apart> {
        let (near, mut far) = UnixStream::pair().called("socketpair")?;
        match fork().called("fork")? {
            Forked::Parent(child) => Ok(Apart { check, child, near }),
            Forked::Child => {
                let failed = attempt().err().map(|(call, error)| (call.to_owned(), error_name(error)));
                let told = send(&mut far, &TriedCheck { check, failed });
                exit_now(i32::from(told.is_err()));
            }
        }
    }

    fn end(mut self) -> Result<TriedCheck> {
        let told = receive(&mut self.near);
        waitpid(Some(self.child), WaitOptions::empty()).called("waitpid")?;
        let check = self.check;
        told?.ok_or_else(|| Failure::new(Code::Sandbox, format!("the attempt at {check:?} ended without a word")))
    }
}

fn namespaces() -> Attempt {
    let flags = UnshareFlags::NEWNS | UnshareFlags::NEWPID | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    unshare(flags).of("unshare(CLONE_NEWNS|CLONE_NEWPID|CLONE_NEWIPC|CLONE_NEWUTS)")
}

/// What is mounted from here on is gone with this process.
fn private_mounts(flags: UnshareFlags) -> Attempt {
    unshare(flags | UnshareFlags::NEWNS).of("unshare(CLONE_NEWNS)")?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).of("mount(/, private)")
}

/// Mounts an overlay and removes a file of its lower folder, which makes a whiteout.
fn overlay(folder: &Path) -> Attempt {
    private_mounts(UnshareFlags::empty())?;
    for name in ["overlay", "overlay/lower", "overlay/upper", "overlay/work", "overlay/root"] {
        std::fs::create_dir(folder.join(name)).of("mkdir")?;
    }
    let folder = folder.join("overlay");
    std::fs::write(folder.join("lower/file"), "").of("open")?;
    rustix::process::chdir(&folder).of("chdir")?;
    let options = CString::from(c"lowerdir=lower,upperdir=upper,workdir=work,userxattr");
    mount("overlay", "root", "overlay", MountFlags::empty(), Some(options.as_c_str())).of("mount(overlay)")?;
    std::fs::remove_file("root/file").of("unlink(in an overlay)")?;
    unmount("root", UnmountFlags::DETACH).of("umount2(overlay)")
}

/// The same as `overlay` with fuse-overlayfs.
fn fuse_overlay(program: &str, folder: &str) -> Attempt {
    private_mounts(UnshareFlags::empty())?;
    let [lower, target] = [format!("{folder}/lower"), format!("{folder}/root")];
    for name in ["lower", "upper", "work", "root"] {
        std::fs::create_dir_all(format!("{folder}/{name}")).of("mkdir")?;
    }
    std::fs::write(format!("{lower}/file"), "").of("open")?;
    let failed = |call| move |_| (call, Errno::IO);
    let device = fuse::mount_device(&target, false).map_err(failed("mount(fuse)"))?;
    let layers = Layers { lower: vec![lower], scratch: Some(folder.to_owned()) };
    fuse::start(program, &layers, device).map_err(failed("execve(fuse-overlayfs)"))?;
    std::fs::remove_file(format!("{target}/file")).of("unlink(in an overlay of fuse-overlayfs)")?;
    unmount(target.as_str(), UnmountFlags::DETACH).of("umount2(fuse)")?;
    waitpid(None, WaitOptions::empty()).of("waitpid")?;
    Ok(())
}

/// Mounts a /proc, by a process that is in its pid namespace.
fn proc(folder: &Path) -> Attempt {
    private_mounts(UnshareFlags::NEWPID)?;
    std::fs::create_dir(folder.join("proc")).of("mkdir")?;
    let child = match fork().of("fork")? {
        Forked::Parent(child) => child,
        Forked::Child => {
            let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            let mounted = mount("proc", folder.join("proc"), "proc", flags, None);
            exit_now(mounted.err().map_or(0, Errno::raw_os_error));
        }
    };
    let ended = waitpid(Some(child), WaitOptions::empty()).of("waitpid")?;
    match ended.and_then(|(_, status)| status.exit_status()) {
        Some(0) => Ok(()),
        status => Err(("mount(proc)", Errno::from_raw_os_error(status.unwrap_or(libc::EIO)))),
    }
}

/// Installs a filter, with somebody to be asked if there are traps.
fn filter(traps: Traps) -> Attempt {
    set_no_new_privs(true).of("prctl(PR_SET_NO_NEW_PRIVS)")?;
    let program = Filter { profile: true, traps, ..Filter::default() }.program();
    seccomp::calls::set_filter(&program, traps != Traps::default()).map(drop).of("seccomp(SECCOMP_SET_MODE_FILTER)")
}
