import * as fs from "node:fs";
import { join, sep } from "node:path";
import { KbuildError } from "../../errors.ts";
import { errnoOf } from "../../oci/layout/faults.ts";
import { type GitAddress, showGitAddress } from "./git-url.ts";

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

/** A `.git` folder and those of the submodules in it. gitrepository-layout(5), "modules". */
export function gitFolders(folder: string): readonly string[] {
  // A submodule's name may have slashes in it: what is on the way to it is no repository.
  const isRepository = fs.existsSync(join(folder, "HEAD"));
  const inside = isRepository ? join(folder, "modules") : folder;
  if (!fs.existsSync(inside)) return [folder];
  const names = fs.readdirSync(inside, { withFileTypes: true }).filter((item) => item.isDirectory());
  const below = names.flatMap((item) => gitFolders(join(inside, item.name)));
  return isRepository ? [folder, ...below] : below;
}

/** Removes from a `.git` folder what only tells how it was made, and passwords from the addresses in its settings. */
export function tidyGitFolder(folder: string): void {
  for (const name of ["FETCH_HEAD", "ORIG_HEAD", "logs", "hooks", "description", "branches", "info"]) {
    fs.rmSync(join(folder, name), { recursive: true, force: true });
  }
  const path = join(folder, "config");
  const settings = fs.readFileSync(path, "utf8");
  fs.writeFileSync(
    path,
    settings.replace(/^(\s*url = "?)(.*)$/gm, (_, name: string, url: string) => name + showGitAddress(url)),
  );
}

/** Removes from a repository what a git that was killed has left: locks, and packs that came in part. */
export function removeLeftovers(repository: string): void {
  for (const lock of ["shallow.lock", "packed-refs.lock", "config.lock"]) {
    fs.rmSync(join(repository, lock), { force: true });
  }
  const packs = join(repository, "objects", "pack");
  for (const name of fs.existsSync(packs) ? fs.readdirSync(packs) : []) {
    if (name.startsWith("tmp_")) fs.rmSync(join(packs, name), { force: true });
  }
}

/**
 * The folder that an address names, which no link leads out of the repository.
 * @throws KbuildError `build.git`
 */
export function folderWithin(checkout: string, { subdir, remote }: GitAddress): string {
  const names = subdir.split("/").filter((name) => name !== "" && name !== ".");
  if (names.length === 0) return checkout;
  const missing = (reason: string): KbuildError =>
    new KbuildError("build.git", `the folder ${subdir} of ${showGitAddress(remote)} ${reason}`, {
      hint: "check the spelling of what follows the colon",
    });
  try {
    const path = fs.realpathSync(join(checkout, ...names));
    if (!`${path}${sep}`.startsWith(`${fs.realpathSync(checkout)}${sep}`)) throw missing("is outside of it");
    if (!fs.statSync(path).isDirectory()) throw missing("is no folder");
    return path;
  } catch (error) {
    if (error instanceof KbuildError || errnoOf(error) === undefined) throw error;
    throw missing("is not there");
  }
}
