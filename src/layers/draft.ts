import { KbuildError } from "../errors.ts";
import { type Entry, EntryType } from "./entry-table.ts";
import { showPath } from "./path-bytes.ts";
import { joinPath, type Located, parentOf, type Resolution, resolveIn, type Tree } from "./tree.ts";
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
   * @throws KbuildError `build.notDirectory`, `build.linkLoop`
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
   * @throws KbuildError `build.notDirectory`, `build.linkLoop`
   */
  place(path: string): string {
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

  /** Puts an entry; whatever is at its path is replaced, with all that is below it unless both are folders. */
  put(entry: Entry, origin?: ContentOrigin, group?: string): void {
    const there = this.lookup(entry.path);
    const isFolder = entry.type === EntryType.directory;
    if (there === undefined) {
      if (isFolder) this.#fresh.add(entry.path);
    } else if (there.entry.type === EntryType.directory && !isFolder) {
      this.#removeBelow(entry.path);
    }
    this.#items.set(entry.path, { entry, origin, group });
  }

  /** Takes out what is at a path of this draft or of the base, so that something else can come in its place. */
  #removeBelow(path: string): void {
    if (!this.#fresh.delete(path)) this.#cut.add(path);
    for (const name of this.#items.keys()) {
      if (name.startsWith(`${path}/`)) this.#items.delete(name);
    }
  }

  /**
   * What to pack, in tree order. The first name of an inode has the content, the others are hard links to it.
   */
  items(): DraftItem[] {
    const sorted = sortInTreeOrder([...this.#items.values()], (item) => item.entry.path);
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

function notDirectory(path: string): KbuildError {
  return new KbuildError("build.notDirectory", `/${showPath(path)} is not a folder in the image`);
}
