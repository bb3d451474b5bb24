import * as fs from "node:fs";
import { join } from "node:path";
import { errnoOf, storeFault } from "./faults.ts";
import { ownIdentity, stateOf } from "./process.ts";
import type { Store } from "./store.ts";

/** That a build works with the store. {@link release} it in a `finally`. */
export interface StoreUse {
  release(): void;
}

const DAY = 24 * 3_600_000;

let counter = 0;

/**
 * Says that a build works with the store from now on, until it is released or the process is gone: an empty file in
 * `locks/in-use/` whose name is the process's and whose time is the beginning. Any number of builds have one.
 */
export function holdStore(store: Store): StoreUse {
  const folder = folderOf(store);
  const { place, pid, started } = ownIdentity();
  const path = join(folder, `${place}-${pid}-${started}-${counter++}`);
  try {
    try {
      fs.writeFileSync(path, "");
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
      fs.mkdirSync(folder, { recursive: true });
      fs.writeFileSync(path, "");
    }
  } catch (error) {
    // A store that may not be written is not pruned; on a full disk a build of which all is cached still works.
    if (!["EROFS", "EACCES", "EPERM", "ENOSPC", "EDQUOT"].includes(errnoOf(error) ?? "")) throw storeFault(error, path);
  }
  return { release: () => fs.rmSync(path, { force: true }) };
}

/**
 * When the oldest running build began, in milliseconds since 1970; undefined when none runs. Marks of processes that are
 * gone are removed. One of another machine or container counts for a day.
 */
export function oldestUse(store: Store): number | undefined {
  const folder = folderOf(store);
  let oldest: number | undefined;
  let names: string[];
  try {
    names = fs.readdirSync(folder);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw storeFault(error, folder);
  }
  for (const name of names) {
    const path = join(folder, name);
    const began = fs.lstatSync(path, { throwIfNoEntry: false })?.mtimeMs;
    if (began === undefined) continue;
    if (isLive(name, began)) oldest = Math.min(oldest ?? began, began);
    else fs.rmSync(path, { force: true });
  }
  return oldest;
}

function isLive(name: string, began: number): boolean {
  const [, place = "", pid = "", started = ""] = /^([0-9A-Za-z.]+)-([0-9]+)-([0-9]+)-/.exec(name) ?? [];
  const state = place === "" ? "elsewhere" : stateOf({ place, pid: Number(pid), started });
  return state === "alive" || (state === "elsewhere" && Date.now() - began < DAY);
}

function folderOf(store: Store): string {
  return join(store.root, "locks", "in-use");
}
