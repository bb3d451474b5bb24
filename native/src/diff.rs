//! Makes the layer of what a step changed. Two kinds of trees tell what may have changed, the upper directory of an overlay
//! and a whole tree that was marked before; the rest is the same for both, so that they give the same layer.
use crate::failure::Failure;
use crate::output::Output;
use crate::pack::{Layer, Packed};
use crate::protocol::{Compression, CompressionKind, Reply};
use crate::record::read_owners;
use crate::root::Root;
use crate::sandbox::protocol::{ChangedTree, Diff, Mark};
use crate::session::{Job, Outcome};
use crate::source::Sources;
use crate::table::Table;
use changes::Changed;
use marking::Marked;
use parents::{is_like_mark, Parents};
use rustix::fs::FileType;
use walk::{walk, Item};

mod candidate;
mod changes;
mod marking;
mod parents;
mod walk;

const PLAIN: Compression = Compression { kind: CompressionKind::None, level: 0 };

pub fn mark(request: Mark, job: &Job) -> Outcome {
    let Marked { entries, raises } = marking::mark(&request.root, &request.output, job)?;
    Ok((Reply::Marked { id: request.id, entries, raises }, Vec::new()))
}

pub fn diff(request: Diff, job: &Job) -> Outcome {
    let (path, items, gone) = match &request.tree {
        ChangedTree::Overlay { upper } => {
            let (items, gone) = without_whiteouts(walk(&Root::open(upper)?, job)?);
            (upper, items, gone)
        }
        ChangedTree::FuseOverlay { upper } => {
            let (items, mut gone) = without_whiteouts(walk(&Root::open(upper)?, job)?);
            let (marks, items): (Vec<Item>, Vec<Item>) = items.into_iter().partition(|item| is_like_mark(&item.path));
            gone.extend(marks.iter().filter_map(|mark| parents::whited_out(&mark.path)));
            (upper, items, gone)
        }
        ChangedTree::Copy { root, mark } => {
            let different = marking::compare(walk(&Root::open(root)?, job)?, mark)?;
            (root, different.items, different.gone)
        }
    };
    let candidates = candidate::candidates(path, &request.tree, items, request.owners, &read_owners(path)?, job)?;
    let is_served = matches!(request.tree, ChangedTree::FuseOverlay { .. });
    let changed = Changed { root: &Root::open(path)?, candidates, gone, is_served, epoch: request.epoch };
    let table = changes::table(changed, &Parents::open(&request.parents)?, job)?;
    let entries = table.len() as u64;
    if entries == 0 {
        let (diff_id, digest, content) = (String::new(), String::new(), String::new());
        let reply = Reply::Diffed { id: request.id, entries, diff_id, digest, size: 0, tar_size: 0, content };
        return Ok((reply, Vec::new()));
    }
    let roots = std::slice::from_ref(path);
    let sources = Sources::open(roots, &[], &table, &request.temporary, job)?;
    let mut output = Output::create(&request.output)?;
    let index = Some(request.index.as_str());
    let epoch = request.epoch;
    let layer = Layer { table: &table, sources: &sources, compression: PLAIN, index, stat_cache: None, epoch };
    let Packed { diff_id, digest, size, tar_size } = layer.pack(&mut output, job)?;
    let written = std::fs::read(&request.index).map_err(|error| Failure::from(error).at(&request.index))?;
    let content = content_of(&Table::parse(written)?);
    output.keep();
    Ok((Reply::Diffed { id: request.id, entries, diff_id, digest, size, tar_size, content }, Vec::new()))
}

/// The BLAKE3 of all that a layer's entries say, but for times: equal for layers of the same content. Every field has its
/// length before it, or always the same.
fn content_of(table: &Table) -> String {
    let mut hash = blake3::Hasher::new();
    let mut bytes = Vec::new();
    for index in 0..table.len() {
        let entry = table.entry(index);
        bytes.clear();
        for field in [entry.path, entry.link, entry.xattrs] {
            bytes.extend_from_slice(&(field.len() as u64).to_le_bytes());
            bytes.extend_from_slice(field);
        }
        bytes.push(entry.kind as u8);
        for number in [entry.mode, entry.uid, entry.gid, entry.major, entry.minor] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&entry.size.to_le_bytes());
        bytes.extend_from_slice(&entry.digest.unwrap_or_default());
        hash.update(&bytes);
    }
    hash.finalize().to_hex().to_string()
}

/// Takes apart what is in the upper directory of an overlay, and the paths of what was deleted.
fn without_whiteouts(items: Vec<Item>) -> (Vec<Item>, Vec<Vec<u8>>) {
    let is_whiteout = |item: &Item| item.kind == FileType::CharacterDevice && (item.major, item.minor) == (0, 0);
    let (gone, items): (Vec<Item>, Vec<Item>) = items.into_iter().partition(is_whiteout);
    (items, gone.into_iter().map(|item| item.path).collect())
}

#[cfg(test)]
mod tests;
