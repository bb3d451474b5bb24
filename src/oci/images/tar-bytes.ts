import { createReadStream } from "node:fs";
import type { Duplex } from "node:stream";
import * as zlib from "node:zlib";
import { KbuildError } from "../../errors.ts";
import type { Layer } from "../image.ts";
import type { Descriptor } from "../types.ts";
import { compressionOfLayer } from "./layer-compression.ts";

/** Makes a stream that decompresses zstd; for Node before 22.15, which cannot. */
export type ZstdDecompressor = () => Duplex;

/**
 * The uncompressed tar of a layer, piece by piece.
 *
 * @throws KbuildError `build.bomb` when it grows beyond all measure (1,000 times, above 64 MiB);
 *   `build.layerType`; `machine.zstd`. Errors of the file and of the decompressor come as Node has them.
 */
export async function* tarOf(
  layer: Pick<Layer, "descriptor" | "path">,
  zstd?: ZstdDecompressor,
): AsyncIterable<Buffer> {
  const unpacker = decompressor(layer.descriptor, zstd);
  const input = createReadStream(layer.path, { highWaterMark: 1 << 20 });
  if (unpacker === undefined) {
    yield* input;
    return;
  }
  const limit = Math.max(64 * 1024 * 1024, layer.descriptor.size * 1000);
  let seen = 0;
  input.on("error", (error) => unpacker.destroy(error));
  input.pipe(unpacker);
  try {
    for await (const chunk of unpacker as AsyncIterable<Buffer>) {
      seen += isZero(chunk) ? chunk.length / ZEROS_COUNT : chunk.length;
      if (seen > limit) throw new KbuildError("build.bomb", `it has more than ${limit} bytes when it is decompressed`);
      yield chunk;
    }
  } finally {
    input.destroy();
    unpacker.destroy();
  }
}

/** Long runs of zeros count for a part of their size, as where layers are taken in: holes of files compress to nothing. */
const ZEROS_COUNT = 64;

function isZero(chunk: Buffer): boolean {
  if (chunk.length === 0 || chunk[0] !== 0) return false;
  // Each byte like the one before it.
  return chunk.compare(chunk, 1, chunk.length, 0, chunk.length - 1) === 0;
}

function decompressor(descriptor: Descriptor, zstd?: ZstdDecompressor): Duplex | undefined {
  switch (compressionOfLayer(descriptor)) {
    case "none":
      return undefined;
    case "gzip":
      return zlib.createGunzip({ chunkSize: 1 << 18 });
    case "zstd": {
      const make = zstd ?? (zlib as { createZstdDecompress?: ZstdDecompressor }).createZstdDecompress;
      if (make !== undefined) return make();
      throw new KbuildError("machine.zstd", "this version of Node.js cannot decompress zstd", {
        hint: "Node.js can since version 22.15",
      });
    }
    default:
      throw new KbuildError("build.layerType", `${descriptor.mediaType} is not the type of a layer`);
  }
}
