//! Scans a folder: finds what is selected, lists it with all that is below, and reads what has to be read.
mod found;
mod read;
mod select;
mod walk;

use crate::failure::Result;
use crate::ignore::Ignore;
use crate::protocol::{Match, Miss, Reply, Scan};
use crate::root::Root;
use crate::session::{Job, Outcome};
use crate::stat_cache::StatCache;
use crate::table::{compare_tree_order, Entry, Kind, Source, TableBuilder};
use found::{join, Folder, Item, ItemKind};
use read::{Reader, Unread};
use select::{Selected, Selector, Target};
use std::collections::HashMap;
use walk::{Walk, Walked};

/// Answers a scan request; see `ScanRequest` in `src/native/protocol.ts`.
pub fn scan(request: Scan, job: &Job) -> Outcome {
    let root = Root::open(&request.root)?;
    let ignore = Ignore::new(&request.ignore)?;
    let cache = request.stat_cache.as_deref().map(StatCache::load);
    let Selected { mut targets, rules, mut warnings } =
        Selector::new(&root, &ignore, job).select(&request.selections)?;
    targets
        .sort_by(|left, right| compare_tree_order(&left.path, &right.path).then_with(|| left.asked.cmp(&right.asked)));
    let walk = Walk::new(&root, &ignore, job);
    let units = units(&mut targets, &walk);
    let walked = walk.run()?;
    warnings.extend(walked.warnings);
    let walked = Walked { folders: walked.folders, warnings: walk::tidy(warnings) };

    let mut gathering = Gathering::new(&walked.folders, cache.as_ref(), request.digest, &targets);
    for unit in &units {
        gathering.add(unit)?;
    }
    let Gathering { mut table, unread, entries, same, .. } = gathering;
    let digests = Reader { root: &root, job, cache: cache.as_ref() }.read(&unread)?;
    let mut bytes_read = 0;
    for (file, digest) in unread.iter().zip(&digests) {
        table.set_digest(file.entry, *digest);
        bytes_read += file.item.stat.size;
    }
    for (entry, number) in same {
        table.set_digest(entry, digests[number]);
    }
    let files_read = unread.len() as u64;
    let (matches, misses) = outcome(&targets, &entries, &rules);
    drop(unread);
    drop((units, walked.folders));
    if let Some(cache) = cache {
        cache.save()?;
    }
    let reply = Reply::Scanned { id: request.id, matches, misses, warnings: walked.warnings, files_read, bytes_read };
    Ok((reply, in_one(table)))
}

/// What is to be listed, in tree order: nothing twice, nothing that is inside of another.
fn units(targets: &mut [Target], walk: &Walk<'_>) -> Vec<Folder> {
    let mut units: Vec<Folder> = Vec::new();
    let mut last: Option<(Vec<u8>, bool)> = None;
    for target in targets {
        let is_covered = last
            .as_ref()
            .is_some_and(|(path, is_listed)| target.path == *path || (*is_listed && is_below(&target.path, path)));
        let mut unit = std::mem::replace(&mut target.unit, Folder::new(Vec::new()));
        if is_covered {
            continue;
        }
        let inherited = target.inherited.take();
        last = Some((target.path.clone(), inherited.is_some()));
        if let (Some(inherited), Some(item)) = (inherited, unit.items.first_mut()) {
            if let ItemKind::Directory { listing, .. } = &mut item.kind {
                *listing = Some(walk.add(target.path.clone(), inherited));
            }
        }
        units.push(unit);
    }
    units
}

fn is_below(path: &[u8], folder: &[u8]) -> bool {
    folder.is_empty() || (path.starts_with(folder) && path.get(folder.len()) == Some(&b'/'))
}

/// Puts the table together from what was found.
struct Gathering<'a> {
    folders: &'a [Folder],
    /// For each folder whether anything in it is there.
    holds: Vec<bool>,
    cache: Option<&'a StatCache>,
    digest: bool,
    table: TableBuilder,
    unread: Vec<Unread<'a>>,
    /// Further names of files that are to be read: number of the entry, and in `unread`.
    same: Vec<(usize, usize)>,
    /// Group of each inode with several names, and its number in `unread` if it is to be read.
    inodes: HashMap<(u64, u64), (u64, Option<usize>)>,
    /// The targets that are not passed yet, in tree order.
    wanted: std::iter::Peekable<std::iter::Enumerate<std::slice::Iter<'a, Target>>>,
    /// The number of each target's entry.
    entries: Vec<Option<usize>>,
}

impl<'a> Gathering<'a> {
    fn new(folders: &'a [Folder], cache: Option<&'a StatCache>, digest: bool, targets: &'a [Target]) -> Self {
        let mut holds = vec![false; folders.len()];
        // A folder's number is higher than that of the one that it is in.
        for (id, folder) in folders.iter().enumerate().rev() {
            holds[id] = folder.items.iter().any(|item| is_there(item, &holds));
        }
        Gathering {
            folders,
            holds,
            cache,
            digest,
            table: TableBuilder::new(),
            unread: Vec::new(),
            same: Vec::new(),
            inodes: HashMap::new(),
            wanted: targets.iter().enumerate().peekable(),
            entries: vec![None; targets.len()],
        }
    }

    /// Adds the one item of `unit` and all that is below it.
    fn add(&mut self, unit: &'a Folder) -> Result<()> {
        let mut path = Vec::new();
        let mut stack = vec![(unit, unit.items.iter())];
        while let Some((folder, items)) = stack.last_mut() {
            let folder = *folder;
            let Some(item) = items.next() else {
                stack.pop();
                continue;
            };
            if !is_there(item, &self.holds) {
                continue;
            }
            join(&mut path, &folder.path, folder.name(item));
            self.put(folder, item, &path)?;
            if let ItemKind::Directory { listing: Some(id), .. } = item.kind {
                let below = &self.folders[id];
                stack.push((below, below.items.iter()));
            }
        }
        Ok(())
    }

    fn put(&mut self, folder: &'a Folder, item: &'a Item, path: &[u8]) -> Result<()> {
        let number = self.table.len();
        let kind = match item.kind {
            ItemKind::File => Kind::File,
            ItemKind::Symlink => Kind::Symlink,
            ItemKind::Directory { .. } => Kind::Directory,
        };
        let mut entry = Entry {
            mode: item.mode,
            uid: item.uid,
            gid: item.gid,
            seconds: item.stat.mtime.0,
            nanoseconds: item.stat.mtime.1,
            link: folder.link(item),
            ..Entry::new(path, kind)
        };
        if kind == Kind::File {
            entry.size = item.stat.size;
            entry.source = Source::File { root: 0, path };
            entry.digest = self.cache.and_then(|cache| cache.get(&item.stat));
            let is_unread = self.digest && entry.digest.is_none();
            entry.inode_group = self.group(item, number, is_unread);
            let is_other_name = self.same.last().is_some_and(|(entry, _)| *entry == number);
            if is_unread && !is_other_name {
                self.unread.push(Unread { folder, item, entry: number });
            }
        }
        self.table.push(&entry)?;
        let is_passed = |(_, target): &(usize, &Target)| compare_tree_order(&target.path, path).is_le();
        while let Some((index, target)) = self.wanted.next_if(is_passed) {
            self.entries[index] = (target.path == path).then_some(number);
        }
        Ok(())
    }

    /// The number that the names of one inode share; 0 for a file with one name.
    fn group(&mut self, item: &Item, entry: usize, is_unread: bool) -> u64 {
        if !item.has_other_names {
            return 0;
        }
        let new = self.inodes.len() as u64 + 1;
        let next = is_unread.then_some(self.unread.len());
        let (group, read) = self.inodes.entry((item.stat.dev, item.stat.ino)).or_insert((new, next));
        if let (true, Some(number)) = (is_unread && *group != new, *read) {
            self.same.push((entry, number));
        }
        *group
    }
}

fn is_there(item: &Item, holds: &[bool]) -> bool {
    match item.kind {
        ItemKind::Directory { listing, excluded: true } => listing.is_some_and(|id| holds[id]),
        _ => true,
    }
}

/// What each selection came to.
fn outcome(
    targets: &[Target],
    entries: &[Option<usize>],
    rules: &[Option<usize>],
) -> (Vec<Vec<Match>>, Vec<Option<Miss>>) {
    let mut matches: Vec<Vec<Match>> = rules.iter().map(|_| Vec::new()).collect();
    let mut rules = rules.to_vec();
    for (target, entry) in targets.iter().zip(entries) {
        match entry {
            Some(entry) => {
                let asked = String::from_utf8_lossy(&target.asked).into_owned();
                matches[target.selection].push(Match { entry: *entry as u64, asked });
            }
            None => rules[target.selection] = rules[target.selection].or(target.excluded),
        }
    }
    let miss = |(matches, rule): (&Vec<Match>, Option<usize>)| {
        matches.is_empty().then_some(Miss { rule: rule.map(|rule| rule as u64) })
    };
    let misses = matches.iter().zip(rules).map(miss).collect();
    (matches, misses)
}

/// The parts of a table, without having all of them twice at any time.
fn in_one(table: TableBuilder) -> Vec<u8> {
    let [mut bytes, records, heap] = table.finish();
    bytes.reserve_exact(records.len() + heap.len());
    bytes.extend_from_slice(&records);
    drop(records);
    bytes.extend_from_slice(&heap);
    bytes
}

#[cfg(test)]
mod tests;
