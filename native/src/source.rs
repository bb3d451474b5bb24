//! Where the contents of a table's files come from: folders, other layers' tars, the table itself.
use crate::compress::decode::decoder;
use crate::failure::{Code, Failure, Result};
use crate::pieces::PIECE;
use crate::protocol::{BlobSource, CompressionKind};
use crate::root::Root;
use crate::session::{lock, Job};
use crate::table::{Entry, Kind, Source, Table};
use rustix::fs::{fstat, openat, seek, FileType, Mode, OFlags, Stat, CWD};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

/// Compressed blobs that are read in step with the table, each with a decoder's memory; others go through a file.
const MAX_STREAMS: usize = 8;
/// Smaller files are not asked for holes.
const SPARSE_FROM: u64 = 1 << 20;

pub struct Sources {
    roots: Vec<Root>,
    blobs: Vec<Blob>,
}

enum Blob {
    Unused,
    Plain(File),
    /// Is read while the table is walked, whose entries are in the order of their contents.
    Stream(Mutex<Stream>),
    /// The needed ranges of the tar, one after the other in an unnamed file.
    Spooled {
        file: File,
        ranges: Vec<Range>,
    },
}

struct Range {
    start: u64,
    end: u64,
    /// Where it begins in the spool.
    at: u64,
}

/// A decompressed blob that is read from its start to its end.
pub struct Stream {
    reader: Box<dyn Read + Send>,
    position: u64,
}

impl Sources {
    /// Opens everything that the table needs. Compressed blobs whose contents are not needed in their order are
    /// decompressed into an unnamed file in `temporary` first.
    /// Fails with `protocol` when a number in the table leads nowhere or an entry that is no file has a content.
    pub fn open(roots: &[String], blobs: &[BlobSource], table: &Table, temporary: &str, job: &Job) -> Result<Sources> {
        Sources::open_ordered(roots, blobs, table, 0..table.len(), temporary, job)
    }

    /// The same for entries of these numbers alone, whose contents are taken in this order.
    pub fn open_ordered(
        roots: &[String],
        blobs: &[BlobSource],
        table: &Table,
        order: impl Iterator<Item = usize>,
        temporary: &str,
        job: &Job,
    ) -> Result<Sources> {
        let needs = needs(roots.len(), blobs.len(), table, order)?;
        let roots = roots.iter().map(|root| Root::open(root)).collect::<Result<_>>()?;
        let mut streams = 0;
        let mut zstd_streams = 0;
        let mut opened = Vec::with_capacity(blobs.len());
        for (source, need) in blobs.iter().zip(needs) {
            if need.ranges.is_empty() {
                opened.push(Blob::Unused);
                continue;
            }
            let open = || File::open(&source.path).map_err(|error| Failure::from(error).at(&source.path));
            let is_zstd = source.compression == CompressionKind::Zstd;
            let streamable = need.in_order && streams < MAX_STREAMS && !(is_zstd && zstd_streams > 0);
            opened.push(if source.compression == CompressionKind::None {
                Blob::Plain(open()?)
            } else {
                let input = BufReader::with_capacity(PIECE / 4, open()?);
                let reader = decoder(source.compression.into(), input)?;
                if streamable {
                    streams += 1;
                    zstd_streams += usize::from(is_zstd);
                    Blob::Stream(Mutex::new(Stream { reader, position: 0 }))
                } else {
                    spool(Stream { reader, position: 0 }, need.ranges, temporary, job)
                        .map_err(|failure| failure.at(&source.path))?
                }
            });
        }
        Ok(Sources { roots, blobs: opened })
    }

    /// Whether contents must be read one after the other in the table's order.
    pub fn is_sequential(&self) -> bool {
        self.blobs.iter().any(|blob| matches!(blob, Blob::Stream(_)))
    }

    /// The content of an entry, to be read from its start to its end.
    pub fn content<'a>(&'a self, entry: &Entry<'a>) -> Result<Content<'a>> {
        match entry.source {
            Source::None => Ok(Content::Bytes(b"")),
            Source::Inline(bytes) => Ok(Content::Bytes(bytes)),
            Source::File { root, path } => content_of(&self.roots[root as usize], path, entry.size),
            Source::Blob { blob, offset } => match &self.blobs[blob as usize] {
                Blob::Unused => Ok(Content::Bytes(b"")),
                Blob::Plain(file) => Ok(Content::At { file, offset }),
                Blob::Stream(stream) => Ok(Content::Stream { stream, offset }),
                Blob::Spooled { file, ranges } => {
                    let number = ranges.partition_point(|range| range.start <= offset);
                    let range = number.checked_sub(1).and_then(|number| ranges.get(number)).ok_or_else(no_content)?;
                    Ok(Content::At { file, offset: range.at + (offset - range.start) })
                }
            },
        }
    }
}

/// What the table needs of a blob.
struct Need {
    /// Start and end of each content.
    ranges: Vec<(u64, u64)>,
    in_order: bool,
}

fn needs(roots: usize, blobs: usize, table: &Table, order: impl Iterator<Item = usize>) -> Result<Vec<Need>> {
    let mut needs: Vec<Need> = (0..blobs).map(|_| Need { ranges: Vec::new(), in_order: true }).collect();
    for index in order {
        let entry = table.entry(index);
        if entry.kind != Kind::File {
            continue;
        }
        let fault = |what: &str| Err(Failure::new(Code::Protocol, what).at(entry.path));
        match entry.source {
            Source::None if entry.size > 0 => return fault("a file has no source"),
            Source::None | Source::Inline(_) => {}
            Source::File { root, .. } if root as usize >= roots => return fault("a file's root is unknown"),
            Source::File { .. } => {}
            Source::Blob { blob, offset } => {
                let Some(need) = needs.get_mut(blob as usize) else { return fault("a file's blob is unknown") };
                let Some(end) = offset.checked_add(entry.size) else { return Err(no_content().at(entry.path)) };
                if entry.size > 0 {
                    need.in_order &= need.ranges.last().is_none_or(|(_, last)| *last <= offset);
                    need.ranges.push((offset, end));
                }
            }
        }
    }
    Ok(needs)
}

fn spool(mut stream: Stream, mut needed: Vec<(u64, u64)>, temporary: &str, job: &Job) -> Result<Blob> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = openat(CWD, temporary, flags, Mode::RUSR | Mode::WUSR);
    let mut file = File::from(file.map_err(|error| Failure::from(error).at(temporary))?);
    needed.sort_unstable();
    let mut ranges: Vec<Range> = Vec::new();
    let mut at = 0;
    for (start, end) in needed {
        match ranges.last_mut() {
            Some(last) if start <= last.end => {
                at += end.saturating_sub(last.end);
                last.end = last.end.max(end);
            }
            _ => {
                ranges.push(Range { start, end, at });
                at += end - start;
            }
        }
    }
    let mut buffer = vec![0; PIECE];
    for range in &ranges {
        let mut position = range.start;
        while position < range.end {
            let length = (range.end - position).min(PIECE as u64) as usize;
            stream.read(position, &mut buffer[..length], job)?;
            file.write_all(&buffer[..length])?;
            position += length as u64;
        }
    }
    Ok(Blob::Spooled { file, ranges })
}

impl Stream {
    /// Fills `out` with what is at this place, which is not before where the last reading ended.
    fn read(&mut self, offset: u64, out: &mut [u8], job: &Job) -> Result<()> {
        if offset < self.position {
            return Err(Failure::new(Code::Protocol, "contents of a compressed blob are not in order"));
        }
        while self.position < offset {
            let length = (offset - self.position).min(out.len().max(1) as u64).min(PIECE as u64) as usize;
            let mut scratch = [0; 4096];
            let space = if out.len() > scratch.len() { &mut out[..length] } else { &mut scratch[..] };
            let length = (space.len() as u64).min(offset - self.position) as usize;
            let count = read_some(&mut self.reader, &mut space[..length])?;
            self.position += count as u64;
            job.check()?;
        }
        let mut filled = 0;
        while filled < out.len() {
            filled += read_some(&mut self.reader, &mut out[filled..])?;
        }
        self.position += out.len() as u64;
        Ok(())
    }
}

/// Reads at least a byte. Fails with `mismatch` at the end or when the stream is damaged: the blob is not what it was.
fn read_some(reader: &mut dyn Read, out: &mut [u8]) -> Result<usize> {
    loop {
        match reader.read(out) {
            Ok(0) => return Err(no_content()),
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let failure = Failure::from(error);
                let is_damage = failure.code == Code::Hostile;
                return Err(if is_damage { Failure::new(Code::Mismatch, failure.message) } else { failure });
            }
        }
    }
}

fn no_content() -> Failure {
    Failure::new(Code::Mismatch, "a layer ends before a content that its index tells of")
}

/// A content that is being read.
pub enum Content<'a> {
    Bytes(&'a [u8]),
    File(File),
    /// A file with holes, which are not read.
    Sparse(SparseFile),
    At {
        file: &'a File,
        offset: u64,
    },
    Stream {
        stream: &'a Mutex<Stream>,
        offset: u64,
    },
}

impl Content<'_> {
    /// Fills `out` with the next bytes. Fails with `changed` or `mismatch` when there are fewer.
    pub fn read(&mut self, out: &mut [u8], job: &Job) -> Result<()> {
        match self {
            Content::Bytes(bytes) => {
                let (now, rest) = bytes.split_at_checked(out.len()).ok_or_else(no_content)?;
                out.copy_from_slice(now);
                *bytes = rest;
                Ok(())
            }
            Content::File(file) => file.read_exact(out).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => Failure::new(Code::Changed, "a file became shorter"),
                _ => error.into(),
            }),
            Content::Sparse(sparse) => sparse.read(out),
            Content::At { file, offset } => {
                file.read_exact_at(out, *offset).map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof => no_content(),
                    _ => Failure::from(error),
                })?;
                *offset += out.len() as u64;
                Ok(())
            }
            Content::Stream { stream, offset } => {
                lock(stream).read(*offset, out, job)?;
                *offset += out.len() as u64;
                Ok(())
            }
        }
    }

    /// The file behind the content, to be copied as a whole.
    pub fn file(&mut self) -> Option<&mut File> {
        match self {
            Content::File(file) => Some(file),
            _ => None,
        }
    }

    /// Looks at a file after it was read: its type and size, and its time if `with_time`, must be what the entry says.
    /// A change during the reading shows in the time, or in the digest if it was within one tick of the clock.
    /// Gives what a stat cache wants to know. Fails with `changed`.
    pub fn check_unchanged(&self, entry: &Entry<'_>, with_time: bool) -> Result<Option<Stat>> {
        let (Content::File(file) | Content::Sparse(SparseFile { file, .. })) = self else { return Ok(None) };
        let stat = fstat(file)?;
        let what = if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            "it is no longer a regular file"
        } else if stat.st_size as u64 != entry.size {
            "its size changed"
        } else if with_time && (stat.st_mtime as i64, stat.st_mtime_nsec as u32) != (entry.seconds, entry.nanoseconds) {
            "its time changed"
        } else {
            return Ok(Some(stat));
        };
        Err(Failure::new(Code::Changed, format!("a file was changed while it was used: {what}")))
    }
}

/// The content of a file below a root. Fails with `changed` when it is gone.
pub fn content_of<'a>(root: &Root, path: &[u8], size: u64) -> Result<Content<'a>> {
    let file = root.open_file(path).map_err(|failure| match failure.code {
        Code::NotFound => Failure::new(Code::Changed, "a file is gone").at(path),
        _ => failure,
    })?;
    if size < SPARSE_FROM || !has_holes(&file)? {
        return Ok(Content::File(file));
    }
    Ok(Content::Sparse(SparseFile { file, position: 0, data: 0..0 }))
}

/// A file that is read around its holes.
pub struct SparseFile {
    file: File,
    position: u64,
    /// Where the next bytes are that are not in a hole, as far as is known: the next hole begins at its end.
    data: std::ops::Range<u64>,
}

impl SparseFile {
    fn read(&mut self, mut out: &mut [u8]) -> Result<()> {
        while !out.is_empty() {
            if self.position >= self.data.end {
                self.data = self.next_data()?;
            }
            let in_hole = self.data.start.saturating_sub(self.position);
            let left = if in_hole > 0 { in_hole } else { self.data.end - self.position };
            let (now, rest) = out.split_at_mut(left.min(out.len() as u64) as usize);
            if in_hole > 0 {
                now.fill(0);
            } else {
                self.file.read_exact_at(now, self.position).map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof => Failure::new(Code::Changed, "a file became shorter"),
                    _ => error.into(),
                })?;
            }
            self.position += now.len() as u64;
            out = rest;
        }
        Ok(())
    }

    /// Behind the last data there is a hole, whose end is only known to the caller.
    fn next_data(&self) -> Result<std::ops::Range<u64>> {
        match seek(&self.file, rustix::fs::SeekFrom::Data(self.position)) {
            Ok(start) => Ok(start..seek(&self.file, rustix::fs::SeekFrom::Hole(start))?),
            Err(Errno::NXIO) => Ok(u64::MAX..u64::MAX),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether a file takes less space than it has bytes.
fn has_holes(file: &File) -> Result<bool> {
    let stat = fstat(file)?;
    Ok((stat.st_blocks as u64).saturating_mul(512) < stat.st_size as u64)
}

/// The path to name when something is wrong with an entry's content: where it comes from.
pub fn origin<'a>(entry: &Entry<'a>) -> &'a [u8] {
    match entry.source {
        Source::File { path, .. } => path,
        _ => entry.path,
    }
}

/// Fails when the content that was read has another digest than the table has.
pub fn check_digest(entry: &Entry<'_>, digest: &[u8; 32]) -> Result<()> {
    if entry.digest.is_none_or(|expected| expected == *digest) {
        return Ok(());
    }
    Err(match entry.source {
        Source::File { .. } => Failure::new(Code::Changed, "a file was changed while it was used: its content changed"),
        _ => Failure::new(Code::Mismatch, "a content is not what its index tells"),
    })
}
