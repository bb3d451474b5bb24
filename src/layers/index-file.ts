import { closeSync, openSync, readSync } from "node:fs";
import { KbuildError } from "../errors.ts";
import { digestInRecord, HEADER, lengthInHeader, RECORD } from "./entry-table.ts";

/** Records that are read at once: 1 MiB of them. */
const RECORDS = 8192;

/**
 * The digests of the entries in a table's file, one after another; undefined for those without. Only the records are
 * read, a piece at a time: the whole table of 200,000 files takes 40 MB. Whoever does not take all has to say so
 * (`return`, or the end of a `for`), or the file stays open.
 * @throws KbuildError `internal.entryTable` when the file is no table or cut short
 */
export function* readDigests(path: string): Generator<Uint8Array | undefined, undefined> {
  const file = openSync(path, "r");
  try {
    const length = lengthInHeader(readPiece(file, Buffer.alloc(HEADER)));
    const piece = Buffer.alloc(Math.min(length, RECORDS) * RECORD);
    for (let first = 0; first < length; first += RECORDS) {
      const records = readPiece(file, piece.subarray(0, Math.min(RECORDS, length - first) * RECORD));
      for (let at = 0; at < records.length; at += RECORD) {
        const digest = digestInRecord(records, at);
        yield digest === undefined ? undefined : Buffer.from(digest);
      }
    }
    return undefined;
  } finally {
    closeSync(file);
  }
}

/** Fills a buffer from where the file was read to. */
function readPiece(file: number, buffer: Buffer): Buffer {
  for (let filled = 0; filled < buffer.length; ) {
    const count = readSync(file, buffer, filled, buffer.length - filled, null);
    if (count === 0) throw new KbuildError("internal.entryTable", "an entry table is cut short");
    filled += count;
  }
  return buffer;
}
