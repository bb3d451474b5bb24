import { rmSync } from "node:fs";
import { relative } from "node:path";
import { KbuildError } from "../../errors.ts";
import { type Entry, EntryType, encodeEntries } from "../../layers/entry-table.ts";
import type { CompressionKind } from "../../native/protocol.ts";
import { writeLayoutFolder } from "../../oci/archive/folder.ts";
import { type ArchivedImage, type ArchivedIndex, type ArchiveMember, planArchive } from "../../oci/archive/plan.ts";
import { type Image, type Layer, type ReplacedLayer, withLayers } from "../../oci/image.ts";
import type { Reference } from "../../oci/reference.ts";
import { type Descriptor, type Digest, MediaType, type Platform } from "../../oci/types.ts";
import { type Annotations, descriptorAnnotations } from "../annotations.ts";
import type { StepReporter } from "../emitter.ts";
import { writeIndex } from "../image.ts";
import { compressionOf } from "../layer-pool.ts";
import type { CompressionName, OutputOptions } from "../options.ts";
import type { Tools } from "../tools.ts";
import { writeDestination } from "./destination.ts";

type ArchiveOptions = Extract<OutputOptions, { readonly type: "docker" | "oci" }>;

/** An image and what it is for. */
interface PlacedImage {
  readonly platform: Platform;
  readonly image: Image;
}

/** What an archive has: the images as they are in it, and the descriptor of the one or of their index. */
export interface ExportedArchive {
  readonly descriptor: Descriptor;
  readonly images: readonly PlacedImage[];
}

/** Writes an image, or an index of several, as one archive for docker and for OCI tools, or as a layout folder. */
export async function exportArchive(
  tools: Tools,
  stored: readonly PlacedImage[],
  references: readonly Reference[],
  annotations: Annotations,
  options: ArchiveOptions,
  reporter: StepReporter,
): Promise<ExportedArchive> {
  const images: PlacedImage[] = [];
  for (const { platform, image } of stored) {
    images.push({ platform, image: await compressed(tools, image, options, reporter) });
  }
  const { descriptor, planned } = archived(tools, images, references, annotations);
  const members = planArchive([planned]);
  if (options.tar === false) await writeLayoutFolder(members, options.dest);
  else await writeDestination(tools, options.dest, (output) => packArchive(tools, members, output, reporter));
  return { descriptor, images };
}

function archived(
  tools: Tools,
  images: readonly PlacedImage[],
  references: readonly Reference[],
  annotations: Annotations,
): { readonly descriptor: Descriptor; readonly planned: ArchivedImage | ArchivedIndex } {
  const [first] = images;
  if (first === undefined) throw new TypeError("an archive without an image");
  if (images.length > 1) {
    const { descriptor, bytes } = writeIndex(tools.store, images, annotations);
    return {
      descriptor,
      planned: { index: { descriptor, bytes }, images: images.map(({ image }) => image), references },
    };
  }
  const { image, platform } = first;
  const marks = descriptorAnnotations(annotations, "manifest-descriptor", platform);
  return { descriptor: image.descriptor, planned: { image, references, annotations: marks } };
}

/** Large files are copied by the core inside of the kernel. */
async function packArchive(
  tools: Tools,
  members: readonly ArchiveMember[],
  output: Parameters<Tools["native"]["pack"]>[0]["output"],
  reporter: StepReporter,
): Promise<void> {
  const { store } = tools;
  const total = members.reduce((sum, member) => sum + member.size, 0);
  const part = "sending tarball";
  await tools.native.pack(
    {
      output,
      compression: { kind: "none", level: 0 },
      roots: [store.root],
      blobs: [],
      purpose: "archive",
      temporary: store.temporaryFolder,
    },
    encodeEntries(members.map((member) => memberEntry(member, store.root))),
    {
      signal: tools.signal,
      progress: (bytes) =>
        reporter.progress({ part, done: Math.min(bytes, total), total, unit: "bytes", finished: false }),
    },
  );
  reporter.progress({ part, done: total, total, unit: "bytes", finished: true });
}

function memberEntry(member: ArchiveMember, root: string): Entry {
  return {
    path: member.name,
    type: EntryType.file,
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: member.size,
    mtime: { seconds: 0, nanoseconds: 0 },
    link: "",
    xattrs: [],
    digest: undefined,
    inodeGroup: 0,
    source:
      "bytes" in member
        ? { kind: "inline", bytes: member.bytes }
        : { kind: "file", root: 0, path: relative(root, member.path) },
  };
}

/** The level when none is asked for: each format's own default. */
const DEFAULT_LEVEL = { gzip: 6, zstd: 3 } as const;
const LEVELS = { gzip: [1, 9], zstd: [1, 22] } as const;

/**
 * The image with those of its layers compressed that are not yet. Layers that came compressed with a base stay as they
 * came, as docker has it without `force-compression`.
 */
async function compressed(tools: Tools, image: Image, options: ArchiveOptions, reporter: StepReporter): Promise<Image> {
  const { compression, compressionLevel } = options;
  if (compression === undefined || compression === "uncompressed") return image;
  const level = checkLevel(compression, compressionLevel);
  const layers: ReplacedLayer[] = [];
  for (const layer of image.layers) layers.push(await compressedLayer(tools, layer, compression, level, reporter));
  return withLayers(image, layers);
}

/** @throws KbuildError `usage.compressionLevel` */
export function checkLevel(compression: Exclude<CompressionName, "uncompressed">, level: number | undefined): number {
  if (level === undefined) return DEFAULT_LEVEL[compression];
  const [lowest, highest] = LEVELS[compression];
  if (Number.isInteger(level) && level >= lowest && level <= highest) return level;
  throw new KbuildError("usage.compressionLevel", `${compression} has no compression level ${level}`, {
    hint: `its levels go from ${lowest} to ${highest}`,
  });
}

async function compressedLayer(
  tools: Tools,
  layer: Layer,
  kind: Exclude<CompressionKind, "none">,
  level: number,
  reporter: StepReporter,
): Promise<ReplacedLayer> {
  if (compressionOf(layer.descriptor) !== "none") return layer;
  const { store, cache } = tools;
  const key = `${kind}-${level}`;
  const known = cache.compressed(layer.diffId, key);
  if (known !== undefined) return { descriptor: known, path: store.blobPath(known.digest) };
  const output = store.temporaryPath();
  try {
    const part = `compressing ${layer.diffId}`;
    const total = layer.descriptor.size;
    const reply = await tools.native.recompress(
      { input: { path: layer.path, compression: "none" }, output, compression: { kind, level } },
      {
        signal: tools.signal,
        progress: (bytes) =>
          reporter.progress({ part, done: Math.min(bytes, total), total, unit: "bytes", finished: false }),
      },
    );
    reporter.progress({ part, done: total, total, unit: "bytes", finished: true });
    const mediaType = kind === "gzip" ? MediaType.ociLayerGzip : MediaType.ociLayerZstd;
    const descriptor = { mediaType, digest: reply.digest as Digest, size: reply.size };
    store.adoptBlob(output, descriptor.digest, descriptor.size);
    cache.putCompressed(layer.diffId, key, descriptor);
    return { descriptor, path: store.blobPath(descriptor.digest) };
  } finally {
    rmSync(output, { force: true });
  }
}
