import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { identityOf } from "../layers/identity.ts";
import { storeFault } from "../oci/layout/faults.ts";
import { markUsed } from "../oci/layout/last-use.ts";
import type { Store } from "../oci/layout/store.ts";
import type { Descriptor, DiffId, Digest } from "../oci/types.ts";
import type { LayerReference } from "./state.ts";

/** Part of every key: a change of what a step's outcome means makes all records strangers. */
export const KEY_VERSION = "kbuild-step-1";

/** A layer that a step made, as records keep it. */
export interface RecordedLayer {
  readonly diffId: DiffId;
  readonly blob: Descriptor;
}

/** The blobs that make an image besides its layers. */
export interface RecordedImage {
  readonly manifest: Descriptor;
  readonly config: Descriptor;
}

/**
 * The text of an image's manifest and config, kept so that a build on it need not compute their digests each time: loading
 * what computes them takes longer than the rest of a build in which everything is cached.
 */
export interface ImageDocuments {
  readonly manifest: string;
  readonly config: string;
}

/** What a step came to. */
export interface StepRecord {
  /** RFC 3339: when it was made, which its history entry says ever after. */
  readonly created: string;
  /** Absent for steps that only change the configuration. */
  readonly layer?: RecordedLayer;
  /** Content identity of the snapshot after the step. */
  readonly content?: string;
  /** Milliseconds that it took. */
  readonly duration?: number;
}

/** A record from elsewhere, whose layer may still be on its way. */
export interface OfferedStep {
  readonly record: StepRecord;
  readonly arrived: Promise<void> | undefined;
}

/** What a key was made of, kept by place in the Dockerfile so that the next miss there can be explained. */
export interface KeyParts {
  readonly instruction: string;
  readonly parent: string;
  readonly platform: string;
  /** Identity of the copied files. */
  readonly files?: string | undefined;
  /** `NAME=` and a fingerprint of the value, of each variable that takes part. */
  readonly variables?: readonly string[] | undefined;
  /** Fingerprints of what else a process is run with, by what a person calls it. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  /** Content of the layer that came out, to compare files with. */
  readonly diffId?: DiffId | undefined;
}

/**
 * The build cache: small JSON files below `cache/` in the store, each written whole by rename, so that any number of
 * builds use it at once; of two that write one record at a time the later one stays, and both are right.
 * A file that cannot be read or does not have the expected shape counts as absent.
 */
export class Cache {
  readonly #store: Store;
  /** Records from elsewhere, in the order in which they are asked. */
  readonly #offers: ((key: string) => OfferedStep | undefined)[] = [];
  /** Records that were found or made: what a build's cache is when it leaves the store. */
  readonly used = new Map<string, StepRecord>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Lets steps find records of another place when there is none here. */
  offer(find: (key: string) => OfferedStep | undefined): void {
    this.#offers.push(find);
  }

  /** The record of a step, if there is one and its layer's blob is still there whole, or on its way. */
  step(key: string): StepRecord | undefined {
    const record = this.#stored(key) ?? this.#offered(key);
    if (record !== undefined) this.used.set(key, record);
    return record;
  }

  /** Whether a record is there whose blob is not. */
  hasLostStep(key: string): boolean {
    return isStepRecord(this.#read("steps", key)) && this.#stored(key) === undefined;
  }

  putStep(key: string, record: StepRecord): void {
    this.used.set(key, record);
    this.#write("steps", key, record);
  }

  #stored(key: string): StepRecord | undefined {
    const record = this.#read("steps", key);
    if (!isStepRecord(record)) return undefined;
    return record.layer === undefined || this.#store.hasBlob(record.layer.blob) ? record : undefined;
  }

  /** A record that was brought in is kept as one of ours, once its layer is here. */
  #offered(key: string): StepRecord | undefined {
    for (const find of this.#offers) {
      const { record, arrived } = find(key) ?? {};
      if (record === undefined) continue;
      const keep = (): void => this.#write("steps", key, record);
      if (arrived === undefined) keep();
      else arrived.then(keep).catch(() => undefined);
      return record;
    }
    return undefined;
  }

  /** The layer that first gave a snapshot of this content on top of its parent: early cut-off. */
  layerOfContent(content: string): LayerReference | undefined {
    const layer = this.#read("content", content);
    return isLayer(layer) && this.#store.hasBlob(layer.blob) ? layer : undefined;
  }

  putLayerOfContent(content: string, layer: LayerReference): void {
    this.#write("content", content, layer);
  }

  /** What the step at a place was made of when it last ran there. */
  lastParts(place: string): KeyParts | undefined {
    const parts = this.#read("places", place);
    return isObject(parts) && typeof parts.instruction === "string" ? (parts as unknown as KeyParts) : undefined;
  }

  putLastParts(place: string, parts: KeyParts): void {
    this.#write("places", place, parts);
  }

  /** The documents of an image of the store that were verified by their digests before; see {@link ImageDocuments}. */
  documents(digest: string, platform: string): ImageDocuments | undefined {
    const record = this.#read("documents", identityOf(digest, platform));
    if (!isObject(record)) return undefined;
    const { manifest, config } = record;
    return typeof manifest === "string" && typeof config === "string" ? { manifest, config } : undefined;
  }

  putDocuments(digest: string, platform: string, documents: ImageDocuments): void {
    this.#write("documents", identityOf(digest, platform), documents);
  }

  /** The text of a small file of some layer, by the digest of its bytes. */
  text(digest: string): string | undefined {
    const record = this.#read("texts", identityOf(digest));
    return isObject(record) && typeof record.text === "string" ? record.text : undefined;
  }

  putText(digest: string, text: string): void {
    this.#write("texts", identityOf(digest), { text });
  }

  /** What an image of exactly this making was written as before. */
  image(identity: string): RecordedImage | undefined {
    const record = this.#read("images", identity);
    if (!isObject(record) || !isDescriptor(record.manifest) || !isDescriptor(record.config)) return undefined;
    const { manifest, config } = record;
    return this.#store.hasBlob(manifest) && this.#store.hasBlob(config) ? { manifest, config } : undefined;
  }

  putImage(identity: string, record: RecordedImage): void {
    this.#write("images", identity, record);
  }

  /** The compressed form of a layer that was made before. */
  compressed(diffId: DiffId, compression: string): Descriptor | undefined {
    const descriptor = this.#read("compressed", identityOf(diffId, compression));
    return isDescriptor(descriptor) && this.#store.hasBlob(descriptor) ? descriptor : undefined;
  }

  putCompressed(diffId: DiffId, compression: string, descriptor: Descriptor): void {
    this.#write("compressed", identityOf(diffId, compression), descriptor);
  }

  #path(kind: string, key: string): string {
    return join(this.#store.root, "cache", kind, key.slice(0, 2), key.slice(2));
  }

  #read(kind: string, key: string): unknown {
    try {
      const path = this.#path(kind, key);
      const value: unknown = JSON.parse(readFileSync(path, "utf8"));
      return markUsed(path) ? value : undefined;
    } catch {
      return undefined;
    }
  }

  #write(kind: string, key: string, value: unknown): void {
    const path = this.#path(kind, key);
    try {
      const temporary = this.#store.temporaryPath();
      writeFileSync(temporary, JSON.stringify(value));
      try {
        renameSync(temporary, path);
      } catch {
        mkdirSync(dirname(path), { recursive: true });
        renameSync(temporary, path);
      }
    } catch (error) {
      throw storeFault(error, path);
    }
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

export function isDescriptor(value: unknown): value is Descriptor {
  return (
    isObject(value) && typeof value.mediaType === "string" && typeof value.size === "number" && isDigest(value.digest)
  );
}

function isDigest(value: unknown): value is Digest {
  return typeof value === "string" && /^sha256:[0-9a-f]{64}$/.test(value);
}

export function isLayer(value: unknown): value is RecordedLayer {
  return isObject(value) && isDigest(value.diffId) && isDescriptor(value.blob);
}

export function isStepRecord(value: unknown): value is StepRecord {
  if (!isObject(value) || !isTime(value.created)) return false;
  return value.layer === undefined || (isLayer(value.layer) && typeof value.content === "string");
}

/** RFC 3339, as steps are dated: it goes into an image's history as it is. */
function isTime(value: unknown): value is string {
  return (
    typeof value === "string" &&
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(value) &&
    !Number.isNaN(Date.parse(value))
  );
}
