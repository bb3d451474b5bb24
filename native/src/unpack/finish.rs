//! What comes last in a layer's tree: whiteouts and opaque folders in overlayfs' form, and the folders' own attributes.
//! Linux, Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories".
use super::implied;
use super::plan::Plan;
use super::writer::Hand;
use crate::failure::Result;
use crate::folders::{join, open_listing, split};
use crate::record::{write_implied, write_owners};
use crate::session::lock;
use crate::table::{Kind, Table};
use rustix::fs::{mknodat, openat, statat, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::collections::HashSet;

const WHITEOUT: &[u8] = b".wh.";

/// Finishes the tree, and writes what is beside it.
pub fn layer(output: &str, table: &Table, plan: &Plan<'_>, hand: &mut Hand<'_>) -> Result<()> {
    let mut opaque: HashSet<Vec<u8>> =
        plan.opaque.iter().map(|number| split(table.entry(*number as usize).path).0.to_vec()).collect();
    // Folders of the layer that have nothing to do with what the layers below have at their paths.
    let mut replaced = HashSet::new();
    for number in &plan.whiteouts {
        let path = table.entry(*number as usize).path;
        if let Some(folder) = whiteout(path, &opaque, hand).map_err(|failure| failure.at(path))? {
            replaced.insert(folder.clone());
            opaque.insert(folder);
        }
        hand.writing.job.check()?;
    }
    // Innermost first: what is done in a folder changes its time.
    for folder in plan.folders.iter().rev() {
        let entry = folder.entry.map_or_else(|| implied(folder.path), |number| table.entry(number as usize));
        let is_opaque = opaque.contains(folder.path);
        let finished = hand
            .folders
            .at(folder.path, false)
            .and_then(|at| hand.writing.finish_folder(&open_listing(at, b"")?, &entry, true, is_opaque));
        finished.map_err(|failure| failure.at(folder.path))?;
        hand.writing.job.check()?;
    }
    let explicit = (table.len() > 0).then(|| table.entry(0)).filter(|entry| entry.path.is_empty());
    let implied_root = explicit.is_none().then_some(b"".as_slice());
    let root = explicit.unwrap_or_else(|| implied(b""));
    hand.writing.finish_folder(
        &open_listing(hand.folders.root(), b"")?,
        &root,
        true,
        opaque.contains(b"".as_slice()),
    )?;
    write_owners(output, &lock(&hand.writing.records))?;
    let folders = plan.folders.iter().filter(|folder| folder.entry.is_none() && !replaced.contains(folder.path));
    let folders = folders.map(|folder| folder.path);
    write_implied(output, implied_root.into_iter().chain(folders))
}

/// Makes a whiteout, if there is anything that it could hide. Where the layer has a folder of that name itself, the
/// folder is to be opaque: it is given back.
fn whiteout(path: &[u8], opaque: &HashSet<Vec<u8>>, hand: &mut Hand<'_>) -> Result<Option<Vec<u8>>> {
    let (folder, mark) = split(path);
    let name = mark.strip_prefix(WHITEOUT).unwrap_or(mark);
    let is_hidden = !opaque.is_empty()
        && (0..=folder.len())
            .filter(|end| *end == 0 || *end == folder.len() || folder[*end] == b'/')
            .any(|end| opaque.contains(&folder[..end]));
    if is_hidden {
        // In a folder that nothing shines through, overlayfs would list the whiteout.
        return Ok(None);
    }
    let at = hand.folders.at(folder, false)?;
    match mknodat(at, name, FileType::CharacterDevice, Mode::empty(), 0) {
        Ok(()) => return Ok(None),
        Err(Errno::EXIST) => {}
        // A file system that takes no such device, as an overlay, is no lower directory of the kernel's either. For
        // fuse-overlayfs a file is the same.
        Err(Errno::PERM) => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            drop(openat(at, mark, flags, Mode::from_raw_mode(0o600))?);
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    }
    let there = FileType::from_raw_mode(statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode);
    Ok((there == FileType::Directory).then(|| join(folder, name)))
}

/// The name that a whiteout is for: its path without the prefix of its last name.
pub fn target(path: &[u8]) -> Vec<u8> {
    let (folder, mark) = split(path);
    join(folder, mark.strip_prefix(WHITEOUT).unwrap_or(mark))
}

/// Whether an entry is a mark of a layer and no file.
pub fn is_mark(kind: Kind) -> bool {
    matches!(kind, Kind::Whiteout | Kind::Opaque)
}
