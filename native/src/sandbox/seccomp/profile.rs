//! The profile that Docker gives containers with its default capabilities: what is allowed, by name, for programs of every
//! convention alike. Engine 28, profiles/seccomp/default.json.
use super::numbers::Abi;
use super::program::{Clause, Rule, Test, Verdict};
use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

const EPERM: u16 = libc::EPERM as u16;
const ENOSYS: u16 = libc::ENOSYS as u16;

const ALLOWED: &str = "
accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32 chroot clock_adjtime
clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64
close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old
epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2
fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64
fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync
ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat get_robust_list
get_thread_area getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups
getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid
getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getuid32 getxattr getxattrat
inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents
io_pgetevents_time64 io_setup io_submit ioctl ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset
landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount listxattr listxattrat llistxattr _llseek
lremovexattr lseek lsetxattr lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir
mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive
mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock
munlockall munmap name_to_handle_at nanosleep newfstatat _newselect open openat openat2 pause pidfd_open
pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2
prlimit64 process_mrelease process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2
read readahead readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr
removexattrat rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask
rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo
sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler
sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg
sendto set_robust_list set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups
setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid
setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack
signalfd signalfd4 sigprocmask sigreturn socketcall socketpair splice stat stat64 statfs statfs64 statmount statx symlink
symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime
timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime
timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat
utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev
";

const ALLOWED_ON_X86: &str = "arch_prctl modify_ldt";
const ALLOWED_ON_ARM: &str = "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls";

/// `CLONE_NEWNS`, `NEWCGROUP`, `NEWUTS`, `NEWIPC`, `NEWUSER`, `NEWPID`, `NEWNET`.
const NEW_NAMESPACES: u32 = 0x7e02_0000;

/// Linux, 32-bit addresses, both with the old `uname`, and the question which is on.
const PERSONALITIES: [u32; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Socket families between those that are allowed: DECnet, Econet, ATM, IrDA, an unused one, ISDN, CAIF, the kernel's
/// cryptography, virtual machines. All from 46 on are refused too.
const REFUSED_FAMILIES: [u32; 9] = [12, 19, 20, 23, 25, 34, 37, 38, 40];
const FIRST_REFUSED_FAMILY: u32 = 46;

/// The call with the highest number that the profile names; of the numbers from 424 on every convention has the same.
const NEWEST: &str = "removexattrat";

const EXACTLY: u32 = u32::MAX;

#[cfg(test)]
pub fn names() -> impl Iterator<Item = &'static str> {
    [ALLOWED, ALLOWED_ON_X86, ALLOWED_ON_ARM].into_iter().flat_map(str::split_ascii_whitespace)
}

/// The rule for a call; `None`: it is not in the profile.
fn rule(abi: Abi, name: &str) -> Option<Rule> {
    let refused = |test| Clause { argument: 0, test, also: None, verdict: Verdict::Refuse(EPERM) };
    let allowed_if =
        |value| Clause { argument: 0, test: Test::Is { mask: EXACTLY, value }, also: None, verdict: Verdict::Allow };
    let (clauses, otherwise) = match name {
        "clone" => (vec![refused(Test::Any(NEW_NAMESPACES))], Verdict::Allow),
        // Its flags are out of a filter's sight; the C library then takes clone.
        "clone3" => (Vec::new(), Verdict::Refuse(ENOSYS)),
        "personality" => (PERSONALITIES.map(allowed_if).to_vec(), Verdict::Refuse(EPERM)),
        "socket" => {
            let within = REFUSED_FAMILIES.map(|value| refused(Test::Is { mask: EXACTLY, value }));
            let above = refused(Test::AtLeast(FIRST_REFUSED_FAMILY));
            (within.into_iter().chain([above]).collect(), Verdict::Allow)
        }
        _ => {
            let own = match abi {
                Abi::X86_64 | Abi::I386 => ALLOWED_ON_X86,
                Abi::Aarch64 | Abi::Arm => ALLOWED_ON_ARM,
            };
            let is_listed = |list: &str| list.split_ascii_whitespace().any(|word| word == name);
            // The long list is looked through for each call of a table.
            static LONG: LazyLock<HashSet<&str>> = LazyLock::new(|| ALLOWED.split_ascii_whitespace().collect());
            // x86_64 alone has it in docker's list.
            let is_allowed = LONG.contains(name) || (is_listed(own) && !(abi == Abi::I386 && name == "arch_prctl"));
            return is_allowed.then(|| Rule::plain(Verdict::Allow));
        }
    };
    Some(Rule { clauses, otherwise })
}

/// The rules for all numbers. What the profile does not name fails with `EPERM`; but with `ENOSYS` what is newer than
/// all that it names, so that programs take an older way.
pub fn rules(abi: Abi) -> Vec<(u32, Rule)> {
    let calls = abi.calls();
    let newest = calls.iter().find(|(_, name)| *name == NEWEST).map_or(u32::MAX, |(number, _)| *number);
    let unnamed = |number: u32| Rule::plain(Verdict::Refuse(if number > newest { ENOSYS } else { EPERM }));
    let mut rules = BTreeMap::from([(0, unnamed(0))]);
    rules.extend(calls.into_iter().filter_map(|(number, name)| Some((number, rule(abi, name)?))));
    let named: Vec<u32> = rules.keys().copied().collect();
    for number in named {
        rules.entry(number + 1).or_insert_with(|| unnamed(number + 1));
    }
    rules.into_iter().collect()
}
