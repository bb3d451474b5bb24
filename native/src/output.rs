//! Where a request writes: a new file that is there in the end or not at all, or a descriptor that was inherited.
use crate::descriptor::inherited;
use crate::failure::{Code, Failure, Result};
use crate::protocol;
use crate::session::Job;
use crate::zeros::is_zero;
use rustix::event::{poll, PollFd, PollFlags};
use rustix::fs::{copy_file_range, sendfile};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Bytes that the kernel is asked to copy at once: so often is a request's end looked at.
const COPY_AT_ONCE: u64 = 4 << 20;
const BUFFER: usize = 256 << 10;
/// Fewer zeros are written.
const HOLE: usize = 64 << 10;

/// A file that is removed again unless [`Output::keep`] is called.
pub struct Output {
    file: File,
    unfinished: Option<PathBuf>,
    size: u64,
    way: Way,
}

/// How the kernel copies to where the output leads; found out by trying.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    CopyFileRange,
    SendFile,
    ReadWrite,
}

impl Output {
    pub fn open(output: &protocol::Output) -> Result<Output> {
        match output {
            protocol::Output::Path(path) => Output::create(path),
            protocol::Output::Descriptor(number) => {
                Ok(Output { file: inherited(*number)?, unfinished: None, size: 0, way: Way::CopyFileRange })
            }
        }
    }

    /// Makes a file that must not be there yet.
    pub fn create(path: &str) -> Result<Output> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(path)
            .map_err(|error| Failure::from(error).at(path))?;
        Ok(Output { file, unfinished: Some(PathBuf::from(path)), size: 0, way: Way::CopyFileRange })
    }

    /// Bytes written so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The file is finished and stays.
    pub fn keep(mut self) {
        self.unfinished = None;
    }

    /// Appends the next `size` bytes of a file, inside the kernel where it can.
    /// Fails with `changed` when the file has fewer.
    pub fn append(&mut self, input: &mut File, size: u64, job: &Job) -> Result<()> {
        let mut left = size;
        while left > 0 {
            let copied = match self.append_some(input, left.min(COPY_AT_ONCE)) {
                Err(Errno::AGAIN) => {
                    self.wait()?;
                    continue;
                }
                Err(Errno::INTR) => continue,
                other => other?,
            };
            if copied == 0 {
                return Err(Failure::new(Code::Changed, "a file is shorter than it was"));
            }
            left -= copied;
            self.size += copied;
            job.advance(copied, 0)?;
        }
        Ok(())
    }

    /// Appends bytes. A file of our own gets a hole where they are all zero; a last one needs more bytes after it.
    pub fn append_sparsely(&mut self, bytes: &[u8]) -> Result<()> {
        if self.unfinished.is_none() || bytes.len() < HOLE || !is_zero(bytes) {
            return Ok(self.write_all(bytes)?);
        }
        self.file.seek(SeekFrom::Current(bytes.len() as i64))?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    fn append_some(&mut self, input: &mut File, wanted: u64) -> rustix::io::Result<u64> {
        loop {
            let (copied, next) = match self.way {
                Way::CopyFileRange => {
                    (copy_file_range(&*input, None, &self.file, None, wanted as usize), Way::SendFile)
                }
                Way::SendFile => (sendfile(&self.file, &*input, None, wanted as usize), Way::ReadWrite),
                Way::ReadWrite => return self.append_by_hand(input, wanted),
            };
            match copied {
                // Each call has its own list of what it cannot do; none has moved a byte when it fails. Some file
                // systems also answer 0 when they mean that.
                Ok(0)
                | Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::BADF | Errno::PERM) => {
                    self.way = next;
                }
                other => return other.map(|count| count as u64),
            }
        }
    }

    fn append_by_hand(&mut self, input: &mut File, wanted: u64) -> rustix::io::Result<u64> {
        let as_errno = |error: io::Error| error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error);
        let mut buffer = vec![0; BUFFER.min(wanted as usize)];
        let count = input.read(&mut buffer).map_err(as_errno)?;
        let size = self.size;
        self.write_all(&buffer[..count]).map_err(as_errno)?;
        // The caller counts.
        self.size = size;
        Ok(count as u64)
    }

    /// Waits until the output takes bytes again: a pipe that node made is often one that does not block.
    fn wait(&self) -> rustix::io::Result<()> {
        match poll(&mut [PollFd::new(&self.file, PollFlags::OUT)], None) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.file.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait()?,
                Err(error) => return Err(error),
                Ok(written) => {
                    self.size += written as u64;
                    return Ok(written);
                }
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Only for files, never for a descriptor that leads to a pipe.
impl Seek for Output {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(path) = self.unfinished.take() {
            // Already a failure is on its way; that the file stays behind in a folder for such would add nothing.
            drop(std::fs::remove_file(path));
        }
    }
}
