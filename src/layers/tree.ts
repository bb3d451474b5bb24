import { type Entry, type EntryTable, EntryType } from "./entry-table.ts";
import { sortInTreeOrder } from "./tree-order.ts";

/** A directory that no layer has an entry for, though it has entries below it: tar writers may leave those out. */
function impliedDirectory(path: string): Entry {
  return {
    path,
    type: EntryType.directory,
    mode: 0o755,
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
}

/** An entry of a merged tree, and which of the tree's layers it is from (0 is the lowest). */
export interface Located {
  readonly entry: Entry;
  readonly layer: number;
}

/** Links that may be followed for one path, as Linux has it (ELOOP). */
const LINK_LIMIT = 40;

/** What looking a path up came to. */
export type Resolution =
  | { readonly kind: "found"; readonly path: string; readonly located: Located }
  /** `path` is where it would be: links in its parents followed. */
  | { readonly kind: "missing"; readonly path: string }
  | { readonly kind: "notDirectory"; readonly path: string }
  | { readonly kind: "loop"; readonly path: string };

/**
 * The file tree that a stack of layers gives, read from their entry tables without being made on disk.
 * OCI image-spec layer.md, "Applying changesets": whiteouts and opaque marks hide what is below them, an entry that is
 * no directory hides everything below its path in lower layers.
 */
export class Tree {
  readonly #layers: readonly LayerView[];

  /** `tables`: lowest layer first. */
  constructor(tables: readonly EntryTable[]) {
    this.#layers = tables.map((table) => new LayerView(table));
  }

  /** The entry at exactly this path, no link followed. The root is always there. */
  lookup(path: string): Located | undefined {
    const prefixes = prefixesOf(path);
    let impliedBy = path === "" ? 0 : -1;
    for (let layer = this.#layers.length - 1; layer >= 0; layer--) {
      const view = this.#layers[layer];
      if (view === undefined) continue;
      const entry = view.entry(path);
      if (entry !== undefined) {
        const isImplied = impliedBy >= 0 && entry.type !== EntryType.directory;
        return isImplied ? { entry: impliedDirectory(path), layer: impliedBy } : { entry, layer };
      }
      if (impliedBy < 0 && view.hasBelow(path)) impliedBy = layer;
      if (view.hides(path, prefixes)) break;
    }
    return impliedBy >= 0 ? { entry: impliedDirectory(path), layer: impliedBy } : undefined;
  }

  /**
   * Everything below `path`, itself excluded, in tree order. Hard links are given as they are; the name that has the
   * content may be outside of `path`.
   */
  below(path: string): Located[] {
    const found = new Map<string, Located>();
    const blocked = new Set<string>();
    for (let layer = this.#layers.length - 1; layer >= 0; layer--) {
      const view = this.#layers[layer];
      if (view === undefined) continue;
      const blockedHere: string[] = [];
      for (const entry of view.below(path)) {
        if (entry.type === EntryType.whiteout) {
          blockedHere.push(joinPath(parentOf(entry.path), nameOf(entry.path).slice(WHITEOUT_PREFIX.length)));
        } else if (entry.type === EntryType.opaque) {
          blockedHere.push(`${parentOf(entry.path)}/`);
        } else if (!found.has(entry.path) && !isBlocked(entry.path, path, blocked)) {
          found.set(entry.path, { entry, layer });
          if (entry.type !== EntryType.directory) blockedHere.push(entry.path);
        }
      }
      for (const name of blockedHere) blocked.add(name);
      if (view.hidesBelow(path)) break;
    }
    for (const name of [...found.keys()]) {
      for (
        let parent = parentOf(name);
        parent !== path && parent !== "" && !found.has(parent);
        parent = parentOf(parent)
      ) {
        found.set(parent, this.lookup(parent) ?? { entry: impliedDirectory(parent), layer: 0 });
      }
    }
    return sortInTreeOrder([...found.values()], (located) => located.entry.path);
  }

  /** The names directly below a folder, sorted bytewise. */
  children(path: string): string[] {
    const names = new Set<string>();
    for (const view of this.#layers) {
      for (const name of view.children(path)) names.add(name);
    }
    const visible = [...names].filter((name) => this.lookup(joinPath(path, name)) !== undefined);
    return sortInTreeOrder(visible, (name) => name);
  }

  /**
   * Follows links as the kernel would with this tree as its root: `..` stops at the root, absolute targets start there.
   * `last`: whether a link at the end of the path is followed as well.
   */
  resolve(path: string, last: boolean): Resolution {
    return resolveIn((name) => this.lookup(name), path, last);
  }

  /** The entry that has the content of a regular file: another one if it is a hard link. */
  content(located: Located): Located {
    let current = located;
    for (let hop = 0; hop < LINK_LIMIT && current.entry.type === EntryType.hardlink; hop++) {
      const entry = this.#layers[current.layer]?.entry(current.entry.link);
      const target = entry === undefined ? this.lookup(current.entry.link) : { entry, layer: current.layer };
      if (target === undefined) return current;
      current = target;
    }
    return current;
  }
}

const WHITEOUT_PREFIX = ".wh.";
const OPAQUE_NAME = ".wh..wh..opq";

/** One layer's table with the meaning of its marks. */
class LayerView {
  readonly #table: EntryTable;
  readonly #hasMarks: boolean;

  constructor(table: EntryTable) {
    this.#table = table;
    let hasMarks = false;
    for (let index = 0; index < table.length && !hasMarks; index++) {
      const type = table.type(index);
      hasMarks = type === EntryType.whiteout || type === EntryType.opaque;
    }
    this.#hasMarks = hasMarks;
  }

  entry(path: string): Entry | undefined {
    const index = this.#table.find(path);
    return index < 0 ? undefined : this.#table.entry(index);
  }

  *below(path: string): IterableIterator<Entry> {
    const [start, end] = this.#table.below(path);
    for (let index = start; index < end; index++) yield this.#table.entry(index);
  }

  /** Names directly below a folder in this layer, marks left out; subtrees are skipped over, not walked. */
  *children(path: string): IterableIterator<string> {
    const skip = path === "" ? 0 : path.length + 1;
    const [start, end] = this.#table.below(path);
    for (let index = start; index < end; ) {
      const full = this.#table.path(index);
      const slash = full.indexOf("/", skip);
      const child = slash < 0 ? full : full.slice(0, slash);
      if (!child.startsWith(WHITEOUT_PREFIX, skip)) yield child.slice(skip);
      const [, childEnd] = this.#table.below(child);
      index = Math.max(index + 1, childEnd);
    }
  }

  /** Whether an entry that is no mark stands below the path. */
  hasBelow(path: string): boolean {
    const [start, end] = this.#table.below(path);
    for (let index = start; index < end; index++) {
      const type = this.#table.type(index);
      if (type !== EntryType.whiteout && type !== EntryType.opaque) return true;
    }
    return false;
  }

  /** Whether lower layers' entry at `path` cannot be seen through this layer. */
  hides(path: string, prefixes: readonly string[]): boolean {
    if (this.#isWhitedOut(path)) return true;
    return prefixes.some((prefix) => {
      const index = this.#table.find(prefix);
      if (index >= 0 && this.#table.type(index) !== EntryType.directory) return true;
      return this.#isWhitedOut(prefix) || this.#isOpaque(prefix);
    });
  }

  /** Whether nothing of lower layers can be seen below `path`. */
  hidesBelow(path: string): boolean {
    const index = this.#table.find(path);
    if (index >= 0 && this.#table.type(index) !== EntryType.directory) return true;
    return this.#isOpaque(path) || this.hides(path, prefixesOf(path));
  }

  #isWhitedOut(path: string): boolean {
    if (!this.#hasMarks || path === "") return false;
    return this.#table.find(joinPath(parentOf(path), `${WHITEOUT_PREFIX}${nameOf(path)}`)) >= 0;
  }

  #isOpaque(path: string): boolean {
    return this.#hasMarks && this.#table.find(joinPath(path, OPAQUE_NAME)) >= 0;
  }
}

/** Whether a path or a folder that it is in (up to `top`) is in the set; a trailing slash there means "what is below". */
function isBlocked(path: string, top: string, blocked: ReadonlySet<string>): boolean {
  if (blocked.size === 0) return false;
  if (blocked.has(path)) return true;
  for (let parent = parentOf(path); ; parent = parentOf(parent)) {
    if (blocked.has(`${parent}/`)) return true;
    if (parent === top || parent === "") return false;
    if (blocked.has(parent)) return true;
  }
}

/** Follows links in a tree of which only the look-up of a path is known. */
export function resolveIn(lookup: (path: string) => Located | undefined, path: string, last: boolean): Resolution {
  let pending = path.split("/").filter((name) => name !== "" && name !== ".");
  let current = "";
  let links = 0;
  let located = lookup("");
  while (pending.length > 0) {
    const [name = "", ...rest] = pending;
    if (name === "..") {
      current = parentOf(current);
      located = lookup(current);
      pending = rest;
      continue;
    }
    if (located !== undefined && located.entry.type !== EntryType.directory) {
      return { kind: "notDirectory", path: current };
    }
    const next = current === "" ? name : `${current}/${name}`;
    const found = located === undefined ? undefined : lookup(next);
    const isLink = found?.entry.type === EntryType.symlink;
    if (found !== undefined && isLink && (rest.length > 0 || last)) {
      links += 1;
      if (links > LINK_LIMIT) return { kind: "loop", path: next };
      if (found.entry.link.startsWith("/")) current = "";
      located = lookup(current);
      pending = [...found.entry.link.split("/").filter((part) => part !== "" && part !== "."), ...rest];
      continue;
    }
    current = next;
    located = found;
    pending = rest;
  }
  return located === undefined ? { kind: "missing", path: current } : { kind: "found", path: current, located };
}

export function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

export function joinPath(folder: string, name: string): string {
  return folder === "" ? name : name === "" ? folder : `${folder}/${name}`;
}

/** `a`, `a/b` for `a/b/c`: the folders that it is in, the root left out. */
function prefixesOf(path: string): string[] {
  const prefixes: string[] = [];
  for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1)) {
    prefixes.push(path.slice(0, slash));
  }
  return prefixes;
}
