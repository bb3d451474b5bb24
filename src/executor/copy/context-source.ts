import { opendirSync } from "node:fs";
import { join } from "node:path";
import { type Entry, EntryTable, EntryType } from "../../layers/entry-table.ts";
import { sortInTreeOrder } from "../../layers/tree-order.ts";
import type { NativeClient } from "../../native/client.ts";
import type { BlobSource, IgnoreRule, ScanWarning } from "../../native/protocol.ts";
import { NO_ENTRIES, ScannedEntries, scannedEntry } from "./entries.ts";
import { readFolder, readPlainFiles } from "./plain-files.ts";
import { foldersOf, type SelectResult, type SourceMatch, type SourcePattern, type SourceTree } from "./sources.ts";

/** What a context is made of. */
export interface ContextDescription {
  readonly label: string;
  /** Absolute path of the folder. */
  readonly root: string;
  readonly ignore: readonly IgnoreRule[];
  readonly statCache: string | undefined;
}

/** A folder of this machine as the source of a COPY: the build context or a named one. */
export class ContextSource implements SourceTree {
  readonly label: string;
  readonly roots: readonly string[];
  readonly blobs: readonly BlobSource[] = [];
  readonly statCache: string | undefined;
  readonly #description: ContextDescription;
  readonly #native: NativeClient;
  readonly #signal: AbortSignal;
  readonly #warn: (warning: ScanWarning) => void;

  constructor(
    description: ContextDescription,
    native: NativeClient,
    signal: AbortSignal,
    warn: (warning: ScanWarning) => void,
  ) {
    this.label = description.label;
    this.roots = [description.root];
    this.statCache = description.statCache;
    this.#description = description;
    this.#native = native;
    this.#signal = signal;
    this.#warn = warn;
  }

  async select(patterns: readonly SourcePattern[], digest: boolean): Promise<readonly SelectResult[]> {
    const { root, ignore, statCache } = this.#description;
    const plain = readPlainFiles(root, patterns, ignore);
    if (plain !== undefined) {
      return plain.map((entry, number) => plainResult(entry, this.#folders(patterns[number], entry.path)));
    }
    const { head, table: bytes } = await this.#native.scan(
      {
        root,
        selections: patterns.map(({ segments }) => ({ segments, followLast: true })),
        ignore: ignore.map(({ pattern, negated }) => ({ pattern, negated })),
        digest,
        ...(statCache === undefined ? {} : { statCache }),
      },
      this.#signal,
    );
    for (const warning of head.warnings) this.#warn(warning);
    const table = new EntryTable(bytes);
    return patterns.map((pattern, number): SelectResult => {
      const matches = head.matches[number] ?? [];
      const miss = head.misses[number];
      const isPlain = pattern.segments.every((segment) => segment.kind === "name");
      if (matches.length === 0 && isPlain) return { kind: "missing", rule: miss?.rule ?? undefined };
      // The core has them in the order of their real paths; where links lead elsewhere that is not how they are met.
      const met = sortInTreeOrder(matches, ({ asked }) => asked);
      return {
        kind: "found",
        matches: met.map(({ entry: index, asked }): SourceMatch => {
          const isFolder = table.type(index) === EntryType.directory;
          const [start, end] = isFolder ? table.below(table.path(index)) : [0, 0];
          const below = new ScannedEntries(table, start, end);
          return { ...scannedEntry(table, index), asked, below, folders: this.#folders(pattern, asked) };
        }),
      };
    });
  }

  #folders(pattern: SourcePattern | undefined, asked: string): SourceMatch["folders"] {
    if (pattern?.withFolders !== true) return undefined;
    return foldersOf(asked).map((path) => readFolder(this.#description.root, path));
  }

  async neighbours(path: string): Promise<readonly string[]> {
    const names: string[] = [];
    try {
      const folder = opendirSync(join(this.#description.root, path));
      for (let item = folder.readSync(); item !== null && names.length < 500; item = folder.readSync())
        names.push(item.name);
      folder.closeSync();
    } catch {
      // Without the folder there is nothing to suggest.
    }
    return names;
  }
}

function plainResult(entry: Entry, folders: SourceMatch["folders"]): SelectResult {
  const match = { entry, origin: { digest: entry.digest }, group: undefined, asked: entry.path, below: NO_ENTRIES };
  return { kind: "found", matches: [{ ...match, folders }] };
}
