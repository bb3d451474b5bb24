import { KbuildError } from "../errors.ts";
import { decodePath, decodePathIn, encodePath } from "./path-bytes.ts";
import type { Sequence } from "./sequence.ts";

/**
 * The entry table: how a list of files is kept on disk (`layers/<diffid>/index`) and sent to and from the Rust core.
 * Records have a fixed width and are sorted, so that looking a path up in a base of 100,000 files reads a dozen records
 * and makes no objects. `native/src/table.rs` is the mirror.
 *
 * Little-endian. Header, 32 bytes:
 *
 *      0  4 bytes "KBET"      4  u32 version (1)     8  u32 number of entries     12 u32 zero
 *     16  u64 heap length    24  u64 zero
 *
 * Then one record of 128 bytes for each entry, then the heap (offsets below count from its start):
 *
 *      0  u32 path offset      4  u32 path length       no leading or trailing slash; "" is the root
 *      8  u32 link offset     12  u32 link length       target of a symbolic link, or path of a hard link's first name
 *     16  u32 xattrs offset   20  u32 xattrs length     repeated, sorted by name: u32 n, name, u32 n, value
 *     24  u8  type            25  u8  flags (1: has a digest)
 *     26  u8  source kind     27  u8  zero
 *     28  u32 mode (the low 12 bits)
 *     32  u32 uid             36  u32 gid
 *     40  i64 mtime seconds   48  u32 mtime nanoseconds
 *     52  u32 source number   (file: root's number; blob: blob's number)
 *     56  u64 size            of a regular file's content
 *     64  u64 source offset   (blob: where the content starts in the uncompressed tar; inline: in the heap)
 *     72  u32 source path offset   76  u32 source path length   (file: relative to its root)
 *     80  u32 device major    84  u32 device minor
 *     88  u64 inode group     0, or a number that entries of one inode share (scan)
 *     96  32 bytes BLAKE3 of the content
 *
 * Sorted in tree order: bytewise with `/` lower than every other byte, so a folder's subtree follows it at once.
 */
const MAGIC = 0x5445424b;
export const HEADER = 32;
export const RECORD = 128;

/** What an entry is. `whiteout` and `opaque` are the OCI layer marks; their path is the mark's own (`a/.wh.b`, `a/.wh..wh..opq`). */
export const EntryType = {
  file: 0,
  directory: 1,
  symlink: 2,
  hardlink: 3,
  characterDevice: 4,
  blockDevice: 5,
  fifo: 6,
  whiteout: 7,
  opaque: 8,
} as const;
export type EntryType = (typeof EntryType)[keyof typeof EntryType];

/** Where the bytes of a regular file come from when a table is packed. */
export type Source =
  | { readonly kind: "none" }
  | { readonly kind: "file"; readonly root: number; readonly path: string }
  | { readonly kind: "blob"; readonly blob: number; readonly offset: number }
  | { readonly kind: "inline"; readonly bytes: Uint8Array };

/** One entry of a snapshot or a layer. */
export interface Entry {
  /** Without leading or trailing slash; "" is the root. See `path-bytes.ts` for names that are not UTF-8. */
  readonly path: string;
  readonly type: EntryType;
  /** The low 12 bits: permissions, set-id, sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content; 0 for all but regular files. */
  readonly size: number;
  readonly mtime: { readonly seconds: number; readonly nanoseconds: number };
  /** Target of a symbolic link; for a hard link the path of the entry that has the content. */
  readonly link: string;
  readonly device?: { readonly major: number; readonly minor: number };
  /** Sorted by name. */
  readonly xattrs: readonly Xattr[];
  /** BLAKE3 of a regular file's content; absent when it has not been read. */
  readonly digest: Uint8Array | undefined;
  /** Entries of one scan with the same number other than 0 are names of one inode. */
  readonly inodeGroup: number;
  readonly source: Source;
}

/** Of an entry that nothing is known of but its path and its type. */
export const NO_FACTS: Omit<Entry, "path" | "type"> = {
  mode: 0,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  link: "",
  xattrs: [],
  digest: undefined,
  inodeGroup: 0,
  source: { kind: "none" },
};

export interface Xattr {
  readonly name: string;
  readonly value: Uint8Array;
}

/** A table in memory, read in place; all that changes in it are digests that become known. */
export class EntryTable {
  readonly #bytes: Buffer;
  readonly #heap: number;
  readonly length: number;

  /** @throws KbuildError `internal.entryTable` when the bytes are not a whole table. */
  constructor(bytes: Buffer) {
    this.length = lengthInHeader(bytes);
    this.#heap = HEADER + this.length * RECORD;
    if (bytes.length !== this.#heap + Number(bytes.readBigUInt64LE(16))) {
      throw new KbuildError("internal.entryTable", "an entry table is cut short");
    }
    this.#bytes = bytes;
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  pathBytes(index: number): Buffer {
    return this.#slice(index, 0);
  }

  path(index: number): string {
    return this.#text(index, 0);
  }

  type(index: number): EntryType {
    return this.#bytes.readUInt8(this.#record(index) + 24) as EntryType;
  }

  /** Whether some entry is of one of these types. */
  has(...types: readonly EntryType[]): boolean {
    const wanted = new Set<number | undefined>(types);
    for (let at = HEADER + 24; at < this.#heap; at += RECORD) if (wanted.has(this.#bytes[at])) return true;
    return false;
  }

  /** BLAKE3 of the content, a view into the table; undefined when it has none. */
  digest(index: number): Buffer | undefined {
    return digestInRecord(this.#bytes, this.#record(index));
  }

  /** Tells the digest of a content that was read after the table had been made. */
  setDigest(index: number, digest: Uint8Array): void {
    const at = this.#record(index);
    this.#bytes.set(digest, at + 96);
    this.#bytes.writeUInt8(this.#bytes.readUInt8(at + 25) | 1, at + 25);
  }

  entry(index: number): Entry {
    const at = this.#record(index);
    const bytes = this.#bytes;
    const type = bytes.readUInt8(at + 24) as EntryType;
    const isDevice = type === EntryType.characterDevice || type === EntryType.blockDevice;
    const path = this.path(index);
    return {
      path,
      type,
      mode: bytes.readUInt32LE(at + 28),
      uid: bytes.readUInt32LE(at + 32),
      gid: bytes.readUInt32LE(at + 36),
      size: readUnsigned(bytes, at + 56),
      mtime: { seconds: readSigned(bytes, at + 40), nanoseconds: bytes.readUInt32LE(at + 48) },
      link: this.#text(index, 8),
      ...(isDevice ? { device: { major: bytes.readUInt32LE(at + 80), minor: bytes.readUInt32LE(at + 84) } } : {}),
      xattrs: this.#xattrs(index),
      digest: this.digest(index),
      inodeGroup: readUnsigned(bytes, at + 88),
      source: this.#source(index, path),
    };
  }

  /** The number of the entry with this path, or -1; of several the first. */
  find(path: string): number {
    const first = this.first(path);
    return first?.isOwn === true ? first.index : -1;
  }

  /** The first entry at a path or below it, and whether it is the path's own. */
  first(path: string): { readonly index: number; readonly isOwn: boolean } | undefined {
    const wanted = encodePath(path);
    const index = this.#lowerBound(wanted);
    if (index >= this.length) return undefined;
    const there = this.pathBytes(index);
    const { length } = wanted;
    if (there.length < length || !there.subarray(0, length).equals(wanted)) return undefined;
    if (there.length === length) return { index, isOwn: true };
    return length === 0 || there[length] === SLASH ? { index, isOwn: false } : undefined;
  }

  /** The half-open range of entries below `path`, itself excluded; of the whole table without the root for "". */
  below(path: string): readonly [number, number] {
    const prefix = path === "" ? Buffer.alloc(0) : encodePath(`${path}/`);
    if (prefix.length === 0) return [this.length > 0 && this.pathBytes(0).length === 0 ? 1 : 0, this.length];
    const start = this.#lowerBound(prefix);
    let low = start;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const candidate = this.pathBytes(middle);
      const inside = candidate.length >= prefix.length && candidate.subarray(0, prefix.length).equals(prefix);
      if (inside) low = middle + 1;
      else high = middle;
    }
    return [start, low];
  }

  *[Symbol.iterator](): IterableIterator<Entry> {
    for (let index = 0; index < this.length; index++) yield this.entry(index);
  }

  #lowerBound(wanted: Buffer): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareTreeOrder(this.pathBytes(middle), wanted) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #record(index: number): number {
    if (index < 0 || index >= this.length) throw new RangeError(`entry ${index} of ${this.length}`);
    return HEADER + index * RECORD;
  }

  #slice(index: number, field: number): Buffer {
    const at = this.#record(index) + field;
    const start = this.#heap + this.#bytes.readUInt32LE(at);
    return this.#range(start, start + this.#bytes.readUInt32LE(at + 4));
  }

  #text(index: number, field: number): string {
    const at = this.#record(index) + field;
    const start = this.#heap + this.#bytes.readUInt32LE(at);
    const end = start + this.#bytes.readUInt32LE(at + 4);
    this.#checkEnd(end);
    return decodePathIn(this.#bytes, start, end);
  }

  #range(start: number, end: number): Buffer {
    this.#checkEnd(end);
    return this.#bytes.subarray(start, end);
  }

  /** @throws KbuildError `internal.entryTable` when it reaches past the end: a file in the store can be damaged */
  #checkEnd(end: number): void {
    if (end <= this.#bytes.length) return;
    throw new KbuildError("internal.entryTable", "an entry table points past its end");
  }

  #hasOwnPathAt(record: number): boolean {
    const bytes = this.#bytes;
    const isSameStart = bytes.readUInt32LE(record) === bytes.readUInt32LE(record + 72);
    return isSameStart && bytes.readUInt32LE(record + 4) === bytes.readUInt32LE(record + 76);
  }

  #xattrs(index: number): readonly Xattr[] {
    if (this.#bytes.readUInt32LE(this.#record(index) + 20) === 0) return NO_XATTRS;
    const bytes = this.#slice(index, 16);
    const list: Xattr[] = [];
    for (let at = 0; at < bytes.length; ) {
      const name = framed(bytes, at);
      const value = framed(bytes, at + 4 + name.length);
      list.push({ name: decodePath(name), value });
      at += 8 + name.length + value.length;
    }
    return list;
  }

  /** `path` is the entry's own, which a file in a context mostly has as well: one string is kept for both. */
  #source(index: number, path: string): Source {
    const at = this.#record(index);
    const number = this.#bytes.readUInt32LE(at + 52);
    const offset = readUnsigned(this.#bytes, at + 64);
    switch (this.#bytes.readUInt8(at + 26)) {
      case 1:
        return { kind: "file", root: number, path: this.#hasOwnPathAt(at) ? path : this.#text(index, 72) };
      case 2:
        return { kind: "blob", blob: number, offset };
      case 3: {
        const start = this.#heap + offset;
        const size = readUnsigned(this.#bytes, at + 56);
        return { kind: "inline", bytes: this.#range(start, start + size) };
      }
      default:
        return { kind: "none" };
    }
  }
}

/**
 * The number of entries that a table's header tells.
 * @throws KbuildError `internal.entryTable` when it is none
 */
export function lengthInHeader(bytes: Buffer): number {
  const isValid = bytes.length >= HEADER && bytes.readUInt32LE(0) === MAGIC && bytes.readUInt32LE(4) === 1;
  if (!isValid) throw new KbuildError("internal.entryTable", "an entry table has no valid header");
  return bytes.readUInt32LE(8);
}

/** The digest in the record at an offset, a view; undefined when it has none. */
export function digestInRecord(bytes: Buffer, at: number): Buffer | undefined {
  return bytes.readUInt8(at + 25) & 1 ? bytes.subarray(at + 96, at + 128) : undefined;
}

/** 64 bits as a number, rounded as `Number` rounds; a `bigint` on the way would take longer than all else of an entry. */
function readUnsigned(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at + 4) * 0x1_0000_0000 + bytes.readUInt32LE(at);
}

function readSigned(bytes: Buffer, at: number): number {
  return bytes.readInt32LE(at + 4) * 0x1_0000_0000 + bytes.readUInt32LE(at);
}

const SLASH = 0x2f;
/** Most entries have none; one list for all of them spares memory. */
const NO_XATTRS: readonly Xattr[] = [];

/** The bytes at an offset whose length stands before them. */
function framed(bytes: Buffer, at: number): Buffer {
  const start = at + 4;
  const end = start <= bytes.length ? start + bytes.readUInt32LE(at) : start;
  if (end <= bytes.length) return bytes.subarray(start, end);
  throw new KbuildError("internal.entryTable", "an entry table's extended attributes are cut short");
}

/** The bytes of a table with these entries, which must be in tree order. A sequence of them is gone through twice. */
export function encodeEntries(entries: Sequence<Entry> | Iterable<Entry>): Buffer {
  const list: Sequence<Entry> = "length" in entries ? entries : [...entries];
  let heap = 0;
  for (const entry of list) heap += heapLength(entry);
  const writer = new TableWriter(list.length, heap);
  let index = 0;
  for (const entry of list) writer.put(index++, entry);
  return writer.bytes;
}

/**
 * Whether a file's path ends with its source's, as it does when a folder is copied: then the bytes of the one are in
 * those of the other. For 200,000 files of a context that spares 10 MB.
 */
function endsWithSource(path: string, source: string): boolean {
  const before = path.length - source.length - 1;
  return before < 0 ? path === source : path.charCodeAt(before) === SLASH && path.endsWith(source);
}

/** Orders two paths bytewise with `/` lower than every other byte. */
export function compareTreeOrder(left: Uint8Array, right: Uint8Array): number {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at++) {
    const a = left[at] ?? 0;
    const b = right[at] ?? 0;
    if (a !== b) return (a === SLASH ? 0 : a) - (b === SLASH ? 0 : b);
  }
  return left.length - right.length;
}

const NO_BYTES: Buffer = Buffer.alloc(0);

/** Bytes that an entry takes in the heap. */
function heapLength(entry: Entry): number {
  const { path, link, xattrs, source } = entry;
  const content = source.kind === "inline" ? source.bytes.length : 0;
  const sourcePath = source.kind === "file" && !endsWithSource(path, source.path) ? pathLength(source.path) : 0;
  return pathLength(path) + pathLength(link) + encodeXattrs(xattrs).length + content + sourcePath;
}

function pathLength(path: string): number {
  return path.isWellFormed() ? Buffer.byteLength(path, "utf8") : encodePath(path).length;
}

/** Writes records and heap into a buffer of just the size that they need: tables are large. */
class TableWriter {
  readonly bytes: Buffer;
  readonly #heap: number;
  #heapLength = 0;

  constructor(count: number, heap: number) {
    this.#heap = HEADER + count * RECORD;
    this.bytes = Buffer.alloc(this.#heap + heap);
    this.bytes.writeUInt32LE(MAGIC, 0);
    this.bytes.writeUInt32LE(1, 4);
    this.bytes.writeUInt32LE(count, 8);
    this.bytes.writeBigUInt64LE(BigInt(heap), 16);
  }

  put(index: number, entry: Entry): void {
    const at = HEADER + index * RECORD;
    const { bytes } = this;
    this.#put(at, encodePath(entry.path));
    this.#put(at + 8, entry.link === "" ? NO_BYTES : encodePath(entry.link));
    this.#put(at + 16, encodeXattrs(entry.xattrs));
    bytes.writeUInt8(entry.type, at + 24);
    bytes.writeUInt8(entry.digest === undefined ? 0 : 1, at + 25);
    bytes.writeUInt32LE(entry.mode, at + 28);
    bytes.writeUInt32LE(entry.uid, at + 32);
    bytes.writeUInt32LE(entry.gid, at + 36);
    bytes.writeBigInt64LE(BigInt(entry.mtime.seconds), at + 40);
    bytes.writeUInt32LE(entry.mtime.nanoseconds, at + 48);
    bytes.writeBigUInt64LE(BigInt(entry.size), at + 56);
    bytes.writeUInt32LE(entry.device?.major ?? 0, at + 80);
    bytes.writeUInt32LE(entry.device?.minor ?? 0, at + 84);
    bytes.writeBigUInt64LE(BigInt(entry.inodeGroup), at + 88);
    if (entry.digest !== undefined) bytes.set(entry.digest, at + 96);
    this.#putSource(at, entry.source, entry.path);
  }

  #putSource(at: number, source: Source, path: string): void {
    const { bytes } = this;
    switch (source.kind) {
      case "none":
        return;
      case "file":
        bytes.writeUInt8(1, at + 26);
        bytes.writeUInt32LE(source.root, at + 52);
        if (endsWithSource(path, source.path)) this.#putEndOfPath(at, pathLength(source.path));
        else this.#put(at + 72, encodePath(source.path));
        return;
      case "blob":
        bytes.writeUInt8(2, at + 26);
        bytes.writeUInt32LE(source.blob, at + 52);
        bytes.writeBigUInt64LE(BigInt(source.offset), at + 64);
        return;
      case "inline":
        bytes.writeUInt8(3, at + 26);
        bytes.writeBigUInt64LE(BigInt(this.#heapLength), at + 64);
        this.#append(source.bytes);
    }
  }

  /** Puts bytes into the heap, and their offset and length at `field`. */
  #put(field: number, bytes: Uint8Array): void {
    this.bytes.writeUInt32LE(bytes.length === 0 ? 0 : this.#heapLength, field);
    this.bytes.writeUInt32LE(bytes.length, field + 4);
    this.#append(bytes);
  }

  /** Tells that the source's path is the last bytes of the entry's own. */
  #putEndOfPath(record: number, length: number): void {
    const { bytes } = this;
    const end = bytes.readUInt32LE(record) + bytes.readUInt32LE(record + 4);
    bytes.writeUInt32LE(end - length, record + 72);
    bytes.writeUInt32LE(length, record + 76);
  }

  #append(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.#heap + this.#heapLength);
    this.#heapLength += bytes.length;
  }
}

function encodeXattrs(xattrs: readonly Xattr[]): Buffer {
  if (xattrs.length === 0) return NO_BYTES;
  const parts: Uint8Array[] = [];
  for (const { name, value } of xattrs) {
    for (const bytes of [encodePath(name), value]) {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      parts.push(length, bytes);
    }
  }
  return Buffer.concat(parts);
}
