import { type BigIntStats, closeSync, constants, fstatSync, lstatSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { folderEntry } from "../../layers/draft.ts";
import { type Entry, EntryType } from "../../layers/entry-table.ts";
import { contentDigest } from "../../layers/identity.ts";
import { encodePath } from "../../layers/path-bytes.ts";
import type { IgnoreRule } from "../../native/protocol.ts";
import { compileRules, isIgnored } from "../../parser/ignore.ts";
import type { SourcePattern } from "./sources.ts";

/** Reading so much takes less time than starting the core does. */
const MOST_BYTES = 256 * 1024;
const MOST_FILES = 8;

/**
 * The entries of sources that are a few small plain files, read here: a build that only copies such and has them cached is
 * over before the core would have started. Undefined for all that needs the core's care: wildcards, folders, links, files
 * with several names, ignored ones, rules that let in again, missing ones, names that are not text.
 */
export function readPlainFiles(
  root: string,
  patterns: readonly SourcePattern[],
  ignore: readonly IgnoreRule[],
): Entry[] | undefined {
  if (patterns.length > MOST_FILES || ignore.some((rule) => rule.negated)) return undefined;
  const rules = compileRules(ignore.map((rule) => rule.pattern));
  const entries: Entry[] = [];
  for (const { segments } of patterns) {
    const names = segments.map((segment) => (segment.kind === "name" ? segment.text : undefined));
    if (names.length === 0 || names.includes(undefined)) return undefined;
    const path = names.join("/");
    if (!path.isWellFormed() || isIgnored(rules, path).ignored) return undefined;
    const entry = hasOnlyFolders(root, path) ? readPlainFile(root, path) : undefined;
    if (entry === undefined) return undefined;
    entries.push(entry);
  }
  return entries;
}

/** Whether what a path goes through are folders and no links. */
function hasOnlyFolders(root: string, path: string): boolean {
  for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1)) {
    const stat = attempt(() => lstatSync(join(root, path.slice(0, slash))));
    if (stat?.isDirectory() !== true) return false;
  }
  return true;
}

function readPlainFile(root: string, path: string): Entry | undefined {
  return attempt(() => {
    const file = openSync(join(root, path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const before = fstatSync(file, { bigint: true });
      if (!before.isFile() || before.nlink !== 1n || before.size > MOST_BYTES) return undefined;
      const bytes = readFileSync(file);
      const after = fstatSync(file, { bigint: true });
      const isSteady =
        after.size === before.size && after.mtimeNs === before.mtimeNs && after.ctimeNs === before.ctimeNs;
      return isSteady && BigInt(bytes.length) === before.size ? entryOf(path, before, bytes) : undefined;
    } finally {
      closeSync(file);
    }
  });
}

const NANOSECONDS = 1_000_000_000n;

function entryOf(path: string, stat: BigIntStats, bytes: Buffer): Entry {
  return {
    ...metadataOf(path, stat),
    type: EntryType.file,
    size: bytes.length,
    digest: contentDigest(bytes),
    source: { kind: "file", root: 0, path },
  };
}

/** The entry of a folder of a context; undefined for what is none, as a link. */
export function readFolder(root: string, path: string): Entry | undefined {
  const name = Buffer.concat([Buffer.from(`${root}/`), encodePath(path)]);
  const stat = attempt(() => lstatSync(name, { bigint: true }));
  return stat?.isDirectory() === true ? metadataOf(path, stat) : undefined;
}

/** A folder's entry: what a file has besides its content. What is in a context is root's. */
function metadataOf(path: string, stat: BigIntStats): Entry {
  const nanoseconds = ((stat.mtimeNs % NANOSECONDS) + NANOSECONDS) % NANOSECONDS;
  const mtime = { seconds: Number((stat.mtimeNs - nanoseconds) / NANOSECONDS), nanoseconds: Number(nanoseconds) };
  const making = { owner: { uid: 0, gid: 0 }, mode: Number(stat.mode) & 0o7777, mtime };
  return folderEntry(path, making);
}

/** What cannot be read here the core tries again, and says why. */
function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
