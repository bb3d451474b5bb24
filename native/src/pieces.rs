//! How bytes go from thread to thread: in pieces, through channels that hold a few.
use crate::failure::{Code, Failure, Result};
use crate::session::lock;
use std::io::{self, BufRead, Read};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};
use std::sync::Mutex;
use std::thread::ScopedJoinHandle;

/// Bytes of a piece: large enough that the hand-over costs nothing, small enough to stay in a core's cache.
pub const PIECE: usize = 256 << 10;

/// Memory of pieces that are done with, to be used again. Never waits.
#[derive(Default)]
pub struct Pool {
    free: Mutex<Vec<Vec<u8>>>,
}

/// More than this many pieces are not kept: what is in flight is bounded by the channels.
const MAX_FREE: usize = 16;

impl Pool {
    pub fn take(&self) -> Vec<u8> {
        lock(&self.free).pop().unwrap_or_else(|| Vec::with_capacity(PIECE))
    }

    pub fn give(&self, mut piece: Vec<u8>) {
        let mut free = lock(&self.free);
        if free.len() < MAX_FREE && piece.capacity() >= PIECE {
            piece.clear();
            free.push(piece);
        }
    }
}

/// Sends pieces to a [`PieceReader`]. Dropped without [`PieceSender::end`], the reader fails.
pub struct PieceSender(SyncSender<Option<Vec<u8>>>);

impl PieceSender {
    /// Fails when the reader is gone, for a reason that it tells itself.
    pub fn send(&self, piece: Vec<u8>) -> Result<()> {
        self.0.send(Some(piece)).map_err(|_| neighbour_failed())
    }

    pub fn end(self) -> Result<()> {
        self.0.send(None).map_err(|_| neighbour_failed())
    }
}

/// The pieces that another thread sends, as one stream.
pub struct PieceReader<'a> {
    from: Receiver<Option<Vec<u8>>>,
    pool: &'a Pool,
    piece: Vec<u8>,
    at: usize,
    ended: bool,
}

/// A channel for pieces, `depth` of which may wait.
pub fn piece_channel(pool: &Pool, depth: usize) -> (PieceSender, PieceReader<'_>) {
    let (sender, from) = sync_channel(depth);
    (PieceSender(sender), PieceReader { from, pool, piece: Vec::new(), at: 0, ended: false })
}

impl PieceReader<'_> {
    /// The next whole piece; `None` at the end. Not to be mixed with reading.
    pub fn next_piece(&mut self) -> Result<Option<Vec<u8>>> {
        if self.ended {
            return Ok(None);
        }
        let piece = self.from.recv().map_err(|_| neighbour_failed())?;
        self.ended = piece.is_none();
        Ok(piece)
    }
}

impl Read for PieceReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for PieceReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.piece.len() && !self.ended {
            if let Some(next) = self.next_piece()? {
                self.pool.give(std::mem::replace(&mut self.piece, next));
                self.at = 0;
            }
        }
        Ok(&self.piece[self.at..])
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }
}

/// Stands for the failure of another thread of the same request, which is the one to be told.
pub fn neighbour_failed() -> Failure {
    Failure::cancelled()
}

/// What a thread came to; a panic is a defect of ours that ends the request alone.
pub fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| Err(Failure::new(Code::Protocol, "the core has a defect: a thread panicked")))
}

/// The failure to be told when threads that depend on each other ended: the first that has a reason of its own.
pub fn first_cause(failures: impl IntoIterator<Item = Failure>) -> Option<Failure> {
    failures.into_iter().reduce(|first, next| {
        let is_better = first.code == Code::Cancelled && next.code != Code::Cancelled;
        if is_better {
            next
        } else {
            first
        }
    })
}
