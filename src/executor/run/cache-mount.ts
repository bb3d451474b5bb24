import { lstatSync, mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { identityOf } from "../../layers/identity.ts";
import { errnoOf, storeFault } from "../../oci/layout/faults.ts";
import { markUsed } from "../../oci/layout/last-use.ts";
import type { Lock } from "../../oci/layout/lock.ts";
import { takeExclusively, takeShared } from "../../oci/layout/shared-lock.ts";
import type { Store } from "../../oci/layout/store.ts";
import type { Sandbox } from "../../sandbox/open.ts";

/** Milliseconds after which a person is told what a step waits for. */
const QUIET = 1000;
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

export type Sharing = "shared" | "private" | "locked";

/** A cache mount that a step asks for. */
export interface CacheMountRequest {
  /** See {@link cacheMountKey}. */
  readonly key: string;
  /** As it is called in the Dockerfile. */
  readonly id: string;
  readonly sharing: Sharing;
}

/** How a cache mount is waited for. */
export interface CacheMountWait {
  readonly signal: AbortSignal;
  /** Called once for each that is in use for a while. */
  readonly onWait: (id: string) => void;
}

/**
 * Takes the cache mounts of one step, by their keys. All at once and each once, in the order of their keys, which is the
 * same for all: two steps never wait for what the other one has.
 * @throws the reason of an aborted signal; KbuildError `machine.*` when the store cannot be written
 */
export async function takeCacheMounts(
  store: Store,
  requests: readonly CacheMountRequest[],
  wait: CacheMountWait,
): Promise<ReadonlyMap<string, CacheMountUse>> {
  const wanted = new Map<string, CacheMountRequest>();
  for (const request of requests) {
    const known = wanted.get(request.key);
    wanted.set(request.key, known === undefined ? request : { ...known, sharing: stricter(known, request) });
  }
  const taken = new Map<string, CacheMountUse>();
  try {
    for (const key of [...wanted.keys()].sort()) {
      const request = wanted.get(key);
      if (request !== undefined) taken.set(key, await takeCacheMount(store, request, wait));
    }
    return taken;
  } catch (error) {
    for (const use of taken.values()) await use.release();
    throw error;
  }
}

/** Of two that ask for one cache in the same step the one who wants to be more alone counts. */
function stricter(left: CacheMountRequest, right: CacheMountRequest): Sharing {
  const order: readonly Sharing[] = ["shared", "private", "locked"];
  return order[Math.max(order.indexOf(left.sharing), order.indexOf(right.sharing))] ?? "locked";
}

/**
 * Takes a cache mount of the store, `cache-mounts/<key>/data`, for a step. `locked` waits until nobody has it, `private`
 * takes another of the same name when it is in use, `shared` takes it beside others who share it.
 */
export async function takeCacheMount(
  store: Store,
  { key, id, sharing }: CacheMountRequest,
  wait: CacheMountWait,
): Promise<CacheMountUse> {
  const path = store.lockPath(lockName(key));
  if (sharing === "shared") return useOf(store, key, await told(id, wait, (options) => takeShared(path, options)));
  for (let number = 0; sharing === "private" && number < MOST_PRIVATE; number++) {
    const name = number === 0 ? key : `${key}-${number}`;
    const lock = await glance(store, name);
    if (lock !== undefined) return useOf(store, name, lock);
  }
  return useOf(store, key, await told(id, wait, (options) => takeExclusively(path, options)));
}

/** Waits for as long as it takes, and says so. */
async function told(
  id: string,
  { signal, onWait }: CacheMountWait,
  take: (options: { readonly patience: number; readonly signal: AbortSignal }) => Promise<Lock>,
): Promise<Lock> {
  const timer = setTimeout(() => onWait(id), QUIET);
  try {
    return await take({ patience: Number.POSITIVE_INFINITY, signal });
  } finally {
    clearTimeout(timer);
  }
}

function useOf(store: Store, name: string, lock: Lock): CacheMountUse {
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
      lock.release();
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

async function glance(store: Store, name: string): Promise<Lock | undefined> {
  try {
    return await takeExclusively(store.lockPath(lockName(name)), { patience: 0 });
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
