import { KbuildError } from "../../errors.ts";
import type { Draft, FolderMaking, Owner } from "../../layers/draft.ts";
import { type Entry, EntryType } from "../../layers/entry-table.ts";
import { showPath } from "../../layers/path-bytes.ts";
import { joinPath, nameOf, parentOf } from "../../layers/tree.ts";
import { type CompiledRules, isIgnored } from "../../parser/ignore.ts";
import type { SourceEntry, SourceMatch } from "./sources.ts";

/** What COPY's flags ask for, evaluated. */
export interface CopyTreatment {
  /** Absent: owners are kept as the source has them. */
  readonly owner: Owner | undefined;
  /** What becomes of a mode; absent: it is kept. */
  readonly mode: ((mode: number, isFolder: boolean) => number) | undefined;
  /** Mode of folders that are made on the way: 0755, or an octal `--chmod` without its set-id bits. */
  readonly folderMode: number;
  /** The time that folders made on the way get. */
  readonly now: Entry["mtime"];
  readonly exclude: CompiledRules | undefined;
  /** Whether a symbolic link's mode and the like are the source's: always true of links. */
  readonly parents: boolean;
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
  const making = folderMaking(treatment);
  if (isExcluded(treatment, match.asked)) return;
  const root = draft.makeFolders(destination.path, making);
  const target = joinPath(root, match.asked);
  if (match.entry.type !== EntryType.directory) {
    draft.makeFolders(parentOf(target), making);
    putSource(draft, match, target, treatment);
    return;
  }
  draft.makeFolders(target, making);
  copyBelow(draft, match, target, treatment, match.asked);
}

/** The contents of a folder; `prefix` is what exclusion patterns see before the names in it. */
function copyBelow(draft: Draft, match: SourceMatch, target: string, treatment: CopyTreatment, prefix = ""): void {
  const skip = match.entry.path === "" ? 0 : match.entry.path.length + 1;
  for (const source of match.below) {
    const relative = source.entry.path.slice(skip);
    if (isExcluded(treatment, joinPath(prefix, relative))) continue;
    const path = joinPath(target, relative);
    if (treatment.exclude !== undefined) draft.makeFolders(parentOf(path), folderMaking(treatment));
    putSource(draft, source, path, treatment, match);
  }
}

function putSource(
  draft: Draft,
  source: SourceEntry,
  path: string,
  treatment: CopyTreatment,
  match: SourceMatch | undefined = undefined,
): void {
  const { entry } = source;
  if (nameOf(path).startsWith(".wh.")) {
    throw new KbuildError(
      "build.markName",
      `"${showPath(nameOf(path))}" cannot be in an image: names with .wh. in front mark deleted files in layers`,
      {
        hint: "rename the file, or keep it out with .dockerignore",
      },
    );
  }
  const there = draft.lookup(path);
  const isFolder = entry.type === EntryType.directory;
  if (there !== undefined && (there.entry.type === EntryType.directory) !== isFolder) {
    if (isFolder) throw notAFolder(path, match);
    throw new KbuildError(
      "build.folderInTheWay",
      `/${showPath(path)} is a folder in the image, and a file cannot take its place`,
    );
  }
  const isLink = entry.type === EntryType.symlink;
  draft.put(
    {
      ...entry,
      path,
      uid: treatment.owner?.uid ?? entry.uid,
      gid: treatment.owner?.gid ?? entry.gid,
      mode: isLink || treatment.mode === undefined ? entry.mode : treatment.mode(entry.mode, isFolder),
    },
    source.origin,
    source.group,
  );
}

/** A folder made on the way belongs to `--chown`'s user, or to root. */
function folderMaking(treatment: CopyTreatment): FolderMaking {
  return { owner: treatment.owner ?? { uid: 0, gid: 0 }, mode: treatment.folderMode, mtime: treatment.now };
}

function isExcluded(treatment: CopyTreatment, path: string): boolean {
  return treatment.exclude !== undefined && isIgnored(treatment.exclude, path).ignored;
}

function notAFolder(path: string, match: SourceMatch | undefined): KbuildError {
  const what = match === undefined ? "a folder" : `the folder ${showPath(match.asked === "" ? "." : match.asked)}`;
  return new KbuildError("build.notDirectory", `${what} cannot be copied to /${showPath(path)}, which is not a folder`);
}
