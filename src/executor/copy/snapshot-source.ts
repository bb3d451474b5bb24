import { KbuildError } from "../../errors.ts";
import { type Entry, EntryType } from "../../layers/entry-table.ts";
import { showPath } from "../../layers/path-bytes.ts";
import { joinPath, type Located, type Tree } from "../../layers/tree.ts";
import { sortInTreeOrder } from "../../layers/tree-order.ts";
import type { BlobSource, SelectionSegment } from "../../native/protocol.ts";
import { matchName } from "../../parser/ignore.ts";
import type { Snapshot } from "../state.ts";
import { ListedEntries } from "./entries.ts";
import {
  foldersOf,
  type SelectResult,
  type SourceEntry,
  type SourceMatch,
  type SourcePattern,
  type SourceTree,
} from "./sources.ts";

/** The files of another stage or an image as the source of a COPY. */
export class SnapshotSource implements SourceTree {
  readonly label: string;
  readonly roots: readonly string[] = [];
  readonly blobs: readonly BlobSource[];
  readonly snapshot: Snapshot | undefined;
  readonly #tree: Tree;

  /** `blobs`: where each of the tree's layers has its bytes, lowest first. `snapshot`: those layers, if it is of a stage. */
  constructor(label: string, tree: Tree, blobs: readonly BlobSource[], snapshot?: Snapshot) {
    this.label = label;
    this.snapshot = snapshot;
    this.#tree = tree;
    this.blobs = blobs;
  }

  async select(patterns: readonly SourcePattern[]): Promise<readonly SelectResult[]> {
    return patterns.map((pattern) => this.#select(pattern));
  }

  async neighbours(path: string): Promise<readonly string[]> {
    const resolution = this.#tree.resolve(path, true);
    return resolution.kind === "found" ? this.#tree.children(resolution.path).slice(0, 500) : [];
  }

  #select(pattern: SourcePattern): SelectResult {
    const isPlain = pattern.segments.every((segment) => segment.kind === "name");
    const paths = isPlain
      ? [pattern.segments.map((segment) => (segment.kind === "name" ? segment.text : "")).join("/")]
      : sortInTreeOrder([...new Set(this.#expand("", pattern.segments, new Set()))], (path) => path);
    const matches: SourceMatch[] = [];
    for (const path of paths) {
      const resolution = this.#tree.resolve(path, true);
      if (resolution.kind === "loop") {
        throw new KbuildError("build.linkLoop", `too many symbolic links at /${showPath(path)} in ${this.label}`);
      }
      const located = resolution.kind === "found" ? resolution.located : isPlain ? undefined : this.#tree.lookup(path);
      if (located === undefined) continue;
      const match = this.#match(path, located);
      matches.push(
        pattern.withFolders ? { ...match, folders: foldersOf(path).map((each) => this.#folder(each)) } : match,
      );
    }
    return matches.length === 0 && isPlain ? { kind: "missing", rule: undefined } : { kind: "found", matches };
  }

  #folder(path: string): Entry | undefined {
    const entry = this.#tree.lookup(path)?.entry;
    return entry?.type === EntryType.directory ? entry : undefined;
  }

  /** The paths that wildcards stand for. Several `**` come to one folder in many ways: `seen` are those gone before. */
  *#expand(folder: string, segments: readonly SelectionSegment[], seen: Set<string>): IterableIterator<string> {
    const [segment, ...rest] = segments;
    const way = `${segments.length} ${folder}`;
    if (seen.has(way)) return;
    seen.add(way);
    if (segment === undefined) {
      yield folder;
      return;
    }
    if (segment.kind === "name") {
      const path = joinPath(folder, segment.text);
      if (this.#tree.resolve(path, false).kind === "found") yield* this.#expand(path, rest, seen);
      return;
    }
    if (segment.kind === "any") yield* this.#expand(folder, rest, seen);
    const resolution = this.#tree.resolve(folder, true);
    const isFolder = resolution.kind === "found" && resolution.located.entry.type === EntryType.directory;
    if (!isFolder) return;
    for (const name of this.#tree.children(resolution.path)) {
      const path = joinPath(folder, name);
      if (segment.kind === "any") {
        const isRealFolder = this.#tree.lookup(joinPath(resolution.path, name))?.entry.type === EntryType.directory;
        if (isRealFolder) yield* this.#expand(path, segments, seen);
      } else if (matchName(segment.text, name)) {
        yield* this.#expand(path, rest, seen);
      }
    }
  }

  #match(asked: string, located: Located): SourceMatch {
    const isFolder = located.entry.type === EntryType.directory;
    const below = isFolder ? this.#tree.below(located.entry.path) : [];
    const linked = new Set<string>();
    const convert = (item: Located) => this.#source(item, linked);
    for (const { entry, layer } of below) {
      if (entry.type === EntryType.hardlink) linked.add(`${layer}:${entry.link}`);
    }
    // That a link leads nowhere is to be known now.
    for (const item of below) if (item.entry.type === EntryType.hardlink) convert(item);
    return { ...convert(located), asked, below: new ListedEntries(below, convert) };
  }

  #source(located: Located, linked: ReadonlySet<string>): SourceEntry {
    const content = this.#tree.content(located);
    const { entry } = located;
    if (content.entry.type === EntryType.hardlink) {
      throw new KbuildError(
        "build.brokenLink",
        `/${showPath(entry.path)} in ${this.label} is a hard link to a file that is not there`,
      );
    }
    if (content.entry.type !== EntryType.file) {
      // A hard link may be a name of a symbolic link or a device as well.
      return { entry: { ...content.entry, path: entry.path }, origin: undefined, group: undefined };
    }
    const group = `${content.layer}:${content.entry.path}`;
    const isShared = entry.type === EntryType.hardlink || linked.has(group);
    const file: Entry = {
      ...content.entry,
      path: entry.path,
      source:
        content.entry.source.kind === "blob" ? { ...content.entry.source, blob: content.layer } : content.entry.source,
    };
    return { entry: file, origin: { digest: file.digest }, group: isShared ? group : undefined };
  }
}
