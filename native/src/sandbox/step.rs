//! The process that the core starts for one step, `kbuild-native step`. Its standard input is the socket on which it is
//! asked and on which it tells.
use super::fault::Called;
use super::wire::{receive, send, Ask, Tell};
use super::{monitor, probe};
use crate::failure::{Code, Failure, Result};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

/// Does what is asked, and tells what came of it. A core that is gone does not ask, and needs no answer.
pub fn step() -> Result<()> {
    let mut control = take_control()?;
    let told = match receive(&mut control)? {
        None => return Ok(()),
        Some(Ask::Run { mode, plan }) => monitor::watch(&mut control, mode, &plan),
        Some(Ask::Probe { temporary, fuse_overlayfs }) => {
            probe::try_all(&temporary, fuse_overlayfs.as_deref()).map(|checks| Tell::Probed { checks })
        }
    };
    let told = told.unwrap_or_else(Tell::failed);
    match send(&mut control, &told) {
        Err(failure) if failure.code == Code::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Takes the socket away from standard input, which the command gets as an empty one. Signals for the core's group of
/// processes are none for the step: it ends when the core does.
fn take_control() -> Result<UnixStream> {
    let control = std::io::stdin().as_fd().try_clone_to_owned().called("dup")?;
    let null = File::open("/dev/null").called("open(/dev/null)")?;
    rustix::stdio::dup2_stdin(&null).called("dup2")?;
    rustix::process::setsid().called("setsid")?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    if rustix::net::sockopt::socket_domain(&control) != Ok(rustix::net::AddressFamily::UNIX) {
        return Err(Failure::new(Code::Protocol, "a step is started by the core, not by hand"));
    }
    Ok(UnixStream::from(control))
}
