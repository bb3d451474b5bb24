//! Which process has which ids. The kernel keeps that for us: the slack of a thread's timers is a number that nobody
//! minds, that its children inherit as they do credentials, and that outlives execve(2). So there is no table of
//! processes, and none of them is taken for another.
use super::caller::Caller;
use super::credentials::{Credentials, Identity};
use rustix::io::Errno;
use std::collections::HashMap;

/// Nanoseconds of slack, the kernel's own default, of threads with the ids that the step began with. Others have more by
/// the number of their identity.
pub const SLACK: u32 = 50_000;
/// So many different sets of ids a step may have.
const MOST: usize = 100_000;

pub struct Identities {
    all: Vec<Identity>,
    numbers: HashMap<Identity, u32>,
}

impl Identities {
    pub fn new(start: &Credentials) -> Identities {
        let first = Identity::new(start);
        Identities { numbers: HashMap::from([(first.clone(), 0)]), all: vec![first] }
    }

    pub fn of(&self, caller: &Caller<'_>) -> Result<&Identity, Errno> {
        let number = if self.all.len() == 1 { 0 } else { self.number(caller)? };
        self.all.get(number).ok_or(Errno::SRCH)
    }

    fn number(&self, caller: &Caller<'_>) -> Result<usize, Errno> {
        let text = caller.text("timerslack_ns")?;
        let slack: usize = text.trim().parse().map_err(|_| Errno::SRCH)?;
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
        caller.write_text("timerslack_ns", &(SLACK + number).to_string())?;
        if number as usize == self.all.len() {
            self.all.push(identity.clone());
            self.numbers.insert(identity, number);
        }
        Ok(())
    }
}
