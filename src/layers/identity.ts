import { Blake3Hasher, blake3 } from "@napi-rs/blake-hash";
import type { Entry } from "./entry-table.ts";
import type { Sequence } from "./sequence.ts";

/**
 * What can be hashed: absence is not the same as the empty text, nor is text the same as its bytes. A list may be made
 * while it is hashed, and is then the same as one that was there before.
 */
export type Part = string | Uint8Array | number | boolean | undefined | PartList;

/** Parts in their order. */
export interface PartList extends Sequence<Part> {}

/**
 * The BLAKE3 of parts, in hexadecimal. Every part is framed by its kind and length, lists by their number of members,
 * so that no two different lists of parts give the same bytes.
 */
export function identityOf(...parts: readonly Part[]): string {
  const writer = new FrameWriter();
  writer.add(parts);
  return writer.digest();
}

/** Kinds of frames. Numbers and booleans have a fixed width; all else has its length or number of members before it. */
const Frame = { undefined: 0, false: 1, true: 2, number: 3, text: 4, bytes: 5, list: 6, brokenText: 7 } as const;

/** Bytes that are hashed at a time; the first piece is one that costs nothing to make. */
const PIECE = 64 * 1024;
const FIRST_PIECE = 2048;

/** Collects frames into large pieces, because a call into the hasher costs more than hashing a small frame. */
class FrameWriter {
  /** Absent while all that was added fits into the first piece, as for most keys it does. */
  #hasher: Blake3Hasher | undefined;
  #pending: Buffer = Buffer.allocUnsafe(FIRST_PIECE);
  #length = 0;

  add(part: Part): void {
    if (part === undefined) this.#head(Frame.undefined, 0);
    else if (typeof part === "string") this.#text(part);
    else if (typeof part === "number") {
      this.#head(Frame.number, 8);
      this.#length = this.#pending.writeDoubleLE(part, this.#length);
    } else if (typeof part === "boolean") this.#head(part ? Frame.true : Frame.false, 0);
    else if (part instanceof Uint8Array) this.#bytes(Frame.bytes, part);
    else {
      this.#head(Frame.list, 4);
      this.#length = this.#pending.writeUInt32LE(part.length, this.#length);
      for (const member of part) this.add(member);
    }
  }

  digest(): string {
    if (this.#hasher === undefined) return blake3(this.#pending.subarray(0, this.#length)).toString("hex");
    this.#flush();
    return this.#hasher.digestBuffer().toString("hex");
  }

  #text(text: string): void {
    if (!text.isWellFormed()) {
      // Lone surrogates, which names that are not UTF-8 have: they have no UTF-8 of their own.
      this.#bytes(Frame.brokenText, Buffer.from(text, "utf16le"));
      return;
    }
    if (text.length > 4096) {
      this.#bytes(Frame.text, Buffer.from(text, "utf8"));
      return;
    }
    this.#head(Frame.text, 4 + text.length * 3);
    const written = this.#pending.write(text, this.#length + 4);
    this.#pending.writeUInt32LE(written, this.#length);
    this.#length += 4 + written;
  }

  #bytes(kind: number, bytes: Uint8Array): void {
    this.#head(kind, 4 + bytes.length);
    this.#pending.writeUInt32LE(bytes.length, this.#length);
    this.#pending.set(bytes, this.#length + 4);
    this.#length += 4 + bytes.length;
  }

  /** Makes room for a frame and writes its kind. */
  #head(kind: number, room: number): void {
    if (this.#length + room + 1 > this.#pending.length) this.#flush();
    if (room + 1 > this.#pending.length) this.#pending = Buffer.allocUnsafe(room + PIECE);
    this.#length = this.#pending.writeUInt8(kind, this.#length);
  }

  #flush(): void {
    if (this.#length === 0) return;
    this.#hasher ??= new Blake3Hasher();
    this.#hasher.update(this.#pending.subarray(0, this.#length));
    if (this.#pending.length < PIECE) this.#pending = Buffer.allocUnsafe(PIECE);
    this.#length = 0;
  }
}

/** What of an entry makes its content, for identities: everything but times. `digest` is given where it is known apart. */
export function entryParts(entry: Entry, path: string, digest: Uint8Array | undefined): Part {
  return [
    path,
    entry.type,
    entry.mode,
    entry.uid,
    entry.gid,
    entry.size,
    digest ?? entry.digest,
    entry.link,
    entry.device?.major,
    entry.device?.minor,
    entry.xattrs.flatMap(({ name, value }) => [name, value]),
  ];
}

/** The BLAKE3 of bytes. */
export function contentDigest(bytes: Uint8Array): Uint8Array {
  return blake3(bytes);
}
