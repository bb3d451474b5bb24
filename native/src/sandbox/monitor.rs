//! The process of a step that does not run the command but sees to it: starts it, waits, ends all that it left behind.
use super::calls::{child_signals, exit_now, fork, fork_into, reset_signals, Forked};
use super::cgroup::Group;
use super::chroot::Service;
use super::fault::Called;
use super::fuse::Servers;
use super::handover::{self, Purpose};
use super::protocol::{Mode, Network, Owners, SandboxMount, SandboxPlan, SandboxRoot, Security};
use super::seccomp::Filter;
use super::supervisor::{Credentials, Supervised, Supervisor};
use super::wire::{receive, send, Tell};
use super::{descendants, forward, namespaces};
use crate::failure::{Code, Failure, Result};
use crate::record::Record;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::{kill_process, set_parent_process_death_signal, wait, Pid, Signal, WaitOptions, WaitStatus};
use rustix::thread::UnshareFlags;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Runs the command of a plan to its end. `control` is the core's end: when it is closed, the step is to be ended.
pub fn watch(control: &mut UnixStream, mode: Mode, plan: &SandboxPlan) -> Result<Tell> {
    let signals = child_signals().called("signalfd")?;
    let group = Group::make(plan.group.as_ref(), |warning| send(control, &Tell::Warning { text: warning }))?;
    let outcome = match mode {
        Mode::Chroot => super::chroot::with_tree(plan, |services| {
            start_and_wait(control, &signals, mode, plan, group.as_ref(), services)
        }),
        Mode::Userns | Mode::Single => super::chroot::with_points(plan, |services| {
            start_and_wait(control, &signals, mode, plan, group.as_ref(), services)
        }),
    };
    let out_of_memory = match group {
        Some(group) => group.end()?,
        None => false,
    };
    let Ended { status, elapsed } = outcome?;
    Ok(Tell::Exited {
        status: status.exit_status(),
        signal: status.terminating_signal(),
        out_of_memory,
        elapsed: elapsed.as_secs_f64() * 1000.0,
    })
}

/// A supervisor at work; it stops when `stop` is closed.
struct Supervising {
    thread: JoinHandle<Result<()>>,
    stop: OwnedFd,
}

struct Ended {
    status: WaitStatus,
    elapsed: Duration,
}

/// What the monitor has of the process that it watches.
struct Watched {
    process: Pid,
    /// What it says until it is the command; closed then.
    words: Option<UnixStream>,
    handover: Option<OwnedFd>,
    /// Waits for the filter's listener.
    supervisor: Option<Supervisor>,
    supervising: Option<Supervising>,
    failure: Option<Failure>,
    servers: Servers,
    started: Instant,
}

fn start_and_wait(
    control: &UnixStream,
    signals: &OwnedFd,
    mode: Mode,
    plan: &SandboxPlan,
    group: Option<&Group>,
    services: Vec<Service>,
) -> Result<Ended> {
    let supervisor = Supervisor::prepare(supervised(mode, plan))?;
    let (words, far_words) = UnixStream::pair().called("socketpair")?;
    let (handover, far_handover) = handover::pair().called("socketpair")?;
    match mode {
        Mode::Chroot => rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .called("prctl(PR_SET_CHILD_SUBREAPER)")?,
        Mode::Userns | Mode::Single => {}
    }
    let forked = match mode {
        Mode::Chroot => fork().called("fork"),
        Mode::Userns | Mode::Single => fork_into(UnshareFlags::NEWPID).called("clone(CLONE_NEWPID)"),
    };
    let process = match forked? {
        Forked::Parent(process) => process,
        Forked::Child => {
            drop((words, handover));
            become_step(mode, plan, group, far_words, &far_handover);
        }
    };
    drop((far_words, far_handover));
    services.into_iter().for_each(Service::start);
    // Whoever reads the output is to see its end.
    silence()?;
    let mut watched = Watched {
        process,
        words: Some(words),
        handover: Some(handover),
        supervisor: Some(supervisor),
        supervising: None,
        failure: None,
        servers: Servers::default(),
        started: Instant::now(),
    };
    let status = watched.wait(control, signals, plan);
    let elapsed = watched.started.elapsed();
    if status.is_err() {
        watched.end()?;
    }
    // They write what is not on disk yet, and end by themselves.
    let served = watched.servers.wait();
    // In a chroot these are all that came of the step; else its first process, should that still be there.
    descendants::end_all()?;
    watched.end_supervision()?;
    let status = status?;
    served?;
    match watched.failure {
        Some(failure) => Err(failure),
        None => Ok(Ended { status, elapsed }),
    }
}

/// What the supervisor does for a step.
fn supervised(mode: Mode, plan: &SandboxPlan) -> Supervised {
    let owners = mode == Mode::Single && plan.owners == Owners::Recorded;
    let (lower, upper) = match &plan.root {
        SandboxRoot::Overlay { lower, scratch } => (lower.clone(), format!("{scratch}/upper")),
        SandboxRoot::Copy { path, .. } => (vec![path.clone()], path.clone()),
    };
    let tree = upper.clone();
    let start = Credentials { uid: plan.uid, gid: plan.gid, groups: plan.groups.clone() };
    let users = owners && plan.uid != 0;
    let is_chroot = mode == Mode::Chroot;
    let read_only = plan.mounts.iter().filter_map(|mount| match mount {
        SandboxMount::Bind { target, read_only: true, .. }
        | SandboxMount::File { target, read_only: true, .. }
        | SandboxMount::View { target, writable: false, .. } => Some(target.clone()),
        _ => None,
    });
    let read_only = if is_chroot { read_only.collect() } else { Vec::new() };
    let of_plan = plan.mounts.iter().map(|mount| match mount {
        SandboxMount::Bind { target, .. }
        | SandboxMount::View { target, .. }
        | SandboxMount::Tmpfs { target, .. }
        | SandboxMount::File { target, .. }
        | SandboxMount::Socket { target, .. } => target.clone(),
    });
    let points = ["/proc", "/sys", "/dev"].into_iter().map(str::to_owned).chain(of_plan);
    let points = if is_chroot { points.collect() } else { Vec::new() };
    let viewed = plan.mounts.iter().flat_map(|mount| match mount {
        SandboxMount::View { lower, .. } => lower.clone(),
        _ => Vec::new(),
    });
    let viewed = viewed.collect();
    let sockets = plan.mounts.iter().filter_map(|mount| match mount {
        SandboxMount::Socket { target, mode, uid, gid, .. } if owners => {
            let record = Record { uid: *uid, gid: *gid, mode: libc::S_IFSOCK | mode, major: 0, minor: 0 };
            Some((target.clone(), record))
        }
        _ => None,
    });
    let sockets = sockets.collect();
    let hostname = plan.hostname.clone();
    Supervised {
        devices: true,
        owners,
        users,
        start,
        lower,
        viewed,
        sockets,
        upper: Some(upper),
        proc: is_chroot,
        root: if is_chroot { Some(tree) } else { None },
        processes: is_chroot,
        hostname,
        read_only,
        points,
    }
}

/// What is done to the system calls of a step.
pub fn filter(mode: Mode, plan: &SandboxPlan) -> Filter {
    let offline = mode == Mode::Chroot && plan.network == Network::None;
    // Asked for by the process that is to be it.
    let first = (mode == Mode::Chroot).then(std::process::id);
    Filter { profile: plan.security == Security::Default, offline, first, traps: supervised(mode, plan).traps() }
}

/// The life of the other process, until it is the command or has said why not.
fn become_step(mode: Mode, plan: &SandboxPlan, group: Option<&Group>, mut words: UnixStream, handover: &OwnedFd) -> ! {
    let begun = || -> Result<()> {
        end_with_monitor()?;
        // One that was killed before that is never seen to end.
        let mut polled = [PollFd::new(&words, PollFlags::empty())];
        poll(&mut polled, Some(&Timespec::default())).called("poll")?;
        if !polled[0].revents().is_empty() {
            exit_now(126);
        }
        reset_signals().called("sigprocmask")?;
        rustix::process::setsid().called("setsid")?;
        group.map_or(Ok(()), Group::enter)
    };
    let failure = match begun() {
        Err(failure) => failure,
        Ok(()) if mode == Mode::Chroot => super::chroot::enter(plan, handover),
        Ok(()) => namespaces::enter(plan, mode, handover),
    };
    // A monitor that is gone needs no reason.
    let told = send(&mut words, &Tell::failed(failure));
    exit_now(if told.is_ok() { 127 } else { 126 })
}

/// Should the monitor be killed, too, this is what ends the step. To be said again when ids have changed.
pub fn end_with_monitor() -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).called("prctl(PR_SET_PDEATHSIG)")
}

/// Turns the monitor's own output to nowhere.
fn silence() -> Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null").called("open(/dev/null)")?;
    rustix::stdio::dup2_stdout(&null).called("dup2")?;
    rustix::stdio::dup2_stderr(&null).called("dup2")
}

impl Watched {
    /// Waits until the process has ended. Ends it when the core does not want it any more, or is gone.
    fn wait(&mut self, control: &UnixStream, signals: &OwnedFd, plan: &SandboxPlan) -> Result<WaitStatus> {
        let mut is_wanted = true;
        loop {
            let (mut has_word, mut has_descriptor, mut is_closed) = (false, false, false);
            {
                let mut polled = vec![PollFd::new(signals, PollFlags::IN)];
                let words_at = push(&mut polled, self.words.as_ref());
                let handover_at = push(&mut polled, self.handover.as_ref());
                let control_at = push(&mut polled, is_wanted.then_some(control));
                match poll(&mut polled, None) {
                    Err(Errno::INTR) => continue,
                    done => done.called("poll")?,
                };
                let is_ready =
                    |at: Option<usize>| at.and_then(|at| polled.get(at)).is_some_and(|one| !one.revents().is_empty());
                for (at, to) in
                    [(words_at, &mut has_word), (handover_at, &mut has_descriptor), (control_at, &mut is_closed)]
                {
                    *to = is_ready(at);
                }
            }
            if is_closed {
                // Nothing is said there but that there is nothing more to say.
                is_wanted = false;
                self.end()?;
            }
            if has_descriptor {
                self.take_descriptor(plan)?;
            }
            if has_word {
                self.take_word()?;
            }
            if let Some(status) = self.reap(signals)? {
                // What was said before the end.
                while self.words.is_some() {
                    self.take_word()?;
                }
                return Ok(status);
            }
        }
    }

    /// To be called when all processes have ended.
    fn end_supervision(&mut self) -> Result<()> {
        let Some(Supervising { thread, stop }) = self.supervising.take() else { return Ok(()) };
        drop(stop);
        thread.join().unwrap_or_else(|_| Err(Failure::new(Code::Sandbox, "the supervisor of system calls has failed")))
    }

    fn end(&self) -> Result<()> {
        match kill_process(self.process, Signal::KILL) {
            Err(Errno::SRCH) => Ok(()),
            done => done.called("kill"),
        }
    }

    fn take_word(&mut self) -> Result<()> {
        let Some(words) = self.words.as_mut() else { return Ok(()) };
        match receive(words)? {
            None => {
                self.words = None;
                self.started = Instant::now();
            }
            Some(Tell::Failed { code, message, path }) => self.failure = Some(Failure { code, message, path }),
            Some(other) => {
                return Err(Failure::new(Code::Protocol, format!("a step said {other:?} before it began")));
            }
        }
        Ok(())
    }

    fn take_descriptor(&mut self, plan: &SandboxPlan) -> Result<()> {
        let Some(handover) = self.handover.as_ref() else { return Ok(()) };
        match handover::take(handover.as_fd()).called("recvmsg")? {
            None => self.handover = None,
            Some((Purpose::Socket(number), listener)) => match plan.mounts.get(usize::from(number)) {
                Some(SandboxMount::Socket { source, .. }) => forward::serve(listener.into(), source.clone()),
                _ => return Err(Failure::new(Code::Protocol, "a step handed over a socket that was not asked for")),
            },
            Some((Purpose::Layers, layers)) => self.servers.expect(layers)?,
            Some((Purpose::FuseDevice, device)) => self.servers.serve(plan.fuse_overlayfs.as_deref(), device)?,
            Some((Purpose::Supervised, listener)) => {
                if let Some(supervisor) = self.supervisor.take() {
                    let (stopped, stop) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).called("pipe")?;
                    let thread = std::thread::spawn(move || supervisor.serve(listener, stopped));
                    self.supervising = Some(Supervising { thread, stop });
                }
            }
        }
        Ok(())
    }

    /// Takes in what has ended; gives how the process itself did, if it is among them.
    fn reap(&mut self, signals: &OwnedFd) -> Result<Option<WaitStatus>> {
        let mut ignored = [0u8; 1024];
        match rustix::io::read(signals, &mut ignored) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            done => drop(done.called("read(signalfd)")?),
        }
        let mut ended = None;
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((process, status))) if process == self.process => ended = Some(status),
                Ok(Some((process, status))) => {
                    if let Some(failure) = self.servers.ended(process, status) {
                        self.failure.get_or_insert(failure);
                        self.end()?;
                    }
                }
                Ok(None) | Err(Errno::CHILD) => return Ok(ended),
                Err(error) => return Err(super::fault::fault("wait", error)),
            }
        }
    }
}

fn push<'a, F: AsFd>(polled: &mut Vec<PollFd<'a>>, descriptor: Option<&'a F>) -> Option<usize> {
    let descriptor = descriptor?;
    polled.push(PollFd::new(descriptor, PollFlags::IN));
    Some(polled.len() - 1)
}
