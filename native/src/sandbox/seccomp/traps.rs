//! Which calls are sent to the supervisor.
use super::numbers::Abi;
use super::program::{Clause, Rule, Test, Verdict};
use super::Traps;

/// Which of a call's arguments decides whether it is of interest.
#[derive(Clone, Copy)]
enum When {
    Always,
    /// Character and block devices, by the mode in this argument.
    Device(u8),
    /// Open flags in this argument that make a file.
    Creates(u8),
    /// This value of the first argument.
    Option(i32),
    /// Open flags in this argument that change something.
    Writes(u8),
    /// Anything but 0 in this argument.
    Named(u8),
    /// This value of the second argument.
    Command(i32),
}

/// `O_TMPFILE` without the folder's flag, which it holds. The same everywhere.
const TEMPORARY: u32 = 0o20_000_000;
const CREATE: u32 = libc::O_CREAT as u32;
const WRITE: u32 = (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC) as u32 | TEMPORARY;

const DEVICES: &[(&str, When)] = &[("mknod", When::Device(1)), ("mknodat", When::Device(2))];

/// What could say of a file that it is a device, in the way that is kept beside it.
const ALWAYS_FOR_DEVICES: &str = "
setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat
";

/// Ids of processes and files: what sets and tells them, and what makes files.
const OWNERS: &[(&str, When)] = &[
    ("open", When::Creates(1)),
    ("openat", When::Creates(2)),
    ("prctl", When::Option(libc::PR_SET_KEEPCAPS)),
    ("prctl", When::Option(libc::PR_SET_SECUREBITS)),
];

const ALWAYS_FOR_OWNERS: &str = "
chown lchown fchown chown32 lchown32 fchown32 fchownat
setuid setgid setreuid setregid setresuid setresgid setgroups setfsuid setfsgid
setuid32 setgid32 setreuid32 setregid32 setresuid32 setresgid32 setgroups32 setfsuid32 setfsgid32
getuid geteuid getgid getegid getresuid getresgid getgroups
getuid32 geteuid32 getgid32 getegid32 getresuid32 getresgid32 getgroups32
stat lstat fstat newfstatat stat64 lstat64 fstat64 fstatat64 statx
execve execveat chroot pivot_root unshare setns
openat2 creat mkdir mkdirat symlink symlinkat mknod mknodat rename renameat renameat2
listxattr llistxattr flistxattr
unlink unlinkat rmdir link linkat chmod fchmod fchmodat fchmodat2 utime utimes futimesat utimensat utimensat_time64
access faccessat faccessat2 truncate truncate64 chdir fchdir kill
";

/// What else users may be refused: reading, which is most of what programs do.
const USERS: &str = "open openat readlink readlinkat";

/// What would change something below a folder that is not to be changed.
const READ_ONLY: &[(&str, When)] = &[("open", When::Writes(1)), ("openat", When::Writes(2))];

const ALWAYS_FOR_READ_ONLY: &str = "
openat2 creat mkdir mkdirat symlink symlinkat mknod mknodat link linkat unlink unlinkat rmdir rename renameat renameat2
chmod fchmodat fchmodat2 chown lchown fchownat chown32 lchown32 truncate truncate64
utime utimes futimesat utimensat utimensat_time64 setxattr lsetxattr setxattrat removexattr lremovexattr removexattrat
";

/// What takes something away from where it is, or gives it another name.
const POINTS: &str = "unlink unlinkat rmdir rename renameat renameat2 link linkat";

/// What may go through `/proc/self`, and what tells the machine's name.
const PROC: &str = "
uname open openat openat2 readlink readlinkat stat lstat newfstatat stat64 lstat64 fstatat64 statx access faccessat faccessat2
chmod fchmodat
";

/// What names a process, of which 0 is the caller.
const PROCESSES: &[(&str, When)] = &[
    ("prlimit64", When::Named(0)),
    ("sched_setaffinity", When::Named(0)),
    ("sched_setattr", When::Named(0)),
    ("sched_setparam", When::Named(0)),
    ("sched_setscheduler", When::Named(0)),
    ("ptrace", When::Option(libc::PTRACE_ATTACH as i32)),
    ("ptrace", When::Option(libc::PTRACE_SEIZE as i32)),
    ("fcntl", When::Command(libc::F_SETOWN)),
    ("fcntl64", When::Command(libc::F_SETOWN)),
];

const ALWAYS_FOR_PROCESSES: &str = "
kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_open process_vm_readv process_vm_writev setpriority ioprio_set
";

/// Other ways to say who gets the signals of a descriptor: `F_SETOWN_EX`, whose argument is in memory, `FIOSETOWN` and
/// `SIOCSPGRP`.
const OTHER_OWNERS: &[(&str, u32)] = &[("fcntl", 15), ("fcntl64", 15), ("ioctl", 0x8901), ("ioctl", 0x8902)];

/// What a filter cannot see into: calls are queued in memory that is shared with the kernel.
const QUEUED: &str = "io_uring_setup io_uring_enter io_uring_register";

const PR_SET_TIMERSLACK: u32 = libc::PR_SET_TIMERSLACK as u32;
const EPERM: u16 = libc::EPERM as u16;
const EACCES: u16 = libc::EACCES as u16;
const ENOSYS: u16 = libc::ENOSYS as u16;

#[cfg(test)]
pub fn names() -> impl Iterator<Item = &'static str> {
    let some = DEVICES.iter().chain(OWNERS).chain(READ_ONLY).chain(PROCESSES).map(|(name, _)| *name);
    [ALWAYS_FOR_DEVICES, ALWAYS_FOR_OWNERS, USERS, ALWAYS_FOR_READ_ONLY, PROC, POINTS, ALWAYS_FOR_PROCESSES, QUEUED]
        .into_iter()
        .flat_map(str::split_ascii_whitespace)
        .chain(some)
}

fn listed(list: &str, name: &str) -> bool {
    list.split_ascii_whitespace().any(|word| word == name)
}

fn found<'a>(list: &'a [(&str, When)], name: &'a str) -> impl Iterator<Item = When> + 'a {
    list.iter().filter(move |(each, _)| *each == name).map(|(_, when)| *when)
}

fn clauses(when: When) -> Vec<Clause> {
    let ask = |argument, test| Clause { argument, test, also: None, verdict: Verdict::Ask };
    let kind = |value: libc::mode_t| Test::Is { mask: libc::S_IFMT, value };
    match when {
        When::Always => Vec::new(),
        When::Device(at) => vec![ask(at, kind(libc::S_IFCHR)), ask(at, kind(libc::S_IFBLK))],
        When::Option(value) => vec![ask(0, Test::Is { mask: u32::MAX, value: value as u32 })],
        When::Creates(at) => vec![ask(at, Test::Any(CREATE | TEMPORARY))],
        When::Writes(at) => vec![ask(at, Test::Any(WRITE))],
        When::Named(at) => {
            let test = Test::Is { mask: u32::MAX, value: 0 };
            vec![Clause { argument: at, test, also: None, verdict: Verdict::Allow }]
        }
        When::Command(value) => vec![ask(1, Test::Is { mask: u32::MAX, value: value as u32 })],
    }
}

impl Traps {
    pub fn is_empty(self) -> bool {
        self == Traps::default()
    }

    /// In which cases a call is of interest; empty: in none.
    fn cases(self, name: &str) -> Vec<When> {
        let mut cases = Vec::new();
        let mut add = |is_on: bool, some: &[(&str, When)], always: &str| {
            if is_on {
                cases.extend(found(some, name));
                cases.extend(listed(always, name).then_some(When::Always));
            }
        };
        add(self.devices, DEVICES, ALWAYS_FOR_DEVICES);
        add(self.owners, OWNERS, ALWAYS_FOR_OWNERS);
        add(self.users, &[], USERS);
        add(self.read_only, READ_ONLY, ALWAYS_FOR_READ_ONLY);
        add(self.proc, &[], PROC);
        add(self.points, &[], POINTS);
        add(self.processes, PROCESSES, ALWAYS_FOR_PROCESSES);
        cases
    }

    /// The calls of a convention that the supervisor may be asked about.
    pub fn calls(self, abi: Abi) -> Vec<(u32, &'static str)> {
        abi.calls().into_iter().filter(|(_, name)| !self.cases(name).is_empty()).collect()
    }

    /// Adds what is trapped to the rule that a call has anyway. What is refused stays refused.
    pub fn amend(self, name: &str, rule: &mut Rule) {
        if rule.otherwise != Verdict::Allow {
            return;
        }
        if self.owners && name == "prctl" {
            // The slack says whose ids a process has. What asks for another is told that it has got it.
            let test = Test::Is { mask: u32::MAX, value: PR_SET_TIMERSLACK };
            rule.clauses.push(Clause { argument: 0, test, also: None, verdict: Verdict::Refuse(0) });
        }
        if !self.is_empty() && listed(QUEUED, name) {
            rule.otherwise = Verdict::Refuse(EPERM);
        }
        if self.processes && name == "pidfd_send_signal" {
            // A descriptor of a process outside can come from a socket, and be another by the time that it is used. Programs
            // know what to do on kernels without this call: they ask for it by number.
            *rule = Rule::plain(Verdict::Refuse(ENOSYS));
            return;
        }
        if self.processes {
            for (_, value) in OTHER_OWNERS.iter().filter(|(each, _)| *each == name) {
                let test = Test::Is { mask: u32::MAX, value: *value };
                rule.clauses.push(Clause { argument: 1, test, also: None, verdict: Verdict::Refuse(EPERM) });
            }
        }
        for when in self.cases(name) {
            match when {
                When::Always => rule.otherwise = Verdict::Ask,
                When::Named(_) => {
                    rule.clauses.extend(clauses(when));
                    rule.otherwise = Verdict::Ask;
                }
                _ => rule.clauses.extend(clauses(when)),
            }
        }
    }
}

/// What the first process of a pid namespace has from the kernel, for one that is in none: from its own side it cannot be
/// ended or stopped.
pub fn protect_first(name: &str, first: u32, rule: &mut Rule) {
    let itself = Test::Is { mask: u32::MAX, value: first };
    let signal = match name {
        "kill" | "tkill" => 1,
        "tgkill" => 2,
        _ => return,
    };
    for number in [libc::SIGKILL, libc::SIGSTOP] {
        let also = Some((signal, number as u32));
        rule.clauses.push(Clause { argument: 0, test: itself, also, verdict: Verdict::Refuse(0) });
    }
}

/// Leaves sockets of the machine itself and of its kernel. `socketcall` hides the family in memory; the C libraries know
/// how to do without it.
pub fn take_offline(name: &str, rule: &mut Rule) {
    let allowed = |family: i32| {
        let test = Test::Is { mask: u32::MAX, value: family as u32 };
        Clause { argument: 0, test, also: None, verdict: Verdict::Allow }
    };
    match name {
        "socket" => {
            *rule = Rule {
                clauses: vec![allowed(libc::AF_UNIX), allowed(libc::AF_NETLINK)],
                otherwise: Verdict::Refuse(EACCES),
            };
        }
        "socketcall" => *rule = Rule::plain(Verdict::Refuse(EACCES)),
        _ if listed(QUEUED, name) => *rule = Rule::plain(Verdict::Refuse(EPERM)),
        _ => {}
    }
}
