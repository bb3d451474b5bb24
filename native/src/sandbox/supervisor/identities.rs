//! Which process has which ids. The kernel keeps that for us: the slack of a thread's timers is a number that nobody
//! minds, that its children inherit as they do credentials, and that outlives execve(2). So there is no table of
//! processes, and none of them is taken for another.
use super::caller::Caller;
use super::credentials::{Credentials, Identity};
use rustix::fs::{openat, Mode, OFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};

/// Nanoseconds of slack, the kernel's own default, of threads with the ids that the step began with. Others have more by
/// the number of their identity.
pub const SLACK: u32 = 50_000;
/// So many different sets of ids a step may have.
const MOST: usize = 100_000;

const SLACK_FILE: &str = "timerslack_ns";

pub struct Identities {
    all: Vec<Identity>,
    numbers: HashMap<Identity, u32>,
    has_users: bool,
}

impl Identities {
    pub fn new(start: &Credentials) -> Identities {
        let first = Identity::new(start);
        let has_users = is_user(&first);
        Identities { numbers: HashMap::from([(first.clone(), 0)]), all: vec![first], has_users }
    }

    pub fn of(&self, caller: &Caller<'_>) -> Result<&Identity, Errno> {
        let number = if self.all.len() == 1 { 0 } else { self.number(caller)? };
        self.all.get(number).ok_or(Errno::SRCH)
    }

    /// Whether there ever was anybody but root.
    pub fn has_users(&self) -> bool {
        self.has_users
    }

    /// The ids of a process that the caller knows by this number.
    pub fn of_process(&self, caller: &Caller<'_>, process: i32) -> Result<&Identity, Errno> {
        let folder = caller.open(libc::AT_FDCWD, format!("/proc/{process}").as_bytes(), false)?;
        self.all.get(self.read(folder.as_fd(), SLACK_FILE)?).ok_or(Errno::SRCH)
    }

    fn number(&self, caller: &Caller<'_>) -> Result<usize, Errno> {
        self.read(caller.proc, &caller.path_of(SLACK_FILE))
    }

    fn read(&self, folder: BorrowedFd<'_>, name: &str) -> Result<usize, Errno> {
        let file = openat(folder, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut text = [0; 24];
        let length = rustix::io::read(file, &mut text)?;
        let digits = text.get(..length).and_then(|text| std::str::from_utf8(text).ok()).ok_or(Errno::SRCH)?;
        let slack: usize = digits.trim().parse().map_err(|_| Errno::SRCH)?;
        let number = slack.checked_sub(SLACK as usize).filter(|number| *number < self.all.len());
        Ok(number.unwrap_or(0))
    }

    /// Gives the caller other ids.
    pub fn change(&mut self, caller: &Caller<'_>, identity: Identity) -> Result<(), Errno> {
        if *self.of(caller)? == identity {
            return Ok(());
        }
        let number = match self.numbers.get(&identity) {
            Some(number) => *number,
            None if self.all.len() >= MOST => return Err(Errno::AGAIN),
            None => self.all.len() as u32,
        };
        caller.check()?;
        caller.write_text(SLACK_FILE, &(SLACK + number).to_string())?;
        if number as usize == self.all.len() {
            self.has_users |= is_user(&identity);
            self.all.push(identity.clone());
            self.numbers.insert(identity, number);
        }
        Ok(())
    }
}

fn is_user(identity: &Identity) -> bool {
    identity.uid.real != 0 || identity.uid.effective != 0 || identity.uid.files != 0
}
