import { resolve } from "node:path";
import { KbuildError } from "../../errors.ts";
import { readIndex } from "../../oci/archive/read.ts";
import { Blobs } from "../../oci/layout/blobs.ts";
import { RefNameAnnotation } from "../../oci/layout/names.ts";
import { parseReference } from "../../oci/reference.ts";
import type { RegistryClient } from "../../oci/registry/client.ts";
import { MAX_JSON, parseManifest } from "../../oci/shape.ts";
import type { Descriptor, DiffId, Platform } from "../../oci/types.ts";
import type { StepRecord } from "../cache.ts";
import type { Emitter } from "../emitter.ts";
import type { LayerBytes } from "../layer-pool.ts";
import type { CacheSource } from "../options.ts";
import type { Tools } from "../tools.ts";
import { CACHE_CONFIG, inlineRecords, readCacheDocument } from "./format.ts";

/** A record from elsewhere, and where its layer's bytes are. */
interface ImportedStep {
  readonly record: StepRecord;
  readonly bytes: LayerBytes | undefined;
}

type ImportedSteps = ReadonlyMap<string, ImportedStep>;

/** The largest list of records that is read; each takes half a kilobyte. */
const LARGEST_LIST = 64 * 1024 * 1024;

/**
 * Offers the records of other places to a build's cache. A record that a step takes is kept in the store, and its layer
 * is fetched meanwhile; nothing else is. A place that cannot be read is a warning: without it steps are done.
 */
export async function importCaches(
  tools: Tools,
  emitter: Emitter,
  sources: readonly CacheSource[],
  platforms: readonly Platform[],
  registry: () => Promise<RegistryClient>,
): Promise<void> {
  for (const source of sources) {
    const name = source.type === "local" ? source.src : source.ref;
    await emitter.run({ name: `importing cache manifest from ${name}`, kind: "internal" }, async () => {
      const reasons = new Set<string>();
      const attempt = async (read: () => ImportedSteps | Promise<ImportedSteps>): Promise<void> => {
        try {
          offer(tools, await read());
        } catch (error) {
          if (!(error instanceof KbuildError) || error.code === "interrupted") throw error;
          reasons.add(error.message);
        }
      };
      if (source.type === "local") await attempt(() => localSteps(source));
      // An image of several platforms has the steps of each in that platform's own config.
      else for (const platform of platforms) await attempt(() => registrySteps(source, platform, registry));
      for (const reason of reasons) emitter.warn("CacheImport", `the cache ${name} is not used: ${reason}`);
    });
  }
}

function offer(tools: Tools, steps: ImportedSteps): void {
  tools.cache.offer((key) => {
    const step = steps.get(key);
    if (step === undefined) return undefined;
    const { record, bytes } = step;
    const { layer } = record;
    if (layer === undefined || bytes === undefined) return { record, arrived: undefined };
    tools.pool.fetch(layer, bytes, () => {});
    return { record, arrived: tools.pool.arrived([layer]) };
  });
}

/** The records of a layout folder whose layers are there. */
function localSteps({ src, tag = "latest", digest }: Extract<CacheSource, { type: "local" }>): ImportedSteps {
  const blobs = new Blobs(resolve(src), "build.layout");
  const complain = (reason: string): KbuildError =>
    new KbuildError("build.cache", `${src} is no build cache: ${reason}`);
  const index = readIndex(blobs);
  const named = (entry: Descriptor): boolean =>
    digest === undefined ? entry.annotations?.[RefNameAnnotation] === tag : entry.digest === digest;
  const descriptor = index.manifests.find(named);
  if (descriptor === undefined)
    throw complain(`it has nothing with the ${digest === undefined ? `tag ${tag}` : `digest ${digest}`}`);
  const { config } = parseManifest(blobs.read(descriptor.digest, MAX_JSON), complain);
  if (config.mediaType !== CACHE_CONFIG) throw complain("another builder made it");
  const list = blobs.read(config.digest, LARGEST_LIST).toString("utf8");
  const steps = new Map<string, ImportedStep>();
  for (const [key, record] of readCacheDocument(jsonOf(list), src)) {
    const { layer } = record;
    if (layer === undefined) steps.set(key, { record, bytes: undefined });
    else if (blobs.has(layer.blob)) {
      steps.set(key, { record, bytes: { kind: "file", path: blobs.path(layer.blob.digest) } });
    }
  }
  return steps;
}

/** Undefined when it is none. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The records that an image of a registry has in it, with its layers as they are there. */
async function registrySteps(
  { ref }: Extract<CacheSource, { type: "registry" }>,
  platform: Platform,
  registry: () => Promise<RegistryClient>,
): Promise<ImportedSteps> {
  const client = await registry();
  const resolved = await client.resolve(parseReference(ref, "usage.reference"), platform);
  const records = inlineRecords(resolved.config, ref);
  if (records === undefined) throw new KbuildError("build.cache", "the image has no build cache in it");
  const blobs = new Map<DiffId, Descriptor>();
  for (const [number, diffId] of resolved.config.rootfs.diff_ids.entries()) {
    const blob = resolved.manifest.layers[number];
    if (blob !== undefined) blobs.set(diffId, blob);
  }
  const steps = new Map<string, ImportedStep>();
  for (const [key, record] of records) {
    const { layer } = record;
    const blob = layer === undefined ? undefined : blobs.get(layer.diffId);
    if (layer === undefined) steps.set(key, { record, bytes: undefined });
    else if (blob !== undefined) {
      steps.set(key, {
        record: { ...record, layer: { diffId: layer.diffId, blob } },
        bytes: { kind: "stream", open: () => client.blob(resolved.reference, blob) },
      });
    }
  }
  return steps;
}
