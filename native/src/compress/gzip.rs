//! The two sides of gzip, RFC 1952, on top of a raw deflate.
use crate::failure::{Code, Failure, Result};
use std::io::{self, BufRead, Read};
use zlib_rs::crc32::crc32;
use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush, Status};

/// How far back deflate looks.
pub const WINDOW: usize = 32 << 10;
/// No name, no time, system unknown: nothing that is not in the content.
pub const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// An empty last block.
pub const LAST_BLOCK: [u8; 2] = [3, 0];
/// Window bits of zlib that ask for a gzip header and trailer.
const GZIP_WINDOW_BITS: u8 = 15 + 16;
const RAW_WINDOW_BITS: u8 = 15;

/// Appends a compressed block that can be put together with others to one member: it ends at a byte's border. Gives its
/// CRC. `dictionary` is what precedes it.
///
/// Each block has a compressor of its own: one that is reset remembers enough of its earlier blocks to give other bytes,
/// and then the result would depend on which thread had which block.
pub fn deflate_block(level: i32, dictionary: &[u8], block: &[u8], out: &mut Vec<u8>) -> Result<u32> {
    let failed = |_| Failure::new(Code::Io, "deflate failed");
    let mut deflate = Deflate::new(level, false, RAW_WINDOW_BITS);
    if !dictionary.is_empty() {
        deflate.set_dictionary(dictionary).map_err(failed)?;
    }
    let mut filled = out.len();
    let mut taken = 0;
    loop {
        out.resize(filled + block.len() / 2 + 4096, 0);
        let (before_in, before_out) = (deflate.total_in(), deflate.total_out());
        deflate.compress(&block[taken..], &mut out[filled..], DeflateFlush::SyncFlush).map_err(failed)?;
        taken += (deflate.total_in() - before_in) as usize;
        filled += (deflate.total_out() - before_out) as usize;
        // Room that is left tells that nothing waits any more.
        if taken == block.len() && filled < out.len() {
            out.truncate(filled);
            return Ok(crc32(0, block));
        }
    }
}

/// Decompresses all members of a stream. Fails with `hostile` when it is damaged or cut short.
pub struct GzipReader<R> {
    input: R,
    inflate: Inflate,
    /// Whether a member has begun that has not ended.
    inside: bool,
    /// Whether there was a member at all.
    begun: bool,
}

impl<R: BufRead> GzipReader<R> {
    pub fn new(input: R) -> Self {
        GzipReader { input, inflate: Inflate::new(true, GZIP_WINDOW_BITS), inside: false, begun: false }
    }
}

impl<R: BufRead> Read for GzipReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let damaged = |what: &str| io::Error::from(Failure::new(Code::Hostile, format!("a gzip stream is {what}")));
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            let input = self.input.fill_buf()?;
            if input.is_empty() {
                return if self.inside || !self.begun { Err(damaged("cut short")) } else { Ok(0) };
            }
            if !self.inside {
                if self.begun {
                    self.inflate = Inflate::new(true, GZIP_WINDOW_BITS);
                }
                (self.inside, self.begun) = (true, true);
            }
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(input, out, InflateFlush::NoFlush).map_err(|_| damaged("damaged"))?;
            let taken = (self.inflate.total_in() - before_in) as usize;
            let given = (self.inflate.total_out() - before_out) as usize;
            self.input.consume(taken);
            if status == Status::StreamEnd {
                self.inside = false;
            } else if taken == 0 && given == 0 {
                return Err(damaged("damaged"));
            }
            if given > 0 {
                return Ok(given);
            }
        }
    }
}
