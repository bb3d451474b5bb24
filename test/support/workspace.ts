import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the checkout. */
export const HOME: string = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** Folders that are removed when the process ends. */
const made: string[] = [];
process.on("exit", () => {
  for (const folder of made) remove(folder);
});

/** A new empty folder that everybody may enter, gone when the test process ends. */
export function workspace(name = "kbuild-test"): string {
  const folder = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), `${name}-`));
  fs.chmodSync(folder, 0o755);
  made.push(folder);
  return folder;
}

/** Removes a tree even when its folders may not be written. */
export function remove(folder: string): void {
  try {
    fs.rmSync(folder, { recursive: true, force: true });
  } catch {
    makeWritable(folder);
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function makeWritable(folder: string): void {
  fs.chmodSync(folder, 0o700);
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) makeWritable(path.join(folder, entry.name));
  }
}

/** What to put at a path: a file's content, with a mode if it is not 0644; a link; an empty folder. */
export type Planted =
  | string
  | Uint8Array
  | { readonly text: string | Uint8Array; readonly mode: number }
  | { readonly link: string }
  | { readonly hard: string }
  | { readonly dir: number };

/** Writes files below a folder, making folders (0755) as needed. Gives the folder. */
export function plant(folder: string, files: Readonly<Record<string, Planted>>): string {
  fs.mkdirSync(folder, { recursive: true });
  const later: [string, number][] = [];
  for (const [name, what] of Object.entries(files)) {
    const target = path.join(folder, name);
    makeFolders(folder, path.dirname(name));
    if (typeof what === "string" || what instanceof Uint8Array) {
      fs.writeFileSync(target, what);
      fs.chmodSync(target, 0o644);
    } else if ("text" in what) {
      fs.writeFileSync(target, what.text);
      fs.chmodSync(target, what.mode);
    } else if ("link" in what) {
      fs.symlinkSync(what.link, target);
    } else if ("hard" in what) {
      fs.linkSync(path.join(folder, what.hard), target);
    } else {
      fs.mkdirSync(target, { recursive: true });
      later.push([target, what.dir]);
    }
  }
  // Last, so that a folder that may not be written can still be filled.
  for (const [target, mode] of later) fs.chmodSync(target, mode);
  return folder;
}

function makeFolders(folder: string, name: string): void {
  if (name === ".") return;
  makeFolders(folder, path.dirname(name));
  const target = path.join(folder, name);
  if (fs.existsSync(target)) return;
  fs.mkdirSync(target);
  fs.chmodSync(target, 0o755);
}

/** Every path below a folder with its size, sorted: to see whether anything was left behind. */
export function listing(folder: string, ignore: (name: string) => boolean = () => false): string[] {
  const lines: string[] = [];
  const walk = (at: string): void => {
    for (const entry of fs.readdirSync(path.join(folder, at), { withFileTypes: true })) {
      const name = path.join(at, entry.name);
      if (ignore(name)) continue;
      if (entry.isDirectory()) {
        lines.push(`${name}/`);
        walk(name);
      } else {
        lines.push(`${name} ${fs.lstatSync(path.join(folder, name)).size}`);
      }
    }
  };
  if (fs.existsSync(folder)) walk("");
  return lines.sort();
}
