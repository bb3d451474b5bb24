//! The system calls that are not safe by themselves, or that rustix has not. Nothing else in the sandbox is `unsafe`.
#![allow(unsafe_code)]
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::UnshareFlags;
use std::ffi::{c_char, c_int, CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Which of the two processes `fork` returned in.
pub enum Forked {
    Parent(Pid),
    Child,
}

/// Copies this process. Only for processes of one thread: what another one holds locked would stay so in the copy.
pub fn fork() -> rustix::io::Result<Forked> {
    // SAFETY: callers have no second thread, so the child finds all of its memory in a consistent state and may go on
    // like any process.
    let pid = result(unsafe { libc::fork() }.into())?;
    let pid = i32::try_from(pid).map_err(|_| Errno::RANGE)?;
    Ok(Pid::from_raw(pid).map_or(Forked::Child, Forked::Parent))
}

/// As `fork`, into namespaces of its own that only the copy is in: this process may still have threads afterwards, which
/// unshare(2) of the pid namespace would keep it from.
pub fn fork_into(namespaces: UnshareFlags) -> rustix::io::Result<Forked> {
    let flags = namespaces.bits() as libc::c_long | libc::c_long::from(libc::SIGCHLD);
    // SAFETY: without a stack and without shared memory this is fork(2), see there; the C library's idea of the thread's
    // number stays that of the parent, which only signals to oneself are sent by.
    let pid = result(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })?;
    let pid = i32::try_from(pid).map_err(|_| Errno::RANGE)?;
    Ok(Pid::from_raw(pid).map_or(Forked::Child, Forked::Parent))
}

/// Ends this process without running what the one it was forked from would run at its end.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: `_exit` takes any number and touches no memory.
    unsafe { libc::_exit(status) }
}

/// Leaves the namespaces of `flags` for new ones. Not for `FILES`.
pub fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    debug_assert!(!flags.contains(UnshareFlags::FILES));
    // SAFETY: the table of file descriptors stays shared (no caller asks for `FILES`), which is all that can go wrong.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

/// Lets no descriptor but the standard three outlive an execve(2): whoever called kbuild may have left others open, and a
/// step that has one to a folder of the machine is not in its root any more.
pub fn keep_standard_streams_only() -> rustix::io::Result<()> {
    const FIRST: libc::c_long = 3;
    // SAFETY: the call sets a flag of descriptors and touches no memory; what they are used for goes on as before.
    let set = unsafe { libc::syscall(libc::SYS_close_range, FIRST, libc::c_long::from(u32::MAX), CLOSE_ON_EXEC) };
    match result(set) {
        // Before Linux 5.11, or behind a filter that does not know the call.
        Err(Errno::NOSYS | Errno::INVAL | Errno::PERM) => {}
        done => return done.map(drop),
    }
    let open = std::fs::read_dir("/proc/self/fd").map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let names = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<c_int>().ok());
    for number in names.filter(|number| libc::c_long::from(*number) >= FIRST) {
        // SAFETY: as above. One that is closed by now is no fault.
        unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(())
}

/// The user by whom the kernel judges this thread's access to files, setfsuid(2). It does not say whether it took it.
pub fn set_file_user(uid: u32) {
    // SAFETY: the call changes an id of this thread and touches no memory.
    unsafe { libc::syscall(libc::SYS_setfsuid, libc::c_long::from(uid)) };
}

/// The same for the group, setfsgid(2).
pub fn set_file_group(gid: u32) {
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_setfsgid, libc::c_long::from(gid)) };
}

/// The supplementary groups of this thread alone, setgroups(2).
pub fn set_own_groups(groups: &[u32]) -> rustix::io::Result<()> {
    // SAFETY: the kernel reads as many ids as there are.
    result(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(drop)
}

/// `CLOSE_RANGE_CLOEXEC` of linux/close_range.h.
const CLOSE_ON_EXEC: libc::c_long = 1 << 2;

/// Becomes another program. Returns only the reason that it could not.
pub fn execute(path: &CStr, arguments: &[CString], environment: &[CString]) -> Errno {
    let arguments = pointers(arguments);
    let environment = pointers(environment);
    // SAFETY: all three are strings and null-terminated arrays of strings that outlive the call.
    unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    last_error()
}

/// Keeps SIGCHLD for a descriptor that becomes readable when a child has ended.
pub fn child_signals() -> rustix::io::Result<OwnedFd> {
    // SAFETY: `sigset_t` is plain numbers, for which zero is a value, and `sigemptyset` fills it in before it is used;
    // the kernel writes nothing but the descriptor, which is new and ours.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGCHLD);
        result(libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()).into())?;
        let descriptor = result(libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK).into())?;
        Ok(OwnedFd::from_raw_fd(descriptor as c_int))
    }
}

/// Blocks no signal and ignores none, as a program expects it that is started afresh.
pub fn reset_signals() -> rustix::io::Result<()> {
    // SAFETY: as above; setting an action to the default one runs no code of ours. Numbers that are no signal, or whose
    // action cannot be set, are refused without an effect.
    unsafe {
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        result(libc::sigprocmask(libc::SIG_SETMASK, &set, std::ptr::null_mut()).into())?;
    }
    Ok(())
}

/// Adds to what may not be done through the mount at `mount`, and those below it if `recursive`: `MOUNT_ATTR_*`.
pub fn restrict_mount(mount: BorrowedFd<'_>, attributes: u64, recursive: bool) -> rustix::io::Result<()> {
    let change = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a constant string, and the structure lives longer than the call and has the size that is told.
    result(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const change,
            size_of::<libc::mount_attr>(),
        )
    })
    .map(drop)
}

/// Starts the interface `lo` of this network namespace.
pub fn start_loopback() -> rustix::io::Result<()> {
    // SAFETY: `ifreq` is plain numbers, for which zero is a value. The name fits with its final zero, the socket is ours,
    // and the kernel reads the structure for no longer than the call takes.
    unsafe {
        let socket = result(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0).into())?;
        let socket = OwnedFd::from_raw_fd(socket as c_int);
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(b"lo\0") {
            *to = *from as c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
        result(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request).into()).map(drop)
    }
}

/// Leaves the caller's session keyring for an empty one.
pub fn new_session_keyring() -> rustix::io::Result<()> {
    const JOIN_SESSION_KEYRING: c_int = 1;
    // SAFETY: without a name the call touches no memory of ours.
    result(unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<c_char>()) }).map(drop)
}

/// The array that a system call wants of strings.
fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
}

fn result(returned: i64) -> rustix::io::Result<i64> {
    if returned == -1 {
        return Err(last_error());
    }
    Ok(returned)
}

fn last_error() -> Errno {
    let number = std::io::Error::last_os_error().raw_os_error();
    number.map_or(Errno::IO, Errno::from_raw_os_error)
}
