//! Folders and files that are not to be changed, where no mount can see to that.
use super::caller::{by_name, Caller};
use super::lookup::Found;
use rustix::fs::readlink;
use rustix::io::Errno;

/// `O_TMPFILE` without the folder's flag, which it holds.
const TEMPORARY: i32 = 0o20_000_000;

/// Fails with `EROFS` when a call would change something at or below one of `paths`, which are those of the machine.
pub fn check(caller: &Caller<'_>, paths: &[Vec<u8>]) -> Result<(), Errno> {
    if paths.is_empty() {
        return Ok(());
    }
    for (folder, path, follow, makes) in changed(caller) {
        let Ok(text) = caller.path(path) else { continue };
        let Ok(found) = caller.find(folder, &text, follow) else { continue };
        if (makes || found.file.is_some()) && is_below(&found, paths) {
            return Err(Errno::ROFS);
        }
    }
    Ok(())
}

/// What a call changes: the folder and the path as arguments, whether a last link is followed, and whether it makes what
/// is not there.
fn changed(caller: &Caller<'_>) -> Vec<(i32, usize, bool, bool)> {
    const HERE: i32 = libc::AT_FDCWD;
    let int = |at| caller.int(at);
    let follows = |at: usize| int(at) & libc::AT_SYMLINK_NOFOLLOW == 0;
    let opened = |folder: i32, path: usize, flags: i32| {
        if flags & (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | TEMPORARY) == 0 {
            return Vec::new();
        }
        let makes = flags & (libc::O_CREAT | TEMPORARY) != 0;
        vec![(folder, path, flags & (libc::O_NOFOLLOW | libc::O_EXCL) == 0, makes)]
    };
    match caller.name {
        "open" => opened(HERE, 0, int(1)),
        "openat" => opened(int(0), 1, int(2)),
        "openat2" => {
            let flags = caller.read(caller.argument(2), 8).ok().and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
            opened(int(0), 1, flags.map_or(0, |flags| u64::from_ne_bytes(flags) as i32))
        }
        "creat" => vec![(HERE, 0, true, true)],
        "mkdir" | "mknod" => vec![(HERE, 0, false, true)],
        "mkdirat" | "mknodat" => vec![(int(0), 1, false, true)],
        "symlink" => vec![(HERE, 1, false, true)],
        "symlinkat" => vec![(int(1), 2, false, true)],
        "link" => vec![(HERE, 0, false, false), (HERE, 1, false, true)],
        "linkat" => vec![(int(0), 1, int(4) & libc::AT_SYMLINK_FOLLOW != 0, false), (int(2), 3, false, true)],
        "rename" => vec![(HERE, 0, false, false), (HERE, 1, false, true)],
        "renameat" | "renameat2" => vec![(int(0), 1, false, false), (int(2), 3, false, true)],
        "unlink" | "rmdir" | "lchown" | "lchown32" | "lsetxattr" | "lremovexattr" => vec![(HERE, 0, false, false)],
        "unlinkat" => vec![(int(0), 1, false, false)],
        "fchmodat" | "futimesat" => vec![(int(0), 1, true, false)],
        "fchmodat2" | "utimensat" | "utimensat_time64" => vec![(int(0), 1, follows(3), false)],
        "fchownat" => vec![(int(0), 1, follows(4), false)],
        "setxattrat" | "removexattrat" => vec![(int(0), 1, follows(2), false)],
        "chmod" | "chown" | "chown32" | "truncate" | "truncate64" | "utime" | "utimes" | "setxattr" | "removexattr" => {
            vec![(HERE, 0, true, false)]
        }
        _ => Vec::new(),
    }
}

fn is_below(found: &Found, paths: &[Vec<u8>]) -> bool {
    let Ok(folder) = readlink(by_name(&found.folder), Vec::new()) else { return false };
    let mut path = folder.into_bytes();
    if !found.name.is_empty() {
        path.push(b'/');
        path.extend_from_slice(&found.name);
    }
    paths
        .iter()
        .any(|top| path.strip_prefix(top.as_slice()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/")))
}
