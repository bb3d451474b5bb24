import { KbuildError } from "../errors.ts";
import { type Entry, EntryType } from "./entry-table.ts";
import { encodePath, showPath } from "./path-bytes.ts";
import type { Sequence } from "./sequence.ts";
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

/** Items below one folder, in tree order and none below a file, that are made when they are asked for. */
export interface DraftItems extends Sequence<DraftItem> {
  path(index: number): string;
  type(index: number): EntryType;
  item(index: number): DraftItem;
  /** The number of the item with this path, or -1. */
  find(path: string): number;
}

/** An item of many, not made yet. */
interface Numbered {
  readonly among: DraftItems;
  readonly index: number;
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
  readonly #items = new Map<string, DraftItem | Numbered>();
  /**
   * What was put below a folder that nothing else of this draft is below: kept as a whole, because 30,000 items by their
   * paths take 20 MiB. As soon as something else comes below the folder they are kept by their paths as well.
   */
  readonly #wholes = new Map<string, DraftItems>();
  /** Paths of items, and of folders that items or wholes are in, by the folder that they are directly in. */
  readonly #inside = new Map<string, string[]>();
  /** Folders of this draft below which the base has nothing. */
  readonly #fresh = new Set<string>();
  /** Folders of the base that were replaced by something else, and so stay empty if they come back. */
  readonly #cut = new Set<string>();

  constructor(base: Tree) {
    this.#base = base;
  }

  lookup(path: string): Located | undefined {
    const found = this.#find(path);
    return found === undefined || "layer" in found ? found : { entry: itemOf(found).entry, layer: -1 };
  }

  /** What {@link lookup} would find is; an item is not made for it. */
  typeAt(path: string): EntryType | undefined {
    const found = this.#find(path);
    return found === undefined ? undefined : "layer" in found ? found.entry.type : typeOf(found);
  }

  #find(path: string): DraftItem | Numbered | Located | undefined {
    const folder = this.#wholeAround(path);
    const own = this.#own(path, folder);
    if (own !== undefined) return own;
    if (path === "") return this.#base.lookup("");
    for (let parent = parentOf(path); ; parent = parentOf(parent)) {
      if (this.#fresh.has(parent) || this.#cut.has(parent)) return undefined;
      const above = this.#own(parent, folder);
      if (above !== undefined && typeOf(above) !== EntryType.directory) return undefined;
      if (parent === "") break;
    }
    return this.#base.lookup(path);
  }

  /** The folder with a whole that a path is below. */
  #wholeAround(path: string): string | undefined {
    if (this.#wholes.size === 0) return undefined;
    for (let folder = path; folder !== ""; ) {
      folder = parentOf(folder);
      if (this.#wholes.has(folder)) return folder;
    }
    return undefined;
  }

  /** What this draft has at a path; `folder` is one with a whole, which the path need not be below. */
  #own(path: string, folder: string | undefined): DraftItem | Numbered | undefined {
    const item = this.#items.get(path);
    if (item !== undefined || folder === undefined || path.length <= folder.length) return item;
    const among = this.#wholes.get(folder);
    const index = among?.find(path) ?? -1;
    return among === undefined || index < 0 ? undefined : { among, index };
  }

  /** Follows links in the tree as it will be; see {@link Tree.resolve}. */
  resolve(path: string, last: boolean): Resolution {
    return resolveIn((name) => this.lookup(name), path, last);
  }

  /**
   * Makes a folder and those that it is in, links followed inside the tree; what is there already stays as it is. With
   * `root`, a real path, the folder is below it, and so is whatever links lead to.
   * @returns the folder's path after following links
   * @throws KbuildError `build.notDirectory`, `build.linkLoop`, `build.longPath`
   */
  makeFolders(path: string, making: FolderMaking, root = ""): string {
    const target = this.place(path, root);
    let made = "";
    for (const name of target.split("/")) {
      made = joinPath(made, name);
      const there = this.typeAt(made);
      if (there === undefined) this.put(folderEntry(made, making));
      else if (there !== EntryType.directory) throw notDirectory(made);
    }
    return target;
  }

  /**
   * Where a path below `root` leads when its links, the last one included, are followed; it need not exist.
   * @throws KbuildError `build.notDirectory`, `build.linkLoop`, `build.longPath`
   */
  place(path: string, root = ""): string {
    checkPath(path);
    const resolution = resolveIn((name) => this.lookup(joinPath(root, name)), path, true);
    const led = joinPath(root, resolution.path);
    switch (resolution.kind) {
      case "found":
      case "missing":
        return led;
      case "notDirectory":
        throw notDirectory(led);
      case "loop":
        throw new KbuildError("build.linkLoop", `too many symbolic links at /${showPath(led)}`);
    }
  }

  /**
   * Puts an entry; whatever is at its path is replaced, with all that is below it unless both are folders.
   * @throws KbuildError `build.longPath`
   */
  put(entry: Entry, origin?: ContentOrigin, group?: string): void {
    this.#put(entry.path, entry.type, { entry, origin, group });
  }

  /** Puts one of many items as {@link put} does. It is not made before it is needed. */
  putOne(among: DraftItems, index: number): void {
    this.#put(among.path(index), among.type(index), { among, index });
  }

  /**
   * Puts all of the items, which are below `folder`. None of them may have a folder in its place that it would replace,
   * or be a folder in the place of something else, or have a path that is too long ({@link checkPath}).
   */
  putAll(folder: string, items: DraftItems): void {
    if (items.length === 0) return;
    const isAlone = this.#cut.size === 0 && !this.#inside.has(folder) && !this.#wholes.has(folder);
    if (isAlone && this.#wholeAround(folder) === undefined) {
      if (!this.#items.has(folder)) this.#keepInside(folder);
      this.#wholes.set(folder, items);
      return;
    }
    for (let index = 0; index < items.length; index++) this.putOne(items, index);
  }

  #put(path: string, type: EntryType, item: DraftItem | Numbered): void {
    checkPath(path);
    const around = this.#wholeAround(path);
    if (around !== undefined) this.#takeApart(around);
    const there = this.typeAt(path);
    const isFolder = type === EntryType.directory;
    if (there === undefined) {
      if (isFolder) this.#fresh.add(path);
    } else if (there === EntryType.directory && !isFolder) {
      this.#removeBelow(path);
    }
    if (!this.#items.has(path)) this.#keepInside(path);
    this.#items.set(path, item);
  }

  /** From now on the items below a folder are kept by their paths. */
  #takeApart(folder: string): void {
    const whole = this.#wholes.get(folder);
    this.#wholes.delete(folder);
    if (whole === undefined) return;
    for (let index = 0; index < whole.length; index++) this.putOne(whole, index);
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
      this.#wholes.delete(folder);
    }
  }

  /**
   * What to pack, in tree order; nothing may be put afterwards. The first name of an inode has the content, the others are
   * hard links to it. A folder that stands where another one was removed is marked as opaque, so that what was in that
   * one stays away.
   */
  items(): Sequence<DraftItem> {
    /** Marks and wholes. Those are in the order where their folder with a slash would be. */
    const special = new Map<string, DraftItem | DraftItems>();
    for (const path of this.#cut) {
      const there = this.#items.get(path);
      if (there === undefined || typeOf(there) !== EntryType.directory) continue;
      const mark = opaqueMark(itemOf(there).entry);
      special.set(mark.path, { entry: mark, origin: undefined, group: undefined });
    }
    for (const [folder, whole] of this.#wholes) special.set(`${folder}/`, whole);
    const order = sortInTreeOrder([...this.#items.keys(), ...special.keys()], (path) => path);
    let length = order.length;
    for (const whole of this.#wholes.values()) length += whole.length - 1;
    const items = this.#items;
    function* all(): IterableIterator<DraftItem> {
      const firstOfGroup = new Map<string, string>();
      for (const path of order) {
        const item = special.get(path) ?? items.get(path);
        if (item === undefined) continue;
        if (!("length" in item)) yield linked(itemOf(item), firstOfGroup);
        else for (const each of item) yield linked(each, firstOfGroup);
      }
    }
    return { length, [Symbol.iterator]: all };
  }
}

function itemOf(item: DraftItem | Numbered): DraftItem {
  return "among" in item ? item.among.item(item.index) : item;
}

function typeOf(item: DraftItem | Numbered): EntryType {
  return "among" in item ? item.among.type(item.index) : item.entry.type;
}

function opaqueMark(folder: Entry): Entry {
  return { ...folder, path: joinPath(folder.path, OPAQUE_NAME), type: EntryType.opaque, mode: 0o644, xattrs: [] };
}

/** The item itself, or a hard link to the first one of its group. */
function linked(item: DraftItem, firstOfGroup: Map<string, string>): DraftItem {
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

/** @throws KbuildError `build.longPath` */
export function checkPath(path: string): void {
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
