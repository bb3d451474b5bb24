//! Takes a layer in. One thread takes the bytes as they come, hashes and writes them; a second decompresses; a third
//! hashes the tar, reads it and makes the index. Every byte is looked at once.
use crate::compress::decode::{decoder, Encoding, MAGIC};
use crate::digest::sha256;
use crate::failure::{Code, Failure, Result};
use crate::folders::open_root;
use crate::output::Output;
use crate::pieces::{first_cause, joined, neighbour_failed, piece_channel, PieceReader, PieceSender, Pool, PIECE};
use crate::protocol::{Ingest, IngestCompression, Reply};
use crate::record::Records;
use crate::session::{Job, Outcome};
use crate::table::{Entry, Kind, TableBuilder};
use crate::tar::read::{Member, Reader};
use crate::unpack::crew::{self, Crew};
use crate::unpack::grow::{entry_of, finish_tree, write_batch, Batch, Growing};
use crate::unpack::writer::Writing;
use crate::unpack::NewTree;
use crate::zeros::is_zero;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

mod settle;

/// Pieces that wait for decompression (1 MiB at most each), and decompressed ones that wait to be read.
const COMPRESSED_DEPTH: usize = 2;
const TAR_DEPTH: usize = 4;
/// What a layer is decompressed to, beyond `FREE_BYTES`, is at most this many times what it was.
const MAX_RATIO: u64 = 1000;
/// Pieces of nothing but zeros count for a part of their size: a file with holes of many GiB is in a layer of a few KiB,
/// and takes no room where it is written.
const ZEROS_COUNT: u64 = 64;
const FREE_BYTES: u64 = 64 << 20;
/// How long bytes are waited for before it is looked whether anybody can still use them.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub fn ingest(request: Ingest, pieces: Receiver<Vec<u8>>, job: &Job) -> Outcome {
    let mut output = request.output.as_deref().map(Output::create).transpose()?;
    let mut tar_output = request.tar.as_deref().map(Output::create).transpose()?;
    let input = match &request.input {
        Some(path) => Input::File(File::open(path).map_err(|error| Failure::from(error).at(path))?),
        None => Input::Pieces(pieces),
    };
    let tree = request.tree.as_ref().map(|tree| NewTree::make(&tree.output)).transpose()?;
    let writing = request.tree.as_ref().map(|tree| Writing::new(tree.owners, true, Records::new(), job));
    let pool = Pool::default();
    let consumed = AtomicU64::new(0);
    let is_plain = request.compression == IngestCompression::None;
    let is_detecting = request.compression == IngestCompression::Detect;
    let is_archive = AtomicBool::new(false);
    let has_failed = AtomicBool::new(false);

    let (taken, encoding, tar) = std::thread::scope(|scope| {
        let (compressed_sender, compressed) = piece_channel(&pool, COMPRESSED_DEPTH);
        let (tar_sender, tar) = piece_channel(&pool, TAR_DEPTH);
        let (pool, consumed, is_archive, has_failed) = (&pool, &consumed, &is_archive, &has_failed);
        let tar_output = tar_output.as_mut();
        // Bytes that are no compressed ones go to the third thread without the second.
        let (sender, decoding, tar) = if is_plain {
            drop((compressed, tar_sender, tar));
            let (sender, tar) = piece_channel(pool, TAR_DEPTH);
            drop(compressed_sender);
            (sender, None, tar)
        } else {
            let counted = Counted { reader: compressed, consumed };
            let encoding = request.compression;
            let decoding =
                scope.spawn(move || noted(has_failed, decode(counted, encoding, consumed, tar_sender, pool)));
            (compressed_sender, Some(decoding), tar)
        };
        let tree = request.tree.as_ref().zip(writing.as_ref());
        let reading = scope.spawn(move || {
            let read = match tree {
                None => read_tar(tar, !is_plain, tar_output, is_archive, None, job),
                Some((tree, writing)) => with_crew(&tree.output, writing, |growing| {
                    read_tar(tar, !is_plain, tar_output, is_archive, Some(growing), job)
                }),
            };
            noted(has_failed, read)
        });
        let taken = take(&request, input, sender, output.as_mut(), Following { pool, has_failed }, job);
        let decoded = decoding.map_or(Ok(Encoding::None), joined);
        let read = joined(reading);
        match (taken, decoded, read) {
            (Ok(taken), Ok(encoding), Ok(tar)) => Ok((taken, encoding, tar)),
            (taken, decoded, read) => {
                let failures = [taken.err(), decoded.err(), read.err()];
                Err(first_cause(failures.into_iter().flatten()).unwrap_or_else(Failure::cancelled))
            }
        }
    })
    .map_err(|failure: Failure| {
        // Damaged bytes that never began as a tar are some other file.
        let is_none = is_detecting && failure.code == Code::Hostile && !is_archive.load(Relaxed);
        if is_none {
            no_archive()
        } else {
            failure
        }
    })?;
    if is_detecting && !is_archive.load(Relaxed) {
        return Err(no_archive());
    }
    job.check()?;

    let Tar { hash, size: tar_size, entries } = tar;
    let digest = sha256(taken.hash);
    let diff_id = hash.map_or_else(|| digest.clone(), sha256);
    if request.diff_id.as_ref().is_some_and(|expected| *expected != diff_id) {
        return Err(Failure::new(Code::Mismatch, format!("a decompressed layer has the digest {diff_id}")));
    }
    let count = entries.len() as u64;
    let table = entries.into_table();
    if let (Some(tree), Some(writing)) = (&request.tree, &writing) {
        finish_tree(&tree.output, &table, writing)?;
    }
    let mut index = Output::create(&request.index)?;
    index.write_all(table.bytes())?;
    job.check()?;
    index.keep();
    if let Some(tree) = tree {
        tree.keep();
    }
    [output, tar_output].into_iter().flatten().for_each(Output::keep);
    let reply = Reply::Ingested {
        id: request.id,
        digest,
        size: taken.size,
        diff_id,
        tar_size,
        entries: count,
        compression: encoding.name(),
    };
    Ok((reply, Vec::new()))
}

// ------------------------------------------------------------------ the bytes as they come

enum Input {
    File(File),
    Pieces(Receiver<Vec<u8>>),
}

/// The threads that get the bytes.
#[derive(Clone, Copy)]
struct Following<'a> {
    pool: &'a Pool,
    /// One of them has failed. Who waits for bytes would hear of it only when he has some to send.
    has_failed: &'a AtomicBool,
}

fn noted<T>(has_failed: &AtomicBool, outcome: Result<T>) -> Result<T> {
    if outcome.is_err() {
        has_failed.store(true, Relaxed);
    }
    outcome
}

impl Input {
    /// The next bytes; `None` at the end. With `stops_early` it fails while it waits if what follows has failed.
    fn next(&mut self, following: Following<'_>, stops_early: bool) -> Result<Option<Vec<u8>>> {
        match self {
            Input::Pieces(pieces) => loop {
                match pieces.recv_timeout(LOOK_EVERY) {
                    Ok(piece) => return Ok(Some(piece)),
                    Err(RecvTimeoutError::Disconnected) => return Ok(None),
                    Err(RecvTimeoutError::Timeout) if stops_early && following.has_failed.load(Relaxed) => {
                        return Err(neighbour_failed());
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                }
            },
            Input::File(file) => {
                let mut piece = following.pool.take();
                file.take(PIECE as u64).read_to_end(&mut piece)?;
                Ok((!piece.is_empty()).then_some(piece))
            }
        }
    }
}

struct Taken {
    hash: Sha256,
    size: u64,
}

fn take(
    request: &Ingest,
    mut input: Input,
    sender: PieceSender,
    mut output: Option<&mut Output>,
    following: Following<'_>,
    job: &Job,
) -> Result<Taken> {
    let mut sender = Some(sender);
    let mut hash = Sha256::new();
    let mut size = 0;
    while let Some(piece) = input.next(following, request.digest.is_none())? {
        size += piece.len() as u64;
        if request.size.is_some_and(|expected| size > expected) {
            return Err(Failure::new(Code::Hostile, "a layer is larger than it was announced"));
        }
        hash.update(&piece);
        if let Some(output) = output.as_deref_mut() {
            output.write_all(&piece)?;
        }
        job.advance(piece.len() as u64, 0)?;
        if let Some(Err(failure)) = sender.as_ref().map(|sender| sender.send(piece)) {
            // What follows failed. If the bytes are not even those that were asked for, this is the reason to tell.
            if request.digest.is_none() {
                return Err(failure);
            }
            (sender, output) = (None, None);
        }
    }
    // The sender of the pieces ends with a cancelled request as it does with the last piece.
    job.check()?;
    let mismatch = |what: String| Err(Failure::new(Code::Mismatch, what));
    if let Some(expected) = request.size.filter(|expected| size != *expected) {
        return mismatch(format!("a layer has {size} bytes, and {expected} were announced"));
    }
    if let Some(expected) = &request.digest {
        let digest = sha256(hash.clone());
        if digest != *expected {
            return mismatch(format!("a layer has the digest {digest}, and {expected} was asked for"));
        }
    }
    if let Some(sender) = sender {
        sender.end()?;
    }
    Ok(Taken { hash, size })
}

// ------------------------------------------------------------------ decompression

/// Counts what has been taken from a reader.
struct Counted<'a> {
    reader: PieceReader<'a>,
    consumed: &'a AtomicU64,
}

impl Read for Counted<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(out)?;
        self.consumed.fetch_add(count as u64, Relaxed);
        Ok(count)
    }
}

impl BufRead for Counted<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.consumed.fetch_add(count as u64, Relaxed);
        self.reader.consume(count);
    }
}

fn decode(
    mut input: Counted<'_>,
    compression: IngestCompression,
    consumed: &AtomicU64,
    sender: PieceSender,
    pool: &Pool,
) -> Result<Encoding> {
    let mut start = Vec::with_capacity(MAGIC);
    (&mut input).take(MAGIC as u64).read_to_end(&mut start)?;
    let encoding = match compression {
        IngestCompression::None => Encoding::None,
        IngestCompression::Gzip => Encoding::Gzip,
        IngestCompression::Zstd => Encoding::Zstd,
        IngestCompression::Detect => Encoding::detect(&start),
    };
    let mut reader = decoder(encoding, io::Cursor::new(start).chain(input))?;
    let mut size = 0u64;
    loop {
        let mut piece = pool.take();
        let read = (&mut reader).take(PIECE as u64).read_to_end(&mut piece);
        if piece.is_empty() {
            read?;
            sender.end()?;
            return Ok(encoding);
        }
        let length = piece.len() as u64;
        size += if is_zero(&piece) { length / ZEROS_COUNT } else { length };
        if size > FREE_BYTES.saturating_add(consumed.load(Relaxed).saturating_mul(MAX_RATIO)) {
            return Err(Failure::new(Code::Hostile, "a layer decompresses to more than 1,000 times its size"));
        }
        // What came before the damage is looked at too: whether an archive begins there is not a matter of its end.
        sender.send(piece)?;
        read?;
    }
}

// ------------------------------------------------------------------ the tar

struct Tar {
    /// `None` when the tar is what came, and so has its digest.
    hash: Option<Sha256>,
    size: u64,
    entries: TableBuilder,
}

/// Hashes, counts and writes the pieces of a tar as they are taken.
struct Tee<'a> {
    pieces: PieceReader<'a>,
    hash: Option<Sha256>,
    size: u64,
    output: Option<&'a mut Output>,
    /// Bytes of the current piece that have been seen to.
    seen: usize,
}

impl Read for Tee<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Tee<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let piece = self.pieces.fill_buf()?;
        if self.seen == 0 && !piece.is_empty() {
            if let Some(hash) = &mut self.hash {
                hash.update(piece);
            }
            if let Some(output) = self.output.as_deref_mut() {
                output.write_all(piece)?;
            }
            self.size += piece.len() as u64;
            self.seen = piece.len();
        }
        Ok(piece)
    }

    fn consume(&mut self, count: usize) {
        self.seen -= count;
        self.pieces.consume(count);
    }
}

/// Has the tree of a layer written by threads of its own while `read` gives what there is to write.
fn with_crew<T: Send>(
    output: &str,
    writing: &Writing<'_>,
    read: impl FnOnce(&mut Growing<'_>) -> Result<T>,
) -> Result<T> {
    let crew: Crew<Batch> = Crew::new();
    let mut growing = Growing::new(output, writing, &crew)?;
    let roots = (0..crew::threads()).map(|_| open_root(output)).collect::<Result<Vec<_>>>()?;
    std::thread::scope(|scope| {
        for root in roots {
            let crew = &crew;
            scope.spawn(move || crew.work(root, writing, write_batch));
        }
        let read = read(&mut growing);
        let settled = if read.is_ok() { growing.settle() } else { Ok(()) };
        let ended = crew.end();
        match (read, first_cause(settled.err().into_iter().chain(ended.err()))) {
            (Ok(read), None) => Ok(read),
            (read, failure) => {
                Err(first_cause(read.err().into_iter().chain(failure)).unwrap_or_else(Failure::cancelled))
            }
        }
    })
}

/// The digest of a regular file's content, which also goes into the tree.
fn read_content<R: BufRead>(
    reader: &mut Reader<R>,
    member: &Member,
    tree: Option<&mut Growing<'_>>,
) -> Result<Option<[u8; 32]>> {
    let at = |failure: Failure| failure.at(&member.path);
    if member.kind != Kind::File {
        if let Some(growing) = tree {
            growing.add(member, Vec::new()).map_err(at)?;
        }
        return Ok(None);
    }
    let mut hash = blake3::Hasher::new();
    match tree {
        None => reader.content(&mut |piece| {
            hash.update(piece);
            Ok(())
        })?,
        Some(growing) if Growing::takes_whole(member) => {
            let mut content = Vec::with_capacity(member.size as usize);
            reader.content(&mut |piece| {
                content.extend_from_slice(piece);
                Ok(())
            })?;
            hash.update(&content);
            growing.add(member, content).map_err(at)?;
        }
        Some(growing) => {
            let mut file = growing.begin(member).map_err(at)?;
            reader.content(&mut |piece| {
                hash.update(piece);
                file.write(piece)
            })?;
            growing.end(file, member).map_err(at)?;
        }
    }
    Ok(Some(*hash.finalize().as_bytes()))
}

fn read_tar(
    pieces: PieceReader<'_>,
    hashed: bool,
    output: Option<&mut Output>,
    is_archive: &AtomicBool,
    mut tree: Option<&mut Growing<'_>>,
    job: &Job,
) -> Result<Tar> {
    let tee = Tee { pieces, hash: hashed.then(Sha256::new), size: 0, output, seen: 0 };
    let mut reader = Reader::new(tee);
    let mut entries = TableBuilder::new();
    loop {
        let next = reader.next();
        // What begins with a header is an archive, even one that cannot be taken.
        is_archive.fetch_or(reader.count() > 0, Relaxed);
        let Some(member) = next? else { break };
        let digest = read_content(&mut reader, &member, tree.as_deref_mut())?;
        entries.push(&Entry { digest, ..entry_of(&member) })?;
        job.advance(0, 1)?;
    }
    let Tee { hash, size, .. } = reader.drain()?;
    settle::settle(&mut entries)?;
    Ok(Tar { hash, size, entries })
}

fn no_archive() -> Failure {
    Failure::new(Code::NotArchive, "the bytes are no tar")
}

#[cfg(test)]
mod tests;
