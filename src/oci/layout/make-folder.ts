import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { errnoOf } from "./faults.ts";

/**
 * Makes a folder and those that it is in, where they are not there yet; another process may do the same at the same time.
 * Unlike Node's own way (`recursive`) it ends also where the system makes no folders, as below `/proc`.
 *
 * @param path absolute, or from the working directory
 * @param mode of the folder itself, minus the umask
 * @throws the system's error
 */
export function makeFolder(path: string, mode = 0o777): void {
  const parent = dirname(path);
  // What is in the way of a parent says so when the folder is made in it.
  if (parent !== path && statSync(parent, { throwIfNoEntry: false }) === undefined) makeFolder(parent);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    const isThere = errnoOf(error) === "EEXIST" && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
    if (!isThere) throw error;
  }
}
