//! The core's side of a step: starts its process, passes on what the command prints, and waits for its end.
use super::enter::entered;
use super::fault::Called;
use super::output::Relay;
use super::protocol::{Probe, ProbeCheck, Run};
use super::wire::{receive, send, Ask, Tell};
use crate::failure::{Code, Failure, Result};
use crate::protocol::Reply;
use crate::session::{Job, Outcome};
use rustix::io::fcntl_dupfd_cloexec;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Runs the command of a plan. Reply: `exited`.
/// Fails with `sandbox` when the sandbox cannot be made, with `exec` when the command cannot be started.
pub fn run(request: Run, job: &Job) -> Outcome {
    let ask = Ask::Run { mode: entered()?, plan: Box::new(request.plan) };
    let mut step = Step::start(&ask)?;
    let mut relay = Relay::new(job, step.process.stdout.take(), step.process.stderr.take())?;
    let mut warnings = Vec::new();
    let mut cancelled = None;
    let told = loop {
        if cancelled.is_none() {
            if let Err(failure) = job.check() {
                step.stop()?;
                cancelled = Some(failure);
            }
        }
        if !relay.wait(&step.control)? {
            continue;
        }
        match receive(&mut step.control)? {
            Some(Tell::Warning { text }) => warnings.push(text),
            told => break told,
        }
    };
    // All processes have ended: what is in the pipes is all that there will be.
    relay.finish()?;
    step.wait(told.is_none())?;
    match (cancelled, told) {
        (Some(failure), _) => Err(failure),
        (None, Some(Tell::Exited { status, signal, out_of_memory, elapsed })) => {
            Ok((Reply::Exited { id: job.id(), status, signal, out_of_memory, elapsed, warnings }, Vec::new()))
        }
        (None, Some(Tell::Failed { code, message, path })) => Err(Failure { code, message, path }),
        (None, other) => Err(unexpected(&other)),
    }
}

/// Tries what a sandbox may do here. Reply: `probed`.
pub fn probe(request: Probe, job: &Job) -> Outcome {
    entered()?;
    let mut step = Step::start(&Ask::Probe { temporary: request.temporary, fuse_overlayfs: request.fuse_overlayfs })?;
    let told = receive(&mut step.control)?;
    step.wait(told.is_none())?;
    match told {
        Some(Tell::Probed { checks }) => {
            let checks = checks.into_iter().map(ProbeCheck::from).collect();
            Ok((Reply::Probed { id: job.id(), checks }, Vec::new()))
        }
        Some(Tell::Failed { code, message, path }) => Err(Failure { code, message, path }),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(told: &Option<Tell>) -> Failure {
    Failure::new(Code::Protocol, format!("the process of a step told {told:?}"))
}

/// The process of a step. It ends when `control` is closed, however this process comes to its end.
struct Step {
    process: Child,
    control: UnixStream,
}

impl Step {
    fn start(ask: &Ask) -> Result<Step> {
        let (control, far) = UnixStream::pair().called("socketpair")?;
        let process = Step::spawn(far)?;
        let mut step = Step { process, control };
        match send(&mut step.control, ask) {
            // It says itself, by its end, what was wrong with it.
            Err(failure) if failure.code == Code::BrokenPipe => {}
            done => done?,
        }
        Ok(step)
    }

    /// Started by the link to this process's own file: right even where that file has been replaced. Where there is no
    /// /proc its path will do.
    fn spawn(far: UnixStream) -> Result<Child> {
        let far = OwnedFd::from(far);
        let spare = fcntl_dupfd_cloexec(&far, 0).called("dup")?;
        let command = |path: PathBuf, control: OwnedFd| {
            let mut command = Command::new(path);
            command.arg("step").env_clear().current_dir("/");
            command.stdin(control).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn()
        };
        match command(PathBuf::from("/proc/self/exe"), far) {
            Ok(process) => Ok(process),
            Err(_) => command(std::env::current_exe()?, spare).called("execve(the process of a step)"),
        }
    }

    /// Asks for its end.
    fn stop(&self) -> Result<()> {
        self.control.shutdown(Shutdown::Write).called("shutdown")
    }

    /// Waits for its end.
    /// Fails when it ended without having told what came of it.
    fn wait(&mut self, is_silent: bool) -> Result<()> {
        let status = self.process.wait()?;
        if is_silent {
            return Err(Failure::new(Code::Sandbox, format!("the process of a step ended without a word ({status})")));
        }
        Ok(())
    }
}
