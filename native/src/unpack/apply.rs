//! Lays a layer over a tree that is there. OCI image-spec layer.md, "Applying changesets": marks are about what was there
//! before the layer, whatever their place in it.
use super::finish::target;
use super::implied;
use super::plan::Plan;
use super::writer::Hand;
use crate::failure::{Code, Failure, Result};
use crate::folders::{make_folder, open_listing, split};
use crate::record::write_owners;
use crate::session::lock;
use crate::table::Table;
use crate::trees::empty;
use rustix::fs::{fstat, futimens, statat, AtFlags, FileType, Timespec, Timestamps};
use rustix::io::Errno;

/// What is known of the layer's folders before anything is written into them, in the plan's order.
pub struct Before {
    folders: Vec<Folder>,
    root: Timestamps,
}

enum Folder {
    /// Was made for the layer.
    New,
    /// Was there, with this time.
    Old(Timestamps),
}

/// Removes what the marks are about and makes the folders.
pub fn begin(table: &Table, plan: &Plan<'_>, hand: &mut Hand<'_>) -> Result<Before> {
    let root = times_of(&fstat(hand.folders.root())?);
    let mut times = Vec::with_capacity(plan.folders.len());
    for folder in &plan.folders {
        times.push(time_before(folder.path, hand).map_err(|failure| failure.at(folder.path))?);
    }
    for number in &plan.opaque {
        let (folder, _) = split(table.entry(*number as usize).path);
        remove_below(folder, hand).map_err(|failure| failure.at(folder))?;
    }
    for number in &plan.whiteouts {
        let path = target(table.entry(*number as usize).path);
        match hand.remove(&path) {
            Ok(()) => {}
            // Its folder is not there, or is a file.
            Err(failure) if matches!(failure.code, Code::NotFound | Code::Denied) && is_missing(&path, hand) => {}
            Err(failure) => return Err(failure.at(path)),
        }
        hand.writing.job.check()?;
    }
    let mut folders = Vec::with_capacity(plan.folders.len());
    for (folder, before) in plan.folders.iter().zip(times) {
        let (parent, name) = split(folder.path);
        let made = hand.folders.at(parent, false).and_then(|at| make_folder(at, name));
        let is_new = made.map_err(|failure| failure.at(folder.path))?;
        if is_new {
            hand.forget_below(folder.path, true);
        }
        folders.push(before.filter(|_| !is_new).map_or(Folder::New, Folder::Old));
    }
    Ok(Before { folders, root })
}

/// Gives the folders what the layer says, and those that it says nothing of their times.
pub fn finish(output: &str, table: &Table, plan: &Plan<'_>, before: &Before, hand: &mut Hand<'_>) -> Result<()> {
    for (folder, before) in plan.folders.iter().zip(&before.folders).rev() {
        let finished = hand.folders.at(folder.path, false).and_then(|at| {
            let itself = open_listing(at, b"")?;
            match (folder.entry, before) {
                (Some(number), before) => {
                    let is_new = matches!(before, Folder::New);
                    hand.writing.finish_folder(&itself, &table.entry(number as usize), is_new, false)
                }
                (None, Folder::New) => hand.writing.finish_folder(&itself, &implied(folder.path), true, false),
                (None, Folder::Old(times)) => Ok(futimens(&itself, times)?),
            }
        });
        finished.map_err(|failure| failure.at(folder.path))?;
        hand.writing.job.check()?;
    }
    let root = open_listing(hand.folders.root(), b"")?;
    match (table.len() > 0).then(|| table.entry(0)).filter(|entry| entry.path.is_empty()) {
        Some(entry) => hand.writing.finish_folder(&root, &entry, false, false)?,
        None => futimens(&root, &before.root)?,
    }
    write_owners(output, &lock(&hand.writing.records))
}

/// The time of a folder; `None` when there is none at the path.
fn time_before(path: &[u8], hand: &mut Hand<'_>) -> Result<Option<Timestamps>> {
    let (parent, name) = split(path);
    let at = match hand.folders.at(parent, false) {
        Err(failure) if matches!(failure.code, Code::NotFound | Code::Denied) => return Ok(None),
        other => other?,
    };
    match statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => Ok(Some(times_of(&stat))),
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn times_of(stat: &rustix::fs::Stat) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: stat.st_atime, tv_nsec: stat.st_atime_nsec as _ },
        last_modification: Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ },
    }
}

/// Whether nothing is at a path because something on the way is missing or no folder.
fn is_missing(path: &[u8], hand: &mut Hand<'_>) -> bool {
    let (parent, _) = split(path);
    hand.folders.at(parent, false).is_err()
}

fn remove_below(folder: &[u8], hand: &mut Hand<'_>) -> Result<()> {
    let opened = match hand.folders.at(folder, false) {
        Ok(at) => open_listing(at, b"").map_err(Failure::from),
        Err(failure) if matches!(failure.code, Code::NotFound | Code::Denied) => return Ok(()),
        Err(failure) => Err(failure),
    }?;
    empty(opened, hand.writing.job)?;
    hand.folders.forget();
    hand.forget_below(folder, false);
    Ok(())
}
