import { KbuildError } from "../../errors.ts";
import { compressionOfLayer } from "../../oci/images/layer-compression.ts";
import type { ImageConfig } from "../../oci/types.ts";
import { isObject, isStepRecord, KEY_VERSION, type StepRecord } from "../cache.ts";
import type { LayerReference } from "../state.ts";
import type { Tools } from "../tools.ts";

/**
 * How records of steps leave a store. A cache is an OCI image manifest, so that every registry keeps it and its layers: the
 * layers are those that the steps made, the config is the list of records. In an image the same list is a member of its
 * config. Records are known by keys of this kbuild's making; another builder's cache is none for it.
 */
export const CACHE_CONFIG = "application/vnd.kbuild.cache.config.v1+json";
export const INLINE_MEMBER = "io.kbuild.cache.v1";

/** The list, as it is written. */
export interface CacheDocument {
  readonly version: string;
  readonly records: Readonly<Record<string, StepRecord>>;
}

export function cacheDocument(records: ReadonlyMap<string, StepRecord>): CacheDocument {
  const sorted = [...records].sort(([left], [right]) => (left < right ? -1 : 1));
  return { version: KEY_VERSION, records: Object.fromEntries(sorted) };
}

/**
 * Reads a list; what it has that is no record is left out, and a list of another version is an empty one.
 * @throws KbuildError `build.cache` when it is no such list
 */
export function readCacheDocument(value: unknown, where: string): ReadonlyMap<string, StepRecord> {
  if (!isObject(value) || typeof value.version !== "string" || !isObject(value.records)) {
    throw new KbuildError("build.cache", `${where} is no build cache of kbuild`);
  }
  const records = new Map<string, StepRecord>();
  if (value.version !== KEY_VERSION) return records;
  for (const [key, record] of Object.entries(value.records)) {
    if (!/^[0-9a-f]{64}$/.test(key) || !isStepRecord(record)) continue;
    if (record.layer === undefined || compressionOfLayer(record.layer.blob) !== undefined) records.set(key, record);
  }
  return records;
}

/** The records that an image's config has in it; undefined: none. */
export function inlineRecords(config: ImageConfig, where: string): ReadonlyMap<string, StepRecord> | undefined {
  const member = (config as unknown as Record<string, unknown>)[INLINE_MEMBER];
  return member === undefined ? undefined : readCacheDocument(member, where);
}

/**
 * The records that a build used or made. With `min` only those of layers that are in its images (and of steps without a
 * layer); with `max` all.
 */
export function recordsOf(
  { cache }: Pick<Tools, "cache">,
  mode: "min" | "max",
  layers: readonly LayerReference[],
): ReadonlyMap<string, StepRecord> {
  const kept = new Set(layers.map((layer) => layer.diffId));
  const records = [...cache.used].filter(
    ([, { layer }]) => layer === undefined || mode === "max" || kept.has(layer.diffId),
  );
  return new Map(records);
}
