import { lstatSync, mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { identityOf } from "../../layers/identity.ts";
import { errnoOf, storeFault } from "../../oci/layout/faults.ts";
import { markUsed } from "../../oci/layout/last-use.ts";
import { type Lock, takeLock } from "../../oci/layout/lock.ts";
import type { Store } from "../../oci/layout/store.ts";
import type { Sandbox } from "../../sandbox/open.ts";

/** Long enough to see a lock that is held by the living, short enough not to be noticed. */
const GLANCE = 0;
/** Caches of one name that steps use at the same time, each its own (`sharing=private`). */
const MOST_PRIVATE = 1000;

/** A cache mount's folder, in use by one step. */
export interface CacheMountUse {
  /** The folder with its files. */
  readonly path: string;
  readonly lockName: string;
  /** Makes the folder unless it is there: `begin` fills one at a path in `tmp/`, `move` puts it in its place. */
  make(
    id: string,
    begin: (output: string) => Promise<void>,
    move: (from: string, to: string) => Promise<void>,
  ): Promise<void>;
  release(): Promise<void>;
}

/** How a new cache mount begins. */
export interface CacheBeginning {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Identity of the files that it begins with. */
  readonly content: string | undefined;
}

/**
 * What a cache mount is kept by: its id, how a new one begins (as with BuildKit, one that is asked for with other
 * permissions is another), and whose owners are on disk.
 */
export function cacheMountKey(id: string, begins: CacheBeginning, { mode, entry }: Sandbox): string {
  const ids = mode === "userns" ? entry.uids.map(({ inside, outside, count }) => [inside, outside, count]) : [];
  return identityOf("cache mount", id, begins.mode, begins.uid, begins.gid, begins.content, mode, ids).slice(0, 32);
}

/**
 * Takes a cache mount of the store, `cache-mounts/<key>/data`, for a step. `locked` waits until nobody has it, `private`
 * takes another of the same name when it is in use, `shared` takes it whoever has it.
 */
export async function takeCacheMount(
  store: Store,
  key: string,
  sharing: "shared" | "private" | "locked",
  signal: AbortSignal,
): Promise<CacheMountUse> {
  switch (sharing) {
    case "shared":
      return useOf(store, key, undefined);
    case "locked":
      return useOf(store, key, await lockOf(store, key, signal));
    case "private":
      for (let number = 0; number < MOST_PRIVATE; number++) {
        const name = number === 0 ? key : `${key}-${number}`;
        const lock = await glance(store, name);
        if (lock !== undefined) return useOf(store, name, lock);
      }
      return useOf(store, key, await lockOf(store, key, signal));
  }
}

function useOf(store: Store, name: string, lock: Lock | undefined): CacheMountUse {
  const folder = join(store.root, "cache-mounts", name);
  const path = join(folder, "data");
  // From here on it is not pruned.
  markUsed(join(folder, "info.json"));
  return {
    path,
    lockName: lockName(name),
    async make(id, begin, move) {
      // What is no folder is no cache of ours, whatever a step has made of it.
      if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
      rmSync(path, { force: true });
      try {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        writeFileSync(join(folder, "info.json"), JSON.stringify({ id }));
      } catch (error) {
        throw storeFault(error, folder);
      }
      const output = store.temporaryPath();
      await begin(output);
      await move(output, path);
    },
    async release() {
      lock?.release();
      try {
        // When it was used last, for whoever frees the store.
        const now = new Date();
        utimesSync(join(folder, "info.json"), now, now);
      } catch (error) {
        if (errnoOf(error) === undefined) throw error;
      }
    },
  };
}

async function lockOf(store: Store, name: string, signal: AbortSignal): Promise<Lock> {
  const path = store.lockPath(lockName(name));
  for (;;) {
    signal.throwIfAborted();
    const lock = await takeLock(path, { patience: 200 }).catch((error: unknown) => {
      if (isLocked(error)) return undefined;
      throw error;
    });
    if (lock !== undefined) return lock;
  }
}

async function glance(store: Store, name: string): Promise<Lock | undefined> {
  try {
    return await takeLock(store.lockPath(lockName(name)), { patience: GLANCE });
  } catch (error) {
    if (isLocked(error)) return undefined;
    throw error;
  }
}

function isLocked(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "machine.locked";
}

function lockName(name: string): string {
  return `cache-mount-${name}`;
}
