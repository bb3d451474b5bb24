import * as fs from "node:fs";
import { join } from "node:path";
import { EntryTable } from "../../layers/entry-table.ts";
import { sameIndexFiles } from "../../layers/index-file.ts";
import type { Store } from "../../oci/layout/store.ts";
import { namesIn } from "./records.ts";

/** What the store keeps of a layer besides its blob: `layers/<digits of the diffID>/`. */
export interface LayerFolder {
  readonly path: string;
  /** The digits of the diffID. */
  readonly name: string;
  readonly indexPath: string;
  /** Names of the unpacked trees. */
  readonly trees: readonly string[];
  /** Names of what does not belong there. */
  readonly strangers: readonly string[];
}

const TREE = /^tree-(?:single|chroot|userns-[0-9a-f]{8})$/;
/** Notes of the core beside a tree: owners of what can hold no extended attribute, folders that the layer does not name. */
const NOTES = /\.(?:owners|implied)$/;
const FILES = ["index", "size", "content-size"];

/** The folders of all layers; what has another name is none of them. */
export function layerFolders(store: Store): LayerFolder[] {
  const root = join(store.root, "layers");
  return namesIn(root)
    .filter((name) => /^[0-9a-f]{64}$/.test(name))
    .map((name) => {
      const path = join(root, name);
      const inside = namesIn(path);
      return {
        path,
        name,
        indexPath: join(path, "index"),
        trees: inside.filter((one) => TREE.test(one)),
        strangers: inside.filter((one) => !FILES.includes(one) && !TREE.test(one.replace(NOTES, ""))),
      };
    });
}

/** Bytes of the layer's tar, which is about what a tree of it takes; 0 when it is not known. */
export function tarSizeOf(folder: LayerFolder): number {
  try {
    const text = fs.readFileSync(join(folder.path, "size"), "utf8");
    return /^\d{1,15}$/.test(text) ? Number(text) : 0;
  } catch {
    return 0;
  }
}

/** What is wrong with the index of a layer, read on its own; undefined when nothing is, or there is none. */
export function indexFault(path: string): string | undefined {
  try {
    // All of it is read: each entry's path, link and attributes are looked up in the heap.
    for (const _entry of new EntryTable(fs.readFileSync(path)));
    return undefined;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    return `it cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Whether two indexes say the same of a layer. */
export function sameIndexes(left: string, right: string): boolean {
  if (sameIndexFiles(left, right)) return true;
  // Another order of their texts, for instance; that takes both in memory.
  const [one, other] = [new EntryTable(fs.readFileSync(left)), new EntryTable(fs.readFileSync(right))];
  if (one.length !== other.length) return false;
  for (let index = 0; index < one.length; index += 1) {
    const [a, b] = [one.entry(index), other.entry(index)].map((entry) =>
      JSON.stringify({
        ...entry,
        inodeGroup: 0,
        source: entry.type === 0 && entry.size > 0 ? entry.source : undefined,
      }),
    );
    if (a !== b) return false;
  }
  return true;
}
