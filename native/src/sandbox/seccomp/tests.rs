use super::numbers::X32_BIT;
use super::program::*;
use super::*;
use crate::sandbox::handover;
use std::collections::BTreeSet;
use std::os::fd::AsFd;

const ALL: [Abi; 4] = [Abi::X86_64, Abi::I386, Abi::Aarch64, Abi::Arm];

/// Runs a program on a call as the kernel would; also says how many instructions that took.
fn run(program: &[Instruction], audit: u32, number: u32, arguments: [u64; 6]) -> (u32, usize) {
    let (mut at, mut steps, mut register) = (0, 0, 0);
    loop {
        let each = program[at];
        at += 1;
        steps += 1;
        let taken = match each.code {
            LOAD => {
                register = match each.value {
                    NUMBER => number,
                    ARCHITECTURE => audit,
                    offset => arguments[(offset as usize - 16) / 8] as u32,
                };
                continue;
            }
            AND => {
                register &= each.value;
                continue;
            }
            JUMP => {
                at += each.value as usize;
                continue;
            }
            RETURN => return (each.value, steps),
            JUMP_IF_EQUAL => register == each.value,
            JUMP_IF_AT_LEAST => register >= each.value,
            JUMP_IF_SET => register & each.value != 0,
            code => panic!("no such instruction: {code}"),
        };
        at += usize::from(if taken { each.if_true } else { each.if_false });
    }
}

struct Checked {
    abi: Abi,
    program: Vec<Instruction>,
}

impl Checked {
    fn new(filter: &Filter, abi: Abi) -> Checked {
        let table = |abi: Abi| Table { audit: abi.audit(), has_x32: abi == Abi::X86_64, rules: filter.rules(abi) };
        Checked { abi, program: assemble(&ALL.map(table)) }
    }

    fn number(&self, name: &str) -> Option<u32> {
        self.abi.calls().into_iter().find(|(_, each)| *each == name).map(|(number, _)| number)
    }

    fn call(&self, name: &str, arguments: &[u64]) -> String {
        let number = self.number(name).unwrap_or_else(|| panic!("{:?} has no {name}", self.abi));
        self.verdict(number, arguments)
    }

    fn verdict(&self, number: u32, arguments: &[u64]) -> String {
        let mut six = [0; 6];
        six[..arguments.len()].copy_from_slice(arguments);
        named(run(&self.program, self.abi.audit(), number, six).0)
    }
}

fn named(code: u32) -> String {
    match code {
        libc::SECCOMP_RET_ALLOW => "allow".into(),
        libc::SECCOMP_RET_USER_NOTIF => "ask".into(),
        libc::SECCOMP_RET_KILL_PROCESS => "kill".into(),
        _ => match (code & 0xffff) as i32 {
            0 => "done".into(),
            libc::EPERM => "EPERM".into(),
            libc::EACCES => "EACCES".into(),
            libc::ENOSYS => "ENOSYS".into(),
            other => panic!("error {other}"),
        },
    }
}

fn default_profile() -> Filter {
    Filter { profile: true, ..Filter::default() }
}

#[test]
fn the_profile_says_what_dockers_does() {
    let table: &[(&str, &[u64], &str)] = &[
        ("read", &[], "allow"),
        ("execve", &[], "allow"),
        ("openat2", &[], "allow"),
        ("mknodat", &[0, 0, 0o020_666], "allow"),
        ("ptrace", &[], "allow"),
        ("process_vm_readv", &[], "allow"),
        ("chroot", &[], "allow"),
        ("capset", &[], "allow"),
        ("fchmodat2", &[], "allow"),
        ("removexattrat", &[], "allow"),
        ("mount", &[], "EPERM"),
        ("umount2", &[], "EPERM"),
        ("unshare", &[], "EPERM"),
        ("setns", &[], "EPERM"),
        ("pivot_root", &[], "EPERM"),
        ("open_by_handle_at", &[], "EPERM"),
        ("io_uring_setup", &[], "EPERM"),
        ("bpf", &[], "EPERM"),
        ("keyctl", &[], "EPERM"),
        ("add_key", &[], "EPERM"),
        ("userfaultfd", &[], "EPERM"),
        ("perf_event_open", &[], "EPERM"),
        ("pidfd_getfd", &[], "EPERM"),
        ("mbind", &[], "EPERM"),
        ("kexec_load", &[], "EPERM"),
        ("init_module", &[], "EPERM"),
        ("reboot", &[], "EPERM"),
        ("clock_settime", &[], "EPERM"),
        ("quotactl", &[], "EPERM"),
        ("swapon", &[], "EPERM"),
        ("sethostname", &[], "EPERM"),
        ("fsopen", &[], "EPERM"),
        ("move_mount", &[], "EPERM"),
        ("clone", &[0x0120_0011], "allow"),
        ("clone", &[0x003d_0f00], "allow"),
        ("clone", &[0x1000_0011], "EPERM"),
        ("clone", &[0x0002_0011], "EPERM"),
        ("clone", &[0x0200_0000], "EPERM"),
        ("clone3", &[], "ENOSYS"),
        ("personality", &[0], "allow"),
        ("personality", &[0x8], "allow"),
        ("personality", &[0x20000], "allow"),
        ("personality", &[0x20008], "allow"),
        ("personality", &[0xffff_ffff], "allow"),
        ("personality", &[0x0004_0000], "EPERM"),
        ("personality", &[1], "EPERM"),
    ];
    for abi in ALL {
        let profile = Checked::new(&default_profile(), abi);
        for (name, arguments, expected) in table {
            // 32-bit ARM lacks some that are refused anyway.
            if profile.number(name).is_some() {
                assert_eq!(profile.call(name, arguments), *expected, "{abi:?} {name} {arguments:x?}");
            }
        }
    }
}

#[test]
fn only_families_that_docker_allows_make_sockets() {
    let refused = [12, 19, 20, 23, 25, 34, 37, 38, 40];
    for abi in ALL {
        let profile = Checked::new(&default_profile(), abi);
        for family in 0..70u64 {
            let expected = if refused.contains(&family) || family > 45 { "EPERM" } else { "allow" };
            assert_eq!(profile.call("socket", &[family, 1]), expected, "family {family}");
        }
        // The kernel looks at 32 bits of a family.
        assert_eq!(profile.call("socket", &[(7 << 32) | 40]), "EPERM");
        assert_eq!(profile.call("socket", &[u64::from(u32::MAX)]), "EPERM");
    }
}

#[test]
fn calls_that_are_newer_than_the_profile_are_not_there() {
    for abi in ALL {
        let profile = Checked::new(&default_profile(), abi);
        assert_eq!(profile.verdict(466, &[]), "allow");
        for number in [467, 468, 500, 548, 999, 0xf_0007, 0x7fff_ffff, u32::MAX] {
            assert_eq!(profile.verdict(number, &[]), "ENOSYS", "{abi:?} {number}");
        }
    }
    let arm = Checked::new(&default_profile(), Abi::Arm);
    assert_eq!(arm.call("set_tls", &[]), "allow");
    assert_eq!(arm.call("usr26", &[]), "ENOSYS");
    assert_eq!(Checked::new(&default_profile(), Abi::Aarch64).verdict(0xf_0005, &[]), "ENOSYS");
    assert_eq!(Checked::new(&default_profile(), Abi::I386).call("arch_prctl", &[]), "EPERM");
    assert_eq!(Checked::new(&default_profile(), Abi::X86_64).call("arch_prctl", &[]), "allow");
}

#[test]
fn x32_is_held_to_the_same() {
    let profile = Checked::new(&default_profile(), Abi::X86_64);
    let x32 = |name: &str| profile.verdict(profile.number(name).unwrap() | X32_BIT, &[]);
    assert_eq!(x32("read"), "allow");
    assert_eq!(x32("mount"), "EPERM");
    assert_eq!(profile.verdict(520 | X32_BIT, &[]), "allow");
    assert_eq!(profile.verdict(528 | X32_BIT, &[]), "ENOSYS");
    let trapped = Filter { traps: Traps { owners: true, ..Traps::default() }, ..default_profile() };
    assert_eq!(Checked::new(&trapped, Abi::X86_64).verdict(520 | X32_BIT, &[]), "ask");
}

#[test]
fn a_convention_that_is_not_known_kills() {
    let program = Checked::new(&default_profile(), Abi::X86_64).program;
    assert_eq!(named(run(&program, 0xc000_0016, 0, [0; 6]).0), "kill");
}

#[test]
fn every_name_of_the_profile_is_a_call() {
    let known: BTreeSet<&str> = ALL.iter().flat_map(|abi| abi.calls()).map(|(_, name)| name).collect();
    // Calls of other processors, and one that Linux has never had by this name.
    let others = ["sync_file_range2", "getsid", "utimensat_time64"];
    let missing: Vec<&str> = profile::names().filter(|name| !known.contains(name) && !others.contains(name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
    let unknown: Vec<&str> = traps::names().filter(|name| !known.contains(name) && !others.contains(name)).collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

#[test]
fn devices_alone_are_asked_about() {
    let filter = Filter { traps: Traps { devices: true, ..Traps::default() }, ..default_profile() };
    for abi in ALL {
        let filter = Checked::new(&filter, abi);
        for (mode, expected) in
            [(0o020_666, "ask"), (0o060_600, "ask"), (0o010_644, "allow"), (0o140_644, "allow"), (0o644, "allow")]
        {
            assert_eq!(filter.call("mknodat", &[0, 0, mode]), expected);
            if filter.number("mknod").is_some() {
                assert_eq!(filter.call("mknod", &[0, mode]), expected);
            }
        }
        assert_eq!(filter.call("fchown", &[]), "allow");
        assert_eq!(filter.call("mount", &[]), "EPERM");
    }
}

#[test]
fn reading_is_asked_about_in_steps_of_users_alone() {
    for (users, expected) in [(false, "allow"), (true, "ask")] {
        let traps = Traps { owners: true, users, ..Traps::default() };
        for abi in ALL {
            let filter = Checked::new(&Filter { traps, ..default_profile() }, abi);
            assert_eq!(filter.call("openat", &[0, 0, 0]), expected, "{abi:?}");
            assert_eq!(filter.call("readlinkat", &[]), expected, "{abi:?}");
            for name in ["unlinkat", "linkat", "fchmod", "fchmodat2", "utimensat", "faccessat2", "chdir", "kill"] {
                assert_eq!(filter.call(name, &[]), "ask", "{abi:?} {name}");
            }
        }
    }
}

#[test]
fn owners_are_asked_about() {
    for profile in [true, false] {
        let filter = Filter { profile, traps: Traps { owners: true, ..Traps::default() }, ..Filter::default() };
        let filter = Checked::new(&filter, Abi::X86_64);
        for (name, arguments, expected) in [
            ("openat", [0, 0, 0], "allow"),
            ("openat", [0, 0, 0o101], "ask"),
            ("openat", [0, 0, 0o20_200_001], "ask"),
            ("open", [0, 0o101, 0], "ask"),
            ("open", [0, 0o200_000, 0o100], "allow"),
            ("fstat", [0, 0, 0], "ask"),
            ("setresuid", [0, 0, 0], "ask"),
            ("prctl", [29, 5, 0], "done"),
            ("prctl", [38, 1, 0], "allow"),
            ("prctl", [8, 1, 0], "ask"),
            ("prctl", [28, 1, 0], "ask"),
            ("read", [0, 0, 0], "allow"),
            ("sendmsg", [0, 0, 0], "allow"),
            ("recvmsg", [0, 0, 0], "allow"),
            ("close", [0, 0, 0], "allow"),
            ("io_uring_setup", [0, 0, 0], "EPERM"),
            ("mount", [0, 0, 0], if profile { "EPERM" } else { "allow" }),
            ("unshare", [0, 0, 0], if profile { "EPERM" } else { "ask" }),
        ] {
            assert_eq!(filter.call(name, &arguments), expected, "{name} {arguments:?}, profile: {profile}");
        }
    }
}

#[test]
fn offline_leaves_sockets_of_the_machine_itself() {
    for profile in [true, false] {
        let filter = Filter { profile, offline: true, ..Filter::default() };
        for abi in ALL {
            let filter = Checked::new(&filter, abi);
            for (family, expected) in [(1, "allow"), (16, "allow"), (2, "EACCES"), (10, "EACCES"), (17, "EACCES")] {
                assert_eq!(filter.call("socket", &[family]), expected);
            }
            if filter.number("socketcall").is_some() {
                assert_eq!(filter.call("socketcall", &[1]), "EACCES");
            }
            assert_eq!(filter.call("io_uring_setup", &[]), "EPERM");
            assert_eq!(filter.call("connect", &[]), "allow");
            assert_eq!(filter.call("read", &[]), "allow");
        }
    }
}

#[test]
fn the_first_process_cannot_be_ended_by_its_own() {
    for profile in [true, false] {
        let filter = Filter { profile, first: Some(1234), ..Filter::default() };
        for abi in ALL {
            let filter = Checked::new(&filter, abi);
            for (name, arguments, expected) in [
                ("kill", &[1234, 9][..], "done"),
                ("kill", &[1234, 19], "done"),
                ("kill", &[1234, 15], "allow"),
                ("kill", &[1235, 9], "allow"),
                ("kill", &[0xffff_ffff, 9], "allow"),
                ("tkill", &[1234, 9], "done"),
                ("tgkill", &[1234, 1234, 9], "done"),
                ("tgkill", &[1234, 1234, 2], "allow"),
                ("tgkill", &[9, 1234, 9], "allow"),
            ] {
                if filter.number(name).is_some() {
                    assert_eq!(filter.call(name, arguments), expected, "{abi:?} {name} {arguments:?}");
                }
            }
        }
    }
}

#[test]
fn other_processes_are_asked_about() {
    for profile in [true, false] {
        let traps = Traps { processes: true, ..Traps::default() };
        let filter = Filter { profile, first: Some(1234), traps, ..Filter::default() };
        for abi in ALL {
            let filter = Checked::new(&filter, abi);
            for (name, arguments, expected) in [
                ("kill", &[1234, 9][..], "done"),
                ("kill", &[1234, 15], "ask"),
                ("kill", &[0xffff_ffff_ffff_ffff, 9], "ask"),
                ("tkill", &[9, 9], "ask"),
                ("tgkill", &[9, 9, 9], "ask"),
                ("rt_sigqueueinfo", &[9, 9], "ask"),
                ("pidfd_open", &[9], "ask"),
                ("pidfd_send_signal", &[3, 15], "ENOSYS"),
                ("prlimit64", &[0, 7], "allow"),
                ("prlimit64", &[9, 7], "ask"),
                ("sched_setaffinity", &[0], "allow"),
                ("sched_setaffinity", &[9], "ask"),
                ("setpriority", &[2, 0], "ask"),
                ("ptrace", &[0, 9], "allow"),
                ("ptrace", &[16, 9], "ask"),
                ("fcntl", &[1, 8, 9], "ask"),
                ("fcntl", &[1, 15, 9], "EPERM"),
                ("fcntl", &[1, 1, 9], "allow"),
                ("ioctl", &[1, 0x8901, 9], "EPERM"),
            ] {
                if filter.number(name).is_some() {
                    assert_eq!(filter.call(name, arguments), expected, "{abi:?} {name} {arguments:?}");
                }
            }
        }
    }
}

#[test]
fn bisection_finds_what_a_list_says_in_few_steps() {
    let everything =
        Traps { devices: true, owners: true, users: true, read_only: true, proc: true, processes: true, points: true };
    for filter in [default_profile(), Filter { profile: true, offline: true, first: Some(1234), traps: everything }] {
        for abi in ALL {
            let checked = Checked::new(&filter, abi);
            assert!(checked.program.len() < 4096, "{} instructions", checked.program.len());
            let rules = filter.rules(abi);
            for number in 0..700 {
                let rule = &rules.iter().rev().find(|(first, _)| *first <= number).unwrap().1;
                let is_zero = |clause: &&Clause| clause.also.is_none_or(|(_, value)| value == 0);
                let expected = rule.clauses.iter().filter(is_zero).find(|clause| match clause.test {
                    Test::Any(_) => false,
                    Test::Is { value, .. } => value == 0,
                    Test::AtLeast(value) => value == 0,
                });
                let expected = expected.map_or(rule.otherwise, |clause| clause.verdict);
                let (code, steps) = run(&checked.program, abi.audit(), number, [0; 6]);
                assert_eq!(code, expected.code(), "{abi:?} {number}");
                assert!(steps <= 60, "{abi:?} {number}: {steps} steps");
            }
        }
    }
}

/// Runs one of the tests below in a process of its own, where it may hold itself to a filter.
fn alone(test: &str) {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--test-threads=1", "--nocapture"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "the test was not found");
}

#[test]
fn the_kernel_takes_the_filter() {
    alone("sandbox::seccomp::tests::alone_with_the_profile");
    alone("sandbox::seccomp::tests::alone_offline");
}

#[test]
#[ignore = "run by the_kernel_takes_the_filter"]
fn alone_with_the_profile() {
    rustix::thread::set_no_new_privs(true).unwrap();
    install(&default_profile()).unwrap();
    let errno = |result: std::io::Result<()>| result.err().and_then(|error| error.raw_os_error());
    assert_eq!(
        errno(rustix::mount::unmount("/nowhere", rustix::mount::UnmountFlags::empty()).map_err(Into::into)),
        Some(libc::EPERM)
    );
    assert_eq!(errno(calls::unshare_working_directory()), Some(libc::EPERM));
    let vsock = rustix::net::socket(rustix::net::AddressFamily::from_raw(40), rustix::net::SocketType::STREAM, None);
    assert_eq!(vsock.err(), Some(rustix::io::Errno::PERM));
    std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    std::thread::spawn(|| ()).join().unwrap();
    assert!(std::process::Command::new("/bin/true").status().unwrap().success());
}

#[test]
#[ignore = "run by the_kernel_takes_the_filter"]
fn alone_offline() {
    rustix::thread::set_no_new_privs(true).unwrap();
    install(&Filter { offline: true, ..Filter::default() }).unwrap();
    let refused = std::net::UdpSocket::bind("127.0.0.1:0").unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EACCES));
    std::os::unix::net::UnixStream::pair().unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::net::UnixListener::bind(folder.path().join("s")).unwrap();
}

#[test]
fn a_listener_is_handed_over() {
    alone("sandbox::seccomp::tests::alone_handing_over");
}

#[test]
#[ignore = "run by a_listener_is_handed_over"]
fn alone_handing_over() {
    let (ours, theirs) = handover::pair().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("null");
    let thread = std::thread::spawn(move || {
        rustix::thread::set_no_new_privs(true).unwrap();
        let traps = Traps { devices: true, ..Traps::default() };
        let listener = install(&Filter { profile: true, traps, ..Filter::default() }).unwrap().unwrap();
        handover::give_owned(&theirs, handover::Purpose::Supervised, listener).unwrap();
        drop(theirs);
        let make = |kind| {
            let mode = rustix::fs::Mode::RUSR;
            rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, mode, 0x103)
        };
        assert_eq!(make(rustix::fs::FileType::CharacterDevice), Err(rustix::io::Errno::DQUOT));
        make(rustix::fs::FileType::Fifo).unwrap();
    });
    let (_, listener) = handover::take(ours.as_fd()).unwrap().unwrap();
    let asked = calls::receive(&listener).unwrap();
    assert_eq!(asked.arguments[2] & 0o170_000, 0o020_000);
    assert!(calls::is_valid(&listener, asked.id));
    calls::answer(&listener, asked.id, calls::Reply::Error(libc::EDQUOT)).unwrap();
    assert!(!calls::is_valid(&listener, asked.id));
    thread.join().unwrap();
    assert!(handover::take(ours.as_fd()).unwrap().is_none());
}
