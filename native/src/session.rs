//! The life of the process: reads requests, runs each in a thread of its own, and sends what they reply.
use crate::failure::{Code, Failure, Result};
use crate::protocol::{read_frame, write_frame, Reply, Request, PROTOCOL_VERSION};
use crate::{diff, extract, ingest, pack, recompress, sandbox, scan, trees, unpack};
use std::collections::HashMap;
use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a request tells how far it is.
const REPORT_EVERY: Duration = Duration::from_millis(100);
/// Pieces of an `ingest` (1 MiB at most each) that wait for it; then reading stops, and so the sender is slowed down.
const PENDING_PIECES: usize = 4;

/// What a running request has of the session: whether it shall stop, and how it tells its progress.
pub struct Job {
    pub id: u64,
    cancelled: AtomicBool,
    bytes: AtomicU64,
    entries: AtomicU64,
    reported: Mutex<Instant>,
    replies: Arc<Replies>,
}

impl Job {
    /// Fails with `cancelled` once the request was cancelled. To be called in every loop over files or pieces.
    pub fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Failure::cancelled());
        }
        Ok(())
    }

    /// Adds to what has been done; sends it now and then. Also checks for cancellation.
    pub fn advance(&self, bytes: u64, entries: u64) -> Result<()> {
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let entries = self.entries.fetch_add(entries, Ordering::Relaxed) + entries;
        if let Ok(mut reported) = self.reported.try_lock() {
            if reported.elapsed() >= REPORT_EVERY {
                *reported = Instant::now();
                self.replies.send(&Reply::Progress { id: self.id, bytes, entries }, &[]);
            }
        }
        self.check()
    }

    /// Sends an event of the request: anything but its reply.
    pub fn send(&self, event: &Reply, body: &[u8]) {
        self.replies.send(event, body);
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    /// A job that reports to nobody, for tests.
    #[cfg(test)]
    pub fn silent() -> Self {
        Job::new(0, Arc::new(Replies { output: Mutex::new(None) }))
    }

    fn new(id: u64, replies: Arc<Replies>) -> Self {
        Job {
            id,
            cancelled: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            reported: Mutex::new(Instant::now()),
            replies,
        }
    }
}

/// Standard output, taken apart into whole frames.
struct Replies {
    output: Mutex<Option<io::Stdout>>,
}

impl Replies {
    /// A client that is gone closes our input too, which ends the session: nothing is to be done here about it.
    fn send(&self, reply: &Reply, body: &[u8]) {
        let mut output = lock(&self.output);
        if let Some(stream) = output.as_mut() {
            if write_frame(&mut stream.lock(), reply, body).is_err() {
                *output = None;
            }
        }
    }
}

/// What a request comes to: its reply and the reply's body.
pub type Outcome = Result<(Reply, Vec<u8>)>;

struct Running {
    job: Arc<Job>,
    /// Where the pieces of an `ingest` go; dropped at their end.
    pieces: Option<SyncSender<Vec<u8>>>,
    thread: JoinHandle<()>,
}

/// Says, instead of a greeting, why there is nothing to be served.
pub fn refuse(failure: Failure) -> Result<()> {
    Ok(write_frame(&mut io::stdout().lock(), &Reply::failed(0, failure), &[])?)
}

/// Serves requests until the input ends; then what still runs is cancelled and waited for.
pub fn serve() -> Result<()> {
    let replies = Arc::new(Replies { output: Mutex::new(Some(io::stdout())) });
    replies.send(&Reply::Hello { protocol: PROTOCOL_VERSION, version: env!("CARGO_PKG_VERSION") }, &[]);
    let mut running: HashMap<u64, Running> = HashMap::new();
    let mut input = io::BufReader::with_capacity(256 << 10, io::stdin().lock());
    let outcome = loop {
        match read_frame(&mut input) {
            Ok(Some((request, body))) => take(request, body, &mut running, &replies),
            Ok(None) => break Ok(()),
            Err(failure) => break Err(failure),
        }
    };
    for each in running.values_mut() {
        each.job.cancelled.store(true, Ordering::Relaxed);
        each.pieces = None;
    }
    for (_, each) in running {
        // A thread that panicked has replied so already.
        if each.thread.join().is_err() {
            continue;
        }
    }
    outcome
}

fn take(request: Request, body: Vec<u8>, running: &mut HashMap<u64, Running>, replies: &Arc<Replies>) {
    let id = request.id();
    match request {
        Request::Data { .. } => {
            // A request that failed early takes no more pieces, and has said so.
            if let Some(Running { pieces: Some(pieces), .. }) = running.get(&id) {
                if pieces.send(body).is_err() {
                    running.entry(id).and_modify(|each| each.pieces = None);
                }
            }
        }
        Request::End { .. } => {
            running.entry(id).and_modify(|each| each.pieces = None);
        }
        Request::Cancel { .. } => {
            if let Some(each) = running.get_mut(&id) {
                each.job.cancelled.store(true, Ordering::Relaxed);
                each.pieces = None;
            }
        }
        work => {
            running.retain(|_, each| !each.thread.is_finished());
            if running.contains_key(&id) {
                let failure = Failure::new(Code::Protocol, format!("request {id} is running already"));
                replies.send(&Reply::failed(id, failure), &[]);
                return;
            }
            let job = Arc::new(Job::new(id, Arc::clone(replies)));
            let (pieces, receiver) = sync_channel(PENDING_PIECES);
            let wants_pieces = matches!(&work, Request::Ingest(ingest) if ingest.input.is_none());
            let thread = start(work, body, receiver, Arc::clone(&job), Arc::clone(replies));
            running.insert(id, Running { job, pieces: wants_pieces.then_some(pieces), thread });
        }
    }
}

fn start(
    work: Request,
    body: Vec<u8>,
    pieces: Receiver<Vec<u8>>,
    job: Arc<Job>,
    replies: Arc<Replies>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| run(work, body, pieces, &job)))
            .unwrap_or_else(|_| Err(Failure::new(Code::Protocol, "the core has a defect: a thread panicked")));
        match outcome {
            Ok((reply, body)) => replies.send(&reply, &body),
            Err(failure) => replies.send(&Reply::failed(job.id, failure), &[]),
        }
    })
}

fn run(work: Request, body: Vec<u8>, pieces: Receiver<Vec<u8>>, job: &Job) -> Outcome {
    match work {
        Request::Scan(request) => scan::scan(request, job),
        Request::Pack(request) => pack::pack(request, body, job),
        Request::Ingest(request) => ingest::ingest(request, pieces, job),
        Request::Extract(request) => extract::extract(request, body, job),
        Request::Recompress(request) => recompress::recompress(request, job),
        Request::Probe(request) => sandbox::probe(request, job),
        Request::Unpack(request) => unpack::unpack(request, job),
        Request::Mark(request) => diff::mark(request, job),
        Request::Diff(request) => diff::diff(request, job),
        Request::Remove(request) => trees::remove(request, job),
        Request::Move(request) => trees::rename(request, job),
        Request::Run(request) => sandbox::run(*request, job),
        Request::Data { .. } | Request::End { .. } | Request::Cancel { .. } => {
            Err(Failure::new(Code::Protocol, "this is no request of its own"))
        }
    }
}

/// A lock whatever happened to another thread that held it: what it guards is valid at any moment.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
