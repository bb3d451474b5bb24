//! Mount points that an image has not. They are put into a folder that becomes the uppermost of its layers: it is read
//! from, never written to, so nothing of them is among the changes.
use super::staging::imitate;
use crate::failure::Result;
use crate::sandbox::fault::Called;
use crate::sandbox::place::{make_file, Kind, Place};
use rustix::fs::{mkdirat, openat, Mode, OFlags, CWD};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Makes at `output` what is missing of `points` in `merged`, with the folders that lead there as they are in `merged`.
/// Gives whether there was anything to make.
pub fn make_missing(merged: BorrowedFd<'_>, points: &[(&str, Kind)], output: &str) -> Result<bool> {
    let mut copies: BTreeMap<Vec<Vec<u8>>, (OwnedFd, OwnedFd)> = BTreeMap::new();
    for (path, kind) in points {
        let place = Place::of_mount(merged, path, *kind)?;
        if !place.missing.is_empty() {
            make_one(place, *kind, output, &mut copies)?;
        }
    }
    // Those below first: a folder's time changes with what is made in it.
    for (original, copy) in copies.values().rev() {
        imitate(original.as_fd(), copy.as_fd())?;
    }
    Ok(!copies.is_empty())
}

fn make_one(
    place: Place,
    kind: Kind,
    output: &str,
    copies: &mut BTreeMap<Vec<Vec<u8>>, (OwnedFd, OwnedFd)>,
) -> Result<()> {
    if copies.is_empty() {
        std::fs::create_dir(output).called("mkdir(points)")?;
    }
    let mut names = Vec::new();
    let mut at = openat(CWD, output, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).called("open(points)")?;
    for (number, (name, original)) in place.there.into_iter().enumerate() {
        if number > 0 {
            at = enter_folder(&at, &name)?;
            names.push(name);
        }
        if !copies.contains_key(&names) {
            let copy = rustix::io::fcntl_dupfd_cloexec(&at, 0).called("dup")?;
            copies.insert(names.clone(), (original, copy));
        }
    }
    for (number, name) in place.missing.iter().enumerate() {
        if kind == Kind::File && number + 1 == place.missing.len() {
            match make_file(at.as_fd(), name) {
                Err(Errno::EXIST) => {}
                made => drop(made.called("open(a mount point)")?),
            }
        } else {
            at = enter_folder(&at, name)?;
        }
    }
    Ok(())
}

/// Opens a folder, made when it is missing.
fn enter_folder(folder: &OwnedFd, name: &[u8]) -> Result<OwnedFd> {
    match mkdirat(folder, name, Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) => {}
        made => made.called("mkdir(a mount point)")?,
    }
    openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .called("open(a mount point)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};

    #[test]
    fn folders_on_the_way_are_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let merged = folder.path().join("merged");
        let output = folder.path().join("points").to_str().unwrap().to_owned();
        std::fs::create_dir_all(merged.join("etc/deep")).unwrap();
        std::fs::create_dir(merged.join("proc")).unwrap();
        symlink("/etc/deep", merged.join("link")).unwrap();
        std::fs::set_permissions(merged.join("etc"), std::fs::Permissions::from_mode(0o1751)).unwrap();
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
        std::fs::File::open(merged.join("etc")).unwrap().set_modified(time).unwrap();
        let root = std::fs::File::open(&merged).unwrap();
        assert!(!make_missing(root.as_fd(), &[("/proc", Kind::Folder)], &output).unwrap());
        let points = [("/proc", Kind::Folder), ("/etc/hosts", Kind::File), ("/link/a/b", Kind::Folder)];
        assert!(make_missing(root.as_fd(), &points, &output).unwrap());
        let made = std::fs::metadata(folder.path().join("points/etc")).unwrap();
        assert_eq!((made.mode() & 0o7777, made.modified().unwrap()), (0o1751, time));
        assert!(folder.path().join("points/etc/hosts").is_file());
        assert!(folder.path().join("points/etc/deep/a/b").is_dir());
        assert!(!folder.path().join("points/proc").exists());
    }
}
