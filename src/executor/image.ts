import { identityOf } from "../layers/identity.ts";
import { encodeJson } from "../oci/digest.ts";
import type { Store } from "../oci/layout/store.ts";
import {
  type ContainerConfig,
  type Descriptor,
  type Digest,
  type ImageConfig,
  type ImageIndex,
  type Manifest,
  MediaType,
  type Platform,
} from "../oci/types.ts";
import { type Annotations, descriptorAnnotations } from "./annotations.ts";
import type { ImageState, LayerReference } from "./state.ts";
import type { Tools } from "./tools.ts";

/** An image whose config and manifest are in the store. */
export interface WrittenImage {
  /** Of the manifest. */
  readonly descriptor: Descriptor;
  /** Digest of the config. */
  readonly id: Digest;
  readonly layers: readonly LayerReference[];
}

/** What an image gets besides what its Dockerfile says. */
export interface ImageExtras {
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Of the manifest. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  /** Further members of the config. */
  readonly members?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * Writes the config and the manifest of a finished image into the store. The same state gives the same bytes: the
 * image's time is that of its newest instruction, which the cache keeps. What was written before is known by the state
 * and not computed again.
 * OCI image-spec config.md, manifest.md.
 */
export function writeImage(
  tools: Tools,
  state: ImageState,
  { labels = {}, annotations, members = {} }: ImageExtras,
): WrittenImage {
  const { store, cache } = tools;
  const layers = state.snapshot.layers.map(({ blob, diffId }) => ({ blob: ociLayer(blob), diffId }));
  const config = encodeJson({ ...configOf(tools, state, labels), ...members });
  const identity = identityOf(
    "image",
    config,
    layers.map(({ blob }) => [blob.mediaType, blob.digest, blob.size]),
    ...(annotations === undefined ? [] : [Object.entries(annotations).flat()]),
  );
  const known = cache.image(identity);
  if (known !== undefined) return { descriptor: known.manifest, id: known.config.digest, layers };
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    config: store.writeBlob(config, MediaType.ociConfig),
    layers: layers.map(({ blob }) => blob),
    ...(annotations === undefined ? {} : { annotations }),
  };
  const descriptor = store.writeBlob(encodeJson(manifest), MediaType.ociManifest);
  cache.putImage(identity, { manifest: descriptor, config: manifest.config });
  return { descriptor, id: manifest.config.digest, layers };
}

/** An index's descriptor and its bytes. */
export interface WrittenIndex {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
}

/** Puts the index of images of several platforms into the store. OCI image-spec image-index.md. */
export function writeIndex(
  store: Store,
  images: readonly { readonly platform: Platform; readonly image: { readonly descriptor: Descriptor } }[],
  annotations: Annotations,
): WrittenIndex {
  const own = descriptorAnnotations(annotations, "index");
  const index: ImageIndex = {
    schemaVersion: 2,
    mediaType: MediaType.ociIndex,
    manifests: images.map(({ platform, image: { descriptor } }) => {
      const { mediaType, digest, size } = descriptor;
      const marks = descriptorAnnotations(annotations, "manifest-descriptor", platform);
      return { mediaType, digest, size, ...(marks === undefined ? {} : { annotations: marks }), platform };
    }),
    ...(own === undefined ? {} : { annotations: own }),
  };
  const bytes = encodeJson(index);
  const marks = descriptorAnnotations(annotations, "index-descriptor");
  const descriptor = store.writeBlob(bytes, MediaType.ociIndex);
  return { descriptor: marks === undefined ? descriptor : { ...descriptor, annotations: marks }, bytes };
}

function configOf(tools: Tools, state: ImageState, labels: Readonly<Record<string, string>>): ImageConfig {
  return {
    created: createdOf(tools, state),
    ...(state.author === undefined ? {} : { author: state.author }),
    architecture: state.platform.architecture,
    ...(state.platform.variant === undefined ? {} : { variant: state.platform.variant }),
    os: state.platform.os,
    ...(state.platform["os.version"] === undefined ? {} : { "os.version": state.platform["os.version"] }),
    config: withLabels(state.config, labels),
    rootfs: { type: "layers", diff_ids: state.snapshot.layers.map((layer) => layer.diffId) },
    history: state.history,
  };
}

function createdOf(tools: Tools, state: ImageState): string {
  const newest = state.history.at(-1)?.created;
  if (newest !== undefined) return newest;
  // An image without any instruction of its own or its base's: its time is kept as that of an instruction would be.
  const key = identityOf("image without history", state.snapshot.content, tools.clock.epoch);
  const known = tools.cache.step(key);
  const created = known?.created ?? tools.clock.created();
  if (known === undefined) tools.cache.putStep(key, { created });
  return created;
}

/** `--label` comes after the Dockerfile's own labels. */
function withLabels(config: ContainerConfig, labels: Readonly<Record<string, string>>): ContainerConfig {
  return Object.keys(labels).length === 0 ? config : { ...config, Labels: { ...config.Labels, ...labels } };
}

/** A layer of a base as an OCI manifest has it: the same bytes, whatever type they came as. */
function ociLayer({ mediaType, digest, size }: Descriptor): Descriptor {
  switch (mediaType) {
    case MediaType.dockerLayerGzip:
      return { mediaType: MediaType.ociLayerGzip, digest, size };
    case MediaType.dockerLayer:
      return { mediaType: MediaType.ociLayer, digest, size };
    default:
      return { mediaType, digest, size };
  }
}
