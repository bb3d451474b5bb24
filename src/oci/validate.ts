import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import type { Image, Layer } from "./image.ts";
import { compressionOfLayer } from "./images/layer-compression.ts";
import { tarOf, type ZstdDecompressor } from "./images/tar-bytes.ts";
import { isManifestType } from "./shape.ts";
import { type Digest, MediaType } from "./types.ts";

/** Something in an image that is not as it says. */
export interface Mismatch {
  readonly kind: MismatchKind;
  /** What it is about, by its digest; of a diffID, the layer that should have it. */
  readonly subject: Digest;
  /** A sentence for a person. */
  readonly message: string;
}

/**
 * `unreadable`: missing, damaged or of another shape. `size`, `digest`, `mediaType`: not as the descriptor says.
 * `diffId`: the tar is not as the config says. `layers`, `history`, `platform`: manifest, config and descriptor disagree.
 */
export type MismatchKind =
  | "unreadable"
  | "size"
  | "digest"
  | "mediaType"
  | "diffId"
  | "layers"
  | "history"
  | "platform";

export interface ValidateOptions {
  readonly zstd?: ZstdDecompressor | undefined;
}

/**
 * Reads all of an image, computes every digest, diffID and size again, and lists all that does not agree. An empty list
 * says that the image is whole: what OCI image-spec manifest.md and config.md ask of it holds. Does not throw for
 * anything that is wrong with the image. Layers are read one after the other, nothing is held in memory.
 */
export async function validate(image: Image, options: ValidateOptions = {}): Promise<Mismatch[]> {
  const found: Mismatch[] = [];
  const report = (kind: MismatchKind, subject: Digest, message: string): void => {
    found.push({ kind, subject, message });
  };
  const manifest = attempt(image.descriptor.digest, report, () => {
    const { manifest, manifestBytes, descriptor } = image;
    const { digest, size, mediaType } = descriptor;
    if (manifestBytes.length !== size) {
      report("size", digest, `the manifest has ${manifestBytes.length} bytes, its descriptor says ${size}`);
    }
    if (!isManifestType(mediaType)) report("mediaType", digest, `${mediaType} is not the type of a manifest`);
    if (manifest.mediaType !== undefined && manifest.mediaType !== mediaType) {
      report("mediaType", digest, `the manifest says it is ${manifest.mediaType}, its descriptor ${mediaType}`);
    }
    return manifest;
  });
  if (manifest === undefined) return found;

  const config = attempt(manifest.config.digest, report, () => {
    const { configBytes, config } = image;
    const { digest, size, mediaType } = manifest.config;
    if (configBytes.length !== size) {
      report("size", digest, `the config has ${configBytes.length} bytes, the manifest says ${size}`);
    }
    if (mediaType !== MediaType.ociConfig && mediaType !== MediaType.dockerConfig) {
      report("mediaType", digest, `${mediaType} is not the type of a config`);
    }
    return config;
  });

  const diffIds = config?.rootfs.diff_ids;
  if (config !== undefined && diffIds !== undefined) {
    const { digest } = manifest.config;
    if (diffIds.length !== manifest.layers.length) {
      report("layers", digest, `the config has ${diffIds.length} diffIDs for ${manifest.layers.length} layers`);
    }
    const making = config.history?.filter((entry) => entry.empty_layer !== true).length;
    // A config need not have a history; docker's older tools wrote an empty one.
    if (making !== undefined && config.history?.length !== 0 && making !== diffIds.length) {
      report("history", digest, `the history tells of ${making} layers, there are ${diffIds.length}`);
    }
    const { platform } = image.descriptor;
    if (platform !== undefined && (platform.os !== config.os || platform.architecture !== config.architecture)) {
      const said = `${platform.os}/${platform.architecture}`;
      report("platform", digest, `the config is for ${config.os}/${config.architecture}, its descriptor says ${said}`);
    }
  }
  for (const [number, descriptor] of manifest.layers.entries()) {
    const path = image.blobPath(descriptor.digest);
    await checkLayer({ descriptor, path, diffId: diffIds?.[number] }, report, options);
  }
  return found;
}

type Report = (kind: MismatchKind, subject: Digest, message: string) => void;

function attempt<T>(subject: Digest, report: Report, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    report("unreadable", subject, messageOf(error));
    return undefined;
  }
}

async function checkLayer(
  layer: Pick<Layer, "descriptor" | "path"> & { readonly diffId: Digest | undefined },
  report: Report,
  { zstd }: ValidateOptions,
): Promise<void> {
  const { descriptor, path, diffId } = layer;
  const { digest, size, mediaType } = descriptor;
  const actual = statSync(path, { throwIfNoEntry: false })?.size;
  if (actual === undefined) {
    report("unreadable", digest, `the layer ${digest} is missing`);
    return;
  }
  if (actual !== size) report("size", digest, `the layer ${digest} has ${actual} bytes, the manifest says ${size}`);
  if (compressionOfLayer(descriptor) === undefined) {
    report("mediaType", digest, `${mediaType} is not the type of a layer`);
    return;
  }
  try {
    const outer = await hash(createReadStream(path, { highWaterMark: 1 << 20 }));
    if (outer !== digest) report("digest", digest, `the layer ${digest} has other bytes than its digest says`);
    if (diffId === undefined) return;
    const inner = compressionOfLayer(descriptor) === "none" ? outer : await hash(tarOf(layer, zstd));
    if (inner !== diffId) report("diffId", digest, `the layer ${digest} is a tar ${inner}, its config says ${diffId}`);
  } catch (error) {
    report("unreadable", digest, `the layer ${digest} cannot be read: ${messageOf(error)}`);
  }
}

async function hash(bytes: AsyncIterable<Uint8Array>): Promise<Digest> {
  const sum = createHash("sha256");
  for await (const chunk of bytes) sum.update(chunk);
  return `sha256:${sum.digest("hex")}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
