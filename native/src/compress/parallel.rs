//! Compression on several cores whose bytes depend on the input, the kind and the level alone: the input is cut into
//! blocks of a fixed size, each is compressed by itself, and the results are put together in order.
//!
//! gzip: one member. A block is deflated with the 32 KiB before it as its dictionary and ends with an empty stored block
//! at a byte's border (a sync flush). zstd: each block is a frame with its size and checksum; RFC 8878 section 3.1 lets
//! any number of frames follow each other.
use super::gzip::{deflate_block, HEADER, LAST_BLOCK, WINDOW};
use crate::cores::cores;
use crate::failure::{Code, Failure, Result};
use crate::protocol::{Compression, CompressionKind};
use std::io;
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};
use std::thread::JoinHandle;
use zlib_rs::crc32::crc32_combine;

const GZIP_BLOCK: usize = 256 << 10;
const ZSTD_BLOCK: usize = 2 << 20;
/// More would go over the memory that the core may use.
const MAX_GZIP_THREADS: usize = 8;
const MAX_ZSTD_THREADS: usize = 4;

/// Takes compressed bytes in order.
pub type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> Result<()>;

pub enum Compressor {
    None,
    Blocks(Blocks),
}

impl Compressor {
    /// Fails with `protocol` when there is no such level.
    pub fn new(compression: Compression) -> Result<Self> {
        let cores = cores();
        let threads = match compression.kind {
            CompressionKind::None => return Ok(Compressor::None),
            CompressionKind::Gzip => cores.min(MAX_GZIP_THREADS),
            CompressionKind::Zstd => cores.min(MAX_ZSTD_THREADS),
        };
        Ok(Compressor::Blocks(Blocks::new(compression, threads)?))
    }

    pub fn write(&mut self, bytes: &[u8], sink: Sink<'_>) -> Result<()> {
        match self {
            Compressor::None => sink(bytes),
            Compressor::Blocks(blocks) => blocks.write(bytes, sink),
        }
    }

    pub fn finish(self, sink: Sink<'_>) -> Result<()> {
        match self {
            Compressor::None => Ok(()),
            Compressor::Blocks(blocks) => blocks.finish(sink),
        }
    }
}

struct Task {
    dictionary: Vec<u8>,
    block: Vec<u8>,
    /// An empty vector to be filled.
    out: Vec<u8>,
}

struct Done {
    task: Task,
    crc: u32,
}

struct Worker {
    tasks: Option<SyncSender<Task>>,
    results: Receiver<Result<Done>>,
    thread: Option<JoinHandle<()>>,
}

/// Blocks that are compressed by workers in turn.
pub struct Blocks {
    kind: CompressionKind,
    block_size: usize,
    workers: Vec<Worker>,
    current: Vec<u8>,
    /// The end of the block before the current one.
    dictionary: Vec<u8>,
    sent: usize,
    received: usize,
    /// Used up tasks whose memory serves again.
    spare: Vec<Task>,
    crc: u32,
    total: u64,
    begun: bool,
}

impl Blocks {
    fn new(compression: Compression, threads: usize) -> Result<Self> {
        let Compression { kind, level } = compression;
        let (block_size, levels) = match kind {
            CompressionKind::Zstd => (ZSTD_BLOCK, 1..=22),
            _ => (GZIP_BLOCK, 1..=9),
        };
        if !levels.contains(&level) {
            return Err(Failure::new(Code::Protocol, format!("there is no compression level {level}")));
        }
        let workers = (0..threads.max(1)).map(|_| start(kind, level)).collect::<io::Result<Vec<_>>>()?;
        Ok(Blocks {
            kind,
            block_size,
            workers,
            current: Vec::with_capacity(block_size),
            dictionary: Vec::new(),
            sent: 0,
            received: 0,
            spare: Vec::new(),
            crc: 0,
            total: 0,
            begun: false,
        })
    }

    fn write(&mut self, mut bytes: &[u8], sink: Sink<'_>) -> Result<()> {
        self.begin(sink)?;
        while !bytes.is_empty() {
            let length = bytes.len().min(self.block_size - self.current.len());
            self.current.extend_from_slice(&bytes[..length]);
            bytes = &bytes[length..];
            if self.current.len() == self.block_size {
                self.send(sink)?;
            }
        }
        Ok(())
    }

    fn finish(mut self, sink: Sink<'_>) -> Result<()> {
        self.begin(sink)?;
        // An empty input is one empty frame.
        if !self.current.is_empty() || (self.kind == CompressionKind::Zstd && self.sent == 0) {
            self.send(sink)?;
        }
        while self.received < self.sent {
            self.receive(sink)?;
        }
        if self.kind == CompressionKind::Gzip {
            sink(&LAST_BLOCK)?;
            sink(&self.crc.to_le_bytes())?;
            sink(&(self.total as u32).to_le_bytes())?;
        }
        Ok(())
    }

    fn begin(&mut self, sink: Sink<'_>) -> Result<()> {
        if !std::mem::replace(&mut self.begun, true) && self.kind == CompressionKind::Gzip {
            sink(&HEADER)?;
        }
        Ok(())
    }

    fn send(&mut self, sink: Sink<'_>) -> Result<()> {
        // One block more than there are workers is on its way, so that none waits while another's result is written.
        while self.sent - self.received > self.workers.len() {
            self.receive(sink)?;
        }
        let mut task = self.spare.pop().unwrap_or_else(|| Task {
            dictionary: Vec::new(),
            block: Vec::with_capacity(self.block_size),
            out: Vec::new(),
        });
        task.block.clear();
        task.out.clear();
        std::mem::swap(&mut task.block, &mut self.current);
        std::mem::swap(&mut task.dictionary, &mut self.dictionary);
        self.dictionary.clear();
        if self.kind == CompressionKind::Gzip {
            let start = task.block.len().saturating_sub(WINDOW);
            self.dictionary.extend_from_slice(&task.block[start..]);
        }
        let worker = &self.workers[self.sent % self.workers.len()];
        self.sent += 1;
        worker.tasks.as_ref().and_then(|tasks| tasks.send(task).ok()).ok_or_else(lost)
    }

    fn receive(&mut self, sink: Sink<'_>) -> Result<()> {
        let worker = &self.workers[self.received % self.workers.len()];
        let done = worker.results.recv().map_err(|_| lost())??;
        self.received += 1;
        let length = done.task.block.len() as u64;
        self.crc = crc32_combine(self.crc, done.crc, length);
        self.total += length;
        sink(&done.task.out)?;
        self.spare.push(done.task);
        Ok(())
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            worker.tasks = None;
        }
        for worker in &mut self.workers {
            // One that panicked has given no result, which was the failure.
            if let Some(thread) = worker.thread.take() {
                drop(thread.join());
            }
        }
    }
}

fn lost() -> Failure {
    Failure::new(Code::Io, "a compressing thread ended")
}

fn start(kind: CompressionKind, level: i32) -> io::Result<Worker> {
    let (tasks, incoming) = sync_channel::<Task>(2);
    let (outgoing, results) = sync_channel(2);
    let work = move || match kind {
        CompressionKind::Zstd => serve(&incoming, &outgoing, |task| zstd_frame(level, task)),
        _ => serve(&incoming, &outgoing, |task| deflate_block(level, &task.dictionary, &task.block, &mut task.out)),
    };
    let thread = std::thread::Builder::new().name("compress".into()).spawn(work)?;
    Ok(Worker { tasks: Some(tasks), results, thread: Some(thread) })
}

fn serve(
    tasks: &Receiver<Task>,
    results: &SyncSender<Result<Done>>,
    mut compress: impl FnMut(&mut Task) -> Result<u32>,
) {
    for mut task in tasks {
        let result = compress(&mut task).map(|crc| Done { task, crc });
        if results.send(result).is_err() {
            return;
        }
    }
}

/// Appends one frame. It has a context of its own: one that is used again salts its tables anew, which may give other
/// bytes, and then the result would depend on which thread had which block.
fn zstd_frame(level: i32, task: &mut Task) -> Result<u32> {
    let mut context = zstd::bulk::Compressor::new(level)?;
    context.include_checksum(true)?;
    context.include_contentsize(true)?;
    task.out.reserve(zstd::zstd_safe::compress_bound(task.block.len()));
    context.compress_to_buffer(&task.block, &mut task.out)?;
    // Only gzip has one CRC for all.
    Ok(0)
}

#[cfg(test)]
mod tests;
