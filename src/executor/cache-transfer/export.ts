import { KbuildError } from "../../errors.ts";
import { writeLayoutFolder } from "../../oci/archive/folder.ts";
import type { ArchiveMember } from "../../oci/archive/plan.ts";
import { digestOf, encodeJson, hexOf } from "../../oci/digest.ts";
import { RefNameAnnotation } from "../../oci/layout/names.ts";
import { type Descriptor, type Digest, type ImageIndex, type Manifest, MediaType } from "../../oci/types.ts";
import type { Emitter } from "../emitter.ts";
import type { CacheTarget } from "../options.ts";
import type { LayerReference } from "../state.ts";
import type { Tools } from "../tools.ts";
import { CACHE_CONFIG, cacheDocument, recordsOf } from "./format.ts";

/**
 * Writes a build's cache where it is asked for. `ignoreErrors` makes a failure a warning.
 * @throws KbuildError `machine.*`, `build.layout`
 */
export async function exportCaches(
  tools: Tools,
  emitter: Emitter,
  targets: readonly CacheTarget[],
  layers: readonly LayerReference[],
): Promise<void> {
  for (const target of targets) {
    if (target.type === "inline") continue;
    await emitter.run({ name: "exporting cache to client directory", kind: "export" }, async () => {
      try {
        await exportLocal(tools, target, layers);
      } catch (error) {
        if (!target.ignoreErrors || !(error instanceof KbuildError) || error.code === "interrupted") throw error;
        emitter.warn("CacheExport", `the cache is not written to ${target.dest}: ${error.message}`);
      }
    });
  }
}

/** An OCI layout folder. What is in it already stays, but for what has the same tag. */
async function exportLocal(
  tools: Tools,
  { dest, mode = "min", tag = "latest" }: Extract<CacheTarget, { type: "local" }>,
  layers: readonly LayerReference[],
): Promise<void> {
  const { store } = tools;
  const records = recordsOf(tools, mode, layers);
  const blobs = new Map<Digest, Descriptor>();
  for (const { layer } of records.values()) if (layer !== undefined) blobs.set(layer.blob.digest, layer.blob);
  const list = encodeJson(cacheDocument(records));
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    config: { mediaType: CACHE_CONFIG, digest: digestOf(list), size: list.length },
    layers: [...blobs.values()],
  };
  const bytes = encodeJson(manifest);
  const descriptor = { mediaType: MediaType.ociManifest, digest: digestOf(bytes), size: bytes.length };
  const index: ImageIndex = {
    schemaVersion: 2,
    mediaType: MediaType.ociIndex,
    manifests: [{ ...descriptor, annotations: { [RefNameAnnotation]: tag } }],
  };
  const members: ArchiveMember[] = [
    inline("oci-layout", encodeJson({ imageLayoutVersion: "1.0.0" })),
    inline("index.json", encodeJson(index)),
    inline(blobName(descriptor.digest), bytes),
    inline(blobName(manifest.config.digest), list),
    ...[...blobs.values()].map(({ digest, size }) => ({
      name: blobName(digest),
      size,
      path: store.blobPath(digest),
    })),
  ];
  await writeLayoutFolder(members, dest, (there, added) => ({
    ...there,
    manifests: [
      ...there.manifests.filter((entry) => entry.annotations?.[RefNameAnnotation] !== tag),
      ...added.manifests,
    ],
  }));
}

function inline(name: string, bytes: Uint8Array): ArchiveMember {
  return { name, size: bytes.length, bytes };
}

function blobName(digest: Digest): string {
  return `blobs/sha256/${hexOf(digest)}`;
}
