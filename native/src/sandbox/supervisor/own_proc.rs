//! What a process finds of itself in /proc, and through it in /dev, where no proc file system can be mounted: files of the
//! machine's own /proc are handed to it, never a folder, and never those of another process.
use super::caller::{by_name, Caller};
use super::facts::Facts;
use super::lookup::{Found, Through};
use super::Answer;
use rustix::fs::{chmodat, fcntl_getfl, fcntl_setfl, openat, readlinkat, AtFlags, Mode, OFlags};
use rustix::io::Errno;

/// Files that tell a process about itself, and nothing of the machine around it.
const FILES: [&[u8]; 12] = [
    b"auxv",
    b"cmdline",
    b"comm",
    b"environ",
    b"limits",
    b"maps",
    b"oom_score",
    b"oom_score_adj",
    b"stat",
    b"statm",
    b"status",
    b"wchan",
];
/// Folders that are there, but are not to be opened.
const FOLDERS: [&[u8]; 3] = [b"self", b"thread-self", b"fd"];
/// Links that lead to what a process has anyway.
const LINKS: [&[u8]; 3] = [b"exe", b"cwd", b"root"];

/// Bytes of each of the six texts of `struct utsname`, the name of the machine being the second. uname(2).
const UTSNAME_FIELD: usize = 65;

/// Answers uname(2) with the step's name for the machine, where it has no namespace for one.
pub fn answer_uname(caller: &Caller<'_>, hostname: &str) -> Result<Answer, Errno> {
    let own = rustix::system::uname();
    let texts = [own.sysname(), own.nodename(), own.release(), own.version(), own.machine(), own.domainname()];
    let mut bytes = Vec::with_capacity(texts.len() * UTSNAME_FIELD);
    for (number, text) in texts.iter().enumerate() {
        let text = if number == 1 { hostname.as_bytes() } else { text.to_bytes() };
        bytes.extend(text.iter().take(UTSNAME_FIELD - 1));
        bytes.resize((number + 1) * UTSNAME_FIELD, 0);
    }
    caller.write(caller.argument(0), &bytes)?;
    Ok(Answer::value(0))
}

/// Answers a call if its path goes through the caller's part of /proc; `None`: it does not, or nothing is there.
pub fn answer(caller: &Caller<'_>) -> Result<Option<Answer>, Errno> {
    let (folder, path, follow) = match caller.name {
        "open" => (libc::AT_FDCWD, 0, caller.int(1) & libc::O_NOFOLLOW == 0),
        "openat" => (caller.int(0), 1, caller.int(2) & libc::O_NOFOLLOW == 0),
        "readlink" => (libc::AT_FDCWD, 0, false),
        "readlinkat" => (caller.int(0), 1, false),
        "lstat" | "lstat64" => (libc::AT_FDCWD, 0, false),
        "newfstatat" | "fstatat64" => (caller.int(0), 1, caller.int(3) & libc::AT_SYMLINK_NOFOLLOW == 0),
        "statx" => (caller.int(0), 1, caller.int(2) & libc::AT_SYMLINK_NOFOLLOW == 0),
        "stat" | "stat64" | "access" => (libc::AT_FDCWD, 0, true),
        "faccessat" => (caller.int(0), 1, true),
        "faccessat2" => (caller.int(0), 1, caller.int(3) & libc::AT_SYMLINK_NOFOLLOW == 0),
        "chmod" => (libc::AT_FDCWD, 0, true),
        "fchmodat" => (caller.int(0), 1, true),
        _ => return Ok(None),
    };
    let Ok(text) = caller.path(path) else { return Ok(None) };
    if text.is_empty() {
        return Ok(None);
    }
    if is_itself(&text) && caller.name.starts_with("readlink") {
        return told_link(caller, path, caller.status()?.process.to_string().as_bytes()).map(Some);
    }
    // What the kernel finds is nothing of this.
    if !is_suspect(&text) && caller.is_there(folder, &text, follow) {
        return Ok(None);
    }
    let Ok(found) = caller.walk(folder, &text, follow) else { return Ok(None) };
    if !is_permitted(&found) {
        return Ok(None);
    }
    match caller.name {
        "open" => open(caller, found, caller.int(1)),
        "openat" => open(caller, found, caller.int(2)),
        "readlink" | "readlinkat" => link(caller, &found, path),
        "access" | "faccessat" | "faccessat2" => Ok(Some(Answer::value(0))),
        "chmod" | "fchmodat" => set_mode(caller, &found, caller.argument(path + 1) as u32),
        _ => stat(caller, found),
    }
}

fn is_itself(text: &[u8]) -> bool {
    text == b"/proc/self"
}

/// Where most of such paths begin; others are links to these.
fn is_suspect(text: &[u8]) -> bool {
    text.starts_with(b"/proc/") || text.starts_with(b"/dev/")
}

/// Whether something of the caller's part may be shown.
fn is_permitted(found: &Found) -> bool {
    let is_number = !found.name.is_empty() && found.name.iter().all(u8::is_ascii_digit);
    found.file.is_some()
        && match found.through {
            Through::Nothing => false,
            // Only a name of /proc itself, or what goes with the process.
            Through::Inside(0) => {
                let name = found.name.as_slice();
                FILES.contains(&name) || LINKS.contains(&name) || FOLDERS.contains(&name)
            }
            Through::Inside(_) => is_number,
            Through::Beyond { at_last: true } => is_number || LINKS.contains(&found.name.as_slice()),
            Through::Beyond { at_last: false } => true,
        }
}

fn open(caller: &Caller<'_>, found: Found, flags: i32) -> Result<Option<Answer>, Errno> {
    let Some(file) = found.file else { return Ok(None) };
    let kind = Facts::of(&file)?.kind();
    let is_text = matches!(found.through, Through::Inside(_));
    if kind == libc::S_IFDIR || flags & libc::O_PATH != 0 {
        return Ok(None);
    }
    if kind == libc::S_IFLNK {
        return Err(Errno::LOOP);
    }
    if is_text && flags & libc::O_ACCMODE != libc::O_RDONLY {
        return Err(Errno::ACCESS);
    }
    let kept = flags & !(libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW);
    // The supervisor waits for nobody: a pipe without its other end is opened all the same.
    let wanted = OFlags::from_bits_retain(kept as u32) | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    caller.check()?;
    let opened = openat(caller.proc, by_name(&file), wanted, Mode::empty())?;
    if flags & libc::O_NONBLOCK == 0 {
        fcntl_setfl(&opened, fcntl_getfl(&opened)? & !OFlags::NONBLOCK)?;
    }
    Ok(Some(Answer::Descriptor { file: opened, close_on_exec: flags & libc::O_CLOEXEC != 0 }))
}

fn stat(caller: &Caller<'_>, found: Found) -> Result<Option<Answer>, Errno> {
    let Some(file) = found.file else { return Ok(None) };
    if caller.abi.is_narrow() && !caller.name.contains("64") && caller.name != "statx" {
        return Ok(None);
    }
    if caller.name == "statx" {
        let facts = Facts::asked(&file, 0, caller.argument(3) as u32)?;
        caller.write(caller.argument(4), facts.extended())?;
    } else {
        let at = if matches!(caller.name, "newfstatat" | "fstatat64") { 2 } else { 1 };
        caller.write(caller.argument(at), &Facts::of(&file)?.plain(caller.abi))?;
    }
    Ok(Some(Answer::value(0)))
}

/// C libraries change a file by this way that they have open for its path alone.
fn set_mode(caller: &Caller<'_>, found: &Found, mode: u32) -> Result<Option<Answer>, Errno> {
    let (Some(file), Through::Beyond { .. }) = (&found.file, found.through) else { return Ok(None) };
    caller.check()?;
    chmodat(caller.proc, by_name(file), Mode::from_raw_mode(mode & 0o7777), AtFlags::empty())?;
    Ok(Some(Answer::value(0)))
}

fn link(caller: &Caller<'_>, found: &Found, path: usize) -> Result<Option<Answer>, Errno> {
    if !matches!(found.through, Through::Inside(_)) {
        return Ok(None);
    }
    let target = readlinkat(&found.folder, found.name.as_slice(), Vec::new())?.into_bytes();
    let root = readlinkat(caller.proc, caller.path_of("root"), Vec::new())?.into_bytes();
    let inside = match target.strip_prefix(root.as_slice()) {
        Some(b"") => b"/",
        Some(rest) if rest.starts_with(b"/") => rest,
        // Something without a place in the tree, such as a pipe.
        _ => &target,
    };
    told_link(caller, path, inside).map(Some)
}

fn told_link(caller: &Caller<'_>, path: usize, target: &[u8]) -> Result<Answer, Errno> {
    let room = usize::try_from(caller.argument(path + 2)).unwrap_or(usize::MAX);
    let told = target.get(..room.min(target.len())).unwrap_or_default();
    if told.is_empty() {
        return Err(Errno::INVAL);
    }
    caller.write(caller.argument(path + 1), told)?;
    Ok(Answer::value(told.len() as i64))
}
