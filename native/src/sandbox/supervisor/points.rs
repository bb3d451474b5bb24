//! Mount points where nothing is mounted: like real ones they can be neither removed, renamed nor replaced. Where a real one
//! goes along with a folder above it that is renamed, these hold the folder fast, as what lies in them has to be found again.
//! And no name leads from one mount to a file of another: what a cache keeps would be the image's as well.
use super::caller::{by_name, Caller};
use super::lookup::Found;
use rustix::fs::readlink;
use rustix::io::Errno;
use std::ffi::CString;
use std::os::fd::OwnedFd;

/// Fails with `EBUSY` when a call would take away one of the points, which are paths of the machine; with `EXDEV` when it
/// would give a file of one mount a name in another.
pub fn check(caller: &Caller<'_>, points: &[Vec<u8>]) -> Result<(), Errno> {
    for (folder, path, moves) in taken_away(caller) {
        let Ok(text) = caller.path(path) else { continue };
        let name = last_name(&text);
        // Nearly all that is removed is called otherwise.
        if !points.iter().any(|point| point.split(|byte| *byte == b'/').any(|part| part == name)) {
            continue;
        }
        let Ok(found) = caller.find(folder, &text, false) else { continue };
        let Some(path) = path_of(&found) else { continue };
        let is_above = |point: &Vec<u8>| point.strip_prefix(&path[..]).is_some_and(|rest| rest.starts_with(b"/"));
        if points.iter().any(|point| *point == path || (moves && is_above(point))) {
            return Err(Errno::BUSY);
        }
    }
    match named_anew(caller) {
        Some((from, to)) if mount_of(points, &from) != mount_of(points, &to) => Err(Errno::XDEV),
        _ => Ok(()),
    }
}

/// What a call gives a new name, and the folder that it is in then, as paths on the machine; `None`: nothing that is there.
fn named_anew(caller: &Caller<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    const HERE: i32 = libc::AT_FDCWD;
    let int = |at| caller.int(at);
    let (from, flags, to) = match caller.name {
        "link" | "rename" => ((HERE, 0), 0, (HERE, 1)),
        "linkat" => ((int(0), 1), int(4), (int(2), 3)),
        "renameat" | "renameat2" => ((int(0), 1), 0, (int(2), 3)),
        _ => return None,
    };
    let text = caller.path(from.1).ok()?;
    let file = if text.is_empty() && flags & libc::AT_EMPTY_PATH != 0 {
        caller.descriptor(from.0).ok()?
    } else {
        caller.find(from.0, &text, flags & libc::AT_SYMLINK_FOLLOW != 0).ok()?.file?
    };
    let to = caller.find(to.0, &caller.path(to.1).ok()?, false).ok()?;
    let path = |file: &OwnedFd| readlink(by_name(file), Vec::new()).ok().map(CString::into_bytes);
    Some((path(&file)?, path(&to.folder)?))
}

/// The innermost of the points that a path is at or below; `None`: it is in none.
fn mount_of<'a>(points: &'a [Vec<u8>], path: &[u8]) -> Option<&'a Vec<u8>> {
    let is_in =
        |point: &&Vec<u8>| path.strip_prefix(&point[..]).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"));
    points.iter().filter(is_in).max_by_key(|point| point.len())
}

/// The folder and the path as arguments of what a call takes away, and whether it does so with all that is below.
fn taken_away(caller: &Caller<'_>) -> Vec<(i32, usize, bool)> {
    const HERE: i32 = libc::AT_FDCWD;
    match caller.name {
        "unlink" | "rmdir" => vec![(HERE, 0, false)],
        "unlinkat" => vec![(caller.int(0), 1, false)],
        "rename" => vec![(HERE, 0, true), (HERE, 1, true)],
        "renameat" | "renameat2" => vec![(caller.int(0), 1, true), (caller.int(2), 3, true)],
        _ => Vec::new(),
    }
}

fn last_name(path: &[u8]) -> &[u8] {
    path.split(|byte| *byte == b'/').rfind(|part| !part.is_empty()).unwrap_or_default()
}

/// The path on the machine of a file that is there.
fn path_of(found: &Found) -> Option<Vec<u8>> {
    found.file.as_ref()?;
    let mut path = readlink(by_name(&found.folder), Vec::new()).ok()?.into_bytes();
    if !found.name.is_empty() {
        path.push(b'/');
        path.extend_from_slice(&found.name);
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_counts() {
        let points = [b"/r/c".to_vec(), b"/r/c/d".to_vec(), b"/r/x".to_vec()];
        for (path, expected) in [
            ("/r/c", Some("/r/c")),
            ("/r/c/e", Some("/r/c")),
            ("/r/c/d/e", Some("/r/c/d")),
            ("/r/cc", None),
            ("/r", None),
            ("/r/x/c", Some("/r/x")),
        ] {
            assert_eq!(mount_of(&points, path.as_bytes()).map(Vec::as_slice), expected.map(str::as_bytes), "{path}");
        }
    }
}
