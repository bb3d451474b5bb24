import * as fs from "node:fs";
import { basename, join } from "node:path";
import { errnoOf } from "../../oci/layout/faults.ts";
import { imageParts } from "../../oci/layout/parts.ts";
import type { Store } from "../../oci/layout/store.ts";
import { keptSteps } from "../run/failed-step.ts";
import { layerFolders, tarSizeOf } from "./layer-folders.ts";
import { namesIn, type StoredRecord, storedRecords } from "./records.ts";

/** Something that the store keeps so that later builds are faster, and that can be made anew. */
export interface CacheItem {
  readonly kind: "record" | "layer" | "cacheMount" | "failedStep" | "context" | "download" | "repository" | "blob";
  readonly path: string;
  /** The file whose time says when it was last used, below `path`; "" for `path` itself. */
  readonly stamp: string;
  /** Milliseconds since 1970 when it was last used. */
  readonly used: number;
  /** Bytes on disk, of unpacked layers about; without the blobs of a record. */
  readonly size: number;
  /** Digests of blobs that a record or a failed step needs. */
  readonly blobs: readonly string[];
  /** Whether an image of the store came of it: without it the next build of the image takes longer. */
  readonly isOfImage: boolean;
}

/** Everything in a store but the images themselves. */
export interface CacheContents {
  readonly items: readonly CacheItem[];
  /** Digests of blobs that images need. */
  readonly imageBlobs: ReadonlySet<string>;
  /** Size and last use of all blobs, by digest. */
  readonly blobs: ReadonlyMap<string, { readonly size: number; readonly used: number }>;
}

/**
 * Looks through a store. Blobs that nothing needs are items of their own.
 * @throws KbuildError `machine.storeDamaged` when index.json cannot be read: nothing tells then what images need
 */
export function cacheContents(store: Store): CacheContents {
  const blobs = allBlobs(store);
  const images = imageParts(store, (blob) => blobs.has(blob.digest));
  const imageBlobs = new Set<string>(images.flatMap((image) => image.blobs.map((blob) => blob.digest)));
  const imageLayers = new Set<string>(images.flatMap((image) => image.layers.map((layer) => layer.diffId)));
  const records = [...storedRecords(store)].map((record) => recordItem(record, imageBlobs, imageLayers, blobs));
  const failed = failedItems(store);
  const needed = new Set([...imageBlobs, ...[...records, ...failed].flatMap((item) => item.blobs)]);
  const orphans = [...blobs].flatMap(([digest, blob]): CacheItem[] =>
    needed.has(digest)
      ? []
      : [{ kind: "blob", path: blobPath(store, digest), stamp: "", ...blob, blobs: [], isOfImage: false }],
  );
  return {
    items: [
      ...records,
      ...layerItems(store, imageLayers),
      ...mountItems(store),
      ...failed,
      ...contextItems(store),
      ...remoteItems(store),
      ...orphans,
    ],
    imageBlobs,
    blobs,
  };
}

/** Digests of all blobs that an image, a record or a failed step needs now. */
export function neededBlobs(store: Store): ReadonlySet<string> {
  const needed = new Set<string>();
  for (const image of imageParts(store, (blob) => store.hasBlob(blob))) {
    for (const blob of image.blobs) needed.add(blob.digest);
  }
  for (const { layers = [] } of keptSteps(store)) for (const layer of layers) needed.add(layer.blob.digest);
  for (const record of storedRecords(store)) for (const blob of record.blobs) needed.add(blob.digest);
  return needed;
}

export function blobPath(store: Store, digest: string): string {
  return join(store.root, "blobs", "sha256", digest.slice("sha256:".length));
}

/** Milliseconds since 1970 of an item that may have been moved elsewhere; undefined when it has no time. */
export function lastUse(path: string, stamp: string): number | undefined {
  return fs.lstatSync(stamp === "" ? path : join(path, stamp), { throwIfNoEntry: false })?.mtimeMs;
}

/** Bytes that a file or folder takes on disk; what may not be looked into counts nothing. Hard links count once. */
export function sizeOnDisk(path: string): number {
  const seen = new Set<string>();
  const open = [path];
  let sum = 0;
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    try {
      const stat = fs.lstatSync(next);
      if (stat.nlink > 1 && !stat.isDirectory()) {
        const inode = `${stat.dev} ${stat.ino}`;
        if (seen.has(inode)) continue;
        seen.add(inode);
      }
      sum += stat.blocks * 512;
      if (stat.isDirectory()) for (const name of fs.readdirSync(next)) open.push(`${next}/${name}`);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
    }
  }
  return sum;
}

function allBlobs(store: Store): Map<string, { readonly size: number; readonly used: number }> {
  const blobs = new Map<string, { readonly size: number; readonly used: number }>();
  const folder = join(store.root, "blobs", "sha256");
  for (const name of namesIn(folder)) {
    const stat = fs.lstatSync(join(folder, name), { throwIfNoEntry: false });
    if (stat?.isFile() && /^[0-9a-f]{64}$/.test(name))
      blobs.set(`sha256:${name}`, { size: stat.size, used: stat.mtimeMs });
  }
  return blobs;
}

function recordItem(
  { path, kind, used, size, blobs, layer, fault }: StoredRecord,
  imageBlobs: ReadonlySet<string>,
  imageLayers: ReadonlySet<string>,
  there: ReadonlyMap<string, unknown>,
): CacheItem {
  const digests = blobs.map((blob) => blob.digest);
  const isUsable = fault === undefined && digests.every((digest) => there.has(digest));
  // What has neither layer nor blob tells nothing of an image; it is small, and stays until all is to go.
  const isOfImage =
    layer === undefined ? digests.every((digest) => imageBlobs.has(digest)) : imageLayers.has(layer.diffId);
  const common = { kind: "record", path, stamp: "", used, size, blobs: digests } as const;
  return { ...common, isOfImage: isUsable && isOfImage && kind !== "compressed" };
}

function layerItems(store: Store, imageLayers: ReadonlySet<string>): CacheItem[] {
  return layerFolders(store).map((folder) => {
    const own = fs.lstatSync(folder.indexPath, { throwIfNoEntry: false });
    const used = own?.mtimeMs ?? lastUse(folder.path, "") ?? 0;
    const size = (own?.size ?? 0) + folder.trees.length * tarSizeOf(folder);
    const isOfImage = imageLayers.has(`sha256:${folder.name}`);
    const stamp = own === undefined ? "" : "index";
    return { kind: "layer", path: folder.path, stamp, used, size, blobs: [], isOfImage };
  });
}

function mountItems(store: Store): CacheItem[] {
  const folder = join(store.root, "cache-mounts");
  return namesIn(folder).map((name) => {
    const path = join(folder, name);
    const used = lastUse(path, "info.json") ?? lastUse(path, "") ?? 0;
    const stamp = lastUse(path, "info.json") === undefined ? "" : "info.json";
    return { kind: "cacheMount", path, stamp, used, size: sizeOnDisk(path), blobs: [], isOfImage: false };
  });
}

function failedItems(store: Store): CacheItem[] {
  return keptSteps(store).map(({ folder, record, layers = [] }) => {
    const stamp = lastUse(folder, record) === undefined ? "" : record;
    const used = lastUse(folder, stamp) ?? 0;
    const blobs = layers.map((layer) => layer.blob.digest);
    return { kind: "failedStep", path: folder, stamp, used, size: sizeOnDisk(folder), blobs, isOfImage: false };
  });
}

function contextItems(store: Store): CacheItem[] {
  const folder = join(store.root, "contexts");
  return namesIn(folder)
    .filter((name) => !name.endsWith(".tmp"))
    .map((name) => {
      const path = join(folder, name);
      const used = lastUse(path, "") ?? 0;
      return { kind: "context", path, stamp: "", used, size: sizeOnDisk(path), blobs: [], isOfImage: true };
    });
}

/** What was fetched from elsewhere: by address, so that all versions of it go at once. */
function remoteItems(store: Store): CacheItem[] {
  const items = (kind: "download" | "repository", name: string, stamp: string): CacheItem[] => {
    const folder = join(store.root, name);
    return namesIn(folder).map((item) => {
      const path = join(folder, item);
      const own = lastUse(path, stamp) === undefined ? "" : stamp;
      const used = lastUse(path, own) ?? 0;
      return { kind, path, stamp: own, used, size: sizeOnDisk(path), blobs: [], isOfImage: true };
    });
  };
  return [...items("download", "downloads", "download.json"), ...items("repository", "git", "")];
}

/** The name of the lock that a step holds while a cache mount is its own. */
export function mountLock(item: CacheItem): string {
  return `cache-mount-${basename(item.path)}`;
}
