import * as fs from "node:fs";
import * as path from "node:path";
import { gzipSync } from "node:zlib";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { digestOf, encodeJson } from "../../src/oci/digest.ts";
import { type Image, imageFromStore } from "../../src/oci/image.ts";
import { openStore, type Store } from "../../src/oci/layout/store.ts";
import { type ImageConfig, type Manifest, MediaType } from "../../src/oci/types.ts";
import { validate } from "../../src/oci/validate.ts";
import { sampleImage } from "../support/sample-image.ts";
import { workspace } from "../support/workspace.ts";

const test = suite("validate");

function newStore(): Store {
  return openStore(path.join(workspace("kbuild-validate"), "store"), { create: true });
}

/** The image with its config and manifest changed, all digests made right again. */
function changed(
  store: Store,
  image: Image,
  change: { config?: (config: ImageConfig) => object; manifest?: (manifest: Manifest) => object },
): Image {
  const config = store.writeBlob(encodeJson(change.config?.(image.config) ?? image.config), MediaType.ociConfig);
  const manifest = { ...image.manifest, config };
  const bytes = encodeJson(change.manifest?.(manifest) ?? manifest);
  return imageFromStore(store, store.writeBlob(bytes, MediaType.ociManifest));
}

const kinds = async (image: Image): Promise<string[]> => (await validate(image)).map(({ kind }) => kind);

test("nothing is wrong with an image that is right, compressed or not", async () => {
  const store = newStore();
  assert.equal(await validate(await sampleImage(store, [])), []);
  const files = { "a/b": "c", d: Buffer.alloc(3_000_000, 7) };
  assert.equal(await validate(await sampleImage(store, [{ files }, { files, gzip: true }])), []);
});

for (const [what, spoil, expected] of [
  ["a layer that is missing", (image) => fs.rmSync(image.layers[0]?.path ?? ""), ["unreadable"]],
  [
    "a layer with a byte more",
    (image) => fs.appendFileSync(image.layers[0]?.path ?? "", "x"),
    ["size", "digest", "diffId"],
  ],
  ["a layer with another byte", (image) => flip(image.layers[0]?.path ?? "", 600), ["digest", "diffId"]],
  ["a gzip layer with another byte", (image) => flip(image.layers[1]?.path ?? "", 30), ["digest", "unreadable"]],
  ["two layers missing", (image) => removeAll(image.layers.map(({ path }) => path)), ["unreadable", "unreadable"]],
  ["a config that is missing", (image) => fs.rmSync(image.blobPath(image.id)), ["unreadable"]],
  ["a manifest that is missing", (image) => fs.rmSync(image.blobPath(image.descriptor.digest)), ["unreadable"]],
] as const satisfies readonly (readonly [string, (image: Image) => unknown, readonly string[]])[]) {
  test(`${what}: ${expected.join(", ")}`, async () => {
    const store = newStore();
    const made = await sampleImage(store, [{ files: { a: "1" } }, { files: { b: "x".repeat(500) }, gzip: true }]);
    const { descriptor } = made;
    spoil(made);
    assert.equal(await kinds(imageFromStore(store, descriptor)), expected);
  });
}

function removeAll(files: readonly string[]): void {
  for (const file of files) fs.rmSync(file);
}

function flip(file: string, at: number): void {
  const bytes = fs.readFileSync(file);
  bytes[at] = (bytes[at] ?? 0) ^ 0x55;
  fs.writeFileSync(file, bytes);
}

const otherDiffId = digestOf(Buffer.from("another tar"));
for (const [what, change, expected] of [
  ["another diffID", { config: (c) => ({ ...c, rootfs: { type: "layers", diff_ids: [otherDiffId] } }) }, ["diffId"]],
  [
    "one diffID too many",
    { config: (c) => ({ ...c, rootfs: { type: "layers", diff_ids: [...c.rootfs.diff_ids, otherDiffId] } }) },
    ["layers", "history"],
  ],
  ["a history of too many layers", { config: (c) => ({ ...c, history: [...(c.history ?? []), {}] }) }, ["history"]],
  ["no history at all", { config: ({ history: _, ...c }) => c }, []],
  ["an empty history", { config: (c) => ({ ...c, history: [] }) }, []],
  ["a config without a system", { config: ({ os: _, ...c }) => c }, ["unreadable"]],
  ["a wrong size of the config", { manifest: (m) => ({ ...m, config: { ...m.config, size: 1 } }) }, ["size"]],
  [
    "a wrong size of a layer",
    { manifest: (m) => ({ ...m, layers: m.layers.map((l) => ({ ...l, size: l.size + 1 })) }) },
    ["size"],
  ],
  [
    "a wrong type of the config",
    { manifest: (m) => ({ ...m, config: { ...m.config, mediaType: "text/plain" } }) },
    ["mediaType"],
  ],
  [
    "a wrong type of a layer",
    { manifest: (m) => ({ ...m, layers: m.layers.map((l) => ({ ...l, mediaType: "text/plain" })) }) },
    ["mediaType"],
  ],
  [
    "a tar that is said to be gzip",
    { manifest: (m) => ({ ...m, layers: m.layers.map((l) => ({ ...l, mediaType: MediaType.ociLayerGzip })) }) },
    ["unreadable"],
  ],
  [
    "another type in the manifest than in its descriptor",
    { manifest: (m) => ({ ...m, mediaType: MediaType.dockerManifest }) },
    ["mediaType"],
  ],
] as const satisfies readonly (readonly [string, Parameters<typeof changed>[2], readonly string[]])[]) {
  test(`${what}: ${expected.join(", ") || "nothing"}`, async () => {
    const store = newStore();
    const image = changed(store, await sampleImage(store, [{ files: { a: "1" } }]), change);
    assert.equal(await kinds(image), expected);
  });
}

test("another platform than the descriptor's", async () => {
  const store = newStore();
  const { descriptor } = await sampleImage(store, []);
  const platform = { os: "linux", architecture: "arm64" };
  assert.equal(await kinds(imageFromStore(store, { ...descriptor, platform })), ["platform"]);
});

test("a layer that grows beyond all measure is not decompressed to its end", async () => {
  const store = newStore();
  const image = await sampleImage(store, [{ files: { a: "1" } }]);
  // gzip alone does not reach 1,000 times; an empty stored file in front of it makes the size small enough to.
  const bomb = store.writeBlob(gzipSync(Buffer.alloc(80 << 20, "x"), { level: 9 }), MediaType.ociLayerGzip);
  const layers = [{ ...bomb, size: 1 }];
  const [size, found] = await validate(changed(store, image, { manifest: (m) => ({ ...m, layers }) }));
  assert.is(size?.kind, "size");
  assert.match(found?.message ?? "", "more than 67108864 bytes");
});

test.run();
