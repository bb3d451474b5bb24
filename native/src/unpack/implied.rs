//! Folders that are only on the way to others in a layer. In an overlay the highest layer that has a folder says what it
//! is, also when that layer's own tar says nothing of it; so a directory on top of all repeats what the layers below say.
use super::implied;
use crate::attributes;
use crate::failure::{Failure, Result};
use crate::folders::{make_folder, open_listing, open_root, split, Folders};
use crate::record::{read_implied, STAT};
use rustix::fs::{
    fchmod, fchown, fsetxattr, fstat, futimens, openat, statat, AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid,
    XattrFlags,
};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

struct Layer {
    root: OwnedFd,
    implied: BTreeSet<Vec<u8>>,
}

/// What says how a folder is.
enum Model {
    Folder(OwnedFd),
    /// No layer has an entry for it.
    None,
}

/// Makes the folders which are only implied in the highest of these trees that has them, with what the trees below say
/// that they are; `top` itself gets what the root is. `lower`: paths of unpacked layers, lowest first. `top`: path of an
/// empty folder that is to be the highest lower directory.
pub fn restore(lower: &[String], top: &str) -> Result<()> {
    let mut layers = Vec::with_capacity(lower.len());
    let mut wanted = BTreeSet::from([Vec::new()]);
    for tree in lower.iter().rev() {
        let implied = read_implied(tree)?;
        for path in &implied {
            wanted.extend((1..=path.len()).filter(|end| is_end(path, *end)).map(|end| path[..end].to_vec()));
        }
        layers.push(Layer { root: open_root(tree)?, implied });
    }
    let mut into = Folders::new(open_root(top)?);
    // A folder comes before what is in it.
    let mut models: BTreeMap<Vec<u8>, Model> = BTreeMap::new();
    for path in wanted {
        let (parent, name) = split(&path);
        // What a layer above hides is not to come back.
        if !path.is_empty() && !models.contains_key(parent) {
            continue;
        }
        let model = model(&layers, &path).map_err(|failure| failure.at(&path))?;
        let Some(model) = model.or_else(|| path.is_empty().then_some(Model::None)) else { continue };
        if !path.is_empty() {
            make_folder(into.at(parent, false)?, name)?;
        }
        models.insert(path, model);
    }
    for (path, model) in models.iter().rev() {
        let folder = open_listing(into.at(path, false)?, b"")?;
        repeat(model, &folder).map_err(|failure| failure.at(path))?;
    }
    Ok(())
}

fn is_end(path: &[u8], end: usize) -> bool {
    end == path.len() || path[end] == b'/'
}

/// What says how the folder at a path is; `None` when there is none in the layers, the highest first.
fn model(layers: &[Layer], path: &[u8]) -> Result<Option<Model>> {
    let mut is_there = false;
    for layer in layers {
        let seen = look(layer.root.as_fd(), path)?;
        match seen.folder {
            Some(folder) if !layer.implied.contains(path) => return Ok(Some(Model::Folder(folder))),
            Some(_) => is_there = true,
            None => {}
        }
        if seen.is_last {
            break;
        }
    }
    Ok(is_there.then_some(Model::None))
}

struct Seen {
    folder: Option<OwnedFd>,
    /// Whether what the layers below have at the path is hidden. An opaque folder itself is not, only what is in it.
    is_last: bool,
}

fn look(root: BorrowedFd<'_>, path: &[u8]) -> Result<Seen> {
    let mut folder = open_listing(root, b"")?;
    let mut is_last = false;
    for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
        is_last |= attributes::read(folder.as_fd())?.is_opaque;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        folder = match openat(&folder, name, flags, Mode::empty()) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => return Ok(Seen { folder: None, is_last: is_last || has_mark(&folder, name)? }),
            // A file, a link or a whiteout.
            Err(Errno::NOTDIR | Errno::LOOP) => return Ok(Seen { folder: None, is_last: true }),
            Err(error) => return Err(error.into()),
        };
    }
    Ok(Seen { folder: Some(folder), is_last })
}

/// Whether a name is hidden by a file, as where the file system takes no whiteouts.
fn has_mark(folder: &OwnedFd, name: &[u8]) -> Result<bool> {
    match statat(folder, [b".wh.", name].concat(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT | Errno::NAMETOOLONG) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn repeat(model: &Model, folder: &OwnedFd) -> Result<()> {
    let Model::Folder(model) = model else {
        let entry = implied(b"");
        fchmod(folder, Mode::from_raw_mode(entry.mode))?;
        return Ok(futimens(folder, &crate::folders::times(&entry))?);
    };
    let stat = fstat(model)?;
    let own = fstat(folder)?;
    if (stat.st_uid, stat.st_gid) != (own.st_uid, own.st_gid) {
        fchown(folder, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    }
    let attributes::Found { attributes, record, .. } = attributes::read(model.as_fd())?;
    for (name, value) in attributes {
        let name = name.as_slice();
        match fsetxattr(folder, name, &value, XattrFlags::empty()) {
            Err(Errno::NOTSUP | Errno::PERM | Errno::INVAL) if !name.starts_with(b"user.") => {}
            other => other.map_err(Failure::from)?,
        }
    }
    if let Some(record) = record {
        fsetxattr(folder, STAT, record.text().as_bytes(), XattrFlags::empty())?;
    }
    fchmod(folder, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    let times = Timestamps {
        last_access: Timespec { tv_sec: stat.st_atime, tv_nsec: stat.st_atime_nsec as _ },
        last_modification: Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ },
    };
    Ok(futimens(folder, &times)?)
}
