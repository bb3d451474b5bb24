//! The system calls of seccomp and of its supervisor for which there is no safe wrapper. All that is unsafe is here.
#![allow(unsafe_code)]
use super::program::Instruction;
use std::io::{Error, Result};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Once a call was received, only a deadly signal takes it away from the supervisor. Since Linux 5.19.
const WAIT_KILLABLE: libc::c_ulong = 1 << 5;

/// Requests of linux/seccomp.h: direction, size of the argument, the letter `!`, number.
const RECEIVE: u32 = 0xc050_2100;
const SEND: u32 = 0xc018_2101;
const IS_VALID: u32 = 0x4008_2102;
const ADD_DESCRIPTOR: u32 = 0x4018_2103;
const SET_FLAGS: u32 = 0x4008_2104;

const SYNCHRONOUS_WAKE_UP: u64 = 1;
/// The call is answered with the number of the new descriptor.
const ADD_AND_SEND: u32 = 2;
/// The call goes on as if nobody had asked.
const CONTINUE: u32 = 1;

/// A call that waits for an answer: `struct seccomp_notif`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Notification {
    pub id: u64,
    /// The calling thread, as the supervisor's process id namespace numbers it; 0: it is not in there.
    pub thread: u32,
    flags: u32,
    pub number: i32,
    pub audit: u32,
    instruction: u64,
    pub arguments: [u64; 6],
}

#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

#[repr(C)]
struct NewDescriptor {
    id: u64,
    flags: u32,
    source: u32,
    target: u32,
    target_flags: u32,
}

/// What a call comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Continue,
    Value(i64),
    Error(i32),
}

fn ioctl<T>(descriptor: BorrowedFd, request: u32, argument: &mut T) -> Result<libc::c_int> {
    // SAFETY: each request here is used with the structure whose size it names, which lives during the call.
    let result = unsafe { libc::ioctl(descriptor.as_raw_fd(), request as _, std::ptr::from_mut(argument)) };
    if result < 0 {
        return Err(Error::last_os_error());
    }
    Ok(result)
}

/// Installs a filter for this thread, with a listener or without.
pub fn set_filter(program: &[Instruction], listens: bool) -> Result<Option<OwnedFd>> {
    let length = u16::try_from(program.len()).map_err(|_| Error::from_raw_os_error(libc::E2BIG))?;
    let header = libc::sock_fprog { len: length, filter: program.as_ptr().cast::<libc::sock_filter>().cast_mut() };
    let set = |flags: libc::c_ulong| {
        // SAFETY: `Instruction` has the layout of sock_filter; the kernel only reads `len` of them, and copies them.
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const header) }
    };
    let mut result = set(if listens { libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | WAIT_KILLABLE } else { 0 });
    if result < 0 && listens && Error::last_os_error().raw_os_error() == Some(libc::EINVAL) {
        result = set(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);
    }
    if result < 0 {
        return Err(Error::last_os_error());
    }
    if !listens {
        return Ok(None);
    }
    let listener = RawFd::try_from(result).map_err(|_| Error::from_raw_os_error(libc::EBADF))?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else has it.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(listener) }))
}

/// Sets by how many nanoseconds timers of this thread, and of those that come of it, may be late.
pub fn set_timer_slack(nanoseconds: u32) -> Result<()> {
    // SAFETY: takes a number.
    if unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, libc::c_ulong::from(nanoseconds)) } < 0 {
        return Err(Error::last_os_error());
    }
    Ok(())
}

/// Gives this thread a working directory and a umask of its own.
pub fn unshare_working_directory() -> Result<()> {
    // SAFETY: changes nothing that memory safety rests on.
    if unsafe { libc::unshare(libc::CLONE_FS) } < 0 {
        return Err(Error::last_os_error());
    }
    Ok(())
}

/// Asks the kernel to hand the processor over directly, which halves the time of an answer. Since Linux 6.6.
pub fn wake_synchronously(listener: impl AsFd) -> bool {
    // SAFETY: the request takes its flags as a plain number.
    unsafe { libc::ioctl(listener.as_fd().as_raw_fd(), SET_FLAGS as _, SYNCHRONOUS_WAKE_UP) == 0 }
}

pub fn receive(listener: impl AsFd) -> Result<Notification> {
    // The kernel insists on zeros.
    let mut notification = Notification::default();
    ioctl(listener.as_fd(), RECEIVE, &mut notification)?;
    Ok(notification)
}

/// Whether the call still waits: if so, its process is the one that it was.
pub fn is_valid(listener: impl AsFd, mut id: u64) -> bool {
    ioctl(listener.as_fd(), IS_VALID, &mut id).is_ok()
}

pub fn answer(listener: impl AsFd, id: u64, reply: Reply) -> Result<()> {
    let (value, error, flags) = match reply {
        Reply::Continue => (0, 0, CONTINUE),
        Reply::Value(value) => (value, 0, 0),
        Reply::Error(error) => (0, -error, 0),
    };
    ioctl(listener.as_fd(), SEND, &mut Response { id, value, error, flags }).map(drop)
}

/// Answers with a new descriptor of the calling process for the same open file, in one go since Linux 5.14.
pub fn answer_with_descriptor(listener: impl AsFd, id: u64, file: impl AsFd, close_on_exec: bool) -> Result<()> {
    let source = file.as_fd().as_raw_fd() as u32;
    let target_flags = if close_on_exec { libc::O_CLOEXEC as u32 } else { 0 };
    let mut request = NewDescriptor { id, flags: ADD_AND_SEND, source, target: 0, target_flags };
    match ioctl(listener.as_fd(), ADD_DESCRIPTOR, &mut request) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            request.flags = 0;
            let added = ioctl(listener.as_fd(), ADD_DESCRIPTOR, &mut request)?;
            answer(listener, id, Reply::Value(added.into()))
        }
        done => done.map(drop),
    }
}

fn transfer(length: isize) -> Result<usize> {
    usize::try_from(length).map_err(|_| Error::last_os_error())
}

/// Reads what another process has at an address. Less is read where its memory ends.
pub fn read_memory(process: u32, address: u64, buffer: &mut [u8]) -> Result<usize> {
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: buffer.len() };
    // SAFETY: the kernel writes at most `iov_len` bytes to `local`, which is ours; `remote` it checks itself.
    transfer(unsafe { libc::process_vm_readv(process as libc::pid_t, &raw const local, 1, &raw const remote, 1, 0) })
}

pub fn write_memory(process: u32, address: u64, bytes: &[u8]) -> Result<usize> {
    let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: bytes.len() };
    // SAFETY: the kernel only reads from `local`; what it writes belongs to another process.
    transfer(unsafe { libc::process_vm_writev(process as libc::pid_t, &raw const local, 1, &raw const remote, 1, 0) })
}

/// statx(2) of an open file as the bytes that the kernel writes.
pub fn statx(file: impl AsFd, flags: u32, mask: u32) -> Result<[u8; 256]> {
    let mut buffer = [0; 256];
    let flags = flags | libc::AT_EMPTY_PATH as u32;
    let descriptor = file.as_fd().as_raw_fd();
    // SAFETY: struct statx has 256 bytes, for ever; the empty path ends in its zero.
    let result = unsafe { libc::syscall(libc::SYS_statx, descriptor, c"".as_ptr(), flags, mask, buffer.as_mut_ptr()) };
    if result < 0 {
        return Err(Error::last_os_error());
    }
    Ok(buffer)
}
