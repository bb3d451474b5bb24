import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ErrorCode, KbuildError } from "../errors.ts";
import { type EntryTable, EntryTable as Table } from "../layers/entry-table.ts";
import { Tree } from "../layers/tree.ts";
import type { NativeClient } from "../native/client.ts";
import type { BlobSource, CompressionKind } from "../native/protocol.ts";
import type { Owners } from "../native/sandbox-protocol.ts";
import { storeFault } from "../oci/layout/faults.ts";
import { markUsed } from "../oci/layout/last-use.ts";
import type { Store } from "../oci/layout/store.ts";
import { type Descriptor, type DiffId, type Digest, MediaType } from "../oci/types.ts";
import type { LayerReference, Snapshot } from "./state.ts";

/** Where the bytes of a layer that the store lacks come from. */
export type LayerBytes =
  | { readonly kind: "stream"; readonly open: () => AsyncIterable<Uint8Array> }
  | { readonly kind: "file"; readonly path: string };

/** Told while a layer comes in: compressed bytes so far. */
export type PullProgress = (done: number, finished: boolean) => void;

/** Takes a layer's bytes in and unpacks them in the same pass. */
export interface LayerUnpacker {
  readonly native: NativeClient;
  readonly tree: { readonly output: string; readonly owners: Owners };
  /** The layer has come in whole: its tree gets its place. */
  keep(): Promise<void>;
}

/**
 * The layers that a build works with. A layer that is not in the store yet is fetched once, however many stages need it;
 * steps wait only for the index of a layer that they look into, and the build waits for all at its end.
 */
export class LayerPool {
  readonly #store: Store;
  readonly #native: NativeClient;
  readonly #signal: AbortSignal;
  /** By blob: one tar may come in two compressions, and an image may have the empty layer in both. */
  readonly #arriving = new Map<Digest, Promise<void>>();
  readonly #tables = new Map<DiffId, Promise<EntryTable>>();

  constructor(store: Store, native: NativeClient, signal: AbortSignal) {
    this.#store = store;
    this.#native = native;
    this.#signal = signal;
  }

  /** Begins to bring a layer in unless the store has it, whole and indexed, or it is on its way already. */
  fetch(
    layer: LayerReference,
    bytes: LayerBytes,
    progress: PullProgress,
    unpackerOf?: () => Promise<LayerUnpacker | undefined>,
  ): void {
    if (this.#arriving.has(layer.blob.digest)) return;
    if (this.#store.useBlob(layer.blob)) return;
    const arrival = this.#ingest(layer, bytes, progress, unpackerOf);
    // Awaited by whoever needs the layer, at the latest by `settled`.
    arrival.catch(() => undefined);
    this.#arriving.set(layer.blob.digest, arrival);
  }

  /** Waits until these layers are in the store, as far as they had to be fetched. */
  async arrived(layers: readonly LayerReference[]): Promise<void> {
    await Promise.all(layers.map((layer) => this.#arriving.get(layer.blob.digest)));
  }

  /** Waits until every layer that was asked for is in the store. */
  async settled(): Promise<void> {
    await Promise.all(this.#arriving.values());
  }

  /** The merged tree of a snapshot. */
  async tree(snapshot: Snapshot): Promise<Tree> {
    return new Tree(await Promise.all(snapshot.layers.map((layer) => this.table(layer))));
  }

  /** The index of a layer; made from its blob when the store has none. */
  table(layer: LayerReference): Promise<EntryTable> {
    let table = this.#tables.get(layer.diffId);
    if (table === undefined) {
      table = this.#load(layer);
      this.#tables.set(layer.diffId, table);
    }
    return table;
  }

  /** Waits until a layer and its index are in the store, for whoever only needs the index's path. */
  async ready(layer: LayerReference): Promise<void> {
    await this.#arriving.get(layer.blob.digest);
    if (!markUsed(this.indexPath(layer.diffId))) await this.table(layer);
  }

  /** A layer's blob as the core takes it, once it is there. */
  async source(layer: LayerReference): Promise<BlobSource> {
    await this.#arriving.get(layer.blob.digest);
    return { path: this.#store.blobPath(layer.blob.digest), compression: compressionOf(layer.blob) };
  }

  /** Bytes of the layer's tar; known once it is in the store with its index. */
  indexPath(diffId: DiffId): string {
    return join(this.#store.layerPath(diffId), "index");
  }

  /** Puts an index and the size of a tar in their place, from a temporary file. */
  keepIndex(diffId: DiffId, temporary: string, tarSize: number): void {
    const folder = this.#store.layerPath(diffId);
    try {
      mkdirSync(folder, { recursive: true });
      const size = this.#store.temporaryPath();
      writeFileSync(size, `${tarSize}`);
      renameSync(size, join(folder, "size"));
      renameSync(temporary, join(folder, "index"));
    } catch (error) {
      throw storeFault(error, folder);
    }
  }

  async #load(layer: LayerReference): Promise<EntryTable> {
    await this.#arriving.get(layer.blob.digest);
    const known = this.#read(layer.diffId);
    if (known !== undefined) return known;
    const index = this.#store.temporaryPath();
    const input = this.#store.blobPath(layer.blob.digest);
    const taken = this.#native.ingest(
      {
        input,
        index,
        compression: compressionOf(layer.blob),
        digest: layer.blob.digest,
        size: layer.blob.size,
        diffId: layer.diffId,
      },
      undefined,
      { signal: this.#signal },
    );
    const reply = await ofLayer(layer, taken);
    this.keepIndex(layer.diffId, index, reply.tarSize);
    const made = this.#read(layer.diffId);
    if (made === undefined)
      throw new KbuildError("internal.index", `the index of layer ${layer.diffId} cannot be read`);
    return made;
  }

  #read(diffId: DiffId): EntryTable | undefined {
    try {
      const path = this.indexPath(diffId);
      return markUsed(path) ? new Table(readFileSync(path)) : undefined;
    } catch {
      return undefined;
    }
  }

  async #ingest(
    layer: LayerReference,
    bytes: LayerBytes,
    progress: PullProgress,
    unpackerOf: (() => Promise<LayerUnpacker | undefined>) | undefined,
  ): Promise<void> {
    const unpacker = await unpackerOf?.();
    const native = unpacker?.native ?? this.#native;
    const index = this.#store.temporaryPath();
    const output = this.#store.temporaryPath();
    const { digest, size } = layer.blob;
    const taken = native.ingest(
      {
        ...(bytes.kind === "file" ? { input: bytes.path } : {}),
        output,
        index,
        compression: compressionOf(layer.blob),
        digest,
        size,
        diffId: layer.diffId,
        ...(unpacker === undefined ? {} : { tree: unpacker.tree }),
      },
      bytes.kind === "stream" ? counted(bytes.open(), progress) : undefined,
      { signal: this.#signal },
    );
    const reply = await ofLayer(layer, taken);
    this.#store.adoptBlob(output, digest, size);
    this.keepIndex(layer.diffId, index, reply.tarSize);
    await unpacker?.keep();
    progress(size, true);
  }
}

async function* counted(bytes: AsyncIterable<Uint8Array>, progress: PullProgress): AsyncIterable<Uint8Array> {
  let done = 0;
  for await (const piece of bytes) {
    done += piece.length;
    progress(done, false);
    yield piece;
  }
}

/** Says of what is wrong in a layer which one it is: the step that needs it has nothing to do with it. */
export async function ofLayer<T>(layer: LayerReference, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const isOfLayer = error instanceof KbuildError && OF_LAYER.includes(error.code);
    throw isOfLayer ? error.about(`layer ${layer.blob.digest}`) : error;
  }
}

const OF_LAYER: readonly ErrorCode[] = ["build.hostile", "registry.mismatch", "machine.ids"];

/** How a layer's media type says that it is compressed. OCI image-spec layer.md. */
export function compressionOf(blob: Descriptor): CompressionKind {
  switch (blob.mediaType) {
    case MediaType.ociLayer:
    case MediaType.dockerLayer:
      return "none";
    case MediaType.ociLayerGzip:
    case MediaType.dockerLayerGzip:
      return "gzip";
    case MediaType.ociLayerZstd:
      return "zstd";
    default:
      throw new KbuildError(
        "registry.invalid",
        `a layer has the media type "${blob.mediaType}", which kbuild does not know`,
      );
  }
}
