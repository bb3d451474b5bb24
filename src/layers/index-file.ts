import { closeSync, fstatSync, openSync, readSync } from "node:fs";
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

/** Where a record has the number of its inode, which says nothing of what is in the layer. */
const INODE_GROUP = 88;

/**
 * Whether two tables' files say the same, byte for byte but for the numbers of inodes. A piece of each is read at a time.
 * @throws KbuildError `internal.entryTable` when one is no table or cut short
 */
export function sameIndexFiles(left: string, right: string): boolean {
  const files: number[] = [];
  try {
    const sizes = [left, right].map((path) => {
      const file = openSync(path, "r");
      files.push(file);
      return fstatSync(file).size;
    });
    const [one = -1, other = -1] = files;
    const [size = 0] = sizes;
    if (size !== sizes[1]) return false;
    const head = readPiece(one, Buffer.alloc(HEADER));
    if (!head.equals(readPiece(other, Buffer.alloc(HEADER)))) return false;
    const records = lengthInHeader(head) * RECORD;
    for (let at = HEADER; at < size; ) {
      // Pieces end with the last record, so that each begins with a record or is of the heap alone.
      const rest = (at - HEADER < records ? HEADER + records : size) - at;
      const length = Math.min(rest, RECORDS * RECORD);
      const pieces = [readPiece(one, Buffer.alloc(length)), readPiece(other, Buffer.alloc(length))];
      if (at - HEADER < records) for (const piece of pieces) clearInodeGroups(piece);
      const [a, b] = pieces;
      if (a === undefined || b === undefined || !a.equals(b)) return false;
      at += length;
    }
    return true;
  } finally {
    for (const file of files) closeSync(file);
  }
}

function clearInodeGroups(records: Buffer): void {
  for (let at = 0; at < records.length; at += RECORD) records.fill(0, at + INODE_GROUP, at + INODE_GROUP + 8);
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
