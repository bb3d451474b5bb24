//! What system calls the processes of a step may make. The kernel runs a small program on each call, which allows it,
//! refuses it, or has the supervisor asked. seccomp(2), seccomp_unotify(2).
pub mod calls;
mod numbers;
mod profile;
mod program;
#[cfg(test)]
mod tests;
mod traps;

use crate::failure::{Code, Failure, Result};
pub use numbers::{Abi, X32_BIT};
use program::{assemble, Instruction, Rule, Table, Verdict};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

/// What is done to calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Docker's default profile; else everything is allowed that is not spoken of here.
    pub profile: bool,
    /// Sockets can only be of the families `AF_UNIX` and `AF_NETLINK`; others fail with `EACCES`.
    pub offline: bool,
    /// The first process, where there is no pid namespace to have one.
    pub first: Option<u32>,
    pub traps: Traps,
}

/// What the supervisor is asked about; see the fields of `Supervised`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traps {
    pub devices: bool,
    pub owners: bool,
    pub users: bool,
    pub read_only: bool,
    pub proc: bool,
    pub processes: bool,
    pub points: bool,
}

impl Filter {
    fn rules(&self, abi: Abi) -> Vec<(u32, Rule)> {
        let mut rules: BTreeMap<u32, Rule> = if self.profile {
            profile::rules(abi).into_iter().collect()
        } else {
            BTreeMap::from([(0, Rule::plain(Verdict::Allow))])
        };
        for (number, name) in abi.calls() {
            let Some(general) = rules.range(..=number).next_back().map(|(_, rule)| rule.clone()) else { continue };
            let mut own = general.clone();
            if self.offline && own.otherwise == Verdict::Allow {
                traps::take_offline(name, &mut own);
            }
            if let Some(first) = self.first.filter(|_| own.otherwise == Verdict::Allow) {
                traps::protect_first(name, first, &mut own);
            }
            self.traps.amend(name, &mut own);
            if own != general {
                rules.entry(number + 1).or_insert(general);
                rules.insert(number, own);
            }
        }
        rules.into_iter().collect()
    }

    /// The program for the conventions that this machine's programs have.
    pub fn program(&self) -> Vec<Instruction> {
        let table = |abi: &Abi| Table { audit: abi.audit(), has_x32: *abi == Abi::X86_64, rules: self.rules(*abi) };
        assemble(&Abi::here().iter().map(table).collect::<Vec<_>>())
    }
}

/// Holds this thread and all that come of it to the filter, for ever. Gives the descriptor that the supervisor listens on
/// when there is anything to ask it.
/// To be called with `CAP_SYS_ADMIN` in the user namespace, or after `PR_SET_NO_NEW_PRIVS`. From then on no namespace can
/// be made or entered and nothing be mounted; ids and capabilities may still be dropped. With traps the calls that are
/// trapped wait until somebody listens; sending the descriptor away is none of them.
pub fn install(filter: &Filter) -> Result<Option<OwnedFd>> {
    let failed = |error: std::io::Error| Failure::new(Code::Sandbox, format!("cannot filter system calls: {error}"));
    if *filter == Filter::default() {
        return Ok(None);
    }
    if Abi::here().is_empty() {
        return Err(Failure::new(Code::Sandbox, "system calls cannot be filtered on this processor"));
    }
    if filter.traps.owners {
        calls::set_timer_slack(crate::sandbox::supervisor::SLACK).map_err(failed)?;
    }
    let program = filter.program();
    calls::set_filter(&program, !filter.traps.is_empty()).map_err(failed)
}
