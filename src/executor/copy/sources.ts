import type { ContentOrigin } from "../../layers/draft.ts";
import type { Entry, EntryType } from "../../layers/entry-table.ts";
import type { Sequence } from "../../layers/sequence.ts";
import type { BlobSource, SelectionSegment } from "../../native/protocol.ts";
import type { Snapshot } from "../state.ts";

/** A file, folder or link that a COPY takes. Paths are those in the source tree. */
export interface SourceEntry {
  readonly entry: Entry;
  /** Holds the content's digest, which may become known late; undefined for all but regular files. */
  readonly origin: ContentOrigin | undefined;
  /** Names of one inode share it. */
  readonly group: string | undefined;
}

/**
 * What is below a folder of a source, in tree order. Each is made when it is asked for: the table of a scan of 30,000
 * files takes 5 MiB; with objects of all of them a COPY took 125 MiB, and takes 75 without.
 */
export interface SourceEntries extends Sequence<SourceEntry> {
  path(index: number): string;
  type(index: number): EntryType;
  at(index: number): SourceEntry;
  /** The number of the entry with this path, or -1. */
  find(path: string): number;
  /** Whether the digest of every regular file is known. */
  hasAllDigests(): boolean;
}

/** One match of a source: the thing itself, and what is below it if it is a folder. */
export interface SourceMatch extends SourceEntry {
  /** The path as it was asked for, before its last link was followed; its last name is what a file is called. */
  readonly asked: string;
  readonly below: SourceEntries;
  /**
   * What each folder on the way to `asked` is, outermost first; undefined where a link leads on. Only there when the
   * pattern asks for it.
   */
  readonly folders?: readonly (Entry | undefined)[] | undefined;
  /** Names of one inode are links to each other only among matches with the same number: those that docker copies at once. */
  readonly linkScope?: number | undefined;
}

/** What one source of a COPY is: a path in segments, without `.` and `..`. */
export interface SourcePattern {
  readonly segments: readonly SelectionSegment[];
  /** As written in the Dockerfile after expansion, for messages. */
  readonly text: string;
  /** Whether matches tell of the folders that they are in, which `--parents` copies as well. */
  readonly withFolders?: boolean;
}

/** What selecting came to. */
export type SelectResult =
  | { readonly kind: "found"; readonly matches: readonly SourceMatch[] }
  /** `rule` is the number of the ignore rule that keeps it out, if that is why. */
  | { readonly kind: "missing"; readonly rule: number | undefined };

/** Where files are copied from: the build context, another stage, an image. */
export interface SourceTree {
  /** What messages call it: `the build context`, `stage "build"`, `image node:20`. */
  readonly label: string;
  /** What the source numbers of its entries mean to the core. */
  readonly roots: readonly string[];
  readonly blobs: readonly BlobSource[];
  /** Finds what each pattern matches. With `digest`, every regular file's digest is known afterwards. */
  select(patterns: readonly SourcePattern[], digest: boolean): Promise<readonly SelectResult[]>;
  /** Names in the folder where a missing path would be, for "did you mean"; at most some hundred. */
  neighbours(path: string): Promise<readonly string[]>;
  /** The layers that the files are in; absent for a context. */
  readonly snapshot?: Snapshot | undefined;
  /** Where the core keeps digests of files between builds, if this tree has such. */
  readonly statCache?: string | undefined;
  /** How messages name an ignore rule of this tree; absent: as one of the build context's. */
  readonly ignoreRule?: ((rule: number) => string) | undefined;
}

/** The folders that a path is in, outermost first: `a`, `a/b` for `a/b/c`. */
export function foldersOf(path: string): string[] {
  const names = path.split("/");
  return names.slice(1).map((_, index) => names.slice(0, index + 1).join("/"));
}

const WILDCARD = /[*?[\\]/;

/** Whether a name has a wildcard; a backslash takes that from the character behind it. */
function isWild(name: string): boolean {
  return /[*?[]/.test(name.replace(/\\./gs, ""));
}

/**
 * Splits a source into segments as docker reads it: cleaned, `..` clipped at the root. From the first name with a wildcard
 * on each is a pattern of Go's `filepath.Match`, where a backslash escapes; in front of it a backslash is part of a name.
 * `**` spans folders only for `--parents`.
 */
export function sourcePattern(text: string, spansFolders: boolean): SourcePattern {
  const names: string[] = [];
  for (const name of text.split("/")) {
    if (name === "" || name === ".") continue;
    if (name === "..") names.pop();
    else names.push(name);
  }
  const first = names.findIndex(isWild);
  const segments = names.map((name, number): SelectionSegment => {
    if (name === "**" && spansFolders) return { kind: "any" };
    return first >= 0 && number >= first && WILDCARD.test(name)
      ? { kind: "pattern", text: name }
      : { kind: "name", text: name };
  });
  return { segments, text, withFolders: spansFolders };
}

/** What stands in front of the first wildcard. */
export function plainStart({ segments }: SourcePattern): readonly SelectionSegment[] {
  const wildcard = segments.findIndex((segment) => segment.kind !== "name");
  return wildcard < 0 ? segments : segments.slice(0, wildcard);
}

/** Whether a source has a wildcard: then it may match nothing. */
export function hasWildcard(pattern: SourcePattern): boolean {
  return pattern.segments.some((segment) => segment.kind !== "name");
}
