//! Records of what can have no attribute: symbolic links, fifos, sockets. In the sandbox they are told by inode, so that
//! they stay right whatever is renamed; outside, beside the tree, by path.
use super::caller::by_name;
use super::facts::Facts;
use crate::failure::{Failure, Result};
use crate::record::{read_owners, write_owners, Record, Records};
use crate::root::Root;
use rustix::fs::{readlink, Dir, FileType, OFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::os::fd::OwnedFd;

/// Device and inode; of what is on the step's root the device is 0, because an overlay shows another one than that of its
/// layers.
type Place = (u64, u64);

struct Kept {
    record: Record,
    /// When the inode was made; another one with its number is not it. `None`: it is in a layer, and stays there.
    birth: Option<(u64, u32)>,
}

#[derive(Default)]
pub struct Links {
    kept: HashMap<Place, Kept>,
    /// Of files that mounts of other layers show, which nobody changes, by inode.
    viewed: HashMap<u64, Record>,
    root: Option<u64>,
    /// The upper directory of the overlay that is the step's root.
    upper: Option<Root>,
}

impl Links {
    /// Reads what is recorded beside the root's trees and beside those that other mounts show.
    pub fn load(trees: &[String], viewed: &[String]) -> Result<Links> {
        let mut links = Links::default();
        for (inode, record) in recorded(trees)? {
            links.kept.insert((0, inode), Kept { record, birth: None });
        }
        links.viewed = recorded(viewed)?;
        Ok(links)
    }
    /// Says where what changes is found outside of the sandbox.
    pub fn set_upper(&mut self, path: &str) -> Result<()> {
        self.upper = Some(Root::open(path)?);
        Ok(())
    }

    /// Says which device the step's root is on.
    pub fn set_root(&mut self, device: u64) {
        self.root = Some(device);
    }

    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.viewed.is_empty()
    }

    fn place(&self, facts: &Facts) -> Place {
        let (device, inode) = facts.place();
        (if self.root == Some(device) { 0 } else { device }, inode)
    }

    pub fn get(&self, facts: &Facts) -> Option<Record> {
        let place = self.place(facts);
        let Some(kept) = self.kept.get(&place) else {
            return self.viewed.get(&place.1).filter(|_| place.0 != 0).copied();
        };
        (kept.birth.is_none() || kept.birth == facts.birth()).then_some(kept.record)
    }

    /// Whether the record goes with a file of a layer, of which the first change makes another file.
    pub fn is_below(&self, facts: &Facts) -> bool {
        self.kept.get(&self.place(facts)).is_some_and(|kept| kept.birth.is_none())
    }

    /// Takes in what is known of a file that was put into the sandbox and that nothing can be written beside.
    pub fn know(&mut self, facts: &Facts, record: Record) {
        let place = self.place(facts);
        self.kept.insert(place, Kept { record, birth: facts.birth() });
    }

    /// Keeps the owner of a file in mind.
    pub fn set(&mut self, file: &OwnedFd, owner: (u32, u32)) -> rustix::io::Result<()> {
        let facts = Facts::of(file)?;
        let place = self.place(&facts);
        // An overlay shows a file that it has copied up under the inode of the layer as long as it remembers, and then
        // under that of the copy.
        match self.copy_of(file).filter(|copy| place.0 == 0 && copy.place().1 != place.1) {
            Some(copy) => {
                self.keep((0, copy.place().1), &facts, copy.birth(), owner);
                self.keep(place, &facts, None, owner);
            }
            None => self.keep(place, &facts, facts.birth(), owner),
        }
        Ok(())
    }

    fn keep(&mut self, place: Place, facts: &Facts, birth: Option<(u64, u32)>, (uid, gid): (u32, u32)) {
        if (uid, gid) == (0, 0) {
            self.kept.remove(&place);
        } else {
            let record = Record { uid, gid, mode: facts.mode(), major: 0, minor: 0 };
            self.kept.insert(place, Kept { record, birth });
        }
    }

    /// What the upper directory has where the file is.
    fn copy_of(&self, file: &OwnedFd) -> Option<Facts> {
        let upper = self.upper.as_ref()?;
        let path = readlink(by_name(file), Vec::new()).ok()?.into_bytes();
        // So the kernel says of a path that this process has no way to.
        let path = path.strip_prefix(b"(unreachable)").unwrap_or(&path);
        let copy = upper.open_with(path.strip_prefix(b"/")?, OFlags::PATH).ok()?;
        Facts::of(copy).ok()
    }

    /// Writes the records of what is in a tree beside it.
    pub fn save(&self, tree: &str) -> Result<()> {
        let mut records = Records::new();
        if !self.is_empty() {
            self.collect(&Root::open(tree)?, &mut records)?;
        }
        write_owners(tree, &records)
    }

    fn collect(&self, root: &Root, records: &mut Records) -> Result<()> {
        let mut pending = vec![Vec::new()];
        while let Some(path) = pending.pop() {
            let at = |error: Errno| Failure::from(error).at(&path);
            let folder = root.open_with(&path, OFlags::RDONLY | OFlags::DIRECTORY).map_err(at)?;
            for entry in Dir::read_from(&folder).map_err(at)? {
                let entry = entry.map_err(at)?;
                let name = entry.file_name().to_bytes();
                if name == b"." || name == b".." {
                    continue;
                }
                let mut below = path.clone();
                if !below.is_empty() {
                    below.push(b'/');
                }
                below.extend_from_slice(name);
                match entry.file_type() {
                    FileType::RegularFile | FileType::CharacterDevice => {}
                    FileType::Directory => pending.push(below),
                    FileType::Unknown => {
                        let file = root.open_with(&below, OFlags::PATH).map_err(at)?;
                        match Facts::of(&file)?.kind() {
                            libc::S_IFDIR => pending.push(below),
                            _ => self.add(&Facts::of(&file)?, below, records),
                        }
                    }
                    _ => {
                        let file = root.open_with(&below, OFlags::PATH).map_err(at)?;
                        self.add(&Facts::of(&file)?, below, records);
                    }
                }
            }
        }
        Ok(())
    }

    fn add(&self, facts: &Facts, path: Vec<u8>, records: &mut Records) {
        let kept = self.kept.get(&(0, facts.place().1));
        if let Some(kept) = kept.filter(|kept| kept.birth.is_none() || kept.birth == facts.birth()) {
            records.insert(path, kept.record);
        }
    }
}

/// What is recorded beside trees, by inode.
fn recorded(trees: &[String]) -> Result<HashMap<u64, Record>> {
    let mut inodes = HashMap::new();
    for tree in trees {
        let records = read_owners(tree)?;
        if records.is_empty() {
            continue;
        }
        let root = Root::open(tree)?;
        for (path, record) in records {
            let file = match root.open_with(&path, OFlags::PATH) {
                Err(Errno::NOENT | Errno::NOTDIR) => continue,
                opened => opened.map_err(|error| Failure::from(error).at(&path))?,
            };
            let (_, inode) = Facts::of(&file)?.place();
            inodes.insert(inode, record);
        }
    }
    Ok(inodes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{openat, Mode, CWD};
    use std::os::unix::fs::symlink;

    fn open(path: &std::path::Path) -> OwnedFd {
        openat(CWD, path, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty()).unwrap()
    }

    fn facts(path: &std::path::Path) -> Facts {
        Facts::of(open(path)).unwrap()
    }

    #[test]
    fn records_go_from_tree_to_tree() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        std::fs::create_dir_all(tree.join("a/b")).unwrap();
        symlink("nowhere", tree.join("a/b/link")).unwrap();
        symlink("nowhere", tree.join("other")).unwrap();
        let mut links = Links::default();
        links.set_root(facts(&tree).place().0);
        links.set(&open(&tree.join("a/b/link")), (7, 8)).unwrap();
        links.set(&open(&tree.join("other")), (9, 9)).unwrap();
        links.set(&open(&tree.join("other")), (0, 0)).unwrap();
        std::fs::rename(tree.join("a"), tree.join("c")).unwrap();
        let text = tree.to_str().unwrap().to_owned();
        links.save(&text).unwrap();
        let written = read_owners(&text).unwrap();
        assert_eq!(written.keys().collect::<Vec<_>>(), [b"c/b/link"]);
        assert_eq!(written[b"c/b/link".as_slice()].uid, 7);

        let mut loaded = Links::load(&[text], &[]).unwrap();
        let link = facts(&tree.join("c/b/link"));
        loaded.set_root(link.place().0);
        assert_eq!(loaded.get(&link).map(|record| record.gid), Some(8));
        assert!(loaded.is_below(&link));
        assert_eq!(loaded.get(&facts(&tree.join("other"))), None);
    }

    #[test]
    fn a_new_inode_with_an_old_number_is_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link");
        symlink("a", &path).unwrap();
        let mut links = Links::default();
        let before = facts(&path);
        links.set(&open(&path), (7, 7)).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        symlink("b", &path).unwrap();
        assert_eq!(links.get(&facts(&path)), None);
        assert_eq!(links.get(&before).map(|record| record.uid), Some(7));
    }
}
