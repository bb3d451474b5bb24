//! Copies a blob into another compression.
use crate::compress::decode::decoder;
use crate::compress::parallel::Compressor;
use crate::digest::sha256;
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::pieces::{first_cause, joined, piece_channel, Pool, PIECE};
use crate::protocol::{Recompress, Reply};
use crate::session::{Job, Outcome};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufReader, Read, Write};

/// Pieces between decompression and compression.
const DEPTH: usize = 4;

pub fn recompress(request: Recompress, job: &Job) -> Outcome {
    let path = &request.input.path;
    let file = File::open(path).map_err(|error| Failure::from(error).at(path))?;
    let input = BufReader::with_capacity(PIECE / 4, file);
    let mut reader = decoder(request.input.compression.into(), input)?;
    let mut compressor = Compressor::new(request.compression)?;
    let mut output = Output::create(&request.output)?;
    let mut hash = Sha256::new();
    let pool = Pool::default();
    std::thread::scope(|scope| -> Result<()> {
        let (sender, mut pieces) = piece_channel(&pool, DEPTH);
        let pool = &pool;
        let reading = scope.spawn(move || loop {
            let mut piece = pool.take();
            (&mut reader).take(PIECE as u64).read_to_end(&mut piece)?;
            if piece.is_empty() {
                return sender.end();
            }
            job.advance(piece.len() as u64, 0)?;
            sender.send(piece)?;
        });
        let writing = || -> Result<()> {
            let mut sink = |bytes: &[u8]| {
                hash.update(bytes);
                Ok(output.write_all(bytes)?)
            };
            while let Some(piece) = pieces.next_piece()? {
                compressor.write(&piece, &mut sink)?;
                pool.give(piece);
            }
            drop(pieces);
            compressor.finish(&mut sink)
        };
        let wrote = writing();
        let read = joined(reading).map_err(|failure| failure.at(path));
        first_cause(read.err().into_iter().chain(wrote.err())).map_or(Ok(()), Err)
    })?;
    let reply = Reply::Recompressed { id: request.id, digest: sha256(hash), size: output.size() };
    output.keep();
    Ok((reply, Vec::new()))
}
