import * as fs from "node:fs";
import { basename, join } from "node:path";
import { errnoOf } from "./faults.ts";
import { stateOf } from "./process.ts";
import type { Store } from "./store.ts";

const HOUR = 3_600_000;

/**
 * Removes from `tmp/` what processes left behind that were killed. Files of living processes are never touched; those
 * of another container or machine, or with a name that is not kbuild's, only after a day without a change.
 *
 * Looks at most once an hour, all kbuild processes together, unless `force`d; else it costs one stat. For the end of a
 * build, forced when it failed: that may be because the disk is full of what is removed here. Does not throw: what
 * cannot be removed stays.
 *
 * @param options.stuck told of each path that could not be removed: most often unpacked files of other users, for which
 *   a core with their ids is needed
 * @returns the names that were removed
 */
export function sweepTemporary(
  store: Store,
  options: { readonly force?: boolean; readonly stuck?: (path: string) => void } = {},
): string[] {
  const stamp = join(store.root, "locks", "swept");
  const removed: string[] = [];
  try {
    const last = fs.statSync(stamp, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (!options.force && Math.abs(Date.now() - last) < HOUR) return removed;
    // On a full disk there may be no room for it, until something was removed.
    if (!options.force) fs.writeFileSync(stamp, "");
    for (const path of leftovers(store)) {
      if (isRemoved(path)) removed.push(basename(path));
      else options.stuck?.(path);
    }
    if (options.force) fs.writeFileSync(stamp, "");
  } catch (error) {
    // A store that cannot be written, or one without a tmp: there is nothing to do here.
    if (errnoOf(error) === undefined) throw error;
  }
  return removed;
}

/** Paths of what processes left behind that were killed, by the same rules. None when there is no store. */
export function leftovers(store: Store): string[] {
  const temporary = namesIn(store.temporaryFolder)
    .filter((name) => isLeftover(join(store.temporaryFolder, name), name))
    .map((name) => join(store.temporaryFolder, name));
  const folder = join(store.root, "contexts");
  // The core replaces the memory of a context from a file beside it.
  const contexts = namesIn(folder)
    .filter((name) => name.endsWith(".tmp"))
    .map((name) => join(folder, name))
    .filter(isOld);
  return [...temporary, ...contexts];
}

function isRemoved(path: string): boolean {
  try {
    fs.rmSync(path, { recursive: true, force: true });
    return true;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

function namesIn(folder: string): string[] {
  try {
    return fs.readdirSync(folder);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}

function isLeftover(path: string, name: string): boolean {
  const match = /^([0-9A-Za-z.]+)-([0-9]+)-([0-9]+)-/.exec(name);
  if (match !== null) {
    const [, place = "", pid = "", started = ""] = match;
    const state = stateOf({ place, pid: Number(pid), started });
    if (state !== "elsewhere") return state === "gone";
  }
  return isOld(path);
}

function isOld(path: string): boolean {
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  return stat !== undefined && Date.now() - Math.max(stat.mtimeMs, stat.ctimeMs) > 24 * HOUR;
}
