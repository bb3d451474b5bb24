import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import { KbuildError } from "../errors.ts";
import { digestOf, encodeJson } from "./digest.ts";
import type { Blobs } from "./layout/blobs.ts";
import { choosePlatform, formatPlatform, hostPlatform, listPlatforms } from "./platform.ts";
import { isIndexType, parseConfig, parseIndex, parseManifest } from "./shape.ts";
import {
  type Descriptor,
  type DiffId,
  type Digest,
  type ImageConfig,
  type Manifest,
  MediaType,
  type Platform,
} from "./types.ts";

/**
 * An image of one platform, wherever its bytes are. Everything is read when it is first asked for, verified by digest,
 * and never changes.
 */
export interface Image {
  /** Of the manifest. */
  readonly descriptor: Descriptor;
  readonly manifestBytes: Buffer;
  readonly manifest: Manifest;
  readonly configBytes: Buffer;
  readonly config: ImageConfig;
  /** The digest of the config, which docker calls the image ID. */
  readonly id: Digest;
  /** Lowest first. */
  readonly layers: readonly Layer[];
  /** The file with a blob of this image. */
  blobPath(digest: Digest): string;
}

/** A layer as it is stored: compressed or not, its descriptor tells. */
export interface Layer {
  readonly descriptor: Descriptor;
  readonly diffId: DiffId;
  /** The file with the layer's bytes as the descriptor has them. */
  readonly path: string;
  /** The file's bytes, not verified. */
  open(): Readable;
}

/**
 * The image that a descriptor leads to, in a layout or a store. Nothing is read before it is asked for.
 * Its getters throw the errors of `blobs`: missing, damaged, or of another shape.
 */
export function imageOf(blobs: Blobs, descriptor: Descriptor): Image {
  const complain = (what: string) => (reason: string) => blobs.complain(`${what} in ${blobs.root}: ${reason}`);
  const manifestBytes = once(() => blobs.read(descriptor.digest));
  const manifest = once(() => parseManifest(manifestBytes(), complain(`the manifest ${descriptor.digest}`)));
  const configBytes = once(() => blobs.read(manifest().config.digest));
  const config = once(() => parseConfig(configBytes(), complain(`the config ${manifest().config.digest}`)));
  const layers = once(() => {
    const diffIds = config().rootfs.diff_ids;
    const descriptors = manifest().layers;
    if (diffIds.length !== descriptors.length) {
      const counts = `${descriptors.length} layers and its config ${diffIds.length}`;
      throw blobs.complain(`the manifest ${descriptor.digest} in ${blobs.root} has ${counts}`);
    }
    return diffIds.map((diffId, number): Layer => {
      const layer = descriptors[number] as Descriptor;
      const path = blobs.path(layer.digest);
      return { descriptor: layer, diffId, path, open: () => createReadStream(path) };
    });
  });
  return {
    descriptor,
    get manifestBytes() {
      return manifestBytes();
    },
    get manifest() {
      return manifest();
    },
    get configBytes() {
      return configBytes();
    },
    get config() {
      return config();
    },
    get id() {
      return manifest().config.digest;
    },
    get layers() {
      return layers();
    },
    blobPath: (digest) => blobs.path(digest),
  };
}

/**
 * The image of a store that a descriptor (from `Store.find`, `resolve`, `list`) leads to; of an index the platform's, or
 * where none is asked for this machine's, or else the first that is there.
 */
export function imageFromStore(store: { readonly blobs: Blobs }, descriptor: Descriptor, platform?: Platform): Image {
  return imageOf(
    store.blobs,
    chooseManifest(store.blobs, descriptor, platform ?? anyPlatform(store.blobs, descriptor)),
  );
}

/** This machine's platform, unless an index has nothing for it: then that of its first image. */
function anyPlatform(blobs: Blobs, { mediaType, digest }: Descriptor): Platform {
  const host = hostPlatform();
  if (!isIndexType(mediaType)) return host;
  const { manifests } = parseIndex(blobs.read(digest), (reason) => blobs.complain(`the index ${digest}: ${reason}`));
  if (choosePlatform(manifests, host) !== undefined) return host;
  return manifests.find((entry) => entry.platform !== undefined && blobs.has(entry))?.platform ?? host;
}

/** A layer's bytes in another compression, and where they are. */
export type ReplacedLayer = Pick<Layer, "descriptor" | "path">;

/**
 * The same image with its layers compressed otherwise: same config, same image ID, another manifest, which is an OCI
 * one whatever it was before.
 *
 * @param layers one for each of the image's, in its order
 */
export function withLayers(image: Image, layers: readonly ReplacedLayer[]): Image {
  const { diff_ids: diffIds } = image.config.rootfs;
  if (layers.length !== diffIds.length) {
    throw new KbuildError("internal.layers", `${layers.length} layers for an image that has ${diffIds.length}`);
  }
  const { annotations } = image.manifest;
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    config: { mediaType: MediaType.ociConfig, digest: image.id, size: image.configBytes.length },
    layers: layers.map((layer) => layer.descriptor),
    ...(annotations === undefined ? {} : { annotations }),
  };
  const manifestBytes = encodeJson(manifest);
  const { platform } = image.descriptor;
  const digest = digestOf(manifestBytes);
  const paths = new Map(layers.map(({ descriptor, path }) => [descriptor.digest, path]));
  return {
    descriptor: {
      mediaType: MediaType.ociManifest,
      digest,
      size: manifestBytes.length,
      ...(platform === undefined ? {} : { platform }),
    },
    manifestBytes,
    manifest,
    configBytes: image.configBytes,
    config: image.config,
    id: image.id,
    layers: layers.map(({ descriptor, path }, number) => ({
      descriptor,
      path,
      diffId: diffIds[number] as DiffId,
      open: () => createReadStream(path),
    })),
    blobPath: (wanted) => paths.get(wanted) ?? image.blobPath(wanted),
  };
}

/** Indexes within indexes deeper than this are refused. */
const MAX_DEPTH = 4;

/**
 * Follows a descriptor through indexes, however they are nested, to the manifest for a platform.
 *
 * @throws KbuildError what `blobs` throws, also when no image is for the platform
 */
export function chooseManifest(blobs: Blobs, descriptor: Descriptor, platform: Platform = hostPlatform()): Descriptor {
  let current = descriptor;
  for (let depth = 0; isIndexType(current.mediaType); depth++) {
    const { digest } = current;
    if (depth === MAX_DEPTH) throw blobs.complain(`the index ${descriptor.digest} is nested too deeply`);
    const index = parseIndex(blobs.read(digest), (reason) => blobs.complain(`the index ${digest}: ${reason}`));
    const chosen = choosePlatform(index.manifests, platform);
    if (chosen === undefined) {
      const there = listPlatforms(index.manifests).join(", ") || "none";
      throw blobs.complain(`no image for ${formatPlatform(platform)} in the index ${digest}; it has ${there}`);
    }
    current = chosen;
  }
  return current;
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
