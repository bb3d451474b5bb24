//! What files of a tree really are where the tree cannot be it: owners that no process here may give, and devices.
use crate::failure::{Code, Failure, Result};
use crate::folders::check_path;
use crate::table::{Entry, Kind};
use rustix::fs::{Mode, OFlags, CWD};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Write};

/// The extended attribute that holds the record of a regular file or a folder.
pub const STAT: &str = "user.kbuild.stat";
/// Attributes that are this program's or the kernel's own, and belong to no image.
const INTERNAL: [&[u8]; 3] = [b"user.kbuild.", b"user.overlay.", b"user.fuseoverlayfs."];
/// Bytes of a file of records; more than what 4,000,000 symbolic links with owners need at once is no file of ours.
const MAX_FILE: u64 = 1 << 30;

/// Owner, mode with its file type, and device number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub uid: u32,
    pub gid: u32,
    pub mode: u32,
    pub major: u32,
    pub minor: u32,
}

impl Record {
    pub fn of(entry: &Entry<'_>) -> Record {
        let kind = match entry.kind {
            Kind::Directory => libc::S_IFDIR,
            Kind::Symlink => libc::S_IFLNK,
            Kind::CharacterDevice => libc::S_IFCHR,
            Kind::BlockDevice => libc::S_IFBLK,
            Kind::Fifo => libc::S_IFIFO,
            _ => libc::S_IFREG,
        };
        let Entry { uid, gid, major, minor, .. } = *entry;
        Record { uid, gid, mode: kind | entry.mode & 0o7777, major, minor }
    }

    pub fn text(&self) -> String {
        format!("{} {} {:o} {} {}", self.uid, self.gid, self.mode, self.major, self.minor)
    }

    /// `None` when it is no record: a process in a sandbox can write anything into the attribute.
    pub fn parse(text: &[u8]) -> Option<Record> {
        let text = std::str::from_utf8(text).ok()?;
        let mut fields = text.split(' ');
        let mut next = |radix| u32::from_str_radix(fields.next()?, radix).ok();
        let record = Record { uid: next(10)?, gid: next(10)?, mode: next(8)?, major: next(10)?, minor: next(10)? };
        fields.next().is_none().then_some(record)
    }
}

/// Whether an attribute says something that is not of the image.
pub fn is_internal(name: &[u8]) -> bool {
    INTERNAL.iter().any(|prefix| name.starts_with(prefix))
}

/// Records of what can have no attribute, by path.
pub type Records = BTreeMap<Vec<u8>, Record>;

/// The file beside a tree with the records of what can have no attribute.
pub fn owners_file(tree: &str) -> String {
    format!("{}.owners", tree.trim_end_matches('/'))
}

/// The file beside a tree of a layer that names the folders which the layer has no entry for, each followed by a zero
/// byte (the root is an empty name): they are only on the way to others, and what they are is said by a layer below.
pub fn implied_file(tree: &str) -> String {
    format!("{}.implied", tree.trim_end_matches('/'))
}

/// Reads the records beside a tree; none when there is no such file. Fails with `io` when it is malformed.
pub fn read_owners(tree: &str) -> Result<Records> {
    let path = owners_file(tree);
    let file = match rustix::fs::openat(CWD, &path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => return Ok(Records::new()),
        opened => File::from(opened.map_err(|error| Failure::from(error).at(&path))?),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(|error| Failure::from(error).at(&path))?;
    parse_owners(&bytes).ok_or_else(|| Failure::new(Code::Io, "a file of owners is malformed").at(&path))
}

/// Later records replace earlier ones: the file is appended to.
fn parse_owners(mut bytes: &[u8]) -> Option<Records> {
    let mut records = Records::new();
    while !bytes.is_empty() {
        let zero = bytes.iter().position(|byte| *byte == 0)?;
        let (path, rest) = (&bytes[..zero], &bytes[zero + 1..]);
        let line = rest.iter().position(|byte| *byte == b'\n')?;
        records.insert(path.to_vec(), Record::parse(&rest[..line])?);
        bytes = &rest[line + 1..];
    }
    Some(records)
}

/// Writes the records beside a tree, or removes the file when there are none.
pub fn write_owners(tree: &str, records: &Records) -> Result<()> {
    let mut bytes = Vec::new();
    for (path, record) in records {
        bytes.extend_from_slice(path);
        bytes.push(0);
        bytes.extend_from_slice(record.text().as_bytes());
        bytes.push(b'\n');
    }
    write_beside(&owners_file(tree), &bytes)
}

/// Writes the names of implied folders beside a tree, or removes the file when there are none.
pub fn write_implied<'a>(tree: &str, paths: impl Iterator<Item = &'a [u8]>) -> Result<()> {
    let mut bytes = Vec::new();
    for path in paths {
        bytes.extend_from_slice(path);
        bytes.push(0);
    }
    write_beside(&implied_file(tree), &bytes)
}

/// Reads the names of implied folders beside a tree; none when there is no such file. Fails with `io` when one of them
/// is no clean path.
pub fn read_implied(tree: &str) -> Result<BTreeSet<Vec<u8>>> {
    let path = implied_file(tree);
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        other => other.map_err(|error| Failure::from(error).at(&path))?,
    };
    let names = bytes.strip_suffix(b"\0").unwrap_or(&bytes).split(|byte| *byte == 0);
    let is_clean = names.clone().all(|name| check_path(name).is_ok());
    if bytes.last() != Some(&0) || !is_clean {
        return Err(Failure::new(Code::Io, "a file of implied folders is malformed").at(&path));
    }
    Ok(names.map(<[u8]>::to_vec).collect())
}

fn write_beside(path: &str, bytes: &[u8]) -> Result<()> {
    let written = if bytes.is_empty() {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    } else {
        let next = format!("{path}.new");
        File::create(&next).and_then(|mut file| file.write_all(bytes)).and_then(|()| std::fs::rename(&next, path))
    };
    written.map_err(|error| Failure::from(error).at(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    #[test]
    fn records_are_read_as_they_were_written() {
        let folder = Folder::new();
        let tree = folder.text("tree");
        let record = Record { uid: 7, gid: 4_294_967_294, mode: 0o120_777, major: 0, minor: 0 };
        let device = Record { uid: 0, gid: 0, mode: 0o020_666, major: 1, minor: 3 };
        let records: Records = [(b"a\nb/\xff".to_vec(), record), (b"c d".to_vec(), device)].into_iter().collect();
        assert_eq!(read_owners(&tree).unwrap(), Records::new());
        write_owners(&tree, &records).unwrap();
        assert_eq!(read_owners(&tree).unwrap(), records);
        assert_eq!(folder.names(), ["tree.owners"]);
        write_owners(&tree, &Records::new()).unwrap();
        assert_eq!(folder.names(), [""; 0]);
    }

    #[test]
    fn later_records_count() {
        let records = parse_owners(b"a\x001 1 100644 0 0\na\x002 2 100644 0 0\n").unwrap();
        assert_eq!(records[b"a".as_slice()].uid, 2);
    }

    #[test]
    fn what_is_no_record_is_none() {
        for text in ["", "1", "1 2 3 4", "1 2 3 4 5 6", "1 2 9 4 5", "-1 2 3 4 5", "1  2 3 4 5", "4294967296 0 0 0 0"] {
            assert_eq!(Record::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_owners(b"a\x001 2 3 4 5"), None);
        assert_eq!(parse_owners(b"a"), None);
    }
}
