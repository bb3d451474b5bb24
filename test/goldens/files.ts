import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as zlib from "node:zlib";
import { tarOf } from "../conformance/base.ts";
import { type Planted, plant } from "../support/workspace.ts";
import type { GoldenFile, GoldenFiles } from "./golden.ts";

/** Writes the files of a context into a new folder. Gives the folder. */
export async function writeFiles(folder: string, files: GoldenFiles): Promise<string> {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  fs.chmodSync(folder, 0o755);
  const planted: Record<string, Planted> = {};
  for (const [name, file] of Object.entries(files)) planted[name] = await plantedOf(file);
  return plant(folder, planted);
}

async function plantedOf(file: GoldenFile): Promise<Planted> {
  if (typeof file === "string" || file instanceof Uint8Array || !("archive" in file)) return file;
  const bytes = await tarOf(file.archive);
  switch (file.compression) {
    case undefined:
      return bytes;
    case "gzip":
      return zlib.gzipSync(bytes);
    default:
      return piped(file.compression, bytes);
  }
}

/** A program's output for an input. */
function piped(program: string, input: Buffer): Buffer {
  const done = spawnSync(program, ["-c"], { input });
  if (done.status !== 0) throw new Error(`${program} is needed to make an archive: ${done.error ?? done.stderr}`);
  return done.stdout;
}
