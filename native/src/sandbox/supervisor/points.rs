//! Mount points where nothing is mounted: like real ones they can be neither removed, renamed nor replaced. Where a real one
//! goes along with a folder above it that is renamed, these hold the folder fast, as what lies in them has to be found again.
use super::caller::{by_name, Caller};
use super::lookup::Found;
use rustix::fs::readlink;
use rustix::io::Errno;

/// Fails with `EBUSY` when a call would take away one of the points, which are paths of the machine.
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
    Ok(())
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
