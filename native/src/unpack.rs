//! Writes a layer's files into a folder: as a lower directory for overlayfs, or over a tree that is there.
use crate::failure::{Failure, Result};
use crate::folders::{check_path, make_folder, open_listing, open_root, split};
use crate::pieces::{first_cause, joined};
use crate::protocol::Reply;
use crate::record::{read_owners, Records};
use crate::sandbox::protocol::{TreeForm, Unpack};
use crate::session::{Job, Outcome};
use crate::source::{check_digest, Content, Sources};
use crate::table::{Entry, Kind, Table};
use crate::trees::remove_tree;
use crew::Crew;
use rustix::fs::{fchmod, fchown, fremovexattr, mkdirat, Mode, CWD};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid};
use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use writer::{Hand, Writing};

mod apply;
pub mod crew;
mod finish;
pub mod grow;
pub mod implied;
pub mod plan;
pub mod writer;

use plan::Plan;

/// Contents up to this size are read as a whole.
const WHOLE: u64 = 256 << 10;
/// What a thread takes at a time: about this many entries, or bytes. A folder's files stay together as far as that goes,
/// because two threads that make files in one folder only wait for each other.
const BATCH_ENTRIES: usize = 32;
const MOST_ENTRIES: usize = 256;
const BATCH_BYTES: u64 = 1 << 20;

/// Whether a batch is to be handed over before the next entry comes to it.
fn is_full(entries: usize, bytes: u64, is_next_elsewhere: bool) -> bool {
    bytes >= BATCH_BYTES || entries >= MOST_ENTRIES || (entries >= BATCH_ENTRIES && is_next_elsewhere)
}

pub fn unpack(request: Unpack, job: &Job) -> Outcome {
    let index = std::fs::read(&request.index).map_err(|error| Failure::from(error).at(&request.index))?;
    let table = Table::parse(index).map_err(|failure| failure.at(&request.index))?;
    for number in 0..table.len() {
        let entry = table.entry(number);
        check_path(entry.path)
            .and_then(|()| if entry.kind == Kind::Hardlink { check_path(entry.link) } else { Ok(()) })?;
    }
    let (files, bytes) = match request.form {
        TreeForm::Layer => {
            let tree = NewTree::make(&request.output)?;
            let writing = Writing::new(request.owners, true, Records::new(), job);
            let mut hand = Hand::new(open_root(&request.output)?, &writing);
            let plan = Plan::of(&table)?;
            let written = write(&request, &table, &plan, &mut hand)?;
            finish::layer(&request.output, &table, &plan, &mut hand)?;
            tree.keep();
            written
        }
        TreeForm::Apply => {
            match mkdirat(CWD, &request.output, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(Failure::from(error).at(&request.output)),
            }
            let writing = Writing::new(request.owners, false, read_owners(&request.output)?, job);
            let mut hand = Hand::new(open_root(&request.output)?, &writing);
            let plan = Plan::of(&table)?;
            let before = apply::begin(&table, &plan, &mut hand)?;
            let written = write(&request, &table, &plan, &mut hand)?;
            apply::finish(&request.output, &table, &plan, &before, &mut hand)?;
            written
        }
    };
    job.check()?;
    Ok((Reply::Unpacked { id: request.id, files, bytes }, Vec::new()))
}

/// Writes all but the folders' own attributes. Number of files and their bytes.
fn write(request: &Unpack, table: &Table, plan: &Plan<'_>, hand: &mut Hand<'_>) -> Result<(u64, u64)> {
    let writing = hand.writing;
    if writing.is_fresh {
        for folder in &plan.folders {
            let (parent, name) = split(folder.path);
            let made = hand.folders.at(parent, false).and_then(|at| make_folder(at, name));
            made.map_err(|failure| failure.at(folder.path))?;
        }
    }
    let (parent, _) = request.output.rsplit_once('/').unwrap_or((".", ""));
    let temporary = if parent.is_empty() { "/" } else { parent };
    let blobs = std::slice::from_ref(&request.blob);
    let order = || plan.contents.iter().map(|number| *number as usize);
    let sources = Sources::open_ordered(&[], blobs, table, order(), temporary, writing.job)?;
    if sources.is_sequential() {
        write_in_order(table, plan, &sources, hand)?;
    } else {
        write_side_by_side(table, plan, &sources, hand)?;
    }
    // A step that writes to one name of a lower file changes that name alone where layers are stacked: overlayfs copies
    // the file under that name. So in a tree that the step itself changes each name has a file of its own.
    let names: HashSet<Vec<u8>> = match writing.is_fresh {
        true => HashSet::new(),
        false => plan.links.iter().map(|number| table.entry(*number as usize).link.to_vec()).collect(),
    };
    let numbers = plan.contents.iter().map(|number| (table.entry(*number as usize).path, *number));
    let originals: HashMap<&[u8], u32> = numbers.filter(|(path, _)| names.contains(*path)).collect();
    for number in &plan.links {
        let entry = table.entry(*number as usize);
        let replace = !writing.is_fresh;
        let written = match originals.get(entry.link) {
            Some(original) => {
                let copy = Entry { path: entry.path, ..table.entry(*original as usize) };
                hand.copy(&copy, entry.link, replace)
            }
            None => hand.link(&entry, replace),
        };
        written.map_err(|failure| failure.at(entry.path))?;
        writing.job.advance(0, 1)?;
    }
    let bytes = order().map(|number| table.entry(number).size).sum();
    Ok((plan.contents.len() as u64, bytes))
}

/// Numbers of entries, each with its content.
type Batch = Vec<(u32, Vec<u8>)>;

fn write_batch(hand: &mut Hand<'_>, table: &Table, batch: Batch, replace: bool) -> Result<()> {
    batch
        .into_iter()
        .try_for_each(|(number, content)| write_one(hand, &table.entry(number as usize), &content, replace))
}

/// Contents come one after the other: this thread reads them, and writes what the others do not come to.
fn write_in_order(table: &Table, plan: &Plan<'_>, sources: &Sources, hand: &mut Hand<'_>) -> Result<()> {
    let writing = hand.writing;
    let replace = !writing.is_fresh;
    let crew: Crew<Batch> = Crew::new();
    let roots = roots(hand, crew::threads())?;
    std::thread::scope(|scope| {
        let crew = &crew;
        for root in roots {
            scope.spawn(move || {
                crew.work(root, writing, |hand, batch| write_batch(hand, table, batch, replace));
            });
        }
        let mut feed = || -> Result<()> {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            let mut last: &[u8] = b"";
            for number in plan.contents.iter().chain(&plan.specials) {
                let entry = table.entry(*number as usize);
                let (folder, _) = split(entry.path);
                if is_full(batch.len(), bytes, folder != std::mem::replace(&mut last, folder)) {
                    bytes = 0;
                    if let Some(batch) = crew.offer(std::mem::take(&mut batch))? {
                        hand.catch_up();
                        write_batch(hand, table, batch, replace)?;
                    }
                }
                let mut content = sources.content(&entry)?;
                if entry.size > WHOLE {
                    write_large(hand, &entry, &mut content, replace)?;
                    continue;
                }
                let mut whole = vec![0; entry.size as usize];
                content.read(&mut whole, writing.job)?;
                bytes += entry.size;
                batch.push((*number, whole));
            }
            hand.catch_up();
            write_batch(hand, table, batch, replace)
        };
        let fed = feed();
        let ended = crew.end();
        first_cause(fed.err().into_iter().chain(ended.err())).map_or(Ok(()), Err)
    })
}

/// Contents can be read at any place: each thread reads and writes its own.
fn write_side_by_side(table: &Table, plan: &Plan<'_>, sources: &Sources, hand: &Hand<'_>) -> Result<()> {
    let writing = hand.writing;
    let replace = !writing.is_fresh;
    let batches = batches(table, plan);
    let next = AtomicUsize::new(0);
    let roots = roots(hand, (crew::threads() + 1).min(batches.len()))?;
    let work = |root: OwnedFd| -> Result<()> {
        let mut hand = Hand::new(root, writing);
        let mut whole = Vec::new();
        while let Some(batch) = batches.get(next.fetch_add(1, Relaxed)) {
            for number in *batch {
                let entry = table.entry(*number as usize);
                let mut content = sources.content(&entry)?;
                if entry.kind == Kind::File && entry.size > WHOLE {
                    write_large(&mut hand, &entry, &mut content, replace)?;
                    continue;
                }
                whole.resize(if entry.kind == Kind::File { entry.size as usize } else { 0 }, 0);
                content.read(&mut whole, writing.job)?;
                write_one(&mut hand, &entry, &whole, replace)?;
            }
        }
        Ok(())
    };
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = roots.into_iter().map(|root| scope.spawn(move || work(root))).collect();
        first_cause(threads.into_iter().filter_map(|thread| joined(thread).err())).map_or(Ok(()), Err)
    })
}

/// A descriptor of the tree for each thread.
fn roots(hand: &Hand<'_>, count: usize) -> Result<Vec<OwnedFd>> {
    (0..count).map(|_| Ok(hand.folders.root().try_clone_to_owned()?)).collect()
}

fn batches<'a>(table: &Table, plan: &'a Plan<'_>) -> Vec<&'a [u32]> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0u64);
    let mut last: &[u8] = b"";
    for (at, number) in plan.contents.iter().enumerate() {
        let entry = table.entry(*number as usize);
        let (folder, _) = split(entry.path);
        if is_full(at - start, bytes, folder != std::mem::replace(&mut last, folder)) {
            batches.push(&plan.contents[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes = bytes.saturating_add(entry.size);
    }
    if start < plan.contents.len() {
        batches.push(&plan.contents[start..]);
    }
    batches.extend(plan.specials.chunks(BATCH_ENTRIES));
    batches
}

/// Writes a file whose content is at hand, or what has none.
fn write_one(hand: &mut Hand<'_>, entry: &Entry<'_>, content: &[u8], replace: bool) -> Result<()> {
    let written = if entry.kind == Kind::File {
        check_digest(entry, blake3::hash(content).as_bytes()).and_then(|()| hand.file(entry, content, replace))
    } else {
        hand.special(entry, replace)
    };
    written.map_err(|failure| failure.at(entry.path))?;
    hand.writing.job.advance(content.len() as u64, 1)
}

/// Writes a file piece by piece.
fn write_large(hand: &mut Hand<'_>, entry: &Entry<'_>, content: &mut Content<'_>, replace: bool) -> Result<()> {
    let job = hand.writing.job;
    let mut write = || -> Result<()> {
        let mut file = hand.begin(entry, replace)?;
        let mut hash = blake3::Hasher::new();
        let mut buffer = vec![0; WHOLE as usize];
        let mut left = entry.size;
        while left > 0 {
            let piece = &mut buffer[..left.min(WHOLE) as usize];
            content.read(piece, job)?;
            hash.update(piece);
            file.write(piece)?;
            left -= piece.len() as u64;
            job.advance(piece.len() as u64, 0)?;
        }
        check_digest(entry, hash.finalize().as_bytes())?;
        hand.writing.finish(file, entry)
    };
    write().map_err(|failure| failure.at(entry.path))?;
    job.advance(0, 1)
}

/// What a folder is that no layer has an entry for; `impliedDirectory` in `src/layers/tree.ts` is the same.
pub fn implied(path: &[u8]) -> Entry<'_> {
    Entry { mode: 0o755, ..Entry::new(path, Kind::Directory) }
}

/// The folder of a layer's tree, which is removed again unless it is kept.
pub struct NewTree<'a> {
    path: Option<&'a str>,
}

impl<'a> NewTree<'a> {
    /// Makes it. Nothing of the folder that it is in is handed down to it.
    pub fn make(path: &'a str) -> Result<Self> {
        let at = |error: Errno| Failure::from(error).at(path);
        mkdirat(CWD, path, Mode::from_raw_mode(0o755)).map_err(at)?;
        let tree = NewTree { path: Some(path) };
        let folder = open_listing(open_root(path)?.as_fd(), b"").map_err(at)?;
        for name in ["system.posix_acl_default", "system.posix_acl_access"] {
            match fremovexattr(&folder, name) {
                Ok(()) | Err(Errno::NODATA | Errno::NOTSUP) => {}
                Err(error) => return Err(at(error)),
            }
        }
        fchown(&folder, Some(geteuid()), Some(getegid())).map_err(at)?;
        fchmod(&folder, Mode::from_raw_mode(0o755)).map_err(at)?;
        Ok(tree)
    }

    pub fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for NewTree<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.path {
            // Already a failure is on its way; that something stays behind in a folder for such would add nothing.
            drop(remove_tree(path, None));
        }
    }
}

#[cfg(test)]
mod tests;
