//! The tree that a step began with, read from the indexes of its layers without being put together: where a folder is
//! known, looking up a name in it takes a search in the few layers that it is in.
//! OCI image-spec layer.md, "Applying changesets"; `src/layers/tree.ts` gives the same tree.
use crate::failure::{Failure, Result};
use crate::folders::join;
use crate::table::{compare_tree_order, Entry, Kind, Table};
use crate::unpack::implied;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Range;

/// Hard links that lead to hard links are followed this often.
const MAX_HOPS: usize = 40;
const OPAQUE: &[u8] = b".wh..wh..opq";
const MARK: &[u8] = b".wh.";

pub struct Parents {
    /// Lowest first.
    layers: Vec<Table>,
}

/// A folder: the layers that it is seen in, the highest first, and the entries that each has below it.
#[derive(Clone, Default)]
pub struct View {
    layers: Vec<(usize, Range<usize>)>,
}

/// An entry, and where it is: two names of one file have the same place.
pub struct Found<'a> {
    pub entry: Entry<'a>,
    /// Number of the layer and of the entry; `None` for a folder that no layer has an entry for.
    pub place: Option<(usize, usize)>,
}

impl Parents {
    pub fn open(indexes: &[String]) -> Result<Parents> {
        let open = |path: &String| {
            let bytes = std::fs::read(path).map_err(|error| Failure::from(error).at(path))?;
            Table::parse(bytes).map_err(|failure| failure.at(path))
        };
        Ok(Parents { layers: indexes.iter().map(open).collect::<Result<_>>()? })
    }

    pub fn root(&self) -> View {
        let mut view = View::default();
        for (number, table) in self.layers.iter().enumerate().rev() {
            let start = usize::from(table.len() > 0 && table.entry(0).path.is_empty());
            let below = start..table.len();
            let is_opaque = find(table, &below, OPAQUE).is_some();
            view.layers.push((number, below));
            if is_opaque {
                break;
            }
        }
        view
    }

    /// What the root itself is.
    pub fn root_entry(&self) -> Entry<'_> {
        let explicit = self.layers.iter().rev().filter(|table| table.len() > 0).map(|table| table.entry(0));
        explicit.into_iter().find(|entry| entry.path.is_empty()).unwrap_or_else(|| implied(b""))
    }

    /// What has a name in a folder, and the view of it if it is a folder. `path` is its whole path.
    pub fn child<'a>(&'a self, folder: &View, path: &'a [u8]) -> (Option<Found<'a>>, View) {
        let mut found = None;
        let mut view = View::default();
        // An opaque folder hides what the layers below have in it, but not what they say of itself.
        let mut is_opaque = false;
        let whiteout = whiteout_of(path);
        for (number, range) in &folder.layers {
            let table = &self.layers[*number];
            let at = lower_bound(table, range, path);
            let own = (at < range.end).then(|| table.entry(at)).filter(|entry| entry.path == path);
            if let Some(entry) = own.as_ref().filter(|entry| entry.kind != Kind::Directory) {
                if view.layers.is_empty() {
                    found = Some(Found { entry: entry.clone(), place: Some((*number, at)) });
                }
                break;
            }
            let start = at + usize::from(own.is_some());
            let below = start..end_of_subtree(table, start..range.end, path);
            if own.is_some() || !below.is_empty() {
                if found.is_none() {
                    found = own.map(|entry| Found { entry, place: Some((*number, at)) });
                }
                if !is_opaque {
                    is_opaque = find(table, &below, &opaque_of(path)).is_some();
                    view.layers.push((*number, below));
                }
            }
            if (is_opaque && found.is_some()) || find(table, range, &whiteout).is_some() {
                break;
            }
        }
        if found.is_none() && !view.layers.is_empty() {
            found = Some(Found { entry: implied(path), place: None });
        }
        (found, view)
    }

    /// Names in a folder, sorted.
    pub fn names(&self, folder: &View, path: &[u8]) -> BTreeSet<Vec<u8>> {
        let start = if path.is_empty() { 0 } else { path.len() + 1 };
        let mut names = BTreeSet::new();
        for (number, range) in &folder.layers {
            let table = &self.layers[*number];
            let mut at = range.start;
            while at < range.end {
                let rest = &table.entry(at).path[start..];
                let name = rest.split(|byte| *byte == b'/').next().unwrap_or_default();
                let whole = &table.entry(at).path[..start + name.len()];
                at += usize::from(rest.len() == name.len());
                at = end_of_subtree(table, at..range.end, whole);
                let is_mark = name.starts_with(MARK);
                if !is_mark && !names.contains(name) && self.child(folder, whole).0.is_some() {
                    names.insert(name.to_vec());
                }
            }
        }
        names
    }

    /// The entry with the content of what was found: another one if it is a hard link.
    pub fn content<'a>(&'a self, found: Found<'a>) -> Found<'a> {
        let mut found = found;
        for _ in 0..MAX_HOPS {
            let (Kind::Hardlink, Some((number, _))) = (found.entry.kind, found.place) else { break };
            let link = found.entry.link;
            let table = &self.layers[number];
            let target = match find(table, &(0..table.len()), link) {
                Some(at) => Some(Found { entry: table.entry(at), place: Some((number, at)) }),
                None => self.lookup(link),
            };
            match target {
                Some(target) => found = target,
                None => break,
            }
        }
        found
    }

    fn lookup<'a>(&'a self, path: &'a [u8]) -> Option<Found<'a>> {
        let mut view = self.root();
        let mut found = None;
        for end in (1..=path.len()).filter(|end| *end == path.len() || path[*end] == b'/') {
            (found, view) = self.child(&view, &path[..end]);
        }
        found
    }
}

/// The path of the whiteout for a path.
pub fn whiteout_of(path: &[u8]) -> Vec<u8> {
    let (folder, name) = crate::folders::split(path);
    join(folder, &[MARK, name].concat())
}

/// The path of the mark that makes a folder opaque.
pub fn opaque_of(path: &[u8]) -> Vec<u8> {
    join(path, OPAQUE)
}

/// What a whiteout of fuse-overlayfs hides, which is a file where it may make no device. Its mark of an opaque folder, which
/// the folder's attribute tells as well, hides nothing by itself.
pub fn whited_out(mark: &[u8]) -> Option<Vec<u8>> {
    let (folder, name) = crate::folders::split(mark);
    let hidden = name.strip_prefix(MARK)?;
    (name != OPAQUE && !hidden.is_empty()).then(|| join(folder, hidden))
}

/// Whether a file of this path would be taken for a mark.
pub fn is_like_mark(path: &[u8]) -> bool {
    crate::folders::split(path).1.starts_with(MARK)
}

/// Keeps the views of the folders on the way to where one was wanted last.
pub struct Guide<'a> {
    parents: &'a Parents,
    root: View,
    way: Vec<(Vec<u8>, View)>,
}

impl<'a> Guide<'a> {
    pub fn new(parents: &'a Parents) -> Self {
        Guide { parents, root: parents.root(), way: Vec::new() }
    }

    /// The view of a folder; an empty one when there is no folder at the path.
    pub fn view(&mut self, path: &[u8]) -> &View {
        while self.way.last().is_some_and(|(folder, _)| folder != path && !crate::unpack::plan::is_below(path, folder))
        {
            self.way.pop();
        }
        let known = self.way.last().map_or(0, |(folder, _)| folder.len());
        for end in (known + 1..=path.len()).filter(|end| *end == path.len() || path[*end] == b'/') {
            let above = self.way.last().map_or(&self.root, |(_, view)| view);
            let (_, view) = self.parents.child(above, &path[..end]);
            self.way.push((path[..end].to_vec(), view));
        }
        self.way.last().map_or(&self.root, |(_, view)| view)
    }
}

/// The first entry of a range that is not before a path.
fn lower_bound(table: &Table, range: &Range<usize>, path: &[u8]) -> usize {
    partition(range, |at| compare_tree_order(table.path(at), path) == Ordering::Less)
}

/// Where what is below a path ends, in a range that begins with it.
fn end_of_subtree(table: &Table, range: Range<usize>, path: &[u8]) -> usize {
    // Most have little below them.
    if range.is_empty() || !crate::unpack::plan::is_below(table.path(range.start), path) {
        return range.start;
    }
    partition(&range, |at| crate::unpack::plan::is_below(table.path(at), path))
}

fn find(table: &Table, range: &Range<usize>, path: &[u8]) -> Option<usize> {
    let at = lower_bound(table, range, path);
    (at < range.end && table.path(at) == path).then_some(at)
}

fn partition(range: &Range<usize>, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
