import * as fs from "node:fs";
import { join, relative } from "node:path";
import { KbuildError } from "../../errors.ts";
import { oldestUse } from "../../oci/layout/in-use.ts";
import { type Lock, takeLock, withLock } from "../../oci/layout/lock.ts";
import { defaultRoot, openStore, type Store } from "../../oci/layout/store.ts";
import { leftovers } from "../../oci/layout/sweep.ts";
import { Bin } from "./bin.ts";
import { blobPath, type CacheItem, cacheContents, lastUse, mountLock, neededBlobs, sizeOnDisk } from "./cache-items.ts";

export interface PruneOptions {
  readonly root?: string | undefined;
  /** Also what images of the store came of; their next build makes it anew. */
  readonly all?: boolean | undefined;
  /** Only what has not been used for so many milliseconds. */
  readonly unusedFor?: number | undefined;
  /** Frees only until the cache has at most so many bytes: what was used least recently goes first. */
  readonly keep?: number | undefined;
  /** Only these kinds. */
  readonly kinds?: readonly PrunedItem["kind"][] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Something that was freed. */
export interface PrunedItem {
  readonly kind: CacheItem["kind"] | "leftover";
  /** Its path below the store. */
  readonly subject: string;
  /** Bytes; of unpacked layers about. */
  readonly size: number;
}

export interface PruneReport {
  readonly removed: readonly PrunedItem[];
  /** Bytes that were freed. */
  readonly reclaimed: number;
  /** What could not be removed, and why; it lies in `tmp/` and is in nobody's way. */
  readonly stuck?: { readonly paths: readonly string[]; readonly reason: string };
}

/** The kernel's clock for files may be so many milliseconds behind. */
const CLOCK_LAG = 20;

/**
 * Frees the store of what is only kept to make later builds faster, and of what killed processes left behind. Images stay,
 * with all that they need. What was used since the oldest running build began stays, too: see `markUsed`.
 *
 * @throws KbuildError `machine.locked` when another prune takes too long; `machine.*` when the store cannot be written
 */
export async function pruneStore(options: PruneOptions = {}): Promise<PruneReport> {
  const store = openStore(options.root ?? defaultRoot(process.env), { create: false });
  if (!fs.existsSync(join(store.root, "locks"))) return { removed: [], reclaimed: 0 };
  return withLock(store.lockPath("prune"), () => new Prune(store, options).run());
}

class Prune {
  readonly #store: Store;
  readonly #options: PruneOptions;
  readonly #bin: Bin;
  /** What was used then or later stays. */
  readonly #limit: number;
  /** By the place in `tmp/` that it was moved to. */
  readonly #taken = new Map<string, PrunedItem>();

  constructor(store: Store, options: PruneOptions) {
    this.#store = store;
    this.#options = options;
    this.#bin = new Bin(store, options.signal);
    const now = Date.now();
    const safe = Math.min(now, oldestUse(store) ?? now) - CLOCK_LAG;
    this.#limit = options.unusedFor === undefined ? safe : Math.min(safe, now - options.unusedFor);
  }

  async run(): Promise<PruneReport> {
    if (this.#isWanted("leftover")) this.#removeLeftovers();
    await this.#removeItems();
    const left = await this.#bin.empty();
    const paths = left?.paths ?? [];
    const removed = [...this.#taken].filter(([moved]) => !paths.includes(moved)).map(([, item]) => item);
    return {
      removed,
      reclaimed: removed.reduce((sum, item) => sum + item.size, 0),
      ...(left === undefined ? {} : { stuck: { paths, reason: messageOf(left.reason) } }),
    };
  }

  #isWanted(kind: PrunedItem["kind"]): boolean {
    return this.#options.kinds?.includes(kind) ?? true;
  }

  #removeLeftovers(): void {
    for (const path of leftovers(this.#store)) {
      const item = { kind: "leftover", subject: relative(this.#store.root, path), size: sizeOnDisk(path) } as const;
      this.#bin.remove(path);
      this.#taken.set(path, item);
    }
  }

  async #removeItems(): Promise<void> {
    const { all = false, keep, signal } = this.#options;
    const { items, imageBlobs, blobs } = cacheContents(this.#store);
    const uses = new Map<string, number>();
    for (const digest of items.flatMap((item) => item.blobs)) uses.set(digest, (uses.get(digest) ?? 0) + 1);
    const sizeOf = (digest: string): number => (imageBlobs.has(digest) ? 0 : (blobs.get(digest)?.size ?? 0));
    let total = items.reduce((sum, item) => sum + item.size, 0);
    for (const digest of uses.keys()) total += sizeOf(digest);

    const unneeded: string[] = [];
    const order = items
      .filter((item) => this.#isWanted(item.kind) && (all || !item.isOfImage) && item.used < this.#limit)
      .sort((left, right) => left.used - right.used);
    for (const item of order) {
      if (keep !== undefined && total <= keep) break;
      signal?.throwIfAborted();
      if (item.kind === "blob") {
        unneeded.push(`sha256:${item.path.slice(-64)}`);
        total -= item.size;
        continue;
      }
      if (!(await this.#take(item))) continue;
      total -= item.size;
      for (const digest of item.blobs) {
        const rest = (uses.get(digest) ?? 1) - 1;
        uses.set(digest, rest);
        if (rest > 0 || imageBlobs.has(digest)) continue;
        unneeded.push(digest);
        total -= sizeOf(digest);
      }
    }
    this.#removeBlobs(unneeded, blobs);
  }

  /** Records come first, so that none is left without its blob: what is needed is only now what it will be. */
  #removeBlobs(digests: readonly string[], blobs: ReadonlyMap<string, { readonly size: number }>): void {
    const needed = neededBlobs(this.#store);
    for (const digest of new Set(digests)) {
      const size = blobs.get(digest)?.size;
      if (size === undefined || needed.has(digest)) continue;
      this.#move({ kind: "blob", path: blobPath(this.#store, digest), stamp: "", size });
    }
  }

  async #take(item: CacheItem): Promise<boolean> {
    if (item.kind !== "cacheMount") return this.#move(item);
    const lock = await tryLock(this.#store.lockPath(mountLock(item)));
    if (lock === undefined) return false;
    try {
      return this.#move(item);
    } finally {
      lock.release();
    }
  }

  #move({ kind, path, stamp, size }: Pick<CacheItem, "kind" | "path" | "stamp" | "size">): boolean {
    // Looked at before as well as after: what is in use is not even away for a moment, as a rule.
    if ((lastUse(path, stamp) ?? 0) >= this.#limit) return false;
    const moved = this.#bin.take(path, (now) => (lastUse(now, stamp) ?? 0) >= this.#limit);
    if (moved === undefined) return false;
    this.#taken.set(moved, { kind, subject: relative(this.#store.root, path), size });
    return true;
  }
}

/** Undefined when somebody has it. */
async function tryLock(path: string): Promise<Lock | undefined> {
  try {
    return await takeLock(path, { patience: 0 });
  } catch (error) {
    if (error instanceof KbuildError && error.code === "machine.locked") return undefined;
    throw error;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
