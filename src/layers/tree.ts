import { type Entry, type EntryTable, EntryType, NO_FACTS } from "./entry-table.ts";
import { sortInTreeOrder } from "./tree-order.ts";

/** A directory that no layer has an entry for, though it has entries below it: tar writers may leave those out. */
function impliedDirectory(path: string): Entry {
  return { ...NO_FACTS, path, type: EntryType.directory, mode: 0o755 };
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
    let impliedBy = path === "" ? 0 : -1;
    for (let layer = this.#layers.length - 1; layer >= 0; layer--) {
      const view = this.#layers[layer];
      if (view === undefined) continue;
      const found = view.find(path);
      if (typeof found === "object") {
        const isImplied = impliedBy >= 0 && found.type !== EntryType.directory;
        return isImplied ? { entry: impliedDirectory(path), layer: impliedBy } : { entry: found, layer };
      }
      if (impliedBy < 0 && found === "below") impliedBy = layer;
      if (view.hides(path)) break;
    }
    return impliedBy >= 0 ? { entry: impliedDirectory(path), layer: impliedBy } : undefined;
  }

  /**
   * Everything below `path`, itself excluded, in tree order. Hard links are given as they are; the name that has the
   * content may be outside of `path`.
   */
  below(path: string): Located[] {
    const found = new Map<string, Located>();
    /** What whiteouts and opaque marks of higher layers hide; a trailing slash means what is below. */
    const blocked = new Set<string>();
    /** Folders that something is in, even if it is hidden: no layer needs to have an entry for them. */
    const folders = new Set<string>();
    const isReplaced = (folder: string): boolean => {
      const there = found.get(folder);
      return there !== undefined && there.entry.type !== EntryType.directory;
    };
    for (let layer = this.#layers.length - 1; layer >= 0; layer--) {
      const view = this.#layers[layer];
      if (view === undefined) continue;
      const blockedHere: string[] = [];
      const known = new Map<string, boolean>();
      const isHidden = (folder: string): boolean => {
        let hidden = known.get(folder);
        if (hidden === undefined) {
          hidden =
            blocked.has(`${folder}/`) ||
            (folder !== path && (isReplaced(folder) || blocked.has(folder) || isHidden(parentOf(folder))));
          known.set(folder, hidden);
        }
        return hidden;
      };
      for (const entry of view.below(path)) {
        if (entry.type === EntryType.whiteout) {
          blockedHere.push(joinPath(parentOf(entry.path), nameOf(entry.path).slice(WHITEOUT_PREFIX.length)));
        } else if (entry.type === EntryType.opaque) {
          blockedHere.push(`${parentOf(entry.path)}/`);
        } else if (found.has(entry.path)) {
          if (entry.type !== EntryType.directory && !isReplaced(entry.path)) blockedHere.push(`${entry.path}/`);
        } else if (blocked.has(entry.path) || isHidden(parentOf(entry.path))) {
          folders.add(parentOf(entry.path));
        } else {
          found.set(entry.path, { entry, layer });
        }
      }
      for (const name of blockedHere) blocked.add(name);
      if (view.hidesBelow(path)) break;
    }
    for (const name of found.keys()) folders.add(parentOf(name));
    for (const folder of folders) {
      for (let name = folder; name !== path && name !== ""; name = parentOf(name)) {
        // Something else than a folder is of a layer further down, which a folder that only is implied hides.
        if (found.get(name)?.entry.type === EntryType.directory) break;
        const located = this.lookup(name);
        if (located !== undefined) found.set(name, located);
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
      const entry = this.#layers[current.layer]?.find(current.entry.link);
      const target = typeof entry === "object" ? { entry, layer: current.layer } : this.lookup(current.entry.link);
      if (target === undefined) return current;
      current = target;
    }
    return current;
  }
}

const WHITEOUT_PREFIX = ".wh.";
/** OCI image-spec layer.md, "Opaque Whiteout". */
export const OPAQUE_NAME = ".wh..wh..opq";

/** Folders whose {@link Reach} a layer remembers. */
const REACHES_KEPT = 10_000;

/** What a layer does to what is below a folder. */
interface Reach {
  /** The folder, or one that it is in, is something else in this layer: what it has below is out of reach. */
  readonly isCovered: boolean;
  /** Nothing of lower layers can be seen below the folder. */
  readonly hides: boolean;
}

/** One layer's table with the meaning of its marks. */
class LayerView {
  readonly #table: EntryTable;
  readonly #hasMarks: boolean;
  /** Look-ups come folder by folder, and every one asks for all the folders above it. */
  readonly #reaches = new Map<string, Reach>();

  constructor(table: EntryTable) {
    this.#table = table;
    this.#hasMarks = table.has(EntryType.whiteout, EntryType.opaque);
  }

  /** The entry at a path that is no mark, or `below` when the layer has none but entries below it. */
  find(path: string): Entry | "below" | undefined {
    const first = this.#table.first(path);
    if (first === undefined || (path !== "" && this.#reach(parentOf(path)).isCovered)) return undefined;
    if (first.isOwn && !isMark(this.#table.type(first.index))) return this.#table.entry(first.index);
    if (!this.#hasMarks) return "below";
    const [start, end] = this.#table.below(path);
    for (let index = start; index < end; index++) {
      if (!isMark(this.#table.type(index))) return "below";
    }
    return undefined;
  }

  /** The entries below a path, marks included; hostile layers have entries below files, and these are left out. */
  *below(path: string): IterableIterator<Entry> {
    if (this.#reach(path).isCovered) return;
    const [start, end] = this.#table.below(path);
    let last: Entry | undefined;
    for (let index = start; index < end; index++) {
      const entry = this.#table.entry(index);
      const isRepeated = entry.path === last?.path;
      const isCovered = last !== undefined && last.type !== EntryType.directory && isBelow(entry.path, last.path);
      if (isRepeated || isCovered) continue;
      last = entry;
      yield entry;
    }
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

  /** Whether lower layers' entry at `path` cannot be seen through this layer. */
  hides(path: string): boolean {
    return path !== "" && (this.#isWhitedOut(path) || this.#reach(parentOf(path)).hides);
  }

  /** Whether nothing of lower layers can be seen below `path`. */
  hidesBelow(path: string): boolean {
    return this.#reach(path).hides;
  }

  #reach(folder: string): Reach {
    const known = this.#reaches.get(folder);
    if (known !== undefined) return known;
    const above = folder === "" ? { isCovered: false, hides: false } : this.#reach(parentOf(folder));
    const index = folder === "" ? -1 : this.#table.find(folder);
    const isCovered = above.isCovered || (index >= 0 && this.#table.type(index) !== EntryType.directory);
    const hides = above.hides || isCovered || this.#isWhitedOut(folder) || this.#isOpaque(folder);
    const reach = { isCovered, hides };
    if (this.#reaches.size >= REACHES_KEPT) this.#reaches.clear();
    this.#reaches.set(folder, reach);
    return reach;
  }

  #isWhitedOut(path: string): boolean {
    if (!this.#hasMarks || path === "") return false;
    return this.#table.find(joinPath(parentOf(path), `${WHITEOUT_PREFIX}${nameOf(path)}`)) >= 0;
  }

  #isOpaque(path: string): boolean {
    return this.#hasMarks && this.#table.find(joinPath(path, OPAQUE_NAME)) >= 0;
  }
}

function isMark(type: EntryType): boolean {
  return type === EntryType.whiteout || type === EntryType.opaque;
}

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(folder) && path.charCodeAt(folder.length) === 0x2f;
}

/** Follows links in a tree of which only the look-up of a path is known. */
export function resolveIn(lookup: (path: string) => Located | undefined, path: string, last: boolean): Resolution {
  /** Names that are still to be walked, the next one last. */
  const pending = namesOf(path).reverse();
  let current = "";
  let links = 0;
  let located = lookup("");
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (name === "..") {
      current = parentOf(current);
      located = lookup(current);
      continue;
    }
    if (located !== undefined && located.entry.type !== EntryType.directory) {
      return { kind: "notDirectory", path: current };
    }
    const next = joinPath(current, name);
    const found = located === undefined ? undefined : lookup(next);
    if (found?.entry.type === EntryType.symlink && (pending.length > 0 || last)) {
      links += 1;
      if (links > LINK_LIMIT) return { kind: "loop", path: next };
      if (found.entry.link.startsWith("/")) current = "";
      located = lookup(current);
      for (const part of namesOf(found.entry.link).reverse()) pending.push(part);
      continue;
    }
    current = next;
    located = found;
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

/** The names of a path, those left out that lead nowhere. */
function namesOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}
