use super::*;
use crate::compress::decode::{decoder, Encoding};
use crate::testing::Random;
use std::io::Read;

fn compress(kind: CompressionKind, level: i32, threads: usize, input: &[u8], step: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sink = |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok(())
    };
    let mut blocks = Blocks::new(Compression { kind, level }, threads).unwrap();
    for piece in input.chunks(step) {
        blocks.write(piece, &mut sink).unwrap();
    }
    blocks.finish(&mut sink).unwrap();
    out
}

fn decompress(encoding: Encoding, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    decoder(encoding, bytes)?.read_to_end(&mut out)?;
    Ok(out)
}

#[test]
fn the_bytes_do_not_depend_on_threads_or_on_how_they_were_written() {
    let input = Random::new(1).text(9_000_000);
    for (kind, encoding, level) in [
        (CompressionKind::Gzip, Encoding::Gzip, 1),
        (CompressionKind::Gzip, Encoding::Gzip, 6),
        (CompressionKind::Zstd, Encoding::Zstd, 3),
        (CompressionKind::Zstd, Encoding::Zstd, 7),
    ] {
        let once = compress(kind, level, 1, &input, 1 << 20);
        assert!(once.len() < input.len());
        for (threads, step) in [(2, 1 << 20), (2, 77_777), (5, 9_000_000)] {
            assert!(compress(kind, level, threads, &input, step) == once, "{kind:?} {threads} {step}");
        }
        assert!(decompress(encoding, &once).unwrap() == input, "{kind:?}");
    }
}

#[test]
fn every_size_and_level_comes_back() {
    let mut random = Random::new(2);
    for size in [0, 1, GZIP_BLOCK - 1, GZIP_BLOCK, GZIP_BLOCK + 1, 2 * GZIP_BLOCK, ZSTD_BLOCK, ZSTD_BLOCK + 1] {
        let mut input: Vec<u8> = (0..size).map(|_| random.number() as u8).collect();
        input[size / 2..].fill(7);
        for (kind, encoding) in [(CompressionKind::Gzip, Encoding::Gzip), (CompressionKind::Zstd, Encoding::Zstd)] {
            let bytes = compress(kind, 3, 2, &input, 100_000);
            assert!(decompress(encoding, &bytes).unwrap() == input, "{kind:?} {size}");
        }
    }
    let input = random.text(300_000);
    for level in 1..=9 {
        let bytes = compress(CompressionKind::Gzip, level, 2, &input, 100_000);
        assert!(decompress(Encoding::Gzip, &bytes).unwrap() == input, "level {level}");
    }
    for level in [1, 9, 19, 22] {
        let bytes = compress(CompressionKind::Zstd, level, 1, &input, 100_000);
        assert!(decompress(Encoding::Zstd, &bytes).unwrap() == input, "level {level}");
    }
}

#[test]
fn a_level_that_does_not_exist_is_refused() {
    for (kind, level) in [(CompressionKind::Gzip, 0), (CompressionKind::Gzip, 10), (CompressionKind::Zstd, 23)] {
        let failure = Compressor::new(Compression { kind, level }).err().unwrap();
        assert_eq!(failure.code, Code::Protocol);
    }
}

#[test]
fn damage_and_cuts_are_found_without_a_panic() {
    let mut random = Random::new(4);
    let input = random.text(3_000);
    let gzip = compress(CompressionKind::Gzip, 6, 1, &input, 1000);
    let zstd = compress(CompressionKind::Zstd, 3, 1, &input, 1000);
    for (encoding, bytes) in [(Encoding::Gzip, gzip), (Encoding::Zstd, zstd)] {
        for length in 0..bytes.len() {
            let cut = decompress(encoding, &bytes[..length]).map_err(|failure| failure.code);
            let is_whole_zstd = length == 0 && encoding == Encoding::Zstd;
            assert!(cut == Err(Code::Hostile) || (is_whole_zstd && cut == Ok(Vec::new())), "{encoding:?} {length}");
        }
        for _ in 0..2000 {
            let mut damaged = bytes.clone();
            damaged[random.below(bytes.len())] ^= 1 << random.below(8);
            match decompress(encoding, &damaged) {
                // A flip in the header may mean nothing.
                Ok(out) => assert!(out == input, "{encoding:?}"),
                Err(failure) => assert_eq!(failure.code, Code::Hostile),
            }
        }
    }
}

#[test]
fn several_members_and_frames_are_one_stream() {
    for (kind, encoding) in [(CompressionKind::Gzip, Encoding::Gzip), (CompressionKind::Zstd, Encoding::Zstd)] {
        let parts: Vec<Vec<u8>> =
            [&b"one"[..], b"", b"two"].iter().map(|part| compress(kind, 3, 1, part, 10)).collect();
        assert_eq!(decompress(encoding, &parts.concat()).unwrap(), b"onetwo");
        let followed = [parts[0].as_slice(), b"garbage"].concat();
        assert_eq!(decompress(encoding, &followed).map_err(|failure| failure.code), Err(Code::Hostile));
    }
}
