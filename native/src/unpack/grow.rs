//! Writes a layer's tree while the layer arrives, member by member in the order of its tar.
use super::crew::Crew;
use super::plan::Plan;
use super::writer::{Hand, NewFile, Writing};
use super::{finish, is_full, WHOLE};
use crate::failure::Result;
use crate::folders::{make_folder, open_root, split};
use crate::table::{Entry, Kind, Source, Table};
use crate::tar::read::Member;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Files that are to be written, each with its content.
pub type Batch = Vec<(Member, Vec<u8>)>;

/// What the tree's threads do with a batch.
pub fn write_batch(hand: &mut Hand<'_>, batch: Batch) -> Result<()> {
    for (member, content) in batch {
        let entry = entry_of(&member);
        let written = match entry.kind {
            Kind::File => hand.file(&entry, &content, false),
            _ => hand.special(&entry, false),
        };
        written.map_err(|failure| failure.at(entry.path))?;
    }
    Ok(())
}

pub struct Growing<'a> {
    hand: Hand<'a>,
    crew: &'a Crew<Batch>,
    batch: Batch,
    bytes: u64,
    /// Hashes of the paths that have been seen, and whether it was a folder. Two paths of one hash only cost time.
    seen: HashMap<u64, bool>,
    hasher: RandomState,
    /// The folder that the last member was in.
    parent: Vec<u8>,
    /// Hard links, which wait until their files are written.
    links: Vec<Member>,
}

impl<'a> Growing<'a> {
    pub fn new(output: &str, writing: &'a Writing<'a>, crew: &'a Crew<Batch>) -> Result<Self> {
        Ok(Growing {
            hand: Hand::new(open_root(output)?, writing),
            crew,
            batch: Vec::new(),
            bytes: 0,
            seen: HashMap::new(),
            hasher: RandomState::new(),
            parent: Vec::new(),
            links: Vec::new(),
        })
    }

    /// Whether a file's content is to be handed over as a whole, by [`Growing::add`]; otherwise in pieces.
    pub fn takes_whole(member: &Member) -> bool {
        member.size <= WHOLE
    }

    /// Takes a member; of a regular file with its content.
    pub fn add(&mut self, member: &Member, content: Vec<u8>) -> Result<()> {
        if finish::is_mark(member.kind) || member.path.is_empty() {
            return Ok(());
        }
        if is_full(self.batch.len(), self.bytes, split(&member.path).0 != self.parent) {
            self.hand_over()?;
        }
        self.prepare(member)?;
        match member.kind {
            Kind::Directory => {
                let (parent, name) = split(&member.path);
                make_folder(self.hand.folders.at(parent, false)?, name)?;
            }
            Kind::Hardlink => self.links.push(member.clone()),
            _ => {
                self.bytes += content.len() as u64;
                self.batch.push((member.clone(), content));
            }
        }
        Ok(())
    }

    /// Begins a large file, whose content comes in pieces.
    pub fn begin(&mut self, member: &Member) -> Result<NewFile> {
        self.prepare(member)?;
        self.hand.begin(&entry_of(member), false)
    }

    pub fn end(&mut self, file: NewFile, member: &Member) -> Result<()> {
        self.hand.writing.finish(file, &entry_of(member))
    }

    /// Everything has come.
    pub fn settle(&mut self) -> Result<()> {
        self.hand_over()?;
        self.crew.settle()?;
        for member in std::mem::take(&mut self.links) {
            self.hand.link(&entry_of(&member), false).map_err(|failure| failure.at(&member.path))?;
        }
        Ok(())
    }

    fn hand_over(&mut self) -> Result<()> {
        self.bytes = 0;
        if self.batch.is_empty() {
            return Ok(());
        }
        match self.crew.offer(std::mem::take(&mut self.batch))? {
            Some(batch) => write_batch(&mut self.hand, batch),
            None => Ok(()),
        }
    }

    /// Makes the folders that a member is in, and removes an earlier member of its path that it replaces.
    fn prepare(&mut self, member: &Member) -> Result<()> {
        let (parent, _) = split(&member.path);
        if parent != self.parent {
            for end in (1..=parent.len()).filter(|end| *end == parent.len() || parent[*end] == b'/') {
                self.seen.entry(self.hasher.hash_one(&parent[..end])).or_insert(true);
            }
            self.parent = parent.to_vec();
        }
        let is_folder = member.kind == Kind::Directory;
        let before = self.seen.insert(self.hasher.hash_one(member.path.as_slice()), is_folder);
        if before.is_some() && !(before == Some(true) && is_folder) {
            self.settle()?;
            // A folder on the way that is none is told of below.
            if self.hand.folders.at(parent, false).is_ok() {
                self.hand.remove(&member.path)?;
            }
        }
        self.hand.folders.at(parent, true).map(drop)
    }
}

/// Finishes the tree of a layer whose index is this.
pub fn finish_tree(output: &str, table: &Table, writing: &Writing<'_>) -> Result<()> {
    let mut hand = Hand::new(open_root(output)?, writing);
    let plan = Plan::of(table)?;
    // Marks may be alone in their folders, which have not been made then.
    for folder in &plan.folders {
        hand.folders.at(folder.path, true).map_err(|failure| failure.at(folder.path))?;
    }
    finish::layer(output, table, &plan, &mut hand)
}

/// A member as it stands in an index, but for its digest.
pub fn entry_of(member: &Member) -> Entry<'_> {
    let is_file = member.kind == Kind::File;
    Entry {
        path: &member.path,
        kind: member.kind,
        mode: member.mode,
        uid: member.uid,
        gid: member.gid,
        size: member.size,
        seconds: member.seconds,
        nanoseconds: member.nanoseconds,
        link: &member.link,
        major: member.major,
        minor: member.minor,
        xattrs: &member.xattrs,
        digest: None,
        inode_group: 0,
        source: if is_file { Source::Blob { blob: 0, offset: member.offset } } else { Source::None },
    }
}
