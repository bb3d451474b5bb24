//! What is to be done for a layer, sorted by kind.
use crate::failure::{Code, Failure, Result};
use crate::folders::split;
use crate::table::{Kind, Source, Table};

pub struct Plan<'a> {
    /// Folders in tree order, also those that the layer has no entry for; without the root.
    pub folders: Vec<FolderAt<'a>>,
    /// Numbers of regular files in the order of their contents.
    pub contents: Vec<u32>,
    /// Numbers of what has neither a content nor anything below it.
    pub specials: Vec<u32>,
    pub links: Vec<u32>,
    pub whiteouts: Vec<u32>,
    /// Numbers of opaque marks.
    pub opaque: Vec<u32>,
}

pub struct FolderAt<'a> {
    pub path: &'a [u8],
    /// `None`: it is only on the way to others.
    pub entry: Option<u32>,
}

impl<'a> Plan<'a> {
    /// Fails with `hostile` when something is below what is no folder.
    pub fn of(table: &'a Table) -> Result<Plan<'a>> {
        let mut plan = Plan {
            folders: Vec::new(),
            contents: Vec::new(),
            specials: Vec::new(),
            links: Vec::new(),
            whiteouts: Vec::new(),
            opaque: Vec::new(),
        };
        // Folders on the way to where the walk is.
        let mut way: Vec<&[u8]> = Vec::new();
        for index in 0..table.len() {
            let entry = table.entry(index);
            let number = index as u32;
            while way.last().is_some_and(|folder| !is_below(entry.path, folder)) {
                way.pop();
            }
            let (parent, _) = split(entry.path);
            let known = way.last().map_or(0, |folder| folder.len());
            let ends = (known + 1..=parent.len()).filter(|end| *end == parent.len() || parent[*end] == b'/');
            for end in ends {
                // What is below a path follows it at once.
                if index > 0 && table.entry(index - 1).path == &parent[..end] && end > 0 {
                    let message = "a layer has a file and a folder of the same name";
                    return Err(Failure::new(Code::Hostile, message).at(&parent[..end]));
                }
                way.push(&parent[..end]);
                plan.folders.push(FolderAt { path: &parent[..end], entry: None });
            }
            match entry.kind {
                Kind::Directory if entry.path.is_empty() => {}
                Kind::Directory => {
                    way.push(entry.path);
                    plan.folders.push(FolderAt { path: entry.path, entry: Some(number) });
                }
                Kind::File => plan.contents.push(number),
                Kind::Symlink | Kind::Fifo | Kind::CharacterDevice | Kind::BlockDevice => plan.specials.push(number),
                Kind::Hardlink => plan.links.push(number),
                Kind::Whiteout => plan.whiteouts.push(number),
                Kind::Opaque => plan.opaque.push(number),
            }
        }
        plan.contents.sort_by_key(|number| match table.entry(*number as usize).source {
            Source::Blob { offset, .. } => offset,
            _ => 0,
        });
        Ok(plan)
    }
}

pub fn is_below(path: &[u8], folder: &[u8]) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.first() == Some(&b'/'))
}
