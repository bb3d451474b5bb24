//! Remembers between builds what files contain: a file whose device, inode, size and times are as they were is not
//! read again.
//!
//! The file: a header of 48 bytes (`KBSC`, u32 version, u64 number of records, BLAKE3 of the records), then records of
//! 96 bytes sorted by device and inode, little-endian. A file that is not exactly that counts as empty: nothing is lost
//! but time.
use crate::failure::{Code, Failure, Result};
use crate::session::lock;
use rustix::fs::Stat;
use std::cmp::Ordering as Order;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

const MAGIC: &[u8; 8] = b"KBSC\x01\0\0\0";
const HEADER: usize = 48;
const RECORD: usize = 96;
/// Files that are remembered at most; those that were not met for longest go first.
const MAX_RECORDS: usize = 500_000;
/// A file that was written so shortly before it was read may be written again without its times showing it.
const RACY_SECONDS: i64 = 2;

/// What tells that a file is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStat {
    pub dev: u64,
    pub ino: u64,
    pub size: u64,
    /// Seconds and nanoseconds since 1970.
    pub mtime: (i64, u32),
    pub ctime: (i64, u32),
}

impl FileStat {
    // The widths of the fields differ between architectures.
    #[allow(clippy::unnecessary_cast)]
    pub fn of(stat: &Stat) -> Self {
        FileStat {
            dev: stat.st_dev as u64,
            ino: stat.st_ino as u64,
            size: stat.st_size as u64,
            mtime: (stat.st_mtime as i64, stat.st_mtime_nsec as u32),
            ctime: (stat.st_ctime as i64, stat.st_ctime_nsec as u32),
        }
    }

    fn key(&self) -> (u64, u64) {
        (self.dev, self.ino)
    }
}

/// By device and inode.
type Learned = BTreeMap<(u64, u64), (FileStat, [u8; 32])>;

/// A stat cache as it was on disk, and what was learned since. May be used from many threads.
pub struct StatCache {
    path: String,
    records: Records,
    /// One bit for each record that was asked for, so that it is kept longer than those that were not.
    met: Vec<AtomicU64>,
    learned: Mutex<Learned>,
    /// Seconds since 1970 of the load.
    began: i64,
}

impl StatCache {
    /// Reads the file. One that is missing or damaged counts as empty.
    pub fn load(path: &str) -> StatCache {
        let records = Records::read(path);
        let met = (0..records.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        StatCache { path: path.to_owned(), records, met, learned: Mutex::new(BTreeMap::new()), began: now() }
    }

    /// The BLAKE3 digest of the file's content, if the file is known and has not changed since.
    pub fn get(&self, stat: &FileStat) -> Option<[u8; 32]> {
        if self.is_racy(stat) {
            return None;
        }
        if let Some((known, digest)) = lock(&self.learned).get(&stat.key()) {
            return (known == stat).then_some(*digest);
        }
        let index = self.records.find(stat.key())?;
        if self.records.stat(index) != *stat {
            return None;
        }
        self.met[index / 64].fetch_or(1 << (index % 64), Ordering::Relaxed);
        Some(self.records.digest(index))
    }

    /// Remembers a digest. `stat` must be from before the content was read, and unchanged after. A file that was
    /// written less than 2 s before the cache was loaded, or later, is not remembered.
    pub fn learn(&self, stat: FileStat, digest: [u8; 32]) {
        if !self.is_racy(&stat) {
            lock(&self.learned).insert(stat.key(), (stat, digest));
        }
    }

    /// Replaces the file, if something was learned. What another process saved meanwhile is kept.
    pub fn save(self) -> Result<()> {
        let learned = lock(&self.learned);
        if learned.is_empty() {
            return Ok(());
        }
        let current = Records::read(&self.path);
        let age = u32::try_from(self.began).unwrap_or(u32::MAX);
        let mut merged = Vec::with_capacity((current.len() + learned.len()) * RECORD);
        let mut news = learned.values().peekable();
        for index in 0..current.len() {
            let key = current.stat(index).key();
            while let Some((stat, digest)) = news.next_if(|(stat, _)| stat.key() < key) {
                put_record(&mut merged, stat, age, digest);
            }
            match news.next_if(|(stat, _)| stat.key() == key) {
                Some((stat, digest)) => put_record(&mut merged, stat, age, digest),
                None => {
                    let used = if self.was_met(key) { age } else { current.age(index) };
                    put_record(&mut merged, &current.stat(index), used, &current.digest(index));
                }
            }
        }
        for (stat, digest) in news {
            put_record(&mut merged, stat, age, digest);
        }
        write(&self.path, &Records { bytes: merged }.without_oldest(MAX_RECORDS))
    }

    fn was_met(&self, key: (u64, u64)) -> bool {
        let index = self.records.find(key);
        index.is_some_and(|at| self.met[at / 64].load(Ordering::Relaxed) & (1 << (at % 64)) != 0)
    }

    fn is_racy(&self, stat: &FileStat) -> bool {
        stat.mtime.0.max(stat.ctime.0) >= self.began - RACY_SECONDS
    }
}

/// The records of a file, read in place.
struct Records {
    bytes: Vec<u8>,
}

impl Records {
    fn read(path: &str) -> Records {
        Records::try_read(path).unwrap_or(Records { bytes: Vec::new() })
    }

    fn try_read(path: &str) -> Option<Records> {
        let mut file = File::open(path).ok()?;
        let mut header = [0; HEADER];
        file.read_exact(&mut header).ok()?;
        let count = usize::try_from(u64::from_le_bytes(*header[8..].first_chunk()?)).ok()?;
        if header[..8] != *MAGIC || count > MAX_RECORDS {
            return None;
        }
        let mut bytes = Vec::with_capacity(count * RECORD);
        file.take((count * RECORD) as u64 + 1).read_to_end(&mut bytes).ok()?;
        let whole = bytes.len() == count * RECORD && blake3::hash(&bytes).as_bytes()[..] == header[16..];
        whole.then_some(Records { bytes })
    }

    fn len(&self) -> usize {
        self.bytes.len() / RECORD
    }

    fn find(&self, key: (u64, u64)) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match (self.number(middle, 0), self.number(middle, 8)).cmp(&key) {
                Order::Less => low = middle + 1,
                Order::Greater => high = middle,
                Order::Equal => return Some(middle),
            }
        }
        None
    }

    fn stat(&self, index: usize) -> FileStat {
        let nanoseconds = self.number(index, 40);
        FileStat {
            dev: self.number(index, 0),
            ino: self.number(index, 8),
            size: self.number(index, 16),
            mtime: (self.number(index, 24) as i64, nanoseconds as u32),
            ctime: (self.number(index, 32) as i64, (nanoseconds >> 32) as u32),
        }
    }

    /// When the record was last of use, in seconds since 1970.
    fn age(&self, index: usize) -> u32 {
        self.number(index, 48) as u32
    }

    fn digest(&self, index: usize) -> [u8; 32] {
        let mut digest = [0; 32];
        digest.copy_from_slice(&self.bytes[index * RECORD + 64..][..32]);
        digest
    }

    fn number(&self, index: usize, field: usize) -> u64 {
        let mut word = [0; 8];
        word.copy_from_slice(&self.bytes[index * RECORD + field..][..8]);
        u64::from_le_bytes(word)
    }

    fn without_oldest(self, most: usize) -> Records {
        if self.len() <= most {
            return self;
        }
        let mut by_age: Vec<(u32, usize)> = (0..self.len()).map(|index| (self.age(index), index)).collect();
        by_age.select_nth_unstable_by(most - 1, |left, right| right.cmp(left));
        let mut kept: Vec<usize> = by_age[..most].iter().map(|(_, index)| *index).collect();
        kept.sort_unstable();
        let mut bytes = Vec::with_capacity(most * RECORD);
        for index in kept {
            bytes.extend_from_slice(&self.bytes[index * RECORD..][..RECORD]);
        }
        Records { bytes }
    }
}

fn put_record(bytes: &mut Vec<u8>, stat: &FileStat, age: u32, digest: &[u8; 32]) {
    let nanoseconds = u64::from(stat.mtime.1) | u64::from(stat.ctime.1) << 32;
    let numbers = [stat.dev, stat.ino, stat.size, stat.mtime.0 as u64, stat.ctime.0 as u64, nanoseconds, age.into(), 0];
    for number in numbers {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(digest);
}

/// Writes beside the file and renames, so that a reader meets the old or the new one. A power cut may leave a damaged
/// one, which counts as empty; so nothing waits for the disk here.
fn write(path: &str, records: &Records) -> Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let temporary = format!("{path}.{}-{}.tmp", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let written = (|| {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        let mut output = BufWriter::new(file);
        output.write_all(MAGIC)?;
        output.write_all(&(records.len() as u64).to_le_bytes())?;
        output.write_all(blake3::hash(&records.bytes).as_bytes())?;
        output.write_all(&records.bytes)?;
        output.flush()?;
        std::fs::rename(&temporary, path)
    })();
    written.map_err(|error| {
        // The first error is the one to tell; the file may not even have been made.
        let _ = std::fs::remove_file(&temporary);
        let failure = Failure::from(error);
        // These would be taken for faults of the context.
        let is_misleading = matches!(failure.code, Code::NotFound | Code::Denied);
        Failure { code: if is_misleading { Code::Io } else { failure.code }, ..failure }.at(path)
    })
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(ino: u64) -> FileStat {
        FileStat { dev: 7, ino, size: 3, mtime: (1_000, 5), ctime: (1_001, 6) }
    }

    fn digest(number: u64) -> [u8; 32] {
        *blake3::hash(&number.to_le_bytes()).as_bytes()
    }

    fn place() -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache").to_str().unwrap().to_owned();
        (folder, path)
    }

    #[test]
    fn what_is_learned_is_known_later() {
        let (folder, path) = place();
        let cache = StatCache::load(&path);
        for ino in [5, 1, 9, 3] {
            cache.learn(stat(ino), digest(ino));
        }
        assert_eq!(cache.get(&stat(9)), Some(digest(9)));
        cache.save().unwrap();
        let cache = StatCache::load(&path);
        for ino in [1, 3, 5, 9] {
            assert_eq!(cache.get(&stat(ino)), Some(digest(ino)));
        }
        assert_eq!(cache.get(&stat(2)), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_differs_in_anything_is_unknown() {
        let (_folder, path) = place();
        let cache = StatCache::load(&path);
        cache.learn(stat(1), digest(1));
        cache.save().unwrap();
        let cache = StatCache::load(&path);
        let known = stat(1);
        for other in [
            FileStat { dev: 8, ..known },
            FileStat { size: 4, ..known },
            FileStat { mtime: (1_000, 4), ..known },
            FileStat { mtime: (999, 5), ..known },
            FileStat { ctime: (1_001, 7), ..known },
            FileStat { ctime: (1_002, 6), ..known },
        ] {
            assert_eq!(cache.get(&other), None);
        }
    }

    #[test]
    fn a_young_file_is_neither_remembered_nor_trusted() {
        let (_folder, path) = place();
        let cache = StatCache::load(&path);
        let (old, young) = (cache.began - RACY_SECONDS - 1, cache.began - RACY_SECONDS);
        cache.learn(FileStat { mtime: (young, 0), ..stat(1) }, digest(1));
        cache.learn(FileStat { ctime: (young, 0), ..stat(2) }, digest(2));
        cache.learn(FileStat { ctime: (old, 0), ..stat(3) }, digest(3));
        assert_eq!(cache.get(&FileStat { mtime: (young, 0), ..stat(1) }), None);
        assert_eq!(cache.get(&FileStat { ctime: (young, 0), ..stat(2) }), None);
        assert_eq!(cache.get(&FileStat { ctime: (old, 0), ..stat(3) }), Some(digest(3)));
    }

    #[test]
    fn a_damaged_file_counts_as_empty() {
        let (_folder, path) = place();
        let cache = StatCache::load(&path);
        cache.learn(stat(1), digest(1));
        cache.learn(stat(2), digest(2));
        cache.save().unwrap();
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(StatCache::load(&path).records.len(), 0, "byte {at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(StatCache::load(&path).records.len(), 0, "cut at {at}");
        }
        std::fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
        assert_eq!(StatCache::load(&path).records.len(), 0);
    }

    #[test]
    fn two_that_save_lose_nothing() {
        let (_folder, path) = place();
        let (left, right) = (StatCache::load(&path), StatCache::load(&path));
        left.learn(stat(1), digest(1));
        left.learn(stat(2), digest(20));
        right.learn(stat(2), digest(2));
        right.learn(stat(3), digest(3));
        left.save().unwrap();
        right.save().unwrap();
        let cache = StatCache::load(&path);
        assert_eq!([1, 2, 3].map(|ino| cache.get(&stat(ino))), [1, 2, 3].map(|ino| Some(digest(ino))));
    }

    #[test]
    fn nothing_is_written_when_nothing_was_learned() {
        let (_folder, path) = place();
        StatCache::load(&path).save().unwrap();
        assert!(!std::path::Path::new(&path).exists());
    }

    #[test]
    fn what_was_not_met_for_longest_is_forgotten_first() {
        let mut bytes = Vec::new();
        for (ino, age) in [(1, 30), (2, 10), (3, 20), (4, 40)] {
            put_record(&mut bytes, &stat(ino), age, &digest(ino));
        }
        let kept = Records { bytes }.without_oldest(2);
        assert_eq!([kept.stat(0), kept.stat(1)], [stat(1), stat(4)]);
        assert_eq!(kept.digest(1), digest(4));
    }
}
