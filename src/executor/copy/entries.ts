import type { ContentOrigin } from "../../layers/draft.ts";
import { type Entry, type EntryTable, EntryType } from "../../layers/entry-table.ts";
import { holdsForAll } from "../../layers/sequence.ts";
import { findInTreeOrder } from "../../layers/tree-order.ts";
import type { SourceEntries, SourceEntry } from "./sources.ts";

/** Whether the content of an entry has been read, if it has one. */
export function isRead({ entry, origin }: SourceEntry): boolean {
  return entry.type !== EntryType.file || origin === undefined || origin.digest !== undefined;
}

/** An entry of a scanned table. Files of a context belong to root in the image, and have no extended attributes. */
export function scannedEntry(table: EntryTable, index: number): SourceEntry {
  const found = table.entry(index);
  return {
    entry: { ...found, uid: 0, gid: 0, xattrs: [] },
    origin: found.type === EntryType.file ? new ScannedOrigin(table, index) : undefined,
    group: found.inodeGroup === 0 ? undefined : String(found.inodeGroup),
  };
}

/** The digest in the table: what is learnt is learnt for all that takes the file. */
class ScannedOrigin implements ContentOrigin {
  readonly #table: EntryTable;
  readonly #index: number;

  constructor(table: EntryTable, index: number) {
    this.#table = table;
    this.#index = index;
  }

  get digest(): Uint8Array | undefined {
    return this.#table.digest(this.#index);
  }

  set digest(digest: Uint8Array) {
    this.#table.setDigest(this.#index, digest);
  }
}

/** A part of a scanned table. */
export class ScannedEntries implements SourceEntries {
  readonly length: number;
  readonly #table: EntryTable;
  readonly #start: number;

  /** The entries from `start` up to but not including `end`. */
  constructor(table: EntryTable, start: number, end: number) {
    this.#table = table;
    this.#start = start;
    this.length = end - start;
  }

  path(index: number): string {
    return this.#table.path(this.#start + index);
  }

  type(index: number): EntryType {
    return this.#table.type(this.#start + index);
  }

  at(index: number): SourceEntry {
    return scannedEntry(this.#table, this.#start + index);
  }

  find(path: string): number {
    const index = this.#table.find(path) - this.#start;
    return index >= 0 && index < this.length ? index : -1;
  }

  hasAllDigests(): boolean {
    for (let index = this.#start; index < this.#start + this.length; index++) {
      if (this.#table.type(index) === EntryType.file && this.#table.digest(index) === undefined) return false;
    }
    return true;
  }

  *[Symbol.iterator](): IterableIterator<SourceEntry> {
    for (let index = 0; index < this.length; index++) yield this.at(index);
  }
}

/** Entries in tree order that are kept in another form; `convert` makes them source entries of the same path. */
export class ListedEntries<T extends { readonly entry: Entry }> implements SourceEntries {
  readonly #list: readonly T[];
  readonly #convert: (item: T) => SourceEntry;

  constructor(list: readonly T[], convert: (item: T) => SourceEntry) {
    this.#list = list;
    this.#convert = convert;
  }

  get length(): number {
    return this.#list.length;
  }

  path(index: number): string {
    return this.#item(index).entry.path;
  }

  type(index: number): EntryType {
    return this.at(index).entry.type;
  }

  at(index: number): SourceEntry {
    return this.#convert(this.#item(index));
  }

  find(path: string): number {
    return findInTreeOrder(this.length, (index) => this.path(index), path);
  }

  hasAllDigests(): boolean {
    return holdsForAll(this, isRead);
  }

  *[Symbol.iterator](): IterableIterator<SourceEntry> {
    for (const item of this.#list) yield this.#convert(item);
  }

  #item(index: number): T {
    const item = this.#list[index];
    if (item === undefined) throw new RangeError(`entry ${index} of ${this.length}`);
    return item;
  }
}

/** Nothing: what is below all but folders. */
export const NO_ENTRIES: SourceEntries = new ListedEntries<SourceEntry>([], (source) => source);
