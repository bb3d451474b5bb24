import { utimesSync } from "node:fs";
import { errnoOf, storeFault } from "./faults.ts";

/**
 * Says that a file of the store is used: its mtime becomes now. `kbuild prune` frees what was used least recently, and
 * never what was used since the oldest running build began. It takes a file away before it looks at its time for the
 * last time, and puts it back when that is new; so who has marked a file, and was told that it is there, keeps it.
 *
 * @returns false when the file is not there (any more)
 */
export function markUsed(path: string): boolean {
  const now = new Date();
  try {
    utimesSync(path, now, now);
    return true;
  } catch (error) {
    switch (errnoOf(error)) {
      case "ENOENT":
      case "ENOTDIR":
        return false;
      // It is there. A store that cannot be written cannot be pruned either.
      case "EROFS":
      case "EACCES":
      case "EPERM":
        return true;
      default:
        throw storeFault(error, path);
    }
  }
}
