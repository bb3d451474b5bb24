import { familiarName } from "../reference.ts";
import { isIndexType, isManifestType, parseConfig, parseIndex } from "../shape.ts";
import type { Descriptor, DiffId, Digest } from "../types.ts";
import type { Store } from "./store.ts";

/** What an image of the store is made of, as far as that can be read. */
export interface ImageParts {
  /** As index.json lists it. */
  readonly descriptor: Descriptor;
  /** As people type them; none for an image that has lost its name. */
  readonly names: readonly string[];
  /** All of its blobs: indexes, manifests, configs, layers. Whether they are there is not said. */
  readonly blobs: readonly Descriptor[];
  readonly layers: readonly PartLayer[];
  /** Why it is not whole, one sentence each; none when it is. */
  readonly faults: readonly string[];
}

export interface PartLayer {
  readonly diffId: DiffId;
  readonly blob: Descriptor;
}

/** Indexes within indexes deeper than this are not followed. */
const MAX_DEPTH = 4;

/**
 * The parts of every image that index.json lists, each image once. Manifests and configs are read and verified; of layers
 * `isWhole` is asked. Of an index with several platforms only what is there counts: one of them is enough.
 *
 * @throws KbuildError `machine.storeDamaged` when index.json itself cannot be read; nothing else that is wrong with an image
 */
export function imageParts(store: Store, isWhole: (blob: Descriptor) => boolean): ImageParts[] {
  const images = new Map<Digest, { readonly descriptor: Descriptor; readonly names: string[] }>();
  for (const { descriptor, reference } of store.list()) {
    const image = images.get(descriptor.digest) ?? { descriptor, names: [] };
    if (reference !== undefined) image.names.push(familiarName(reference));
    images.set(descriptor.digest, image);
  }
  return [...images.values()].map((image) => ({ ...image, ...partsOf(store, image.descriptor, isWhole, 0) }));
}

type Parts = Pick<ImageParts, "blobs" | "layers" | "faults">;

function partsOf(store: Store, descriptor: Descriptor, isWhole: (blob: Descriptor) => boolean, depth: number): Parts {
  const blobs = [descriptor];
  const fault = (...faults: readonly string[]): Parts => ({ blobs, layers: [], faults });
  const { mediaType, digest } = descriptor;
  if (!isWhole(descriptor)) return fault(`the blob ${digest} is missing or damaged`);
  if (isIndexType(mediaType)) {
    if (depth === MAX_DEPTH) return fault(`the index ${digest} is nested too deeply`);
    return indexParts(store, descriptor, isWhole, depth);
  }
  if (!isManifestType(mediaType)) return fault(`${mediaType} is not the type of an image`);
  const manifest = attempt(() => store.readManifest(descriptor));
  if ("fault" in manifest) return fault(manifest.fault);
  const { config, layers } = manifest.value;
  blobs.push(config, ...layers);
  const read = attempt(() =>
    parseConfig(store.readBlob(config.digest), (reason) =>
      store.blobs.complain(`the config ${config.digest}: ${reason}`),
    ),
  );
  const faults = [config, ...layers]
    .filter((blob) => !isWhole(blob))
    .map((blob) => `the ${blob === config ? "config" : "layer"} ${blob.digest} is missing or damaged`);
  if ("fault" in read) return fault(...(faults.length > 0 ? faults : [read.fault]));
  const diffIds = read.value.rootfs.diff_ids;
  if (diffIds.length !== layers.length) {
    return fault(...faults, `the manifest ${digest} has ${layers.length} layers, its config ${diffIds.length}`);
  }
  return { blobs, layers: layers.map((blob, number) => ({ blob, diffId: diffIds[number] as DiffId })), faults };
}

function indexParts(
  store: Store,
  descriptor: Descriptor,
  isWhole: (blob: Descriptor) => boolean,
  depth: number,
): Parts {
  const { digest } = descriptor;
  const index = attempt(() =>
    parseIndex(store.readBlob(digest), (reason) => store.blobs.complain(`the index ${digest}: ${reason}`)),
  );
  if ("fault" in index) return { blobs: [descriptor], layers: [], faults: [index.fault] };
  // Platforms that were never pulled have not even their manifest here.
  const there = index.value.manifests.filter((child) => store.hasBlob(child));
  const parts = there.map((child) => partsOf(store, child, isWhole, depth + 1));
  const faults = parts.some((part) => part.faults.length === 0) ? [] : parts.flatMap((part) => part.faults);
  return {
    blobs: [descriptor, ...parts.flatMap((part) => part.blobs)],
    layers: parts.flatMap((part) => part.layers),
    faults: parts.length === 0 ? [`nothing that the index ${digest} lists is there`] : faults,
  };
}

function attempt<T>(read: () => T): { readonly value: T } | { readonly fault: string } {
  try {
    return { value: read() };
  } catch (error) {
    return { fault: error instanceof Error ? error.message : String(error) };
  }
}
