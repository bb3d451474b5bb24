//! What tests have in common.
use crate::protocol::{
    BlobSource, Compression, CompressionKind, Extract, Ingest, IngestCompression, Output, Pack, Purpose,
};
use crate::table::{Entry, Table, TableBuilder};
use std::path::{Path, PathBuf};

/// Numbers that are the same in every run (SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound as u64) as usize
    }

    pub fn bytes(&mut self, below: usize) -> Vec<u8> {
        (0..self.below(below)).map(|_| self.number() as u8).collect()
    }

    /// Compressible, but not much.
    pub fn text(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| b"etaoin shrdlu"[self.below(13)]).collect()
    }

    /// A clean path of one to six names, some long, some with bytes that are no UTF-8.
    pub fn path(&mut self) -> Vec<u8> {
        let names: Vec<Vec<u8>> = (0..=self.below(6))
            .map(|_| match self.below(8) {
                0 => "gr\u{fc}n".as_bytes().to_vec(),
                1 => b"\xff\xfe".to_vec(),
                2 => b"x".repeat(1 + self.below(255)),
                3 => b" ".to_vec(),
                _ => self.text(8),
            })
            .collect();
        names.join(&b'/')
    }
}

/// A folder that is removed in the end.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.at(name).to_str().unwrap().to_owned()
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.at(name), bytes).unwrap();
        self.text(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.at(name)).unwrap()
    }

    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

pub fn table_bytes<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> Vec<u8> {
    let mut builder = TableBuilder::new();
    for entry in entries {
        builder.push(&entry).unwrap();
    }
    builder.finish().concat()
}

pub fn table(bytes: Vec<u8>) -> Table {
    Table::parse(bytes).unwrap()
}

pub const PLAIN: Compression = Compression { kind: CompressionKind::None, level: 0 };

/// A request that makes a layer at `output` with an index at `index`.
pub fn pack_request(folder: &Folder, roots: &[String], blobs: &[BlobSource]) -> Pack {
    Pack {
        id: 1,
        output: Output::Path(folder.text("output")),
        compression: PLAIN,
        roots: roots.to_vec(),
        blobs: blobs.to_vec(),
        index: Some(folder.text("index")),
        purpose: Purpose::Layer,
        temporary: folder.text(""),
        stat_cache: None,
        epoch: None,
    }
}

/// A request that takes `input` in and writes `output` and `index`.
pub fn ingest_request(folder: &Folder, compression: IngestCompression) -> Ingest {
    Ingest {
        id: 1,
        input: Some(folder.text("input")),
        output: Some(folder.text("output")),
        index: folder.text("index"),
        compression,
        digest: None,
        size: None,
        diff_id: None,
        tar: None,
        tree: None,
    }
}

pub fn extract_request(folder: &Folder, roots: &[String], blobs: &[BlobSource]) -> Extract {
    Extract {
        id: 1,
        output: folder.text("tree"),
        roots: roots.to_vec(),
        blobs: blobs.to_vec(),
        temporary: folder.text(""),
    }
}

/// Whether root's rights are there, which some tests need; says so loudly when not.
pub fn has_root(test: &str) -> bool {
    let has = rustix::process::geteuid().is_root();
    if !has {
        eprintln!("NOT TESTED, because it takes root: {test}");
    }
    has
}
