import * as fs from "node:fs";
import { join } from "node:path";
import { errnoOf, storeFault } from "../../oci/layout/faults.ts";
import type { Store } from "../../oci/layout/store.ts";
import type { Descriptor } from "../../oci/types.ts";
import { isDescriptor, isLayer, isObject, isStepRecord } from "../cache.ts";
import type { LayerReference } from "../state.ts";

/** A file below `cache/` in the store. */
export interface StoredRecord {
  readonly path: string;
  /** The folder below `cache/` that it is in: `steps`, `content`. */
  readonly kind: string;
  /** Milliseconds since 1970 when it was last used. */
  readonly used: number;
  readonly size: number;
  /** Blobs without which it is of no use. */
  readonly blobs: readonly Descriptor[];
  /** The layer that it is about. */
  readonly layer: LayerReference | undefined;
  /** Why it cannot be used at all: no JSON, or of another shape. */
  readonly fault: string | undefined;
}

/** The largest are the documents of a base: a manifest and a config, at most 4 MiB each before they are made JSON. */
const MAX_RECORD = 32 * 1024 * 1024;

/** Reads all records of the build cache, one at a time. One that goes away meanwhile is passed over. */
export function* storedRecords(store: Store): Generator<StoredRecord, undefined> {
  const root = join(store.root, "cache");
  for (const kind of namesIn(root)) {
    for (const prefix of namesIn(join(root, kind))) {
      for (const name of namesIn(join(root, kind, prefix))) {
        const record = readRecord(kind, join(root, kind, prefix, name));
        if (record !== undefined) yield record;
      }
    }
  }
  return undefined;
}

/** Names in a folder; none when it is not there, or no folder. */
export function namesIn(folder: string): string[] {
  try {
    return fs.readdirSync(folder).sort();
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return [];
    throw storeFault(error, folder);
  }
}

function readRecord(kind: string, path: string): StoredRecord | undefined {
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  const common = { path, kind, used: stat.mtimeMs, size: stat.size };
  const bad = (fault: string): StoredRecord => ({ ...common, blobs: [], layer: undefined, fault });
  if (!stat.isFile()) return bad("it is not a file");
  if (stat.size > MAX_RECORD) return bad(`it has ${stat.size} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(fs.readFileSync(path, "utf8"));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    if (errnoOf(error) !== undefined) throw storeFault(error, path);
    return bad("it is not JSON");
  }
  const content = contentOf(kind, value);
  return content === undefined ? bad("it has not the shape of its kind") : { ...common, ...content, fault: undefined };
}

/** What a record of a kind refers to; undefined when it has not the kind's shape. A kind that is not known has any. */
function contentOf(kind: string, value: unknown): Pick<StoredRecord, "blobs" | "layer"> | undefined {
  if (!isObject(value)) return undefined;
  const layerOf = (layer: LayerReference) => ({ blobs: [layer.blob], layer });
  const nothing = { blobs: [], layer: undefined };
  switch (kind) {
    case "steps":
      if (!isStepRecord(value)) return undefined;
      return value.layer === undefined ? nothing : layerOf(value.layer);
    case "content":
      return isLayer(value) ? layerOf(value) : undefined;
    case "images":
      if (!isDescriptor(value.manifest) || !isDescriptor(value.config)) return undefined;
      return { blobs: [value.manifest, value.config], layer: undefined };
    case "compressed":
      return isDescriptor(value) ? { blobs: [value], layer: undefined } : undefined;
    case "places":
      return typeof value.instruction === "string" ? nothing : undefined;
    case "documents":
      return typeof value.manifest === "string" && typeof value.config === "string" ? nothing : undefined;
    case "texts":
      return typeof value.text === "string" ? nothing : undefined;
    default:
      return nothing;
  }
}
