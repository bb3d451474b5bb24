//! From the members of a tar, one after the other, to the entries of a snapshot.
use crate::failure::{Code, Failure, Result};
use crate::table::{compare_tree_order, Kind, TableBuilder};
use std::cmp::Ordering;
use std::collections::HashMap;

/// Brings the entries from the order of the tar into tree order, as they are once the tar is unpacked: a later entry
/// replaces an earlier one of its path, and one that is no folder also what was below it. Hard links lead to the entry
/// that has the content. Fails with `hostile` when they lead to folders or to each other.
pub fn settle(entries: &mut TableBuilder) -> Result<()> {
    let mut order: Vec<u32> = (0..entries.len() as u32).collect();
    order.sort_unstable_by(|left, right| {
        compare_tree_order(entries.path(*left as usize), entries.path(*right as usize)).then(left.cmp(right))
    });
    settle_links(entries, &order)?;
    let mut kept: Vec<u32> = Vec::with_capacity(order.len());
    // Entries that are no folders whose path, or what is below it, the walk is at.
    let mut covers: Vec<u32> = Vec::new();
    for (at, number) in order.iter().enumerate() {
        let path = entries.path(*number as usize);
        while covers.last().is_some_and(|cover| !is_at_or_below(path, entries.path(*cover as usize))) {
            covers.pop();
        }
        let is_replaced = order.get(at + 1).is_some_and(|next| entries.path(*next as usize) == path);
        let is_covered = covers.iter().any(|cover| cover > number);
        if entries.kind(*number as usize) != Kind::Directory {
            covers.retain(|cover| entries.path(*cover as usize) != path);
            covers.push(*number);
        }
        if !is_replaced && !is_covered {
            kept.push(*number);
        }
    }
    entries.rearrange(&kept);
    check_links(entries)
}

fn is_at_or_below(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
}

/// Points each hard link to the entry that has the content, and gives it the content itself where that entry is replaced
/// later. A link to something that does not come before it is left: it is in a layer below.
fn settle_links(entries: &mut TableBuilder, order: &[u32]) -> Result<()> {
    // The entry that has the content, for each link that was settled.
    let mut contents: HashMap<u32, u32> = HashMap::new();
    for number in 0..entries.len() as u32 {
        if entries.kind(number as usize) != Kind::Hardlink {
            continue;
        }
        let wanted = entries.link(number as usize);
        let before = order.partition_point(|other| {
            compare_tree_order(entries.path(*other as usize), wanted).then(other.cmp(&number)) == Ordering::Less
        });
        let target = before.checked_sub(1).map(|at| order[at]);
        let Some(target) = target.filter(|target| entries.path(*target as usize) == wanted) else { continue };
        let content = match entries.kind(target as usize) {
            Kind::Hardlink => {
                entries.take_link(number as usize, target as usize);
                contents.get(&target).copied()
            }
            _ => Some(target),
        };
        let Some(content) = content else { continue };
        contents.insert(number, content);
        let path = entries.path(content as usize);
        let after =
            order.partition_point(|other| compare_tree_order(entries.path(*other as usize), path) != Ordering::Greater);
        let is_replaced = after.checked_sub(1).map(|at| order[at]) != Some(content);
        if is_replaced {
            entries.become_like(number as usize, content as usize);
        }
    }
    Ok(())
}

/// Sees that every hard link leads to a content, as far as it is here.
fn check_links(entries: &TableBuilder) -> Result<()> {
    let find = |path: &[u8]| {
        let (mut low, mut high) = (0, entries.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match compare_tree_order(entries.path(middle), path) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(middle),
            }
        }
        None
    };
    for index in 0..entries.len() {
        if entries.kind(index) != Kind::Hardlink {
            continue;
        }
        let target = find(entries.link(index)).map(|target| entries.kind(target));
        if matches!(target, Some(Kind::Hardlink | Kind::Directory)) {
            let message = "a hard link leads to a folder or back to itself";
            return Err(Failure::new(Code::Hostile, message).at(entries.path(index)));
        }
    }
    Ok(())
}
