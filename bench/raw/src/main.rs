//! The bare cost of a workload: the reads, hashes and writes that no builder can do without, and nothing else. No cache,
//! no Dockerfile, no index, no temporary names, no checks beyond the digests. The bench runs it beside the builders, from
//! the same start state, and prints how far they are from it.
//!
//! What it does, on all cores where the work can be divided:
//!
//! - `pull OUT HOST NAME BLOB...`   W1.cold: for each blob a GET over HTTP, SHA-256 of the bytes as they come, inflate,
//!   SHA-256 of what comes out, the bytes as they came to a file; then all these files into one archive.
//! - `archive OUT FILE...`          W1.cached, W1.edit: the files, which lie in the store already, into one archive.
//! - `layer OUT FOLDER`             W2.cold, W3.cold: walk, stat, read every file; BLAKE3 of each file, a tar of all with
//!   its SHA-256, written to a file.
//! - `layer-archive OUT FOLDER`     W2.tar, W3.tar: the same, then that tar into an archive.
//! - `layer-each OUT FOLDER`        W8a.cold: each file of the folder becomes a layer of its own, as `layer` makes one.
//! - `layer-known OUT FOLDER`       W2.edit: as `layer` without BLAKE3, since the files' digests are known from before.
//! - `layer-kept OUT FOLDER`        W8b.cold: as `layer`, but `node_modules` at the top is not walked into, and names that
//!   end in `.log` are left out without a stat.
//! - `step OUT BUSYBOX SCRIPT FOLDER`   W4.run: the script in the folder `tree` of OUT, which has the base's files; then a
//!   layer of the folder that it made there.
//! - `steps OUT BUSYBOX N`          W5.steps, W7.run: N shells one after the other, each writes a file, which becomes a layer.
//! - `stages OUT BUSYBOX N SECONDS` W6.stages: N shells at once, which sleep and write a file; a layer of each.
//! - `pull-run OUT BUSYBOX HOST NAME BLOB...`   W7.cold: as `pull`, but what is inflated is unpacked too, and instead of an
//!   archive a shell writes a file.
//! - `walk FOLDER`                  W1.noop, W8a.noop, W8b.noop: that walk and a stat of each file that is kept, nothing
//!   read.
//!
//! Writes are not flushed to the disk, as those of the builders are not all either. OUT is a folder that exists.
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{sync_channel, Receiver};
use std::sync::Arc;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Failure>;

const CHUNK: usize = 1 << 20;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let word = |n: usize| -> Result<&str> { words.get(n).map(String::as_str).ok_or_else(|| "missing argument".into()) };
    let path = |n: usize| -> Result<PathBuf> { Ok(PathBuf::from(word(n)?)) };
    match word(0)? {
        "pull" => {
            let files = pull(&path(1)?, word(2)?, word(3)?, &words[4..], false)?;
            archive(&path(1)?, &files)
        }
        "pull-run" => {
            pull(&path(1)?, word(3)?, word(4)?, &words[5..], true)?;
            steps(&path(1)?, &path(2)?, 1)
        }
        "step" => {
            let tree = path(1)?.join("tree");
            shell(&path(2)?, word(3)?, &tree)?;
            layer(&path(1)?, &tree.join(word(4)?), true, false).map(drop)
        }
        "steps" => steps(&path(1)?, &path(2)?, word(3)?.parse()?),
        "stages" => stages(&path(1)?, &path(2)?, word(3)?.parse()?, word(4)?),
        "archive" => archive(&path(1)?, &words[2..].iter().map(PathBuf::from).collect::<Vec<_>>()),
        "layer" => layer(&path(1)?, &path(2)?, true, false).map(drop),
        "layer-each" => layer_each(&path(1)?, &path(2)?),
        "layer-known" => layer(&path(1)?, &path(2)?, false, false).map(drop),
        "layer-kept" => layer(&path(1)?, &path(2)?, true, true).map(drop),
        "layer-archive" => {
            let tar = layer(&path(1)?, &path(2)?, true, false)?;
            archive(&path(1)?, &[tar])
        }
        "walk" => {
            let mut count = 0u64;
            walk(&path(1)?, &mut PathBuf::new(), true, &mut |_, meta| count += meta.len())?;
            std::hint::black_box(count);
            Ok(())
        }
        other => Err(format!("no such workload: {other}").into()),
    }
}

// ------------------------------------------------------------------ pulling

/// All blobs at once, each to a file; with `unpack` also to a folder of its own, as for an overlay.
fn pull(out: &Path, host: &str, name: &str, blobs: &[String], unpack: bool) -> Result<Vec<PathBuf>> {
    std::thread::scope(|scope| -> Result<Vec<PathBuf>> {
        let running: Vec<_> = blobs
            .iter()
            .enumerate()
            .map(|(number, blob)| {
                let folder = unpack.then(|| out.join(format!("unpacked-{number}")));
                scope.spawn(move || fetch(out, host, name, blob, folder))
            })
            .collect();
        running.into_iter().map(|each| each.join().map_err(|_| "a thread panicked")?).collect()
    })
}

/// One blob: a GET, the bytes to a file and through SHA-256; in a second thread inflated and through SHA-256 again.
fn fetch(out: &Path, host: &str, name: &str, blob: &str, folder: Option<PathBuf>) -> Result<PathBuf> {
    let mut stream = std::net::TcpStream::connect(host)?;
    write!(stream, "GET /v2/{name}/blobs/{blob} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut reader = BufReader::with_capacity(CHUNK, stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    if !line.contains(" 200 ") {
        return Err(format!("{blob}: {line}").into());
    }
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line)?;
    }
    let file = out.join(blob.replace(':', "-"));
    let mut output = File::create(&file)?;
    let (send, receive) = sync_channel::<Arc<[u8]>>(8);
    let digest = std::thread::scope(|scope| -> Result<String> {
        let inflating = scope.spawn(move || -> Result<()> {
            let inflate = flate2::read::GzDecoder::new(Chunks::new(receive));
            let mut reader = BufReader::with_capacity(CHUNK, Hashing { inner: inflate, hash: Sha256::new() });
            match folder {
                Some(folder) => untar(&mut reader, &folder)?,
                None => std::io::copy(&mut reader, &mut std::io::sink()).map(drop)?,
            }
            std::hint::black_box(reader.into_inner().hash.finalize());
            Ok(())
        });
        let mut hash = Sha256::new();
        loop {
            let part: Arc<[u8]> = Arc::from(reader.fill_buf()?);
            if part.is_empty() {
                break;
            }
            reader.consume(part.len());
            send.send(Arc::clone(&part))?;
            hash.update(&part);
            output.write_all(&part)?;
        }
        drop(send);
        inflating.join().map_err(|_| "a thread panicked")??;
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    })?;
    if blob != format!("sha256:{digest}") {
        return Err(format!("{blob} has the bytes of {digest}").into());
    }
    Ok(file)
}

/// The pieces that another thread sends, as one stream.
struct Chunks {
    from: Receiver<Arc<[u8]>>,
    now: Arc<[u8]>,
    at: usize,
}

impl Chunks {
    fn new(from: Receiver<Arc<[u8]>>) -> Self {
        Chunks { from, now: Arc::from([]), at: 0 }
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.at == self.now.len() {
            match self.from.recv() {
                Ok(next) => (self.now, self.at) = (next, 0),
                Err(_) => return Ok(0),
            }
        }
        let n = buffer.len().min(self.now.len() - self.at);
        buffer[..n].copy_from_slice(&self.now[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

/// Hashes what is read through it.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hash.update(&buffer[..n]);
        Ok(n)
    }
}

/// Writes the files of a tar of the bench's own to a folder; it has folders, regular files, links and short names alone.
fn untar(reader: &mut impl Read, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut header = [0u8; 512];
    loop {
        reader.read_exact(&mut header)?;
        if header[0] == 0 {
            break;
        }
        let text = |from: usize, to: usize| -> Result<&str> {
            let field = &header[from..to];
            let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
            Ok(std::str::from_utf8(&field[..end])?.trim())
        };
        let (prefix, name) = (text(345, 500)?, text(0, 100)?);
        let target = if prefix.is_empty() { folder.join(name) } else { folder.join(prefix).join(name) };
        let size = u64::from_str_radix(text(124, 136)?, 8)?;
        match header[156] {
            b'5' => std::fs::create_dir_all(&target)?,
            b'2' => std::os::unix::fs::symlink(text(157, 257)?, &target)?,
            b'0' => {
                let mode = u32::from_str_radix(text(100, 108)?, 8)?;
                let mut file = File::options().write(true).create_new(true).mode(mode).open(&target)?;
                std::io::copy(&mut reader.by_ref().take(size), &mut file)?;
                std::io::copy(&mut reader.by_ref().take(padding(size) as u64), &mut std::io::sink())?;
            }
            other => return Err(format!("{}: no type {other} is expected", target.display()).into()),
        }
    }
    std::io::copy(reader, &mut std::io::sink())?;
    Ok(())
}

// ------------------------------------------------------------------ running

fn shell(busybox: &Path, script: &str, folder: &Path) -> Result<()> {
    let status = std::process::Command::new(busybox).args(["sh", "-c", script]).current_dir(folder).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{script}: {status}").into())
    }
}

fn steps(out: &Path, busybox: &Path, count: usize) -> Result<()> {
    for number in 0..count {
        one_step(out, busybox, number, "")?;
    }
    Ok(())
}

fn stages(out: &Path, busybox: &Path, count: usize, seconds: &str) -> Result<()> {
    let pause = format!("sleep {seconds}; ");
    std::thread::scope(|scope| -> Result<()> {
        let running: Vec<_> = (0..count)
            .map(|number| {
                let pause = pause.as_str();
                scope.spawn(move || one_step(out, busybox, number, pause))
            })
            .collect();
        running.into_iter().try_for_each(|each| each.join().map_err(|_| "a thread panicked")?)
    })
}

/// A shell that writes one file, and a layer of it.
fn one_step(out: &Path, busybox: &Path, number: usize, before: &str) -> Result<()> {
    let folder = out.join(format!("step-{number}"));
    std::fs::create_dir(&folder)?;
    shell(busybox, &format!("{before}echo {number} >out{number}"), &folder)?;
    let done = out.join(format!("layers-{number}"));
    std::fs::create_dir(&done)?;
    layer_each(&done, &folder)
}

// ------------------------------------------------------------------ writing

/// All files into one archive. `std::io::copy` lets the kernel move the bytes.
fn archive(out: &Path, files: &[PathBuf]) -> Result<()> {
    let mut output = File::create(out.join("image.tar"))?;
    for file in files {
        let mut input = File::open(file)?;
        let size = input.metadata()?.len();
        output.write_all(&header(b"blobs/sha256/x", size, 0o644))?;
        std::io::copy(&mut input, &mut output)?;
        output.write_all(&[0; 512][..padding(size)])?;
    }
    output.write_all(&[0; 1024])?;
    Ok(())
}

fn padding(size: u64) -> usize {
    ((512 - size % 512) % 512) as usize
}

/// A ustar header that is good enough to cost what one costs.
fn header(name: &[u8], size: u64, mode: u32) -> [u8; 512] {
    let mut block = [0u8; 512];
    let n = name.len().min(100);
    block[..n].copy_from_slice(&name[..n]);
    block[100..107].copy_from_slice(format!("{:07o}", mode & 0o7777).as_bytes());
    block[108..115].copy_from_slice(b"0000000");
    block[116..123].copy_from_slice(b"0000000");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[136..147].copy_from_slice(b"00000000000");
    block[148..156].copy_from_slice(b"        ");
    block[156] = b'0';
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

// ------------------------------------------------------------------ reading

/// Visits every file that is kept, with its metadata, in the order of names.
fn walk(root: &Path, at: &mut PathBuf, ignore: bool, visit: &mut dyn FnMut(&Path, &std::fs::Metadata)) -> Result<()> {
    let mut names: Vec<_> = std::fs::read_dir(root.join(&at))?.collect::<std::io::Result<Vec<_>>>()?;
    names.sort_by_key(|entry| entry.file_name());
    for entry in names {
        let name = entry.file_name();
        if ignore
            && (name.as_encoded_bytes().ends_with(b".log") || (at.as_os_str().is_empty() && name == "node_modules"))
        {
            continue;
        }
        at.push(&name);
        if entry.file_type()?.is_dir() {
            visit(at, &entry.metadata()?);
            walk(root, at, ignore, visit)?;
        } else {
            visit(at, &entry.metadata()?);
        }
        at.pop();
    }
    Ok(())
}

struct Found {
    path: PathBuf,
    size: u64,
    mode: u32,
    folder: bool,
}

/// What a reader hands to the writer: pieces of the tar in order.
type Piece = Arc<Vec<u8>>;

/// Makes one layer of a folder. Readers (one for each core) read and hash files, a writer puts the tar together.
fn layer(out: &Path, root: &Path, digest: bool, ignore: bool) -> Result<PathBuf> {
    let mut found = Vec::new();
    walk(root, &mut PathBuf::new(), ignore, &mut |path, meta| {
        found.push(Found { path: path.to_owned(), size: meta.len(), mode: meta.mode(), folder: meta.is_dir() });
    })?;
    let file = out.join("layer.tar");
    let mut output = File::create(&file)?;
    let readers = std::thread::available_parallelism().map_or(1, usize::from);
    let batches: Vec<&[Found]> = found.chunks(32).collect();
    std::thread::scope(|scope| -> Result<()> {
        let mut channels = Vec::new();
        for number in 0..readers {
            let (send, receive) = sync_channel::<Option<Piece>>(8);
            channels.push(receive);
            let mine: Vec<&[Found]> = batches.iter().skip(number).step_by(readers).copied().collect();
            scope.spawn(move || -> Result<()> {
                for batch in mine {
                    read_batch(root, batch, digest, &|piece| Ok(send.send(Some(piece))?))?;
                    send.send(None)?;
                }
                Ok(())
            });
        }
        // SHA-256 of the tar runs in a thread of its own, beside the writing.
        let (to_hash, hashing) = sync_channel::<Piece>(8);
        let hasher = scope.spawn(move || {
            let mut hash = Sha256::new();
            for piece in hashing {
                hash.update(piece.as_slice());
            }
            std::hint::black_box(hash.finalize());
        });
        for (number, _) in batches.iter().enumerate() {
            while let Some(piece) = channels[number % readers].recv()? {
                to_hash.send(Arc::clone(&piece))?;
                output.write_all(&piece)?;
            }
        }
        output.write_all(&[0; 1024])?;
        drop(to_hash);
        hasher.join().map_err(|_| "a thread panicked")?;
        Ok(())
    })?;
    Ok(file)
}

/// One layer for each file. They are so small that dividing the work among cores would cost more than it.
fn layer_each(out: &Path, root: &Path) -> Result<()> {
    let mut found = Vec::new();
    walk(root, &mut PathBuf::new(), false, &mut |path, meta| {
        found.push(Found { path: path.to_owned(), size: meta.len(), mode: meta.mode(), folder: meta.is_dir() });
    })?;
    for (number, one) in found.chunks(1).enumerate() {
        let output = RefCell::new(File::create(out.join(format!("layer-{number}.tar")))?);
        let hash = RefCell::new(Sha256::new());
        read_batch(root, one, true, &|piece| {
            hash.borrow_mut().update(piece.as_slice());
            Ok(output.borrow_mut().write_all(&piece)?)
        })?;
        output.borrow_mut().write_all(&[0; 1024])?;
        std::hint::black_box(hash.into_inner().finalize());
    }
    Ok(())
}

fn read_batch(root: &Path, batch: &[Found], digest: bool, give: &dyn Fn(Piece) -> Result<()>) -> Result<()> {
    let mut piece = Vec::with_capacity(CHUNK);
    for found in batch {
        let size = if found.folder { 0 } else { found.size };
        piece.extend_from_slice(&header(found.path.as_os_str().as_encoded_bytes(), size, found.mode));
        if found.folder {
            continue;
        }
        let mut input = File::open(root.join(&found.path))?;
        let mut hash = blake3::Hasher::new();
        let mut left = found.size as usize;
        while left > 0 {
            if piece.len() >= CHUNK {
                give(Arc::new(std::mem::replace(&mut piece, Vec::with_capacity(CHUNK))))?;
            }
            let start = piece.len();
            let n = left.min(CHUNK.max(start + 1) - start);
            piece.resize(start + n, 0);
            input.read_exact(&mut piece[start..])?;
            if digest {
                hash.update(&piece[start..]);
            }
            left -= n;
        }
        std::hint::black_box(hash.finalize());
        piece.resize(piece.len() + padding(found.size), 0);
    }
    give(Arc::new(piece))
}
