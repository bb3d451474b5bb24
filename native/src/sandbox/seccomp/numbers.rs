//! The numbers of system calls, for every kind of program that the machine's processor runs.
use syscalls::{aarch64, arm, x86, x86_64};

/// A calling convention, as the kernel names it to a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Abi {
    X86_64,
    I386,
    Aarch64,
    Arm,
}

/// `AUDIT_ARCH_*` of linux/audit.h.
const AUDIT: [(Abi, u32); 4] =
    [(Abi::X86_64, 0xc000_003e), (Abi::I386, 0x4000_0003), (Abi::Aarch64, 0xc000_00b7), (Abi::Arm, 0x4000_0028)];

/// Set in the number of a call of the x32 convention, which shares its name and its other numbers with x86_64.
pub const X32_BIT: u32 = 0x4000_0000;

/// What x32 has under a number of its own, arch/x86/entry/syscalls/syscall_64.tbl. A plain x86_64 program that uses one
/// of these gets `ENOSYS` of the kernel.
const X32: &[(u32, &str)] = &[
    (512, "rt_sigaction"),
    (513, "rt_sigreturn"),
    (514, "ioctl"),
    (515, "readv"),
    (516, "writev"),
    (517, "recvfrom"),
    (518, "sendmsg"),
    (519, "recvmsg"),
    (520, "execve"),
    (521, "ptrace"),
    (522, "rt_sigpending"),
    (523, "rt_sigtimedwait"),
    (524, "rt_sigqueueinfo"),
    (525, "sigaltstack"),
    (526, "timer_create"),
    (527, "mq_notify"),
    (528, "kexec_load"),
    (529, "waitid"),
    (530, "set_robust_list"),
    (531, "get_robust_list"),
    (532, "vmsplice"),
    (533, "move_pages"),
    (534, "preadv"),
    (535, "pwritev"),
    (536, "rt_tgsigqueueinfo"),
    (537, "recvmmsg"),
    (538, "sendmmsg"),
    (539, "process_vm_readv"),
    (540, "process_vm_writev"),
    (541, "setsockopt"),
    (542, "getsockopt"),
    (543, "io_setup"),
    (544, "io_submit"),
    (545, "execveat"),
    (546, "preadv2"),
    (547, "pwritev2"),
];

/// What only 32-bit ARM has, far above the other numbers, arch/arm/include/uapi/asm/unistd.h.
const ARM: &[(u32, &str)] = &[
    (0xf_0001, "breakpoint"),
    (0xf_0002, "cacheflush"),
    (0xf_0003, "usr26"),
    (0xf_0004, "usr32"),
    (0xf_0005, "set_tls"),
    (0xf_0006, "get_tls"),
];

impl Abi {
    /// The conventions of programs that run here, this program's own first. Empty for a processor that is not known.
    pub fn here() -> &'static [Abi] {
        if cfg!(target_arch = "x86_64") {
            &[Abi::X86_64, Abi::I386]
        } else if cfg!(target_arch = "aarch64") {
            &[Abi::Aarch64, Abi::Arm]
        } else {
            &[]
        }
    }

    pub fn audit(self) -> u32 {
        AUDIT.iter().find(|(abi, _)| *abi == self).map_or(0, |(_, audit)| *audit)
    }

    /// Whether pointers and `long` have 32 bits, and calls for ids exist with 16 bits (`chown`) and 32 (`chown32`).
    pub fn is_narrow(self) -> bool {
        matches!(self, Abi::I386 | Abi::Arm)
    }

    /// Number and name of every call, in the order of the numbers. x32's own are with those of x86_64; a call has one name
    /// in all conventions.
    pub fn calls(self) -> Vec<(u32, &'static str)> {
        fn table(calls: impl Iterator<Item = (i32, &'static str)>) -> Vec<(u32, &'static str)> {
            calls
                .filter_map(|(number, name)| {
                    Some((u32::try_from(number).ok()?, if name == "fstatat" { "newfstatat" } else { name }))
                })
                .collect()
        }
        let (mut calls, own) = match self {
            Abi::X86_64 => (table(x86_64::Sysno::iter().map(|call| (call.id(), call.name()))), X32),
            Abi::I386 => (table(x86::Sysno::iter().map(|call| (call.id(), call.name()))), &[][..]),
            Abi::Aarch64 => (table(aarch64::Sysno::iter().map(|call| (call.id(), call.name()))), &[][..]),
            Abi::Arm => (table(arm::Sysno::iter().map(|call| (call.id(), call.name()))), ARM),
        };
        calls.extend_from_slice(own);
        calls.sort_unstable();
        calls.dedup_by_key(|(number, _)| *number);
        calls
    }
}
