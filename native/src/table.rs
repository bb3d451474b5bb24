//! The entry table: the mirror of `src/layers/entry-table.ts`, where the format is written down.
use crate::failure::{Code, Failure, Result};
use std::cmp::Ordering;
use std::io::{self, Seek, SeekFrom, Write};

const MAGIC: &[u8; 4] = b"KBET";
const VERSION: u32 = 1;
pub const HEADER: usize = 32;
pub const RECORD: usize = 128;
const HAS_DIGEST: u8 = 1;

/// What an entry is; the numbers are the format's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    File = 0,
    Directory = 1,
    Symlink = 2,
    Hardlink = 3,
    CharacterDevice = 4,
    BlockDevice = 5,
    Fifo = 6,
    Whiteout = 7,
    Opaque = 8,
}

impl Kind {
    fn of(number: u8) -> Option<Kind> {
        use Kind::*;
        [File, Directory, Symlink, Hardlink, CharacterDevice, BlockDevice, Fifo, Whiteout, Opaque]
            .get(usize::from(number))
            .copied()
    }
}

/// Where the bytes of a regular file come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    None,
    /// Relative to the root of that number.
    File {
        root: u32,
        path: &'a [u8],
    },
    /// Where the content starts in the uncompressed tar of the blob of that number.
    Blob {
        blob: u32,
        offset: u64,
    },
    Inline(&'a [u8]),
}

/// One entry, borrowed from a table or from whoever makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Without leading or trailing slash; empty for the root.
    pub path: &'a [u8],
    pub kind: Kind,
    /// The low 12 bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Of a regular file's content.
    pub size: u64,
    pub seconds: i64,
    pub nanoseconds: u32,
    /// Target of a symbolic link; path of a hard link's first name.
    pub link: &'a [u8],
    pub major: u32,
    pub minor: u32,
    /// Encoded as in the heap: repeated u32 length, name, u32 length, value; sorted by name.
    pub xattrs: &'a [u8],
    pub digest: Option<[u8; 32]>,
    pub inode_group: u64,
    pub source: Source<'a>,
}

impl<'a> Entry<'a> {
    /// An entry of this kind at this path with nothing else set.
    pub fn new(path: &'a [u8], kind: Kind) -> Self {
        Entry {
            path,
            kind,
            mode: 0,
            uid: 0,
            gid: 0,
            size: 0,
            seconds: 0,
            nanoseconds: 0,
            link: b"",
            major: 0,
            minor: 0,
            xattrs: b"",
            digest: None,
            inode_group: 0,
            source: Source::None,
        }
    }

    /// Name and value of each extended attribute.
    pub fn xattr_pairs(&self) -> Vec<(&'a [u8], &'a [u8])> {
        let mut pairs = Vec::new();
        let mut rest = self.xattrs;
        while let Some((name, after)) = split_framed(rest) {
            let Some((value, after)) = split_framed(after) else { break };
            pairs.push((name, value));
            rest = after;
        }
        pairs
    }
}

fn split_framed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

/// Encodes extended attributes for [`Entry::xattrs`]; the caller sorts them by name.
pub fn encode_xattrs<'a>(pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in pairs {
        for part in [name, value] {
            bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
            bytes.extend_from_slice(part);
        }
    }
    bytes
}

/// A whole table in memory, checked once so that reading an entry cannot fail.
pub struct Table {
    bytes: Vec<u8>,
    count: usize,
}

impl Table {
    /// Checks every offset, kind and number in the bytes. Fails with `protocol`.
    pub fn parse(bytes: Vec<u8>) -> Result<Self> {
        let malformed = |what: &str| Failure::new(Code::Protocol, format!("an entry table is malformed: {what}"));
        if bytes.len() < HEADER || bytes[..4] != *MAGIC || u32_at(&bytes, 4) != VERSION {
            return Err(malformed("no valid header"));
        }
        let count = u32_at(&bytes, 8) as usize;
        let heap = u64_at(&bytes, 16) as usize;
        let expected = count.checked_mul(RECORD).and_then(|n| n.checked_add(HEADER)).and_then(|n| n.checked_add(heap));
        if expected != Some(bytes.len()) {
            return Err(malformed("its length is wrong"));
        }
        let table = Table { bytes, count };
        for index in 0..count {
            let at = HEADER + index * RECORD;
            let fields = [(0, 4), (8, 12), (16, 20), (72, 76)];
            let fits = |offset: u64, length: u64| offset.checked_add(length).is_some_and(|end| end <= heap as u64);
            for (offset, length) in fields {
                let (offset, length) = (u32_at(&table.bytes, at + offset), u32_at(&table.bytes, at + length));
                if !fits(offset.into(), length.into()) {
                    return Err(malformed("an offset is out of range"));
                }
            }
            if Kind::of(table.bytes[at + 24]).is_none() || table.bytes[at + 26] > 3 {
                return Err(malformed("an entry has an unknown kind"));
            }
            if table.bytes[at + 26] == 3 && !fits(u64_at(&table.bytes, at + 64), u64_at(&table.bytes, at + 56)) {
                return Err(malformed("an inline content is out of range"));
            }
        }
        Ok(table)
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn entry(&self, index: usize) -> Entry<'_> {
        let at = HEADER + index * RECORD;
        let bytes = &self.bytes;
        let size = u64_at(bytes, at + 56);
        let offset = u64_at(bytes, at + 64);
        let number = u32_at(bytes, at + 52);
        let source = match bytes[at + 26] {
            1 => Source::File { root: number, path: self.slice(at, 72) },
            2 => Source::Blob { blob: number, offset },
            3 => Source::Inline(self.heap(offset as usize, size as usize)),
            _ => Source::None,
        };
        let mut digest = [0; 32];
        digest.copy_from_slice(&bytes[at + 96..at + 128]);
        Entry {
            path: self.slice(at, 0),
            kind: Kind::of(bytes[at + 24]).unwrap_or(Kind::File),
            mode: u32_at(bytes, at + 28) & 0o7777,
            uid: u32_at(bytes, at + 32),
            gid: u32_at(bytes, at + 36),
            size,
            seconds: u64_at(bytes, at + 40) as i64,
            nanoseconds: u32_at(bytes, at + 48),
            link: self.slice(at, 8),
            major: u32_at(bytes, at + 80),
            minor: u32_at(bytes, at + 84),
            xattrs: self.slice(at, 16),
            digest: (bytes[at + 25] & HAS_DIGEST != 0).then_some(digest),
            inode_group: u64_at(bytes, at + 88),
            source,
        }
    }

    /// The path of an entry, for searches that look at nothing else.
    pub fn path(&self, index: usize) -> &[u8] {
        self.slice(HEADER + index * RECORD, 0)
    }

    fn slice(&self, at: usize, field: usize) -> &[u8] {
        self.heap(u32_at(&self.bytes, at + field) as usize, u32_at(&self.bytes, at + field + 4) as usize)
    }

    fn heap(&self, offset: usize, length: usize) -> &[u8] {
        let start = HEADER + self.count * RECORD + offset;
        &self.bytes[start..start + length]
    }
}

/// Puts a table together, entry by entry in tree order.
#[derive(Default)]
pub struct TableBuilder {
    records: Vec<u8>,
    heap: Vec<u8>,
}

impl TableBuilder {
    pub fn new() -> Self {
        TableBuilder::default()
    }

    pub fn len(&self) -> usize {
        self.records.len() / RECORD
    }

    /// Fails with `hostile` when the heap outgrows its 32-bit offsets.
    pub fn push(&mut self, entry: &Entry<'_>) -> Result<()> {
        let heap = &mut self.heap;
        let record = encode(entry, &mut |bytes| {
            let place = place_of(heap.len() as u64, bytes)?;
            heap.extend_from_slice(bytes);
            Ok(place)
        })?;
        self.records.extend_from_slice(&record);
        Ok(())
    }

    pub fn path(&self, index: usize) -> &[u8] {
        self.slice(index, 0)
    }

    pub fn link(&self, index: usize) -> &[u8] {
        self.slice(index, 8)
    }

    pub fn kind(&self, index: usize) -> Kind {
        Kind::of(self.records[index * RECORD + 24]).unwrap_or(Kind::File)
    }

    /// Makes one entry, a hard link as a rule, what another is, under its own path.
    pub fn become_like(&mut self, index: usize, other: usize) {
        let (at, from) = (index * RECORD, other * RECORD);
        self.records.copy_within(from + 8..from + RECORD, at + 8);
    }

    /// Gives an entry the link of another.
    pub fn take_link(&mut self, index: usize, other: usize) {
        let (at, from) = (index * RECORD, other * RECORD);
        self.records.copy_within(from + 8..from + 16, at + 8);
    }

    /// Keeps the entries of these numbers alone, in this order.
    pub fn rearrange(&mut self, order: &[u32]) {
        let mut records = Vec::with_capacity(order.len() * RECORD);
        for number in order {
            let at = *number as usize * RECORD;
            records.extend_from_slice(&self.records[at..at + RECORD]);
        }
        self.records = records;
    }

    fn slice(&self, index: usize, field: usize) -> &[u8] {
        let at = index * RECORD + field;
        let start = u32_at(&self.records, at) as usize;
        &self.heap[start..start + u32_at(&self.records, at + 4) as usize]
    }

    /// Sets the digest of an entry that was pushed before.
    pub fn set_digest(&mut self, index: usize, digest: [u8; 32]) {
        let at = index * RECORD;
        self.records[at + 25] |= HAS_DIGEST;
        self.records[at + 96..at + 128].copy_from_slice(&digest);
    }

    /// The table itself, to be read from.
    pub fn into_table(self) -> Table {
        let count = self.len();
        let mut bytes = header(count, self.heap.len() as u64).to_vec();
        bytes.extend_from_slice(&self.records);
        drop(self.records);
        bytes.extend_from_slice(&self.heap);
        Table { bytes, count }
    }

    /// The three parts of the table, to be written one after the other.
    pub fn finish(self) -> [Vec<u8>; 3] {
        [header(self.len(), self.heap.len() as u64).to_vec(), self.records, self.heap]
    }
}

/// Writes a table of `count` entries without ever having it in memory: once for the records, once for the heap. `entry`
/// must give the same for the same number each time. Fails with `hostile` when the heap outgrows its 32-bit offsets.
pub fn write_table<'a>(
    output: &mut (impl Write + Seek),
    count: usize,
    entry: impl Fn(usize) -> Entry<'a>,
) -> Result<()> {
    let mut output = io::BufWriter::with_capacity(64 << 10, output);
    output.write_all(&[0; HEADER])?;
    let mut heap = 0u64;
    for index in 0..count {
        let record = encode(&entry(index), &mut |bytes| {
            let place = place_of(heap, bytes)?;
            heap += bytes.len() as u64;
            Ok(place)
        })?;
        output.write_all(&record)?;
    }
    for index in 0..count {
        encode(&entry(index), &mut |bytes| {
            output.write_all(bytes)?;
            Ok((0, 0))
        })?;
    }
    output.seek(SeekFrom::Start(0))?;
    output.write_all(&header(count, heap))?;
    output.flush()?;
    Ok(())
}

fn header(count: usize, heap: u64) -> [u8; HEADER] {
    let mut header = [0u8; HEADER];
    header[..4].copy_from_slice(MAGIC);
    header[4..8].copy_from_slice(&VERSION.to_le_bytes());
    header[8..12].copy_from_slice(&(count as u32).to_le_bytes());
    header[16..24].copy_from_slice(&heap.to_le_bytes());
    header
}

/// Offset and length of bytes in the heap.
type Place = (u32, u32);

/// The record of an entry; `put` puts bytes into the heap.
fn encode(entry: &Entry<'_>, put: &mut dyn FnMut(&[u8]) -> Result<Place>) -> Result<[u8; RECORD]> {
    let mut record = [0u8; RECORD];
    let path = put(entry.path)?;
    let link = put(entry.link)?;
    let xattrs = put(entry.xattrs)?;
    put_u32s(&mut record, 0, &[path.0, path.1, link.0, link.1, xattrs.0, xattrs.1]);
    record[24] = entry.kind as u8;
    record[25] = if entry.digest.is_some() { HAS_DIGEST } else { 0 };
    put_u32s(&mut record, 28, &[entry.mode & 0o7777, entry.uid, entry.gid]);
    record[40..48].copy_from_slice(&entry.seconds.to_le_bytes());
    put_u32s(&mut record, 48, &[entry.nanoseconds]);
    record[56..64].copy_from_slice(&entry.size.to_le_bytes());
    match entry.source {
        Source::None => {}
        Source::File { root, path: from } => {
            record[26] = 1;
            let from = if from == entry.path { path } else { put(from)? };
            put_u32s(&mut record, 52, &[root]);
            put_u32s(&mut record, 72, &[from.0, from.1]);
        }
        Source::Blob { blob, offset } => {
            record[26] = 2;
            put_u32s(&mut record, 52, &[blob]);
            record[64..72].copy_from_slice(&offset.to_le_bytes());
        }
        Source::Inline(bytes) => {
            record[26] = 3;
            let place = put(bytes)?;
            record[64..72].copy_from_slice(&u64::from(place.0).to_le_bytes());
        }
    }
    put_u32s(&mut record, 80, &[entry.major, entry.minor]);
    record[88..96].copy_from_slice(&entry.inode_group.to_le_bytes());
    if let Some(digest) = entry.digest {
        record[96..128].copy_from_slice(&digest);
    }
    Ok(record)
}

fn place_of(heap: u64, bytes: &[u8]) -> Result<Place> {
    if bytes.is_empty() {
        return Ok((0, 0));
    }
    match (u32::try_from(heap), u32::try_from(heap + bytes.len() as u64)) {
        (Ok(offset), Ok(_)) => Ok((offset, bytes.len() as u32)),
        _ => Err(Failure::new(Code::Hostile, "an entry table is larger than 4 GiB")),
    }
}

fn put_u32s(record: &mut [u8; RECORD], at: usize, values: &[u32]) {
    for (number, value) in values.iter().enumerate() {
        record[at + number * 4..at + number * 4 + 4].copy_from_slice(&value.to_le_bytes());
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

/// Orders two paths bytewise with `/` lower than every other byte, so that a folder's subtree follows it at once.
pub fn compare_tree_order(left: &[u8], right: &[u8]) -> Ordering {
    let key = |byte: u8| if byte == b'/' { 0 } else { byte };
    match left.iter().zip(right).find(|(a, b)| a != b) {
        Some((a, b)) => key(*a).cmp(&key(*b)),
        None => left.len().cmp(&right.len()),
    }
}
