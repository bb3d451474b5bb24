//! From what may have changed to the entries of a layer.
use super::candidate::Candidate;
use super::parents::{opaque_of, whiteout_of, Guide, Parents};
use super::walk::MAX_PATH;
use crate::attributes::{encode, kept};
use crate::cores::cores;
use crate::failure::{Code, Failure, Result};
use crate::folders::{join, split};
use crate::pieces::{first_cause, joined, PIECE};
use crate::root::Root;
use crate::session::Job;
use crate::source::{content_of, Content};
use crate::table::{compare_tree_order, Entry, Kind, Source, Table, TableBuilder};
use crate::unpack::plan::is_below;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Mutex;

const MAX_THREADS: usize = 4;

/// A tree after a step, as far as it may have changed.
pub struct Changed<'a> {
    pub root: &'a Root,
    /// In tree order.
    pub candidates: Vec<Candidate>,
    /// Paths that may be gone, in any order.
    pub gone: Vec<Vec<u8>>,
    /// Whether it is by fuse-overlayfs, which gives a folder a new time when it copies a file in it to be changed.
    pub is_served: bool,
    pub epoch: Option<i64>,
}

/// The layer's table: all that is not as the parents have it.
pub fn table(mut changed: Changed<'_>, parents: &Parents, job: &Job) -> Result<Table> {
    hidden_by_opaque(&mut changed, parents);
    let marks = marks(&changed, parents);
    let differs = differing(&changed, parents, job)?;
    let groups = groups(&changed, &differs);
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for (number, candidate) in changed.candidates.iter().enumerate() {
        if !differs[number] {
            continue;
        }
        candidate.check_name()?;
        let item = &candidate.item;
        let is_file = candidate.kind == Kind::File;
        let first = groups.get(&number).map(|first| changed.candidates[*first].item.path.as_slice());
        entries.push(Entry {
            mode: if candidate.kind == Kind::Symlink { 0o777 } else { item.mode },
            uid: item.uid,
            gid: item.gid,
            size: if is_file && first.is_none() { item.size } else { 0 },
            seconds: item.modified.0,
            nanoseconds: item.modified.1,
            link: first.unwrap_or(&candidate.link),
            major: item.major,
            minor: item.minor,
            source: match &candidate.content {
                _ if !is_file || first.is_some() => Source::None,
                Some(content) => Source::Inline(content),
                None => Source::File { root: 0, path: &item.path },
            },
            ..Entry::new(&item.path, if first.is_some() { Kind::Hardlink } else { candidate.kind })
        });
    }
    let encoded: HashMap<&[u8], Vec<u8>> = changed
        .candidates
        .iter()
        .filter(|candidate| !candidate.attributes.is_empty())
        .map(|candidate| (candidate.item.path.as_slice(), encode(&candidate.attributes)))
        .collect();
    for entry in entries.iter_mut().filter(|entry| entry.kind != Kind::Hardlink) {
        entry.xattrs = encoded.get(entry.path).map_or(b"", Vec::as_slice);
    }
    entries.extend(marks.iter().map(|(path, kind)| Entry::new(path, *kind)));
    entries.sort_by(|left, right| compare_tree_order(left.path, right.path));
    let mut builder = TableBuilder::new();
    for entry in &entries {
        if entry.path.len() > MAX_PATH {
            let message = format!("a path is longer than {MAX_PATH} bytes, which no layer can have");
            return Err(Failure::new(Code::Hostile, message).at(&entry.path[..256]));
        }
        builder.push(entry)?;
    }
    Ok(builder.into_table())
}

/// Finds what opaque folders hide: all that the parents have in them and that is not there any more.
fn hidden_by_opaque(changed: &mut Changed<'_>, parents: &Parents) {
    let mut guide = Guide::new(parents);
    let mut opaque: Option<&[u8]> = None;
    let mut gone = Vec::new();
    for (number, candidate) in changed.candidates.iter().enumerate() {
        let path = candidate.item.path.as_slice();
        opaque = opaque.filter(|folder| is_below(path, folder));
        if candidate.kind != Kind::Directory || (opaque.is_none() && !candidate.is_opaque) {
            continue;
        }
        opaque = opaque.or(Some(path));
        let view = guide.view(path);
        for name in parents.names(view, path) {
            let below = join(path, &name);
            if find(&changed.candidates[number..], &below).is_none() {
                gone.push(below);
            }
        }
    }
    changed.gone.extend(gone);
}

fn find(candidates: &[Candidate], path: &[u8]) -> Option<usize> {
    candidates.binary_search_by(|candidate| compare_tree_order(&candidate.item.path, path)).ok()
}

/// Whether something new or changed is below a folder.
fn has_below(candidates: &[Candidate], folder: &[u8]) -> bool {
    let at = candidates.partition_point(|candidate| compare_tree_order(&candidate.item.path, folder).is_le());
    candidates.get(at).is_some_and(|candidate| is_below(&candidate.item.path, folder))
}

/// The marks for what is gone: a whiteout for each name; one opaque mark when nothing that the folder had is there any
/// more and something else has come, which is so when it was replaced.
fn marks(changed: &Changed<'_>, parents: &Parents) -> Vec<(Vec<u8>, Kind)> {
    let mut gone: Vec<&[u8]> = changed.gone.iter().map(Vec::as_slice).collect();
    gone.sort_by(|left, right| compare_tree_order(left, right));
    gone.dedup();
    let mut guide = Guide::new(parents);
    let mut by_folder: BTreeMap<&[u8], Vec<&[u8]>> = BTreeMap::new();
    for path in gone {
        let (folder, _) = split(path);
        if parents.child(guide.view(folder), path).0.is_some() {
            by_folder.entry(folder).or_default().push(path);
        }
    }
    let mut marks = Vec::new();
    for (folder, paths) in by_folder {
        let is_replaced = !folder.is_empty()
            && has_below(&changed.candidates, folder)
            && parents.names(guide.view(folder), folder).len() == paths.len();
        if is_replaced {
            marks.push((opaque_of(folder), Kind::Opaque));
        } else {
            marks.extend(paths.into_iter().map(|path| (whiteout_of(path), Kind::Whiteout)));
        }
    }
    marks
}

/// For each candidate whether it is in the layer.
fn differing(changed: &Changed<'_>, parents: &Parents, job: &Job) -> Result<Vec<bool>> {
    let candidates = &changed.candidates;
    let mut differs = vec![false; candidates.len()];
    let mut places = vec![None; candidates.len()];
    // Files that are the same as far as can be told without their content.
    let mut unsure: Vec<(usize, [u8; 32])> = Vec::new();
    let mut guide = Guide::new(parents);
    let renamed_in = if changed.is_served { Some(renamed_in(changed, parents)) } else { None };
    for (number, candidate) in candidates.iter().enumerate() {
        job.check()?;
        let path = candidate.item.path.as_slice();
        if path.is_empty() {
            let root = parents.root_entry();
            let item = &candidate.item;
            differs[number] = (item.mode, item.uid, item.gid) != (root.mode, root.uid, root.gid);
            continue;
        }
        let (found, _) = parents.child(guide.view(split(path).0), path);
        let Some(found) = found.map(|found| parents.content(found)) else {
            differs[number] = true;
            continue;
        };
        differs[number] = !is_like(candidate, &found.entry)
            || !(is_at_time(candidate, &found.entry, changed.epoch)
                || renamed_in.as_ref().is_some_and(|folders| is_untouched(candidate, folders)));
        places[number] = found.place;
        if !differs[number] && candidate.kind == Kind::File && candidate.item.size > 0 {
            match found.entry.digest {
                Some(digest) => unsure.push((number, digest)),
                None => differs[number] = true,
            }
        }
    }
    for number in changed_contents(changed, &unsure, job)? {
        differs[number] = true;
    }
    for names in names_of_files(candidates).into_values() {
        // A new name of a file that was there is a file of its own in the layer, as with BuildKit: what is unchanged
        // stays out. Files that were two and have become one are told only by that.
        let is_other = |number: &usize| places[*number] != places[names[0]] || places[*number].is_none();
        if !names.iter().any(|number| differs[*number]) && names.iter().any(is_other) {
            names.iter().for_each(|number| differs[*number] = true);
        }
    }
    Ok(differs)
}

/// Folders in which names have come, gone, or are another file's.
fn renamed_in<'a>(changed: &'a Changed<'_>, parents: &Parents) -> HashSet<&'a [u8]> {
    let mut guide = Guide::new(parents);
    let mut folders: HashSet<&[u8]> = changed.gone.iter().map(|path| split(path).0).collect();
    for candidate in &changed.candidates {
        let path = candidate.item.path.as_slice();
        let (folder, _) = split(path);
        let is_new = match candidate.kind {
            Kind::Directory => candidate.is_opaque || parents.child(guide.view(folder), path).0.is_none(),
            _ => candidate.origin.as_deref() != Some(path),
        };
        if is_new {
            folders.insert(folder);
        }
    }
    folders
}

/// Whether the time of a folder is only that of a copy.
fn is_untouched(candidate: &Candidate, renamed_in: &HashSet<&[u8]>) -> bool {
    candidate.kind == Kind::Directory && !renamed_in.contains(candidate.item.path.as_slice())
}

fn is_at_time(candidate: &Candidate, entry: &Entry<'_>, epoch: Option<i64>) -> bool {
    let seconds = candidate.item.modified.0;
    seconds == entry.seconds || seconds.min(epoch.unwrap_or(i64::MAX)) == entry.seconds
}

/// Whether a candidate is what the parents have, its time and content aside.
fn is_like(candidate: &Candidate, entry: &Entry<'_>) -> bool {
    let item = &candidate.item;
    candidate.kind == entry.kind
        && (item.uid, item.gid) == (entry.uid, entry.gid)
        && (candidate.kind == Kind::Symlink || item.mode == entry.mode)
        && match candidate.kind {
            Kind::File => item.size == entry.size && candidate.attributes == kept(entry),
            Kind::Directory => candidate.attributes == kept(entry),
            Kind::Symlink => candidate.link == entry.link,
            Kind::CharacterDevice | Kind::BlockDevice => (item.major, item.minor) == (entry.major, entry.minor),
            _ => true,
        }
}

/// Reads files whose digest is known, and tells which have another one.
fn changed_contents(changed: &Changed<'_>, files: &[(usize, [u8; 32])], job: &Job) -> Result<Vec<usize>> {
    let next = AtomicUsize::new(0);
    let others = Mutex::new(Vec::new());
    let work = || -> Result<()> {
        let mut buffer = vec![0; PIECE];
        while let Some((number, expected)) = files.get(next.fetch_add(1, Relaxed)) {
            let Candidate { item, content, .. } = &changed.candidates[*number];
            let mut content = match content {
                Some(bytes) => Content::Bytes(bytes),
                None => content_of(changed.root, &item.path, item.size)?,
            };
            let mut hash = blake3::Hasher::new();
            let mut left = item.size;
            while left > 0 {
                let piece = &mut buffer[..left.min(PIECE as u64) as usize];
                content.read(piece, job).map_err(|failure| failure.at(&item.path))?;
                hash.update(piece);
                left -= piece.len() as u64;
                job.check()?;
            }
            if hash.finalize().as_bytes() != expected {
                crate::session::lock(&others).push(*number);
            }
        }
        Ok(())
    };
    let work = &work;
    let threads = cores().min(MAX_THREADS).min(files.len());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        first_cause(threads.into_iter().filter_map(|thread| joined(thread).err())).map_or(Ok(()), Err)
    })?;
    Ok(others.into_inner().unwrap_or_default())
}

/// The candidates of each regular file that has several names here, in tree order.
fn names_of_files(candidates: &[Candidate]) -> HashMap<(u64, u64), Vec<usize>> {
    let mut files: HashMap<(u64, u64), Vec<usize>> = HashMap::new();
    for (number, candidate) in candidates.iter().enumerate() {
        if candidate.kind == Kind::File && candidate.item.links > 1 {
            files.entry((candidate.item.device, candidate.item.inode)).or_default().push(number);
        }
    }
    files.retain(|_, names| names.len() > 1);
    files
}

/// For each further name of a file that is in the layer the candidate that has the content: the first in tree order.
fn groups(changed: &Changed<'_>, differs: &[bool]) -> HashMap<usize, usize> {
    let mut groups = HashMap::new();
    for names in names_of_files(&changed.candidates).into_values() {
        let mut written = names.into_iter().filter(|number| differs[*number]);
        if let Some(first) = written.next() {
            groups.extend(written.map(|number| (number, first)));
        }
    }
    groups
}
