//! Answers system calls for processes that may not make them, or that shall see another outcome than the kernel's: the
//! filter of `seccomp` has them wait, this tells what they come to. It is no wall: a program that races with itself gets
//! other answers, never more rights than it has.
mod caller;
mod credentials;
mod facts;
mod files;
mod identities;
mod ids;
mod impersonation;
mod links;
mod lookup;
mod making;
mod own_proc;
mod owners;
mod points;
mod processes;
mod read_only;
mod records;
mod users;

use super::seccomp::calls::{self, Notification, Reply};
use super::seccomp::{Abi, Traps};
use crate::failure::{Code, Failure, Result};
use crate::record::Record;
use caller::Caller;
pub use credentials::Credentials;
use facts::Facts;
use files::State;
use identities::Identities;
pub use identities::SLACK;
use impersonation::Impersonation;
use links::Links;
use lookup::Lookup;
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
    /// Reading is refused, too, to those who may not read, with `owners`: for steps that begin as a user.
    pub users: bool,
    /// What the first process is, with `owners`.
    pub start: Credentials,
    /// The unpacked layers of the root, lowest first, with `owners`.
    pub lower: Vec<String>,
    /// The unpacked layers that other mounts show, with `owners`.
    pub viewed: Vec<String>,
    /// Sockets in the step's root and what they are, with `owners`.
    pub sockets: Vec<(String, Record)>,
    /// Where what changes is found afterwards: the upper directory of an overlay, or a copied root, which then is also
    /// the only one of `lower`.
    pub upper: Option<String>,
    /// What a process finds in /proc of itself, where a plain folder stands for it and nobody can change his root.
    pub proc: bool,
    /// Path of the step's root on this machine, with `proc`.
    pub root: Option<String>,
    /// Processes that did not come of the step are not there for it: where it has no pid namespace, and whoever serves is
    /// above all that came of it.
    pub processes: bool,
    /// What the machine is called, with `proc`.
    pub hostname: String,
    /// Paths in the step's root that are not to be changed, where nobody can change his root.
    pub read_only: Vec<String>,
    /// Paths in the step's root that stand for mount points, where nobody can change his root.
    pub points: Vec<String>,
}

impl Supervised {
    /// What a filter has to send to the supervisor.
    pub fn traps(&self) -> Traps {
        let read_only = !self.read_only.is_empty();
        Traps {
            devices: self.devices,
            owners: self.owners,
            users: self.users,
            read_only,
            proc: self.proc,
            processes: self.processes,
            points: !self.points.is_empty(),
        }
    }

    /// Whether it is seen when a process gets another root, or none can.
    fn knows_roots(&self) -> bool {
        self.owners || self.proc || !self.read_only.is_empty() || !self.points.is_empty()
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
    /// Whom this thread passes for.
    user: Impersonation,
}

impl Supervisor {
    /// Opens what is needed, and reads the records beside the layers. To be called where the machine's files are in sight,
    /// in the process id namespace from which `serve` will be called.
    pub fn prepare(supervised: Supervised) -> Result<Supervisor> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = openat(CWD, "/proc", flags, Mode::empty()).map_err(|error| Failure::from(error).at("/proc"))?;
        let traps = supervised.traps();
        let calls = Abi::here()
            .iter()
            .flat_map(|abi| traps.calls(*abi).into_iter().map(|(number, name)| ((abi.audit(), number), (*abi, name))));
        let links =
            if supervised.owners { Links::load(&supervised.lower, &supervised.viewed)? } else { Links::default() };
        let mut state = State {
            identities: Identities::new(&supervised.start),
            links,
            root: None,
            is_one_root: supervised.knows_roots(),
            imitation: None,
            read_only: Vec::new(),
            points: Vec::new(),
        };
        if let Some(path) = &supervised.root {
            let root =
                openat(CWD, path.as_str(), flags, Mode::empty()).map_err(|error| Failure::from(error).at(path))?;
            let find = |path: &[u8]| Lookup::below(proc.as_fd(), root.as_fd(), path).open(true);
            know_root(&mut state, &supervised, &root, find).map_err(|error| Failure::from(error).at(path))?;
            state.root = Some(root);
        }
        let calls = calls.collect();
        Ok(Supervisor { calls, proc, state, supervised, user: Impersonation::default() })
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
        let answer =
            self.decide(listener, asked).unwrap_or_else(|error| Answer::Reply(Reply::Error(error.raw_os_error())));
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
        let mut caller = Caller {
            proc: self.proc.as_fd(),
            listener: listener.as_fd(),
            asked,
            abi,
            name,
            root: None,
            imitation: None,
        };
        if self.supervised.proc {
            // Without the right to look into every process, one's own users may look into theirs.
            self.user.become_owner(self.proc.as_fd(), asked.thread)?;
        }
        if self.supervised.processes {
            if let Some(answer) = processes::answer(&caller)? {
                return Ok(answer);
            }
        }
        let root = match (name, self.state.root.take()) {
            // From here on a process may have a root of its own.
            ("chroot" | "pivot_root" | "setns" | "unshare", _) => {
                if self.supervised.owners && !users::may_change_root(&self.state, &caller)? {
                    return Err(Errno::PERM);
                }
                self.state.is_one_root = false;
                return Ok(Answer::CONTINUE);
            }
            (_, None) if self.state.is_one_root => {
                let root = match caller.own_root() {
                    // A process that may not be looked at: the kernel shall answer it.
                    Err(_) if !self.supervised.owners => return Ok(Answer::CONTINUE),
                    root => root?,
                };
                let find = |path: &[u8]| caller.open(libc::AT_FDCWD, path, true);
                know_root(&mut self.state, &self.supervised, &root, find)?;
                Some(root)
            }
            (_, root) => root,
        };
        caller.root = root.as_ref().map(AsFd::as_fd);
        caller.imitation = self.state.imitation;
        let outcome = decide(&mut self.state, &caller, &self.supervised);
        self.state.root = root;
        outcome
    }
}

/// Looks at the step's root when it is seen for the first time. `find` opens a path in it.
fn know_root(
    state: &mut State,
    supervised: &Supervised,
    root: &OwnedFd,
    find: impl Fn(&[u8]) -> std::result::Result<OwnedFd, Errno>,
) -> std::result::Result<(), Errno> {
    state.links.set_root(Facts::of(root)?.place().0);
    if supervised.proc {
        let found = rustix::fs::fstat(find(b"/proc")?)?;
        state.imitation = Some((found.st_dev, found.st_ino));
    }
    for (path, record) in &supervised.sockets {
        state.links.know(&Facts::of(find(path.as_bytes())?)?, *record);
    }
    let on_machine = |paths: &[String]| -> std::result::Result<Vec<Vec<u8>>, Errno> {
        let path_of = |path: &String| {
            let file = find(path.as_bytes())?;
            let name = format!("/proc/{}", caller::by_name(&file));
            Ok(rustix::fs::readlink(name, Vec::new())?.into_bytes())
        };
        paths.iter().map(path_of).collect()
    };
    state.read_only = on_machine(&supervised.read_only)?;
    state.points = on_machine(&supervised.points)?;
    Ok(())
}

fn decide(state: &mut State, caller: &Caller<'_>, supervised: &Supervised) -> std::result::Result<Answer, Errno> {
    let is_recorded = supervised.owners;
    points::check(caller, &state.points)?;
    read_only::check(caller, &state.read_only)?;
    records::check(caller)?;
    if supervised.proc && caller.name == "uname" {
        return own_proc::answer_uname(caller, &supervised.hostname);
    }
    if supervised.proc {
        if let Some(answer) = own_proc::answer(caller)? {
            return Ok(answer);
        }
    }
    if is_recorded {
        if let Some(answer) = users::check(state, caller, supervised.users)? {
            return Ok(answer);
        }
        match caller.name {
            "execve" | "execveat" => return ids::execute(state, caller),
            "prctl" => return ids::option(state, caller),
            _ => {}
        }
        if let Some(answer) = owners::answer(state, caller)? {
            return Ok(answer);
        }
    }
    if !is_recorded && !matches!(caller.name, "mknod" | "mknodat") {
        return Ok(Answer::CONTINUE);
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
