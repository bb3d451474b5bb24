import { readFileSync, rmSync } from "node:fs";
import { KbuildError } from "../errors.ts";
import { EntryTable, EntryType } from "../layers/entry-table.ts";
import type { Tools } from "./tools.ts";

/** An archive that has been read. */
export interface OpenedArchive {
  readonly table: EntryTable;
  /** Path of the uncompressed tar, in the store's temporary folder. */
  readonly tar: string;
}

/**
 * The entries and the tar of a file that is an archive; undefined when it is none.
 * @throws KbuildError `build.hostile`
 */
export async function ingestArchive(
  tools: Pick<Tools, "store" | "native" | "signal">,
  input: string,
): Promise<OpenedArchive | undefined> {
  const index = tools.store.temporaryPath();
  const tar = tools.store.temporaryPath();
  try {
    await tools.native.ingest({ input, index, tar, compression: "detect" }, undefined, { signal: tools.signal });
    return { table: new EntryTable(readFileSync(index)), tar };
  } catch (error) {
    rmSync(tar, { force: true });
    if (error instanceof KbuildError && error.code === "build.notArchive") return undefined;
    throw error;
  } finally {
    rmSync(index, { force: true });
  }
}

/** The time of the newest file among entries, in seconds since 1970; undefined without any that has one. */
export function newestFile(table: EntryTable): number | undefined {
  let newest: number | undefined;
  for (const { type, mtime } of table) {
    if (type !== EntryType.file && type !== EntryType.hardlink) continue;
    if (mtime.seconds >= 0 && (newest === undefined || mtime.seconds > newest)) newest = mtime.seconds;
  }
  return newest;
}
