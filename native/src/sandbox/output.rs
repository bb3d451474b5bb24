//! Passing on what a command prints.
use super::fault::Called;
use super::protocol::Stream;
use crate::failure::Result;
use crate::protocol::Reply;
use crate::session::Job;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// Bytes of an event at most.
const PIECE: usize = 64 << 10;
/// What a pipe takes in before its writer has to wait, where that may be asked for.
const ROOM: usize = 1 << 20;
/// How long one waits at most to see that the request was cancelled.
const PATIENCE: Duration = Duration::from_millis(50);
/// Who prints line by line is not read line by line: pieces are no nearer to each other than this, unless they are large.
const PAUSE: Duration = Duration::from_millis(2);
const LARGE: usize = PIECE / 4;

/// Both streams of a command.
pub struct Relay<'a> {
    job: &'a Job,
    pipes: Vec<Pipe>,
    buffer: Vec<u8>,
    /// No piece is read before that.
    resume: Instant,
}

struct Pipe {
    reader: OwnedFd,
    stream: Stream,
}

impl<'a> Relay<'a> {
    pub fn new(
        job: &'a Job,
        stdout: Option<impl Into<OwnedFd>>,
        stderr: Option<impl Into<OwnedFd>>,
    ) -> Result<Relay<'a>> {
        let mut pipes = Vec::with_capacity(2);
        let given = [(stdout.map(Into::into), Stream::Stdout), (stderr.map(Into::into), Stream::Stderr)];
        for (reader, stream) in given {
            let Some(reader) = reader else { continue };
            rustix::io::ioctl_fionbio(&reader, true).called("ioctl(FIONBIO)")?;
            match rustix::pipe::fcntl_setpipe_size(&reader, ROOM) {
                // A user may have so much of them and no more; it goes with less, too.
                Ok(_) | Err(Errno::PERM | Errno::BUSY) => {}
                Err(error) => return Err(super::fault::fault("fcntl(F_SETPIPE_SZ)", error)),
            }
            pipes.push(Pipe { reader, stream });
        }
        Ok(Relay { job, pipes, buffer: vec![0; PIECE], resume: Instant::now() })
    }

    /// Passes on what there is to read, or waits a moment for it. Gives whether `control` has something to say.
    pub fn wait(&mut self, control: impl AsFd) -> Result<bool> {
        let pause = self.resume.saturating_duration_since(Instant::now());
        let mut polled = vec![PollFd::new(&control, PollFlags::IN)];
        if pause.is_zero() {
            polled.extend(self.pipes.iter().map(|pipe| PollFd::new(&pipe.reader, PollFlags::IN)));
        }
        let timeout = if pause.is_zero() { PATIENCE } else { pause };
        let timeout = Timespec { tv_sec: 0, tv_nsec: timeout.subsec_nanos().into() };
        match poll(&mut polled, Some(&timeout)) {
            Err(Errno::INTR) => return Ok(false),
            done => done.called("poll")?,
        };
        let mut ready = polled.iter().map(|one| !one.revents().is_empty());
        let is_told = ready.next().unwrap_or_default();
        let readable: Vec<bool> = ready.collect();
        drop(polled);
        let mut most = 0;
        for (at, _) in readable.iter().enumerate().rev().filter(|(_, is_readable)| **is_readable) {
            most = most.max(self.pass_on(at)?);
        }
        if most > 0 && most < LARGE {
            self.resume = Instant::now() + PAUSE;
        }
        Ok(is_told)
    }

    /// Passes on all that is left in the pipes. Does not wait for their end: it is not certain to come, when a process
    /// outside has been handed one of them.
    pub fn finish(&mut self) -> Result<()> {
        while !self.pipes.is_empty() {
            let mut is_empty = true;
            for at in (0..self.pipes.len()).rev() {
                is_empty &= self.pass_on(at)? == 0;
            }
            if is_empty {
                break;
            }
        }
        self.pipes.clear();
        Ok(())
    }

    /// Passes on one piece, and forgets a pipe that has ended. Gives the size of the piece.
    fn pass_on(&mut self, at: usize) -> Result<usize> {
        let Some(Pipe { reader, stream }) = self.pipes.get(at) else { return Ok(0) };
        match rustix::io::read(reader, &mut self.buffer[..]) {
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Ok(0) => {
                self.pipes.remove(at);
                Ok(0)
            }
            read => {
                let read = read.called("read(a pipe)")?;
                self.job.send(&Reply::Output { id: self.job.id(), stream: *stream }, &self.buffer[..read]);
                Ok(read)
            }
        }
    }
}
