import { KbuildError } from "../errors.ts";
import { type Entry, EntryType } from "./entry-table.ts";
import { encodePath, showPath } from "./path-bytes.ts";
import { joinPath, type Located, OPAQUE_NAME, parentOf, type Resolution, resolveIn, type Tree } from "./tree.ts";
import { sortInTreeOrder } from "./tree-order.ts";

/** A file whose content digest may only be known after the layer has been packed. */
export interface ContentOrigin {
  digest: Uint8Array | undefined;
}

/** An entry of the layer to be, and where its content came from. */
export interface DraftItem {
  readonly entry: Entry;
  readonly origin: ContentOrigin | undefined;
  /** Items with the same group other than undefined are names of one inode. */
  readonly group: string | undefined;
}

/** Owner of what is made. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** How folders that are missing on the way are made. */
export interface FolderMaking {
  readonly owner: Owner;
  readonly mode: number;
  readonly mtime: Entry["mtime"];
}

/**
 * A layer being made on top of a tree: what COPY, ADD and WORKDIR write to instead of a root file system.
 * Nothing is read or written here; the outcome is a list of entries to pack.
 */
export class Draft {
  readonly #base: Tree;
  readonly #items = new Map<string, DraftItem>();
  /** Paths of items, and of folders that items are in, by the folder that they are directly in. */
  readonly #inside = new Map<string, string[]>();
  /** Folders of this draft below which the base has nothing. */
  readonly #fresh = new Set<string>();
  /** Folders of the base that were replaced by something else, and so stay empty if they come back. */
  readonly #cut = new Set<string>();

  constructor(base: Tree) {
    this.#base = base;
  }

  lookup(path: string): Located | undefined {
    const item = this.#items.get(path);
    if (item !== undefined) return { entry: item.entry, layer: -1 };
    if (path === "") return this.#base.lookup("");
    for (let parent = parentOf(path); ; parent = parentOf(parent)) {
      if (this.#fresh.has(parent) || this.#cut.has(parent)) return undefined;
      const above = this.#items.get(parent);
      if (above !== undefined && above.entry.type !== EntryType.directory) return undefined;
      if (parent === "") break;
    }
    return this.#base.lookup(path);
  }

  /** Follows links in the tree as it will be; see {@link Tree.resolve}. */
  resolve(path: string, last: boolean): Resolution {
    return resolveIn((name) => this.lookup(name), path, last);
  }

  /**
   * Makes a folder and those that it is in, links followed inside the tree; what is there already stays as it is.
   * @returns the folder's path after following links
   * @throws KbuildError `build.notDirectory`, `build.linkLoop`, `build.longPath`
   */
  makeFolders(path: string, making: FolderMaking): string {
    const target = this.place(path);
    let made = "";
    for (const name of target.split("/")) {
      made = joinPath(made, name);
      const there = this.lookup(made);
      if (there === undefined) this.put(folderEntry(made, making));
      else if (there.entry.type !== EntryType.directory) throw notDirectory(made);
    }
    return target;
  }

  /**
   * Where a path leads when its links, the last one included, are followed; it need not exist.
   * @throws KbuildError `build.notDirectory`, `build.linkLoop`, `build.longPath`
   */
  place(path: string): string {
    checkLength(path);
    const resolution = this.resolve(path, true);
    switch (resolution.kind) {
      case "found":
      case "missing":
        return resolution.path;
      case "notDirectory":
        throw notDirectory(resolution.path);
      case "loop":
        throw new KbuildError("build.linkLoop", `too many symbolic links at /${showPath(resolution.path)}`);
    }
  }

  /**
   * Puts an entry; whatever is at its path is replaced, with all that is below it unless both are folders.
   * @throws KbuildError `build.longPath`
   */
  put(entry: Entry, origin?: ContentOrigin, group?: string): void {
    checkLength(entry.path);
    const there = this.lookup(entry.path);
    const isFolder = entry.type === EntryType.directory;
    if (there === undefined) {
      if (isFolder) this.#fresh.add(entry.path);
    } else if (there.entry.type === EntryType.directory && !isFolder) {
      this.#removeBelow(entry.path);
    }
    if (!this.#items.has(entry.path)) this.#keepInside(entry.path);
    this.#items.set(entry.path, { entry, origin, group });
  }

  #keepInside(path: string): void {
    for (let inner = path; inner !== ""; ) {
      const folder = parentOf(inner);
      const known = this.#inside.get(folder);
      if (known !== undefined) {
        known.push(inner);
        return;
      }
      this.#inside.set(folder, [inner]);
      inner = folder;
    }
  }

  /** Takes out what is below a path in this draft or in the base, so that something else can come in its place. */
  #removeBelow(path: string): void {
    if (!this.#fresh.delete(path)) this.#cut.add(path);
    const folders = [path];
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      for (const inner of this.#inside.get(folder) ?? []) {
        this.#items.delete(inner);
        folders.push(inner);
      }
      this.#inside.delete(folder);
    }
  }

  /**
   * What to pack, in tree order. The first name of an inode has the content, the others are hard links to it. A folder
   * that stands where another one was removed is marked as opaque, so that what was in that one stays away.
   */
  items(): DraftItem[] {
    const marks: DraftItem[] = [];
    for (const path of this.#cut) {
      const there = this.#items.get(path)?.entry;
      if (there?.type !== EntryType.directory) continue;
      const mark: Entry = {
        ...there,
        path: joinPath(path, OPAQUE_NAME),
        type: EntryType.opaque,
        mode: 0o644,
        xattrs: [],
      };
      marks.push({ entry: mark, origin: undefined, group: undefined });
    }
    const sorted = sortInTreeOrder([...this.#items.values(), ...marks], (item) => item.entry.path);
    const firstOfGroup = new Map<string, string>();
    return sorted.map((item) => {
      if (item.group === undefined) return item;
      const first = firstOfGroup.get(item.group);
      if (first === undefined) {
        firstOfGroup.set(item.group, item.entry.path);
        return item;
      }
      const entry: Entry = {
        ...item.entry,
        type: EntryType.hardlink,
        size: 0,
        link: first,
        digest: undefined,
        source: { kind: "none" },
      };
      return { ...item, entry };
    });
  }
}

/** An entry for a folder without anything special about it. */
export function folderEntry(path: string, making: FolderMaking): Entry {
  return {
    path,
    type: EntryType.directory,
    mode: making.mode,
    uid: making.owner.uid,
    gid: making.owner.gid,
    size: 0,
    mtime: making.mtime,
    link: "",
    xattrs: [],
    digest: undefined,
    inodeGroup: 0,
    source: { kind: "none" },
  };
}

/** Linux's PATH_MAX and NAME_MAX, in bytes: a longer path can be in no file system that an image is unpacked to. */
const LONGEST_PATH = 4095;
const LONGEST_NAME = 255;

function checkLength(path: string): void {
  // No character has more than three bytes for each of its units.
  if (path.length * 3 <= LONGEST_NAME) return;
  const name = path.split("/").find((part) => part.length * 3 > LONGEST_NAME && isLonger(part, LONGEST_NAME));
  if (name === undefined && !isLonger(path, LONGEST_PATH)) return;
  const shown = `${showPath(path.slice(0, 100))}…`;
  const reason = name === undefined ? "is longer than 4,095 bytes" : "has a name of more than 255 bytes";
  throw new KbuildError("build.longPath", `the path /${shown} ${reason}`);
}

function isLonger(path: string, limit: number): boolean {
  return path.length > limit || (path.length * 3 > limit && encodePath(path).length > limit);
}

function notDirectory(path: string): KbuildError {
  return new KbuildError("build.notDirectory", `/${showPath(path)} is not a folder in the image`);
}
