//! Overlays by fuse-overlayfs, where the kernel makes none. The process of the step mounts, in its own namespace; the program
//! that answers is started by the one that watches it, outside of the step's processes, which neither see nor end it. It
//! ends when its mount is gone, with all on disk that was written.
use super::fault::{fault, Called};
use super::handover::{give_owned, Purpose};
use crate::failure::{Code, Failure, Result};
use rustix::fs::{memfd_create, openat, MemfdFlags, Mode, OFlags, CWD};
use rustix::io::{fcntl_setfd, Errno, FdFlags};
use rustix::mount::{mount, MountFlags};
use rustix::process::{kill_process, wait, Pid, Signal, WaitOptions, WaitStatus};
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long one that has lost its mount may take to end.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(1);

/// What an overlay is made of.
#[derive(Debug, Serialize, Deserialize)]
pub struct Layers {
    /// Lowest first.
    pub lower: Vec<String>,
    /// The folder with `upper` and `work`, if it is written to.
    pub scratch: Option<String>,
}

/// Mounts one at `target`, which whoever has the other end of `handover` is asked to serve.
pub fn mount_served(handover: &OwnedFd, layers: &Layers, target: impl AsRef<Path>) -> Result<()> {
    let text = serde_json::to_vec(layers).map_err(std::io::Error::other)?;
    let mut file = File::from(memfd_create("layers", MemfdFlags::CLOEXEC).called("memfd_create")?);
    file.write_all(&text)?;
    give_owned(handover, Purpose::Layers, &file).called("sendmsg(layers)")?;
    let device = mount_device(target, layers.scratch.is_none())?;
    give_owned(handover, Purpose::FuseDevice, &device).called("sendmsg(/dev/fuse)")
}

/// Gives the device by which the mount is to be served: until that is done, whoever looks at it waits.
pub fn mount_device(target: impl AsRef<Path>, is_read_only: bool) -> Result<OwnedFd> {
    let device = openat(CWD, "/dev/fuse", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).called("open(/dev/fuse)")?;
    let descriptor = device.as_raw_fd();
    // Permissions are what the kernel makes of owner and mode: the program has no idea of who asks.
    let options = format!("fd={descriptor},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions");
    let options = CString::new(options).map_err(|_| fault("mount(fuse)", Errno::INVAL))?;
    let flags = if is_read_only { MountFlags::RDONLY } else { MountFlags::empty() };
    mount("fuse-overlayfs", target.as_ref(), "fuse.fuse-overlayfs", flags, Some(options.as_c_str()))
        .called("mount(fuse)")?;
    Ok(device)
}

/// The programs that serve the overlays of a step.
#[derive(Default)]
pub struct Servers {
    layers: Option<Layers>,
    running: Vec<Pid>,
}

impl Servers {
    /// Takes what the next device is for.
    pub fn expect(&mut self, layers: OwnedFd) -> Result<()> {
        let mut file = File::from(layers);
        file.rewind()?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let layers = serde_json::from_slice(&text)
            .map_err(|error| Failure::new(Code::Protocol, format!("a step told layers that are none: {error}")))?;
        self.layers = Some(layers);
        Ok(())
    }

    pub fn serve(&mut self, program: Option<&str>, device: OwnedFd) -> Result<()> {
        let (Some(program), Some(layers)) = (program, self.layers.take()) else {
            return Err(Failure::new(Code::Protocol, "a step wants an overlay served that was not asked for"));
        };
        self.running.push(start(program, &layers, device)?);
        Ok(())
    }

    /// Takes note that a process has ended. Gives why the step cannot be trusted any more if it served one and failed.
    pub fn ended(&mut self, process: Pid, status: WaitStatus) -> Option<Failure> {
        let at = self.running.iter().position(|running| *running == process)?;
        self.running.swap_remove(at);
        if status.exit_status() == Some(0) {
            return None;
        }
        let how = match (status.exit_status(), status.terminating_signal()) {
            (Some(status), _) => format!("with status {status}"),
            (None, signal) => format!("by signal {}", signal.unwrap_or_default()),
        };
        Some(Failure::new(Code::Sandbox, format!("fuse-overlayfs ended {how}")))
    }

    /// Waits until all have ended, which they do when no process of the step is left.
    pub fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.running.is_empty() {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((process, status))) => match self.ended(process, status) {
                    None => {}
                    Some(failure) => return Err(failure),
                },
                Ok(None) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                Ok(None) => {
                    for process in self.running.drain(..) {
                        kill_process(process, Signal::KILL).called("kill(fuse-overlayfs)")?;
                    }
                    return Err(Failure::new(Code::Sandbox, "fuse-overlayfs does not end"));
                }
                Err(Errno::CHILD) => self.running.clear(),
                Err(error) => return Err(fault("wait", error)),
            }
        }
        Ok(())
    }
}

/// Starts the program for a mount. Folders are told by descriptors, so that their names may have any character in them.
pub fn start(program: &str, layers: &Layers, device: OwnedFd) -> Result<Pid> {
    let mut kept = Vec::with_capacity(layers.lower.len() + 2);
    let mut inherited = |path: &str| -> Result<String> {
        let folder = openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty());
        let folder = folder.called(format_args!("open({path})"))?;
        let name = format!("/proc/self/fd/{}", folder.as_raw_fd());
        kept.push(folder);
        Ok(name)
    };
    let lower = layers.lower.iter().rev().map(|path| inherited(path)).collect::<Result<Vec<_>>>()?;
    let mut options = format!("lowerdir={}", lower.join(":"));
    if let Some(scratch) = &layers.scratch {
        let [upper, work] = [format!("{scratch}/upper"), format!("{scratch}/work")];
        options.push_str(&format!(",upperdir={},workdir={}", inherited(&upper)?, inherited(&work)?));
    }
    fcntl_setfd(&device, FdFlags::empty()).called("fcntl(F_SETFD)")?;
    let mut command = Command::new(program);
    command.args(["-f", "-o", &options, &format!("/dev/fd/{}", device.as_raw_fd())]);
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().called(format_args!("execve({program})"))?;
    Ok(Pid::from_child(&child))
}
