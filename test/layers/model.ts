import * as fc from "fast-check";
import { type Entry, EntryType } from "../../src/layers/entry-table.ts";
import { entry, file, folder, mark, symlink } from "./entries.ts";

/**
 * What layers come to when they are unpacked one after the other, told as simply as possible: a map from paths to
 * entries. OCI image-spec layer.md, "Applying changesets".
 */
export type Files = Map<string, Entry>;

export const parentOf = (path: string): string => path.split("/").slice(0, -1).join("/");
const isBelow = (path: string, top: string): boolean => top === "" || path.startsWith(`${top}/`);

export function removeBelow(files: Files, top: string): void {
  for (const path of [...files.keys()]) if (isBelow(path, top)) files.delete(path);
}

/** Puts an entry as unpacking does: folders on the way are made, what is in the way goes, folders meet. */
export function put(files: Files, what: Entry): void {
  const parent = parentOf(what.path);
  if (parent !== "" && files.get(parent)?.type !== EntryType.directory) {
    const implied = folder(parent, { mtime: { seconds: 0, nanoseconds: 0 } });
    put(files, implied);
  }
  const there = files.get(what.path);
  const areFolders = there?.type === EntryType.directory && what.type === EntryType.directory;
  if (!areFolders) removeBelow(files, what.path);
  files.set(what.path, what);
}

/** Applies a layer: its marks first, as they are about lower layers only. */
export function apply(files: Files, layer: readonly Entry[]): void {
  for (const { path, type } of layer) {
    const name = path.split("/").at(-1) ?? "";
    const parent = parentOf(path);
    if (type === EntryType.opaque) removeBelow(files, parent);
    if (type !== EntryType.whiteout) continue;
    const victim = parent === "" ? name.slice(4) : `${parent}/${name.slice(4)}`;
    files.delete(victim);
    removeBelow(files, victim);
  }
  for (const each of layer) {
    if (each.type !== EntryType.opaque && each.type !== EntryType.whiteout) put(files, each);
  }
}

/** The map in tree order, as text that shows a difference well. */
export function shownFiles(files: Files): string[] {
  return [...files.values()].map(shownEntry).sort();
}

export function shownEntry({ path, type, mode, link, uid }: Entry): string {
  return `${path} ${type} ${mode.toString(8)} ${uid} ${link}`.trim();
}

export const names = ["a", "b", "c", "a.b", "é"];
const anyName = fc.constantFrom(...names);
export const somePath = fc.array(anyName, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
const someFolder = fc.array(anyName, { maxLength: 3 }).map((parts) => parts.map((name) => `${name}/`).join(""));

export const someEntry: fc.Arbitrary<Entry> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(somePath, fc.nat(9)).map(([path, uid]) => file(path, { uid })) },
  { weight: 3, arbitrary: fc.tuple(somePath, fc.nat(9)).map(([path, uid]) => folder(path, { uid })) },
  { weight: 1, arbitrary: fc.tuple(somePath, somePath).map(([path, link]) => symlink(path, link)) },
  { weight: 1, arbitrary: somePath.map((path) => entry(path, EntryType.fifo)) },
);
const someMark: fc.Arbitrary<Entry> = fc.oneof(
  fc.tuple(someFolder, anyName).map(([parent, name]) => mark(`${parent}.wh.${name}`)),
  someFolder.map((parent) => mark(`${parent}.wh..wh..opq`)),
);

/** A layer that a tool could have made: nothing is below something else than a folder. Folders may be left out. */
export const someLayer: fc.Arbitrary<readonly Entry[]> = fc
  .tuple(fc.array(someEntry, { maxLength: 10 }), fc.array(someMark, { maxLength: 2 }))
  .map(([entries, marks]) => {
    const kept: Entry[] = [];
    for (const each of [...entries, ...marks]) {
      const clashes = kept.some(
        (other) =>
          other.path === each.path ||
          (isBelow(other.path, each.path) && each.type !== EntryType.directory) ||
          (isBelow(each.path, other.path) && other.type !== EntryType.directory),
      );
      if (!clashes) kept.push(each);
    }
    return kept;
  });
