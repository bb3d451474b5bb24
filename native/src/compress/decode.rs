//! Decompression as a reader around a reader.
use super::gzip::GzipReader;
use crate::failure::{Code, Failure, Result};
use crate::protocol::CompressionKind;
use std::io::{self, BufRead, Read};

/// Larger windows are refused, so that memory stays bounded: 2^27 = 128 MiB, the largest that `zstd --long` writes
/// unless told otherwise.
const MAX_ZSTD_WINDOW_LOG: u32 = 27;
/// For a dictionary of 128 MiB; `xz -9` makes one of 64 MiB.
const MAX_XZ_KIBIBYTES: u32 = 160 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    None,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

impl Encoding {
    pub fn name(self) -> &'static str {
        match self {
            Encoding::None => "none",
            Encoding::Gzip => "gzip",
            Encoding::Zstd => "zstd",
            Encoding::Bzip2 => "bzip2",
            Encoding::Xz => "xz",
        }
    }

    /// What the first bytes of a stream say, at least [`MAGIC`] of them unless there are fewer.
    pub fn detect(start: &[u8]) -> Encoding {
        match start {
            [0x1f, 0x8b, 8, ..] => Encoding::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Encoding::Zstd,
            [b'B', b'Z', b'h', ..] => Encoding::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Encoding::Xz,
            _ => Encoding::None,
        }
    }
}

/// Bytes that [`Encoding::detect`] looks at.
pub const MAGIC: usize = 6;

impl From<CompressionKind> for Encoding {
    fn from(kind: CompressionKind) -> Self {
        match kind {
            CompressionKind::None => Encoding::None,
            CompressionKind::Gzip => Encoding::Gzip,
            CompressionKind::Zstd => Encoding::Zstd,
        }
    }
}

/// The decompressed stream. Reading from it fails with `hostile` when it is damaged or cut short, and with what the
/// input fails with.
pub fn decoder<'a>(encoding: Encoding, input: impl BufRead + Send + 'a) -> Result<Box<dyn Read + Send + 'a>> {
    Ok(match encoding {
        Encoding::None => Box::new(input),
        Encoding::Gzip => Box::new(GzipReader::new(input)),
        Encoding::Zstd => {
            let mut reader = zstd::stream::read::Decoder::with_buffer(input)?;
            reader.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
            Box::new(Decoded { reader, encoding })
        }
        Encoding::Bzip2 => Box::new(Decoded { reader: bzip2::bufread::MultiBzDecoder::new(input), encoding }),
        Encoding::Xz => {
            let reader = lzma_rust2::XzReader::new_mem_limit(input, true, MAX_XZ_KIBIBYTES);
            Box::new(Decoded { reader, encoding })
        }
    })
}

/// Gives a decoder's complaints about its stream the code that they have here.
struct Decoded<R> {
    reader: R,
    encoding: Encoding,
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.reader.read(out).map_err(|error| {
            let is_ours = error.get_ref().is_some_and(|inner| inner.is::<Failure>());
            if is_ours || error.raw_os_error().is_some() || error.kind() == io::ErrorKind::Interrupted {
                return error;
            }
            let message = format!("a {} stream is damaged or cut short: {error}", self.encoding.name());
            Failure::new(Code::Hostile, message).into()
        })
    }
}
