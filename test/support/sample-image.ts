import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { digestOf, encodeJson } from "../../src/oci/digest.ts";
import { type Image, imageFromStore } from "../../src/oci/image.ts";
import type { Store } from "../../src/oci/layout/store.ts";
import { type Descriptor, type DiffId, type ImageConfig, MediaType } from "../../src/oci/types.ts";

export interface SampleLayer {
  readonly files: Readonly<Record<string, string | Uint8Array>>;
  readonly gzip?: boolean;
  readonly createdBy?: string;
}

/** A tar with these files, owner 0:0, mode 0755 where the name begins with `bin/`. */
export async function tarOf(files: SampleLayer["files"]): Promise<Buffer> {
  const archive = pack();
  const folders = new Set<string>();
  for (const [name, content] of Object.entries(files)) {
    const parts = name.split("/").slice(0, -1);
    for (let depth = 1; depth <= parts.length; depth++) {
      const folder = parts.slice(0, depth).join("/");
      if (!folders.has(folder)) archive.entry({ name: `${folder}/`, type: "directory", mtime: new Date(0) });
      folders.add(folder);
    }
    const mode = name.startsWith("bin/") ? 0o755 : 0o644;
    archive.entry({ name, mode, mtime: new Date(1_000_000_000_000) }, Buffer.from(content));
  }
  archive.finalize();
  const parts: Buffer[] = [];
  for await (const part of archive) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** Puts an image into the store, without a name. */
export async function sampleImage(
  store: Store,
  layers: readonly SampleLayer[],
  config: Partial<ImageConfig> = {},
): Promise<Image> {
  const diffIds: DiffId[] = [];
  const descriptors: Descriptor[] = [];
  for (const { files, gzip } of layers) {
    const tar = await tarOf(files);
    diffIds.push(digestOf(tar));
    descriptors.push(
      gzip
        ? store.writeBlob(gzipSync(tar, { level: 6 }), MediaType.ociLayerGzip)
        : store.writeBlob(tar, MediaType.ociLayer),
    );
  }
  const created = "2024-05-06T07:08:09Z";
  const history = layers.map(({ createdBy }, number) => ({
    created,
    created_by: createdBy ?? `COPY ${number} / # buildkit`,
    comment: "buildkit.dockerfile.v0",
  }));
  const value: ImageConfig = {
    created,
    architecture: "amd64",
    os: "linux",
    config: { Env: ["PATH=/bin", "TARGET=blog.sixeyed.com"], Cmd: ["/bin/hello"], WorkingDir: "/web-ping" },
    rootfs: { type: "layers", diff_ids: diffIds },
    history: [
      ...history,
      { created, created_by: 'CMD ["/bin/hello"]', comment: "buildkit.dockerfile.v0", empty_layer: true },
    ],
    ...config,
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    config: store.writeBlob(encodeJson(value), MediaType.ociConfig),
    layers: descriptors,
  };
  return imageFromStore(store, store.writeBlob(encodeJson(manifest), MediaType.ociManifest));
}
