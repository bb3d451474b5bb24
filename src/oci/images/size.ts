import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { extract } from "tar-stream";
import { KbuildError } from "../../errors.ts";
import type { Image, Layer } from "../image.ts";
import type { Store } from "../layout/store.ts";
import type { DiffId } from "../types.ts";
import { tarOf, type ZstdDecompressor } from "./tar-bytes.ts";

/** How the size of a layer is found. */
export interface SizeOptions {
  /**
   * Bytes of a layer's files and links, where the caller knows them (the store's indexes of layers have them); undefined
   * where not. Then the layer is read through once, and the sum kept beside it.
   */
  readonly contentSize?: ((diffId: DiffId) => number | undefined) | undefined;
  readonly zstd?: ZstdDecompressor | undefined;
}

/** What docker shows as the size of an image: the bytes of all files of all its layers. */
export async function imageSize(store: Store, image: Image, options: SizeOptions = {}): Promise<number> {
  let sum = 0;
  for (const layer of image.layers) sum += await layerSize(store, layer, options);
  return sum;
}

/**
 * What docker shows as the size of a layer: not of its tar, but of the files and symbolic links in it, hard links not counted.
 *
 * @throws KbuildError `machine.storeDamaged` when the layer must be read and cannot be
 */
export async function layerSize(store: Store, layer: Layer, options: SizeOptions = {}): Promise<number> {
  const known = options.contentSize?.(layer.diffId) ?? readSize(store, layer.diffId);
  if (known !== undefined) return known;
  let sum = 0;
  const archive = extract();
  archive.on("entry", (header, stream, next) => {
    if (header.type === "file" || header.type === "contiguous-file") sum += header.size ?? 0;
    // As the kernel has it, and so docker: a link is as long as its target.
    else if (header.type === "symlink") sum += Buffer.byteLength(header.linkname ?? "");
    stream.on("end", next);
    stream.resume();
  });
  try {
    await pipeline(tarOf(layer, options.zstd), archive);
  } catch (error) {
    if (error instanceof KbuildError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new KbuildError("machine.storeDamaged", `the layer ${layer.path} cannot be read: ${reason}`, {
      cause: error,
    });
  }
  keepSize(store, layer.diffId, sum);
  return sum;
}

function sizePath(store: Store, diffId: DiffId): string {
  return join(store.layerPath(diffId), "content-size");
}

function readSize(store: Store, diffId: DiffId): number | undefined {
  try {
    const text = readFileSync(sizePath(store, diffId), "utf8");
    return /^[0-9]{1,16}$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}

/** A store that cannot be written is read again the next time. */
function keepSize(store: Store, diffId: DiffId, size: number): void {
  const temporary = store.temporaryPath();
  try {
    mkdirSync(store.layerPath(diffId), { recursive: true });
    writeFileSync(temporary, String(size), { flag: "wx" });
    renameSync(temporary, sizePath(store, diffId));
  } catch {
    rmSync(temporary, { force: true });
  }
}
