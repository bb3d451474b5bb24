import { readFileSync } from "node:fs";
import type { DraftItem } from "../layers/draft.ts";
import { compareTreeOrder, type Entry, EntryTable, EntryType } from "../layers/entry-table.ts";
import { encodePath, showPath } from "../layers/path-bytes.ts";
import type { Sequence } from "../layers/sequence.ts";
import type { KeyParts } from "./cache.ts";
import type { MissDetails } from "./events.ts";

/** Why a step was not in the cache: one line for a person, and the whole of it. */
export interface Miss {
  readonly reason: string;
  readonly details: MissDetails;
}

/** How many names a line mentions before it only counts. */
const NAMES_SHOWN = 3;

/**
 * Compares what a step's key is made of with what it was made of when the step at this place last ran.
 * `copied` is what it copies now, and the path of the index of the layer that it gave then; absent for a step that copies
 * nothing, or whose last layer is not known.
 */
export function explainMiss(
  now: KeyParts,
  last: KeyParts | undefined,
  isRecordLost: boolean,
  copied: { readonly items: Sequence<DraftItem>; readonly index: string } | undefined,
): Miss {
  if (last === undefined) return { reason: "not built here before", details: { reason: "firstBuild" } };
  if (now.instruction !== last.instruction) {
    return {
      reason: `the instruction changed, it was: ${last.instruction}`,
      details: { reason: "instruction", previousInstruction: last.instruction },
    };
  }
  const variables = changedVariables(now.variables ?? [], last.variables ?? []);
  if (variables.length > 0) {
    const reason = `changed: ${variables.map((name) => `$${name}`).join(", ")}`;
    return { reason, details: { reason: "arguments", changed: variables } };
  }
  const settings = changedSettings(now.settings ?? {}, last.settings ?? {});
  if (settings.length > 0) {
    return { reason: `changed: ${settings.join(", ")}`, details: { reason: "settings", changed: settings } };
  }
  if (now.files !== last.files && copied !== undefined) {
    const files = compareFiles(copied.items, copied.index);
    if (files !== undefined) return filesMiss(files);
  }
  if (now.platform !== last.platform) {
    return { reason: `the platform changed from ${last.platform} to ${now.platform}`, details: { reason: "platform" } };
  }
  if (now.parent !== last.parent) return { reason: "what it builds on changed", details: { reason: "parent" } };
  if (now.files !== last.files) {
    const what = now.variables === undefined ? "the copied files" : "what it mounts";
    return { reason: `${what} changed`, details: { reason: "files" } };
  }
  if (isRecordLost) return { reason: "its layer is no longer in the store", details: { reason: "recordGone" } };
  return { reason: "its record is no longer in the store", details: { reason: "recordGone" } };
}

/** Names of the variables that are not in both, or have another value. */
function changedVariables(now: readonly string[], last: readonly string[]): string[] {
  const different = [...now.filter((each) => !last.includes(each)), ...last.filter((each) => !now.includes(each))];
  return [...new Set(different.map((each) => each.slice(0, each.indexOf("="))))].sort();
}

/** What of both is not the same, in the order in which the step has it. */
function changedSettings(
  now: Readonly<Record<string, string>>,
  last: Readonly<Record<string, string>>,
): readonly string[] {
  return [...new Set([...Object.keys(now), ...Object.keys(last)])].filter((name) => now[name] !== last[name]);
}

interface FileChanges {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

function filesMiss(changes: FileChanges): Miss {
  const parts: string[] = [];
  for (const [names, verb] of [
    [changes.changed, "changed"],
    [changes.added, "added"],
    [changes.removed, "removed"],
  ] as const) {
    if (names.length === 0) continue;
    const shown = names.slice(0, NAMES_SHOWN).map(showPath).join(", ");
    const more = names.length > NAMES_SHOWN ? ` and ${names.length - NAMES_SHOWN} more` : "";
    parts.push(`${verb}: ${shown}${more}`);
  }
  return { reason: parts.join("; "), details: { reason: "files", ...changes } };
}

/** What is different from the layer of last time; undefined when its index is gone or nothing differs. */
function compareFiles(items: Sequence<DraftItem>, previousIndex: string): FileChanges | undefined {
  let table: EntryTable;
  try {
    table = new EntryTable(readFileSync(previousIndex));
  } catch {
    return undefined;
  }
  const added: string[] = [];
  const changed: string[] = [];
  const removed: string[] = [];
  // Both are in tree order: one walk along both meets every path.
  let at = 0;
  for (const item of items) {
    const path = encodePath(item.entry.path);
    let order = -1;
    for (; at < table.length; at++) {
      order = compareTreeOrder(path, table.pathBytes(at));
      if (order <= 0) break;
      removed.push(table.path(at));
    }
    if (at >= table.length || order < 0) {
      added.push(item.entry.path);
      continue;
    }
    if (!isSame(table.entry(at), item)) changed.push(item.entry.path);
    at += 1;
  }
  for (; at < table.length; at++) removed.push(table.path(at));
  return added.length + changed.length + removed.length === 0 ? undefined : { added, changed, removed };
}

function isSame(old: Entry, item: DraftItem): boolean {
  const { entry } = item;
  const isPlainSame =
    old.type === entry.type &&
    old.mode === entry.mode &&
    old.uid === entry.uid &&
    old.gid === entry.gid &&
    old.link === entry.link;
  if (!isPlainSame || entry.type !== EntryType.file) return isPlainSame;
  const digest = item.origin?.digest ?? entry.digest;
  return digest !== undefined && old.digest !== undefined && Buffer.compare(digest, old.digest) === 0;
}
