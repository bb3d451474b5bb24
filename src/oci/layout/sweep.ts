import * as fs from "node:fs";
import { join } from "node:path";
import { errnoOf } from "./faults.ts";
import { stateOf } from "./process.ts";
import type { Store } from "./store.ts";

const HOUR = 3_600_000;

/**
 * Removes from `tmp/` what processes left behind that were killed. Files of living processes are never touched; those
 * of another container or machine, or with a name that is not kbuild's, only after a day without a change.
 *
 * Looks at most once an hour, all kbuild processes together, unless `force`d; else it costs one stat. For the end of a
 * build that made something; never part of one that did not. Does not throw: what cannot be removed stays.
 *
 * @returns the names that were removed
 */
export function sweepTemporary(store: Store, options: { readonly force?: boolean } = {}): string[] {
  const stamp = join(store.root, "locks", "swept");
  const removed: string[] = [];
  try {
    const last = fs.statSync(stamp, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (!options.force && Math.abs(Date.now() - last) < HOUR) return removed;
    fs.writeFileSync(stamp, "");
    for (const name of fs.readdirSync(store.temporaryFolder)) {
      const path = join(store.temporaryFolder, name);
      if (!isLeftover(path, name)) continue;
      fs.rmSync(path, { recursive: true, force: true });
      removed.push(name);
    }
    // The core replaces the memory of a context from a file beside it.
    const contexts = join(store.root, "contexts");
    for (const name of fs.existsSync(contexts) ? fs.readdirSync(contexts) : []) {
      const path = join(contexts, name);
      if (!name.endsWith(".tmp") || !isOld(path)) continue;
      fs.rmSync(path, { force: true });
      removed.push(name);
    }
  } catch (error) {
    // A store that cannot be written, or one without a tmp: there is nothing to do here.
    if (errnoOf(error) === undefined) throw error;
  }
  return removed;
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
