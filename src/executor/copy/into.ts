import { KbuildError } from "../../errors.ts";
import {
  checkPath,
  type Draft,
  type DraftItem,
  type DraftItems,
  type FolderMaking,
  type Owner,
} from "../../layers/draft.ts";
import { type Entry, EntryType } from "../../layers/entry-table.ts";
import { showPath } from "../../layers/path-bytes.ts";
import { mapped, type Sequence } from "../../layers/sequence.ts";
import { joinPath, nameOf, parentOf } from "../../layers/tree.ts";
import { type CompiledRules, isIgnored } from "../../parser/ignore.ts";
import { foldersOf, type SourceEntries, type SourceEntry, type SourceMatch } from "./sources.ts";

/** What decides which of a match's files are copied. */
export interface Exclusion {
  readonly exclude: CompiledRules | undefined;
  readonly parents: boolean;
}

/** What COPY's flags ask for, evaluated. */
export interface CopyTreatment extends Exclusion {
  /** Absent: owners are kept as the source has them. */
  readonly owner: Owner | undefined;
  /** What becomes of a mode; absent: it is kept. */
  readonly mode: ((mode: number, isFolder: boolean) => number) | undefined;
  /** Mode of folders that are made on the way: 0755, or an octal `--chmod` without its set-id bits. */
  readonly folderMode: number;
  /** The time that folders made on the way get. */
  readonly now: Entry["mtime"];
  /** See {@link SourceMatch.linkScope}. */
  readonly linkScope?: number | undefined;
}

/** Where a COPY goes: a path in the image without leading slash, and whether it was written as a folder. */
export interface Destination {
  readonly path: string;
  readonly isFolder: boolean;
}

/**
 * Copies one match of a source into a draft: what BuildKit's file copier does, step by step, on entries instead of
 * files. Folders give their contents, not themselves; links in the destination are followed inside the image.
 * @throws KbuildError `build.notDirectory`, `build.linkLoop`, `build.folderInTheWay`
 */
export function copyInto(draft: Draft, match: SourceMatch, destination: Destination, treatment: CopyTreatment): void {
  const making = folderMaking(treatment);
  if (treatment.parents) {
    copyWithParents(draft, match, destination, treatment);
    return;
  }
  const isFolder = match.entry.type === EntryType.directory;
  if (!isFolder && isExcluded(treatment, nameOf(match.asked))) return;
  draft.makeFolders(destination.isFolder ? destination.path : parentOf(destination.path), making);
  let target = draft.place(destination.path);
  const there = draft.lookup(target);
  const isThereFolder = there?.entry.type === EntryType.directory;
  if (isFolder) {
    if (there !== undefined && !isThereFolder) throw notAFolder(target, match);
    draft.makeFolders(target, making);
    copyBelow(draft, match, target, treatment);
    return;
  }
  if (isThereFolder) target = joinPath(target, nameOf(match.asked));
  draft.makeFolders(parentOf(target), making);
  putSource(draft, match, target, treatment);
}

/** `--parents`: the match keeps the folders that it is in, as they are in the source, below the destination. */
function copyWithParents(draft: Draft, match: SourceMatch, destination: Destination, treatment: CopyTreatment): void {
  if (isExcluded(treatment, match.asked)) return;
  const root = draft.makeFolders(destination.path, folderMaking(treatment));
  for (const [number, path] of foldersOf(match.asked).entries()) {
    placeFolder(draft, match.folders?.[number], joinPath(root, path), treatment);
  }
  const target = joinPath(root, match.asked);
  if (match.entry.type !== EntryType.directory) {
    draft.makeFolders(parentOf(target), folderMaking(treatment));
    putSource(draft, match, target, treatment);
    return;
  }
  placeFolder(draft, match.asked === "" ? undefined : match.entry, target, treatment);
  copyBelow(draft, match, target, treatment);
}

/** A folder of the source at its place: made as it is there, or one that is there with its mode. */
function placeFolder(draft: Draft, folder: Entry | undefined, path: string, treatment: CopyTreatment): void {
  const there = draft.lookup(path);
  if (folder === undefined || (there !== undefined && there.entry.type !== EntryType.directory)) {
    draft.makeFolders(path, folderMaking(treatment));
  } else if (there === undefined) {
    checkName(path);
    draft.put(treated({ entry: folder, origin: undefined, group: undefined }, path, treatment).entry);
  } else if (there.layer >= 0 && there.entry.mode !== folder.mode) {
    draft.put({ ...there.entry, path, mode: folder.mode });
  }
}

/** The contents of a folder. */
function copyBelow(draft: Draft, match: SourceMatch, target: string, treatment: CopyTreatment): void {
  const items = new CopiedItems(match, target, treatment);
  if (treatment.exclude === undefined) {
    checkPlaces(draft, items, match);
    draft.putAll(target, items);
    return;
  }
  let made: string | undefined;
  for (const index of includedBelow(match, treatment)) {
    const path = items.path(index);
    // The folders of what is let in may be excluded themselves.
    if (parentOf(path) !== made) made = draft.makeFolders(parentOf(path), folderMaking(treatment));
    checkPlace(draft, path, items.type(index), match);
    draft.putOne(items, index);
  }
}

/** What of a match is copied: that which is not excluded. Undefined when nothing is. */
export function includedOf(match: SourceMatch, treatment: Exclusion): Sequence<SourceEntry> | undefined {
  const isFolder = match.entry.type === EntryType.directory;
  if (treatment.parents ? isExcluded(treatment, match.asked) : !isFolder && isExcluded(treatment, nameOf(match.asked)))
    return undefined;
  if (treatment.exclude === undefined) return match.below;
  return mapped(includedBelow(match, treatment), (index) => match.below.at(index));
}

/** The numbers of what is below a match and not excluded. With `--parents` patterns see the folders that it is in, too. */
function includedBelow(match: SourceMatch, treatment: Exclusion): number[] {
  const skip = match.entry.path === "" ? 0 : match.entry.path.length + 1;
  const prefix = treatment.parents ? match.asked : "";
  const numbers: number[] = [];
  for (let index = 0; index < match.below.length; index++) {
    if (!isExcluded(treatment, joinPath(prefix, match.below.path(index).slice(skip)))) numbers.push(index);
  }
  return numbers;
}

/** What is below a folder of a source, as it is to be below a folder of the image. */
class CopiedItems implements DraftItems {
  readonly length: number;
  readonly #sources: SourceEntries;
  readonly #from: string;
  readonly #to: string;
  readonly #treatment: CopyTreatment;

  constructor(match: SourceMatch, to: string, treatment: CopyTreatment) {
    this.length = match.below.length;
    this.#sources = match.below;
    this.#from = match.entry.path;
    this.#to = to;
    this.#treatment = treatment;
  }

  path(index: number): string {
    return this.#placed(this.#sources.path(index));
  }

  type(index: number): EntryType {
    return this.#sources.type(index);
  }

  item(index: number): DraftItem {
    return this.#item(this.#sources.at(index));
  }

  find(path: string): number {
    return this.#sources.find(moved(path, this.#to, this.#from));
  }

  *[Symbol.iterator](): IterableIterator<DraftItem> {
    for (const source of this.#sources) yield this.#item(source);
  }

  #placed(path: string): string {
    return moved(path, this.#from, this.#to);
  }

  #item(source: SourceEntry): DraftItem {
    return treated(source, this.#placed(source.entry.path), this.#treatment);
  }
}

/** A path below one folder as a path below another. */
function moved(path: string, from: string, to: string): string {
  return joinPath(to, from === "" ? path : path.slice(from.length + 1));
}

/** Checks the places of all items; below a folder that is not there yet there is nothing to be found. */
function checkPlaces(draft: Draft, items: DraftItems, match: SourceMatch): void {
  let absent: string | undefined;
  for (let index = 0; index < items.length; index++) {
    const path = items.path(index);
    if (absent !== undefined && path.startsWith(absent)) {
      checkName(path);
      continue;
    }
    const type = items.type(index);
    const isThere = checkPlace(draft, path, type, match);
    absent = isThere || type !== EntryType.directory ? undefined : `${path}/`;
  }
}

/** Whether there is something at a path; if so, it is something that an entry of this type can take the place of. */
function checkPlace(draft: Draft, path: string, type: EntryType, match: SourceMatch | undefined): boolean {
  checkName(path);
  const there = draft.typeAt(path);
  const isFolder = type === EntryType.directory;
  if (there === undefined || (there === EntryType.directory) === isFolder) return there !== undefined;
  if (isFolder) throw notAFolder(path, match);
  throw new KbuildError(
    "build.folderInTheWay",
    `/${showPath(path)} is a folder in the image, and a file cannot take its place`,
  );
}

function checkName(path: string): void {
  checkPath(path);
  if (!path.startsWith(".wh.", path.lastIndexOf("/") + 1)) return;
  throw new KbuildError(
    "build.markName",
    `"${showPath(nameOf(path))}" cannot be in an image: names with .wh. in front mark deleted files in layers`,
    {
      hint: "rename the file, or keep it out with .dockerignore",
    },
  );
}

function putSource(draft: Draft, source: SourceEntry, path: string, treatment: CopyTreatment): void {
  checkPlace(draft, path, source.entry.type, undefined);
  const { entry, origin, group } = treated(source, path, treatment);
  draft.put(entry, origin, group);
}

/** The name of an inode among all that one COPY copies. */
export function scopedGroup(group: string, scope: number | undefined): string {
  return scope === undefined ? group : `${scope} ${group}`;
}

/** A source as it is to be in the image. */
function treated({ entry, origin, group }: SourceEntry, path: string, treatment: CopyTreatment): DraftItem {
  const { owner, mode, linkScope } = treatment;
  const isFolder = entry.type === EntryType.directory;
  const isKept = mode === undefined || entry.type === EntryType.symlink;
  return {
    entry: {
      ...entry,
      path,
      uid: owner?.uid ?? entry.uid,
      gid: owner?.gid ?? entry.gid,
      mode: isKept ? entry.mode : mode(entry.mode, isFolder),
    },
    origin,
    group: group === undefined ? undefined : scopedGroup(group, linkScope),
  };
}

/** A folder made on the way belongs to `--chown`'s user, or to root. */
function folderMaking(treatment: CopyTreatment): FolderMaking {
  return { owner: treatment.owner ?? { uid: 0, gid: 0 }, mode: treatment.folderMode, mtime: treatment.now };
}

function isExcluded(treatment: Exclusion, path: string): boolean {
  return treatment.exclude !== undefined && isIgnored(treatment.exclude, path).ignored;
}

function notAFolder(path: string, match: SourceMatch | undefined): KbuildError {
  const what = match === undefined ? "a folder" : `the folder ${showPath(match.asked === "" ? "." : match.asked)}`;
  return new KbuildError("build.notDirectory", `${what} cannot be copied to /${showPath(path)}, which is not a folder`);
}
