//! Answers system calls for processes that may not make them, or that shall see another outcome than the kernel's: the
//! filter of `seccomp` has them wait, this tells what they come to. It is no wall: a program that races with itself gets
//! other answers, never more rights than it has.
mod caller;
mod credentials;
mod facts;
mod files;
mod identities;
mod ids;
mod links;
mod lookup;
mod making;
mod owners;

use super::seccomp::calls::{self, Notification, Reply};
use super::seccomp::{Abi, Traps};
use crate::failure::{Code, Failure, Result};
use caller::Caller;
pub use credentials::Credentials;
use facts::Facts;
use files::State;
use identities::Identities;
pub use identities::SLACK;
use links::Links;
use rustix::event::{poll, PollFd, PollFlags};
use rustix::fs::{openat, Mode, OFlags, CWD};
use rustix::io::Errno;
use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What of a step is supervised.
#[derive(Clone, Debug, Default)]
pub struct Supervised {
    /// mknod(2) of devices makes a file with a record of what it would be.
    pub devices: bool,
    /// Owners of files and ids of processes are what the step makes of them, though there is one id only.
    pub owners: bool,
    /// What the first process is, with `owners`.
    pub start: Credentials,
    /// The unpacked layers of the root, lowest first, with `owners`.
    pub lower: Vec<String>,
    /// Where what changes is found afterwards: the upper directory of an overlay, or a copied root, which then is also
    /// the only one of `lower`.
    pub upper: Option<String>,
}

impl Supervised {
    /// What a filter has to send to the supervisor.
    pub fn traps(&self) -> Traps {
        Traps { devices: self.devices, owners: self.owners, ..Traps::default() }
    }
}

/// What a call comes to.
enum Answer {
    Reply(Reply),
    /// The number of a new descriptor for this file.
    Descriptor {
        file: OwnedFd,
        close_on_exec: bool,
    },
}

impl Answer {
    /// The kernel does what the caller asked for.
    const CONTINUE: Answer = Answer::Reply(Reply::Continue);

    fn value(value: i64) -> Answer {
        Answer::Reply(Reply::Value(value))
    }
}

/// A supervisor that is ready for its step.
pub struct Supervisor {
    supervised: Supervised,
    proc: OwnedFd,
    calls: HashMap<(u32, u32), (Abi, &'static str)>,
    state: State,
}

impl Supervisor {
    /// Opens what is needed, and reads the records beside the layers. To be called where the machine's files are in sight,
    /// in the process id namespace from which `serve` will be called.
    pub fn prepare(supervised: Supervised) -> Result<Supervisor> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = openat(CWD, "/proc", flags, Mode::empty()).map_err(|error| Failure::from(error).at("/proc"))?;
        let traps = supervised.traps();
        let calls = Abi::here().iter().flat_map(|abi| {
            traps.calls(*abi).into_iter().map(|(number, name)| ((abi.audit(), number), (*abi, name)))
        });
        let links = if supervised.owners { Links::load(&supervised.lower)? } else { Links::default() };
        let state = State { identities: Identities::new(&supervised.start), links, root: None, is_one_root: true };
        Ok(Supervisor { calls: calls.collect(), proc, state, supervised })
    }

    /// Answers until no process is held to the filter any more, or until `stop` can be read or is hung up; then writes the
    /// records beside `upper`. Processes that are left get `ENOSYS` for what would be asked about.
    /// To be run in a thread of its own, which gets its own working directory and umask. Where it may not have them
    /// (`unshare` is refused in containers), those of the process become /proc and 0.
    pub fn serve(mut self, listener: OwnedFd, stop: impl AsFd) -> Result<()> {
        // Either way the next lines are right for this thread.
        let _is_own = calls::unshare_working_directory().is_ok();
        rustix::process::fchdir(&self.proc)?;
        rustix::process::umask(Mode::empty());
        calls::wake_synchronously(&listener);
        if let Some(upper) = self.supervised.upper.as_deref().filter(|_| self.supervised.owners) {
            self.state.links.set_upper(upper)?;
        }
        while wait(&listener, stop.as_fd())? {
            match calls::receive(&listener) {
                Ok(asked) => self.answer(&listener, asked)?,
                Err(error) => match Errno::from_io_error(&error) {
                    // The caller has died in between, or nobody is left.
                    Some(Errno::NOENT | Errno::INTR) => {}
                    _ => return Err(error.into()),
                },
            }
        }
        drop(listener);
        match &self.supervised.upper {
            Some(upper) if self.supervised.owners => self.state.links.save(upper),
            _ => Ok(()),
        }
    }

    fn answer(&mut self, listener: &OwnedFd, asked: Notification) -> Result<()> {
        let answer = self.decide(listener, asked).unwrap_or_else(|error| {
            Answer::Reply(Reply::Error(error.raw_os_error()))
        });
        let answered = match answer {
            Answer::Reply(reply) => calls::answer(listener, asked.id, reply),
            Answer::Descriptor { file, close_on_exec } => {
                match calls::answer_with_descriptor(listener, asked.id, file, close_on_exec) {
                    // Mostly: the caller has no room for another descriptor.
                    Err(error) => {
                        calls::answer(listener, asked.id, Reply::Error(error.raw_os_error().unwrap_or(libc::EMFILE)))
                    }
                    done => done,
                }
            }
        };
        match answered {
            // The caller has died, or was interrupted by a signal.
            Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::NOENT | Errno::SRCH)) => Ok(()),
            Err(error) => Err(Failure::new(Code::Sandbox, format!("cannot answer a system call: {error}"))),
            Ok(()) => Ok(()),
        }
    }

    fn decide(&mut self, listener: &OwnedFd, asked: Notification) -> std::result::Result<Answer, Errno> {
        let number = asked.number as u32 & !super::seccomp::X32_BIT;
        let Some((abi, name)) = self.calls.get(&(asked.audit, number)).copied() else { return Ok(Answer::CONTINUE) };
        let root = self.state.root.take();
        let mut caller = Caller { proc: self.proc.as_fd(), listener: listener.as_fd(), asked, abi, name, root: None };
        let root = match (name, root) {
            // From here on a process may have a root of its own.
            ("chroot" | "pivot_root" | "setns" | "unshare", _) => {
                self.state.is_one_root = false;
                return Ok(Answer::CONTINUE);
            }
            (_, None) if self.supervised.owners && self.state.is_one_root => {
                let root = caller.own_root()?;
                self.state.links.set_root(Facts::of(&root)?.place().0);
                Some(root)
            }
            (_, root) => root,
        };
        caller.root = root.as_ref().map(AsFd::as_fd);
        let outcome = decide(&mut self.state, &caller, self.supervised.owners);
        self.state.root = root;
        outcome
    }
}

fn decide(state: &mut State, caller: &Caller<'_>, is_recorded: bool) -> std::result::Result<Answer, Errno> {
    if is_recorded {
        match caller.name {
            "execve" | "execveat" => return ids::execute(state, caller),
            "prctl" => return ids::option(state, caller),
            _ => {}
        }
        if let Some(answer) = owners::answer(state, caller)? {
            return Ok(answer);
        }
    }
    if let Some(answer) = making::answer(state, caller, is_recorded)? {
        return Ok(answer);
    }
    Ok(ids::answer(state, caller)?.unwrap_or(Answer::CONTINUE))
}

/// Waits for a call. `false`: there will be none any more, or none is wanted.
fn wait(listener: &OwnedFd, stop: BorrowedFd<'_>) -> Result<bool> {
    let mut both = [PollFd::new(listener, PollFlags::IN), PollFd::from_borrowed_fd(stop, PollFlags::IN)];
    loop {
        match poll(&mut both, None) {
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let [asked, stopped] = both.each_ref().map(PollFd::revents);
    Ok(stopped.is_empty() && asked.contains(PollFlags::IN))
}
