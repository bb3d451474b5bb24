import type { EntryType } from "../../layers/entry-table.ts";
import type { SourceEntries, SourceEntry, SourceMatch } from "./sources.ts";

/** A match of a tree of its own, whose files are below root number `root` among those of the layer that it goes into. */
export function rebasedMatch(match: SourceMatch, root: number): SourceMatch {
  return { ...match, ...rebased(match, root), below: new RebasedEntries(match.below, root) };
}

function rebased(source: SourceEntry, root: number): SourceEntry {
  const { entry } = source;
  return entry.source.kind === "file" ? { ...source, entry: { ...entry, source: { ...entry.source, root } } } : source;
}

class RebasedEntries implements SourceEntries {
  readonly #entries: SourceEntries;
  readonly #root: number;

  constructor(entries: SourceEntries, root: number) {
    this.#entries = entries;
    this.#root = root;
  }

  get length(): number {
    return this.#entries.length;
  }

  path(index: number): string {
    return this.#entries.path(index);
  }

  type(index: number): EntryType {
    return this.#entries.type(index);
  }

  at(index: number): SourceEntry {
    return rebased(this.#entries.at(index), this.#root);
  }

  find(path: string): number {
    return this.#entries.find(path);
  }

  hasAllDigests(): boolean {
    return this.#entries.hasAllDigests();
  }

  *[Symbol.iterator](): IterableIterator<SourceEntry> {
    for (const source of this.#entries) yield rebased(source, this.#root);
  }
}
