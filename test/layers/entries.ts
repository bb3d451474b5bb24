import * as fc from "fast-check";
import { type Entry, EntryTable, EntryType, encodeEntries } from "../../src/layers/entry-table.ts";
import { sortInTreeOrder } from "../../src/layers/tree-order.ts";

/** An entry with nothing special about it but what is told. */
export function entry(path: string, type: EntryType, more: Partial<Entry> = {}): Entry {
  return {
    path,
    type,
    mode: type === EntryType.directory ? 0o755 : type === EntryType.symlink ? 0o777 : 0o644,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: { seconds: 1_700_000_000, nanoseconds: 0 },
    link: "",
    xattrs: [],
    digest: undefined,
    inodeGroup: 0,
    source: { kind: "none" },
    ...more,
  };
}

export const folder = (path: string, more: Partial<Entry> = {}): Entry => entry(path, EntryType.directory, more);
export const file = (path: string, more: Partial<Entry> = {}): Entry => entry(path, EntryType.file, more);
export const symlink = (path: string, link: string): Entry => entry(path, EntryType.symlink, { link });
export const hardlink = (path: string, link: string): Entry => entry(path, EntryType.hardlink, { link });

/** A mark as the core makes it: by its name. */
export function mark(path: string): Entry {
  const isOpaque = path.endsWith(".wh..wh..opq");
  return entry(path, isOpaque ? EntryType.opaque : EntryType.whiteout);
}

/** A table of entries in any order. */
export function tableOf(entries: readonly Entry[]): EntryTable {
  return new EntryTable(encodeEntries(sortInTreeOrder(entries, ({ path }) => path)));
}

/** Paths of few names, so that they meet: some that sort between a folder and what is in it, some not UTF-8. */
export const anyPath = fc
  .array(fc.constantFrom("a", "b", "a.b", "a b", "é", "\udcff", "0"), { minLength: 1, maxLength: 4 })
  .map((names) => names.join("/"));
