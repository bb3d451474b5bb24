//! The mirror of `src/native/protocol.ts`, where every field is explained: requests, replies, and how frames are read
//! and written. `test/native/protocol.test.ts` holds the two together.
use crate::failure::{Code, Failure, Result};
use crate::sandbox::protocol::{Diff, IngestTree, Mark, Move, Probe, ProbeCheck, Remove, Run, Stream, Unpack};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

pub const PROTOCOL_VERSION: u32 = 2;

const MAX_HEAD: usize = 16 << 20;
/// An entry table of 4,000,000 entries with long names fits.
const MAX_BODY: usize = 3 << 30;

#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Request {
    Scan(Scan),
    Pack(Pack),
    Ingest(Ingest),
    Extract(Extract),
    Recompress(Recompress),
    Probe(Probe),
    Unpack(Unpack),
    Mark(Mark),
    Diff(Diff),
    Remove(Remove),
    Move(Move),
    Run(Box<Run>),
    Data { id: u64 },
    End { id: u64 },
    Cancel { id: u64 },
}

impl Request {
    pub fn id(&self) -> u64 {
        match self {
            Request::Scan(request) => request.id,
            Request::Pack(request) => request.id,
            Request::Ingest(request) => request.id,
            Request::Extract(request) => request.id,
            Request::Recompress(request) => request.id,
            Request::Probe(request) => request.id,
            Request::Unpack(request) => request.id,
            Request::Mark(request) => request.id,
            Request::Diff(request) => request.id,
            Request::Remove(request) => request.id,
            Request::Move(request) => request.id,
            Request::Run(request) => request.id,
            Request::Data { id } | Request::End { id } | Request::Cancel { id } => *id,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scan {
    pub id: u64,
    pub root: String,
    pub selections: Vec<Selection>,
    pub ignore: Vec<IgnoreRule>,
    pub digest: bool,
    pub stat_cache: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selection {
    pub segments: Vec<Segment>,
    pub follow_last: bool,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
pub enum Segment {
    Name { text: String },
    Pattern { text: String },
    Any,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IgnoreRule {
    pub pattern: String,
    pub negated: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pack {
    pub id: u64,
    pub output: Output,
    pub compression: Compression,
    pub roots: Vec<String>,
    pub blobs: Vec<BlobSource>,
    pub index: Option<String>,
    pub purpose: Purpose,
    pub temporary: String,
    pub stat_cache: Option<String>,
    pub epoch: Option<i64>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    Layer,
    Archive,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobSource {
    pub path: String,
    pub compression: CompressionKind,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Output {
    Path(String),
    Descriptor(i32),
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum CompressionKind {
    None,
    Gzip,
    Zstd,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compression {
    pub kind: CompressionKind,
    pub level: i32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ingest {
    pub id: u64,
    pub input: Option<String>,
    pub output: Option<String>,
    pub index: String,
    pub compression: IngestCompression,
    pub digest: Option<String>,
    pub size: Option<u64>,
    pub diff_id: Option<String>,
    pub tar: Option<String>,
    pub tree: Option<IngestTree>,
}

/// What the bytes of an `ingest` are said to be; `Bzip2` and `Xz` are only ever found out by `Detect`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum IngestCompression {
    None,
    Gzip,
    Zstd,
    Detect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extract {
    pub id: u64,
    pub output: String,
    pub roots: Vec<String>,
    pub blobs: Vec<BlobSource>,
    pub temporary: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recompress {
    pub id: u64,
    pub input: BlobSource,
    pub output: String,
    pub compression: Compression,
}

#[derive(Debug, Serialize)]
#[serde(tag = "reply", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Reply {
    Hello {
        protocol: u32,
        version: &'static str,
    },
    Scanned {
        id: u64,
        matches: Vec<Vec<Match>>,
        misses: Vec<Option<Miss>>,
        warnings: Vec<ScanWarning>,
        files_read: u64,
        bytes_read: u64,
    },
    Packed {
        id: u64,
        diff_id: String,
        digest: String,
        size: u64,
        tar_size: u64,
    },
    Ingested {
        id: u64,
        digest: String,
        size: u64,
        diff_id: String,
        tar_size: u64,
        entries: u64,
        compression: &'static str,
    },
    Extracted {
        id: u64,
        files: u64,
        bytes: u64,
    },
    Recompressed {
        id: u64,
        digest: String,
        size: u64,
    },
    Probed {
        id: u64,
        checks: Vec<ProbeCheck>,
    },
    Unpacked {
        id: u64,
        files: u64,
        bytes: u64,
    },
    Marked {
        id: u64,
        entries: u64,
        raises: bool,
    },
    Diffed {
        id: u64,
        entries: u64,
        diff_id: String,
        digest: String,
        size: u64,
        tar_size: u64,
        content: String,
    },
    Removed {
        id: u64,
    },
    Moved {
        id: u64,
    },
    Output {
        id: u64,
        stream: Stream,
    },
    Exited {
        id: u64,
        status: Option<i32>,
        signal: Option<i32>,
        out_of_memory: bool,
        elapsed: f64,
        warnings: Vec<String>,
    },
    Progress {
        id: u64,
        bytes: u64,
        entries: u64,
    },
    Failed {
        id: u64,
        code: Code,
        message: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        path: Option<String>,
    },
}

#[derive(Debug, Serialize)]
pub struct Match {
    pub entry: u64,
    pub asked: String,
}

#[derive(Debug, Serialize)]
pub struct Miss {
    pub rule: Option<u64>,
}

#[derive(Debug, Serialize)]
pub struct ScanWarning {
    pub path: String,
    pub kind: &'static str,
}

impl Reply {
    pub fn failed(id: u64, failure: Failure) -> Self {
        Reply::Failed { id, code: failure.code, message: failure.message, path: failure.path }
    }
}

/// Reads one frame; `None` at the end of the stream between two frames.
pub fn read_frame(input: &mut impl Read) -> Result<Option<(Request, Vec<u8>)>> {
    let mut lengths = [0u8; 8];
    let mut filled = 0;
    while filled < lengths.len() {
        match input.read(&mut lengths[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(Failure::new(Code::Protocol, "a frame is cut short")),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let [a, b, c, d, e, f, g, h] = lengths;
    let head_length = u32::from_le_bytes([a, b, c, d]) as usize;
    let body_length = u32::from_le_bytes([e, f, g, h]) as usize;
    if head_length > MAX_HEAD || body_length > MAX_BODY {
        return Err(Failure::new(Code::Protocol, "a frame is too long"));
    }
    let head = read_exactly(input, head_length)?;
    let body = read_exactly(input, body_length)?;
    let request = serde_json::from_slice(&head)
        .map_err(|error| Failure::new(Code::Protocol, format!("a request cannot be read: {error}")))?;
    Ok(Some((request, body)))
}

fn read_exactly(input: &mut impl Read, length: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length.min(1 << 20));
    input.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() != length {
        return Err(Failure::new(Code::Protocol, "a frame is cut short"));
    }
    Ok(bytes)
}

/// Writes one frame and flushes it.
pub fn write_frame(output: &mut impl Write, reply: &Reply, body: &[u8]) -> io::Result<()> {
    let head = serde_json::to_vec(reply).map_err(io::Error::other)?;
    let head_length = u32::try_from(head.len()).map_err(io::Error::other)?;
    let body_length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut start = Vec::with_capacity(8 + head.len());
    start.extend_from_slice(&head_length.to_le_bytes());
    start.extend_from_slice(&body_length.to_le_bytes());
    start.extend_from_slice(&head);
    output.write_all(&start)?;
    output.write_all(body)?;
    output.flush()
}
