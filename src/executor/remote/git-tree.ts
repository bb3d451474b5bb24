import * as fs from "node:fs";
import { join } from "node:path";

/**
 * Makes a checked-out tree the same on every machine: all times are the commit's, files are 0644 or 0755 and folders 0755,
 * whatever the user's umask is. The `.git` of the repository and of its submodules goes unless it is kept.
 *
 * @param time of the commit, seconds since 1970
 */
export function tidyTree(root: string, time: number, keepsGit: boolean): void {
  const seconds = Number.isSafeInteger(time) && time > 0 ? time : 0;
  const visit = (folder: string): void => {
    for (const item of fs.readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, item.name);
      if (item.name === ".git" && !keepsGit) {
        fs.rmSync(path, { recursive: true, force: true });
        continue;
      }
      if (item.isDirectory()) visit(path);
      else if (item.isFile()) fs.chmodSync(path, fs.statSync(path).mode & 0o100 ? 0o755 : 0o644);
      if (!item.isDirectory()) fs.lutimesSync(path, seconds, seconds);
    }
    fs.chmodSync(folder, 0o755);
    fs.utimesSync(folder, seconds, seconds);
  };
  visit(root);
}

/** Removes from a `.git` folder what only tells how it was made. */
export function tidyGitFolder(folder: string): void {
  for (const name of ["FETCH_HEAD", "ORIG_HEAD", "logs", "hooks", "description", "branches", "info"]) {
    fs.rmSync(join(folder, name), { recursive: true, force: true });
  }
}
