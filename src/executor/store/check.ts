import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { KbuildError } from "../../errors.ts";
import { NativeClient } from "../../native/client.ts";
import { errnoOf, storeFault } from "../../oci/layout/faults.ts";
import { type ImageParts, imageParts } from "../../oci/layout/parts.ts";
import { defaultRoot, openStore, type Store } from "../../oci/layout/store.ts";
import { leftovers } from "../../oci/layout/sweep.ts";
import type { Descriptor, Digest } from "../../oci/types.ts";
import { compressionOf } from "../layer-pool.ts";
import { keptSteps } from "../run/failed-step.ts";
import type { LayerReference } from "../state.ts";
import { Bin } from "./bin.ts";
import { Findings, type StoreFinding } from "./findings.ts";
import { indexFault, type LayerFolder, layerFolders, sameIndexes } from "./layer-folders.ts";
import { namesIn, storedRecords } from "./records.ts";

export interface CheckOptions {
  readonly root?: string | undefined;
  /** Removes what is damaged, so that it is made anew when it is needed. */
  readonly repair?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a check of the store came to. */
export interface StoreReport {
  readonly root: string;
  /** All that is not as it should be. */
  readonly findings: readonly StoreFinding[];
  /** How much was looked at. `bytes` are those of the blobs, each of which was read. */
  readonly checked: {
    readonly images: number;
    readonly blobs: number;
    readonly bytes: number;
    readonly records: number;
    readonly layers: number;
  };
}

/**
 * Checks everything in the store: each blob's bytes against its digest, each image's references from index.json to its
 * layers, each record of the cache, each layer's index against its blob, and what lies in folders where it does not
 * belong. Other processes may use the store meanwhile. Blobs are read as streams.
 *
 * @throws KbuildError only when the store cannot be read or, to be repaired, written
 */
export async function check(options: CheckOptions = {}): Promise<StoreReport> {
  const { root, repair = false, signal } = options;
  const store = openStore(root ?? defaultRoot(process.env), { create: false });
  const findings = new Findings(store, repair);
  const bin = new Bin(store, signal);
  const native = new NativeClient();
  try {
    const checked = await new Check(store, findings, bin, native, signal).run();
    const left = await bin.empty();
    if (left !== undefined) throw left.reason;
    return { root: store.root, findings: findings.found, checked };
  } finally {
    await native.close();
  }
}

class Check {
  readonly #store: Store;
  readonly #findings: Findings;
  readonly #bin: Bin;
  readonly #native: NativeClient;
  readonly #signal: AbortSignal | undefined;
  /** Blobs that are not what their digest says. */
  readonly #damaged = new Set<string>();
  /** Indexes that were found to be wrong. */
  readonly #wrongIndexes = new Set<string>();

  constructor(store: Store, findings: Findings, bin: Bin, native: NativeClient, signal: AbortSignal | undefined) {
    this.#store = store;
    this.#findings = findings;
    this.#bin = bin;
    this.#native = native;
    this.#signal = signal;
  }

  async run(): Promise<StoreReport["checked"]> {
    await this.#checkIndex();
    const layers = this.#knownLayers();
    const folders = layerFolders(this.#store);
    const blobs = await this.#checkBlobs(layers, new Map(folders.map((folder) => [folder.name, folder])));
    const images = await this.#checkImages();
    const records = await this.#checkRecords();
    for (const folder of folders) await this.#checkFolder(folder);
    await this.#checkStrangers();
    await this.#checkFailedSteps();
    await this.#checkLeftovers();
    return { images, ...blobs, records, layers: folders.length };
  }

  #isWhole(blob: Descriptor): boolean {
    return this.#store.hasBlob(blob) && !this.#damaged.has(blob.digest);
  }

  async #checkIndex(): Promise<void> {
    const path = join(this.#store.root, "index.json");
    try {
      this.#store.list();
    } catch (error) {
      if (!(error instanceof KbuildError) || error.code !== "machine.storeDamaged") throw error;
      const message = `it cannot be read, so that no image has a name: ${error.message}`;
      await this.#findings.add({ kind: "index", severity: "damage", path, message }, () => this.#take(path));
    }
  }

  #images(): ImageParts[] {
    try {
      return imageParts(this.#store, (blob) => this.#isWhole(blob));
    } catch (error) {
      // Told by `checkIndex`.
      if (error instanceof KbuildError && error.code === "machine.storeDamaged") return [];
      throw error;
    }
  }

  /** Of each blob that is known to be a layer, what its tar must be. */
  #knownLayers(): ReadonlyMap<Digest, LayerReference> {
    const layers = new Map<Digest, LayerReference>();
    for (const { layers: ofImage } of this.#images()) for (const layer of ofImage) layers.set(layer.blob.digest, layer);
    for (const { layer } of storedRecords(this.#store)) if (layer !== undefined) layers.set(layer.blob.digest, layer);
    return layers;
  }

  async #checkBlobs(
    layers: ReadonlyMap<Digest, LayerReference>,
    folders: ReadonlyMap<string, LayerFolder>,
  ): Promise<{ blobs: number; bytes: number }> {
    let [blobs, bytes] = [0, 0];
    const folder = join(this.#store.root, "blobs", "sha256");
    for (const name of namesIn(folder)) {
      this.#signal?.throwIfAborted();
      const path = join(folder, name);
      const stat = fs.lstatSync(path, { throwIfNoEntry: false });
      if (stat === undefined) continue;
      const complain = (message: string) =>
        this.#findings.add({ kind: "blob", severity: "damage", path, message }, () => this.#take(path));
      if (!/^[0-9a-f]{64}$/.test(name)) {
        await complain("its name is no digest");
        continue;
      }
      const digest: Digest = `sha256:${name}`;
      blobs += 1;
      bytes += stat.size;
      const fault = stat.isFile()
        ? await this.#blobFault(path, digest, layers.get(digest), folders)
        : "it is not a file";
      if (fault === undefined) continue;
      this.#damaged.add(digest);
      await complain(fault);
    }
    return { blobs, bytes };
  }

  /** A layer's blob is read by the core, which also makes its index: that is compared with the one that is there. */
  async #blobFault(
    path: string,
    digest: Digest,
    layer: LayerReference | undefined,
    folders: ReadonlyMap<string, LayerFolder>,
  ): Promise<string | undefined> {
    const made = layer === undefined ? undefined : await this.#index(path, layer);
    try {
      if (layer === undefined || made?.fault !== undefined) {
        const actual = await digestOfFile(path, this.#signal);
        if (actual !== undefined && actual !== digest) return `its bytes are ${actual}`;
        // A blob of another size, or one that is no layer, is told with the record or image that says so.
        if (made?.fault !== undefined && this.#store.hasBlob(layer?.blob ?? { digest, size: -1 })) return made.fault;
        return undefined;
      }
      const folder = folders.get(layer.diffId.slice("sha256:".length));
      if (made !== undefined && folder !== undefined) await this.#compare(folder, made.index);
      return undefined;
    } finally {
      if (made !== undefined) fs.rmSync(made.index, { force: true });
    }
  }

  async #index(input: string, layer: LayerReference): Promise<{ readonly index: string; readonly fault?: string }> {
    const index = this.#store.temporaryPath();
    const { digest, size } = layer.blob;
    try {
      const compression = compressionOf(layer.blob);
      await this.#native.ingest({ input, index, compression, digest, size, diffId: layer.diffId }, undefined, {
        signal: this.#signal,
      });
      return { index };
    } catch (error) {
      if (!(error instanceof KbuildError) || !/^(?:build|registry)\./.test(error.code)) throw error;
      return { index, fault: error.message };
    }
  }

  async #compare(folder: LayerFolder, made: string): Promise<void> {
    const path = folder.indexPath;
    if (!fs.existsSync(path)) return;
    const fault = indexFault(path) ?? (sameIndexes(path, made) ? undefined : "it is not the index of the layer's blob");
    if (fault === undefined) return;
    this.#wrongIndexes.add(path);
    await this.#findings.add({ kind: "layer", severity: "damage", path, message: fault }, () =>
      this.#takeIndex(folder),
    );
  }

  #take(path: string): boolean {
    return this.#bin.take(path) !== undefined;
  }

  /** Trees were made by the index, and may be as wrong as it is. */
  #takeIndex(folder: LayerFolder): boolean {
    return this.#take(folder.path);
  }

  async #checkImages(): Promise<number> {
    const images = this.#images();
    for (const { descriptor, names, faults } of images) {
      if (faults.length === 0) continue;
      const name = names.length > 0 ? names.join(", ") : descriptor.digest;
      await this.#findings.addImage(name, faults.join("; "), async () => {
        const references = this.#store
          .list()
          .flatMap((image) =>
            image.descriptor.digest === descriptor.digest && image.reference !== undefined ? [image.reference] : [],
          );
        return this.#store.remove(descriptor.digest, references);
      });
    }
    return images.length;
  }

  async #checkRecords(): Promise<number> {
    let count = 0;
    for (const { path, blobs, fault } of storedRecords(this.#store)) {
      count += 1;
      const lost = blobs.find((blob) => !this.#isWhole(blob));
      const message = fault ?? (lost === undefined ? undefined : `its blob ${lost.digest} is missing or damaged`);
      if (message === undefined) continue;
      await this.#findings.add({ kind: "record", severity: "damage", path, message }, () => this.#take(path));
    }
    return count;
  }

  /** What of a layer's folder was not compared with its blob. */
  async #checkFolder(folder: LayerFolder): Promise<void> {
    for (const name of folder.strangers) {
      const path = join(folder.path, name);
      const message = "it is no part of what is kept of a layer";
      await this.#findings.add({ kind: "layer", severity: "damage", path, message }, () => this.#take(path));
    }
    for (const name of folder.trees) {
      const path = join(folder.path, name);
      if (fs.lstatSync(path, { throwIfNoEntry: false })?.isDirectory() !== false) continue;
      const message = "it is not a folder";
      await this.#findings.add({ kind: "layer", severity: "damage", path, message }, () => this.#take(path));
    }
    const path = folder.indexPath;
    const fault = this.#wrongIndexes.has(path) ? undefined : indexFault(path);
    if (fault === undefined) return;
    await this.#findings.add({ kind: "layer", severity: "damage", path, message: fault }, () =>
      this.#takeIndex(folder),
    );
  }

  async #checkStrangers(): Promise<void> {
    const layers = join(this.#store.root, "layers");
    for (const name of namesIn(layers).filter((one) => !/^[0-9a-f]{64}$/.test(one))) {
      const path = join(layers, name);
      const message = "its name is no digest";
      await this.#findings.add({ kind: "layer", severity: "damage", path, message }, () => this.#take(path));
    }
    const mounts = join(this.#store.root, "cache-mounts");
    for (const name of namesIn(mounts)) {
      const path = join(mounts, name);
      const info = cacheMountFault(path);
      if (info === undefined) continue;
      await this.#findings.add({ kind: "cacheMount", severity: "damage", path, message: info }, () => this.#take(path));
    }
  }

  async #checkFailedSteps(): Promise<void> {
    for (const { folder, record, layers } of keptSteps(this.#store)) {
      // Without a record it is being kept just now, or goes away.
      if (!fs.existsSync(join(folder, record))) continue;
      const lost = layers?.find(({ blob }) => !this.#isWhole(blob));
      const message =
        layers === undefined
          ? "its record cannot be read"
          : lost && `the layer ${lost.blob.digest} that it ran on is missing or damaged`;
      if (message === undefined) continue;
      const finding = { kind: "failedStep", severity: "damage", path: folder, message } as const;
      await this.#findings.add(finding, () => this.#take(folder));
    }
  }

  async #checkLeftovers(): Promise<void> {
    for (const path of leftovers(this.#store)) {
      const message = "a process left it behind that is gone";
      await this.#findings.add({ kind: "leftover", severity: "leftover", path, message }, () => {
        this.#bin.remove(path);
        return true;
      });
    }
  }
}

function cacheMountFault(path: string): string | undefined {
  try {
    const info: unknown = JSON.parse(fs.readFileSync(join(path, "info.json"), "utf8"));
    if (typeof info !== "object" || info === null) return "its info.json does not tell of it";
  } catch (error) {
    if (errnoOf(error) === undefined) return "its info.json is not JSON";
    // One that is being made, or goes away.
    return fs.existsSync(join(path, "data")) ? "it has no info.json" : undefined;
  }
  const data = fs.lstatSync(join(path, "data"), { throwIfNoEntry: false });
  return data === undefined || data.isDirectory() ? undefined : "its data is not a folder";
}

/** Undefined when the file is gone. */
async function digestOfFile(path: string, signal: AbortSignal | undefined): Promise<Digest | undefined> {
  const sum = createHash("sha256");
  try {
    for await (const chunk of fs.createReadStream(path, { highWaterMark: 1 << 20, signal })) sum.update(chunk);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (errnoOf(error) === "ENOENT") return undefined;
    throw storeFault(error, path);
  }
  return `sha256:${sum.digest("hex")}`;
}
