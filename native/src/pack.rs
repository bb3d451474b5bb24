//! Writes a tar of what a table tells: readers fetch and digest contents, one thread hashes the tar, this one compresses
//! and writes it. Every byte is read once.
use crate::compress::parallel::Compressor;
use crate::cores::cores;
use crate::digest::sha256;
use crate::failure::{Code, Failure, Result};
use crate::output::Output;
use crate::pieces::{first_cause, joined, neighbour_failed, piece_channel, Pool, PIECE};
use crate::protocol::{Compression, CompressionKind, Pack, Purpose, Reply};
use crate::session::{Job, Outcome};
use crate::source::{check_digest, origin, Content, Sources};
use crate::stat_cache::{FileStat, StatCache};
use crate::table::{write_table, Entry, Kind, Source, Table};
use crate::tar::padding;
use crate::tar::write::{put_header, END};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::ops::Range;
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};

/// More would only wait for the hash and the disk.
const MAX_READERS: usize = 4;
/// What one reader takes at a time, at least one entry.
const BATCH_BYTES: u64 = PIECE as u64 / 2;
/// Contents up to this size are never divided between pieces.
const WHOLE: u64 = PIECE as u64 / 4;
const BATCH_ENTRIES: usize = 64;
/// Pieces that wait, of each reader and for the hash.
const DEPTH: usize = 6;

pub fn pack(request: Pack, body: Vec<u8>, job: &Job) -> Outcome {
    let table = Table::parse(body)?;
    let sources = Sources::open(&request.roots, &request.blobs, &table, &request.temporary, job)?;
    let mut output = Output::open(&request.output)?;
    let packed = match request.purpose {
        Purpose::Archive => archive(&request, &table, &sources, &mut output, job)?,
        Purpose::Layer => {
            let layer = Layer {
                table: &table,
                sources: &sources,
                compression: request.compression,
                index: request.index.as_deref(),
                stat_cache: request.stat_cache.as_deref(),
                epoch: request.epoch,
            };
            layer.pack(&mut output, job)?
        }
    };
    output.keep();
    let Packed { diff_id, digest, size, tar_size } = packed;
    Ok((Reply::Packed { id: request.id, diff_id, digest, size, tar_size }, Vec::new()))
}

pub struct Packed {
    pub diff_id: String,
    pub digest: String,
    pub size: u64,
    pub tar_size: u64,
}

/// Seconds as they are written.
pub fn clamped(entry: &Entry<'_>, epoch: Option<i64>) -> i64 {
    entry.seconds.min(epoch.unwrap_or(i64::MAX))
}

// ------------------------------------------------------------------ archives

fn archive(request: &Pack, table: &Table, sources: &Sources, output: &mut Output, job: &Job) -> Result<Packed> {
    if request.index.is_some() {
        return Err(Failure::new(Code::Protocol, "an archive has no index"));
    }
    let mut compressor = Compressor::new(request.compression)?;
    let mut buffer = Vec::with_capacity(PIECE);
    let mut tar_size = 0;
    for index in 0..table.len() {
        let entry = table.entry(index);
        buffer.clear();
        put_header(&entry, clamped(&entry, request.epoch), &mut buffer)?;
        tar_size += buffer.len() as u64;
        compressor.write(&buffer, &mut |bytes| Ok(output.write_all(bytes)?))?;
        if entry.kind == Kind::File {
            let mut content = sources.content(&entry)?;
            copy(&entry, &mut content, &mut compressor, output, job).map_err(|failure| failure.at(origin(&entry)))?;
            content.check_unchanged(&entry, false).map_err(|failure| failure.at(origin(&entry)))?;
            let padding = padding(entry.size);
            compressor.write(&[0; 512][..padding], &mut |bytes| Ok(output.write_all(bytes)?))?;
            tar_size += entry.size + padding as u64;
        }
        job.advance(0, 1)?;
    }
    compressor.write(&END, &mut |bytes| Ok(output.write_all(bytes)?))?;
    compressor.finish(&mut |bytes| Ok(output.write_all(bytes)?))?;
    let tar_size = tar_size + END.len() as u64;
    Ok(Packed { diff_id: String::new(), digest: String::new(), size: output.size(), tar_size })
}

fn copy(
    entry: &Entry<'_>,
    content: &mut Content<'_>,
    compressor: &mut Compressor,
    output: &mut Output,
    job: &Job,
) -> Result<()> {
    if let (Compressor::None, Some(file)) = (&compressor, content.file()) {
        return output.append(file, entry.size, job);
    }
    let mut buffer = vec![0; PIECE.min(entry.size as usize)];
    let mut left = entry.size;
    while left > 0 {
        let length = left.min(PIECE as u64) as usize;
        content.read(&mut buffer[..length], job)?;
        compressor.write(&buffer[..length], &mut |bytes| Ok(output.write_all(bytes)?))?;
        job.advance(length as u64, 0)?;
        left -= length as u64;
    }
    Ok(())
}

// ------------------------------------------------------------------ layers

/// What is known of an entry once it is in the tar.
#[derive(Clone, Copy)]
struct Written {
    /// Bytes of its headers, then of its content with padding.
    header: u32,
    digest: Option<[u8; 32]>,
}

/// A piece of the tar, and what is known of the entries that end in it.
struct Part {
    bytes: Vec<u8>,
    written: Vec<Written>,
    /// Whether the reader's batch ends with it.
    is_last: bool,
}

struct Pipeline<'a> {
    table: &'a Table,
    sources: &'a Sources,
    cache: Option<&'a StatCache>,
    epoch: Option<i64>,
    pool: &'a Pool,
    job: &'a Job,
}

/// A layer to be packed; see `PackRequest` in `src/native/protocol.ts`.
pub struct Layer<'a> {
    pub table: &'a Table,
    pub sources: &'a Sources,
    pub compression: Compression,
    pub index: Option<&'a str>,
    pub stat_cache: Option<&'a str>,
    pub epoch: Option<i64>,
}

impl Layer<'_> {
    /// Writes the tar, and the index if one is wanted.
    pub fn pack(&self, output: &mut Output, job: &Job) -> Result<Packed> {
        layer(self, output, job)
    }
}

fn layer(request: &Layer<'_>, output: &mut Output, job: &Job) -> Result<Packed> {
    let Layer { table, sources, .. } = *request;
    let pool = Pool::default();
    let cache = request.stat_cache.map(StatCache::load);
    let pipeline = Pipeline { table, sources, cache: cache.as_ref(), epoch: request.epoch, pool: &pool, job };
    let mut compressor = Compressor::new(request.compression)?;
    let is_plain = request.compression.kind == CompressionKind::None;
    let mut blob_hash = Sha256::new();
    let batches = batches(table);
    let cores = cores();
    let readers = if sources.is_sequential() { 1 } else { cores.clamp(1, MAX_READERS).min(batches.len().max(1)) };

    let (tar_hash, tar_size, written) = std::thread::scope(|scope| {
        let (pipeline, batches) = (&pipeline, &batches);
        let mut parts = Vec::with_capacity(readers);
        let mut threads = Vec::with_capacity(readers);
        for number in 0..readers {
            let (sender, receiver) = sync_channel::<Part>(DEPTH);
            parts.push(receiver);
            let mine = batches.iter().skip(number).step_by(readers);
            threads.push(scope.spawn(move || mine.cloned().try_for_each(|batch| pipeline.read(batch, &sender))));
        }
        let (hashed, mut pieces) = piece_channel(&pool, DEPTH);
        let hashing = scope.spawn(move || {
            let mut tar_hash = Sha256::new();
            let mut written = Vec::with_capacity(table.len());
            let mut tar_size = 0;
            let mut hand_over = |bytes: Vec<u8>| {
                tar_hash.update(&bytes);
                tar_size += bytes.len() as u64;
                hashed.send(bytes)
            };
            for number in 0..batches.len() {
                receive(&parts[number % readers], &mut |part| {
                    written.extend_from_slice(&part.written);
                    hand_over(part.bytes)
                })?;
            }
            hand_over(END.to_vec())?;
            hashed.end()?;
            Ok((tar_hash, tar_size, written))
        });
        let writing = || -> Result<()> {
            let mut sink = |bytes: &[u8]| {
                if is_plain {
                    return output.append_sparsely(bytes);
                }
                blob_hash.update(bytes);
                Ok(output.write_all(bytes)?)
            };
            while let Some(piece) = pieces.next_piece()? {
                compressor.write(&piece, &mut sink)?;
                pool.give(piece);
            }
            // Only now, so that the threads before do not find their way blocked.
            drop(pieces);
            compressor.finish(&mut sink)
        };
        let wrote = writing();
        let hashed = joined(hashing);
        let read: Vec<Result<()>> = threads.into_iter().map(joined).collect();
        let mut failures: Vec<Failure> = read.into_iter().filter_map(Result::err).collect();
        match (hashed, wrote) {
            (Ok(hashed), Ok(())) if failures.is_empty() => return Ok(hashed),
            (hashed, wrote) => failures.extend(hashed.err().into_iter().chain(wrote.err())),
        }
        Err(first_cause(failures).unwrap_or_else(Failure::cancelled))
    })?;

    let index = request.index.map(|path| write_index(path, table, &written, request.epoch)).transpose()?;
    if let Some(cache) = cache {
        cache.save()?;
    }
    job.check()?;
    if let Some(index) = index {
        index.keep();
    }
    let diff_id = sha256(tar_hash);
    let digest = if is_plain { diff_id.clone() } else { sha256(blob_hash) };
    Ok(Packed { diff_id, digest, size: output.size(), tar_size })
}

/// Ranges of entries that are read by one reader: small ones together, a large one alone.
fn batches(table: &Table) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0u64);
    for index in 0..table.len() {
        let entry = table.entry(index);
        let size = if entry.kind == Kind::File { entry.size } else { 0 };
        if index > start && (bytes.saturating_add(size) > BATCH_BYTES || index - start >= BATCH_ENTRIES) {
            batches.push(start..index);
            (start, bytes) = (index, 0);
        }
        bytes = bytes.saturating_add(size);
    }
    if start < table.len() {
        batches.push(start..table.len());
    }
    batches
}

/// Takes the parts of one batch.
fn receive(parts: &Receiver<Part>, take: &mut dyn FnMut(Part) -> Result<()>) -> Result<()> {
    loop {
        let part = parts.recv().map_err(|_| neighbour_failed())?;
        let is_last = part.is_last;
        take(part)?;
        if is_last {
            return Ok(());
        }
    }
}

impl Pipeline<'_> {
    fn read(&self, batch: Range<usize>, parts: &SyncSender<Part>) -> Result<()> {
        let mut part = Part { bytes: self.pool.take(), written: Vec::with_capacity(batch.len()), is_last: false };
        let entries = batch.len() as u64;
        for index in batch {
            let entry = self.table.entry(index);
            self.read_entry(&entry, &mut part, parts).map_err(|failure| failure.at(origin(&entry)))?;
        }
        part.is_last = true;
        parts.send(part).map_err(|_| neighbour_failed())?;
        self.job.advance(0, entries)
    }

    fn read_entry(&self, entry: &Entry<'_>, part: &mut Part, parts: &SyncSender<Part>) -> Result<()> {
        let start = part.bytes.len();
        put_header(entry, clamped(entry, self.epoch), &mut part.bytes)?;
        let header = (part.bytes.len() - start) as u32;
        if entry.kind != Kind::File {
            part.written.push(Written { header, digest: None });
            return Ok(());
        }
        let mut content = self.sources.content(entry)?;
        let digest = self.read_content(entry, &mut content, part, parts)?;
        let stat = content.check_unchanged(entry, true)?;
        check_digest(entry, &digest)?;
        if let (Some(cache), Some(stat), None, Source::File { root: 0, .. }) =
            (self.cache, stat, entry.digest, entry.source)
        {
            cache.learn(FileStat::of(&stat), digest);
        }
        part.bytes.resize(part.bytes.len() + padding(entry.size), 0);
        part.written.push(Written { header, digest: Some(digest) });
        Ok(())
    }

    fn read_content(
        &self,
        entry: &Entry<'_>,
        content: &mut Content<'_>,
        part: &mut Part,
        parts: &SyncSender<Part>,
    ) -> Result<[u8; 32]> {
        // A content in one piece is hashed at once, which is faster than bit by bit.
        if entry.size <= WHOLE {
            let size = entry.size as usize;
            if part.bytes.len() + size > PIECE {
                self.hand_over(part, parts)?;
            }
            let start = part.bytes.len();
            part.bytes.resize(start + size, 0);
            content.read(&mut part.bytes[start..], self.job)?;
            self.job.advance(entry.size, 0)?;
            return Ok(*blake3::hash(&part.bytes[start..]).as_bytes());
        }
        let mut hash = blake3::Hasher::new();
        let mut left = entry.size;
        while left > 0 {
            if part.bytes.len() >= PIECE {
                self.hand_over(part, parts)?;
            }
            let start = part.bytes.len();
            let length = left.min((PIECE - start) as u64) as usize;
            part.bytes.resize(start + length, 0);
            content.read(&mut part.bytes[start..], self.job)?;
            hash.update(&part.bytes[start..]);
            self.job.advance(length as u64, 0)?;
            left -= length as u64;
        }
        Ok(*hash.finalize().as_bytes())
    }

    fn hand_over(&self, part: &mut Part, parts: &SyncSender<Part>) -> Result<()> {
        let next = Part { bytes: self.pool.take(), written: Vec::new(), is_last: false };
        parts.send(std::mem::replace(part, next)).map_err(|_| neighbour_failed())
    }
}

/// The entries as they lie in the tar.
fn write_index(path: &str, table: &Table, written: &[Written], epoch: Option<i64>) -> Result<Output> {
    let mut offsets = Vec::with_capacity(written.len());
    let mut offset = 0;
    for (index, Written { header, .. }) in written.iter().enumerate() {
        offset += u64::from(*header);
        offsets.push(offset);
        let entry = table.entry(index);
        if entry.kind == Kind::File {
            offset += entry.size + padding(entry.size) as u64;
        }
    }
    let mut output = Output::create(path)?;
    write_table(&mut output, table.len(), |index| {
        let entry = table.entry(index);
        let is_file = entry.kind == Kind::File;
        Entry {
            seconds: clamped(&entry, epoch),
            nanoseconds: 0,
            digest: written[index].digest,
            source: if is_file { Source::Blob { blob: 0, offset: offsets[index] } } else { Source::None },
            ..entry
        }
    })?;
    Ok(output)
}

#[cfg(test)]
mod tests;
