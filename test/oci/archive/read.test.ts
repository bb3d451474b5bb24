import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../../src/errors.ts";
import { writeLayoutFolder } from "../../../src/oci/archive/folder.ts";
import { planArchive } from "../../../src/oci/archive/plan.ts";
import { imageFromLayout, parseLayoutAddress } from "../../../src/oci/archive/read.ts";
import { digestOf, encodeJson, hexOf } from "../../../src/oci/digest.ts";
import type { Image } from "../../../src/oci/image.ts";
import { openStore } from "../../../src/oci/layout/store.ts";
import { parsePlatform } from "../../../src/oci/platform.ts";
import { parseReference } from "../../../src/oci/reference.ts";
import { type Descriptor, MediaType } from "../../../src/oci/types.ts";
import { validate } from "../../../src/oci/validate.ts";
import { available, has } from "../../support/command.ts";
import { sampleImage } from "../../support/sample-image.ts";
import { skopeo } from "../../support/tools.ts";
import { workspace } from "../../support/workspace.ts";

const test = suite("layout reader");
const folder = workspace("kbuild-layout");
const store = openStore(path.join(folder, "store"), { create: true });
const amd = await sampleImage(store, [{ files: { a: "amd64" } }]);
const arm = await sampleImage(store, [{ files: { a: "arm64" } }], { architecture: "arm64" });
const D = `sha256:${"a".repeat(64)}` as const;

function errorOf(action: () => unknown): KbuildError {
  try {
    action();
  } catch (error) {
    assert.instance(error, KbuildError, String(error));
    return error as KbuildError;
  }
  throw new Error("there was no error");
}

/** A layout with these images; `index` may then change index.json. */
let count = 0;
async function layout(images: readonly (readonly [Image, ...string[]])[]): Promise<string> {
  const target = path.join(folder, `layout${count++}`);
  const archived = images.map(([image, ...names]) => ({
    image,
    references: names.map((name) => parseReference(name)),
  }));
  await writeLayoutFolder(planArchive(archived), target);
  return target;
}

function put(target: string, value: object | string): Descriptor {
  const bytes = typeof value === "string" ? Buffer.from(value) : encodeJson(value);
  const digest = digestOf(bytes);
  fs.writeFileSync(path.join(target, "blobs/sha256", hexOf(digest)), bytes);
  return { mediaType: MediaType.ociIndex, digest, size: bytes.length };
}

function putIndex(target: string, ...manifests: object[]): void {
  fs.writeFileSync(path.join(target, "index.json"), encodeJson({ schemaVersion: 2, manifests }));
}

for (const [text, expected] of [
  ["oci-layout:///a/b", { folder: "/a/b" }],
  ["oci-layout://a", { folder: "a" }],
  ["oci-layout:///a/b:v1", { folder: "/a/b", tag: "v1" }],
  ["oci-layout:///a:1/b", { folder: "/a:1/b" }],
  ["oci-layout:///a:1/b:2", { folder: "/a:1/b", tag: "2" }],
  [`oci-layout:///a@${D}`, { folder: "/a", digest: D }],
  [`oci-layout:///a:v1@${D}`, { folder: "/a", tag: "v1", digest: D }],
  ["oci-layout:///a@b/c", { folder: "/a@b/c" }],
] as const) {
  test(`${text} is understood`, () => assert.equal(parseLayoutAddress(text), expected));
}

for (const text of ["oci-layout://", "oci-layout:///a:", "oci-layout://:v1", "oci-layout:///a@sha256:12"]) {
  test(`${text} is refused`, () => assert.is(errorOf(() => parseLayoutAddress(text)).code, "usage.layout"));
}

test("without a tag it is the only image, whatever its name", async () => {
  const target = await layout([[amd, "web-ping:v2", "other:1"]]);
  const image = imageFromLayout(`oci-layout://${target}`);
  assert.is(image.descriptor.digest, amd.descriptor.digest);
  assert.equal(await validate(image), []);
});

test("without a tag, of several it is the one with the tag latest", async () => {
  const target = await layout([
    [amd, "web-ping:v2"],
    [arm, "web-ping:latest"],
  ]);
  assert.is(imageFromLayout({ folder: target }).descriptor.digest, arm.descriptor.digest);
});

test("without a tag, of several without latest, the error tells the names", async () => {
  const target = await layout([
    [amd, "web-ping:v1"],
    [arm, "web-ping:v2"],
  ]);
  const error = errorOf(() => imageFromLayout({ folder: target }));
  assert.is(error.code, "build.layout");
  assert.match(error.message, "web-ping:v1, web-ping:v2");
});

test("the tag decides, and the digest more so", async () => {
  const target = await layout([
    [amd, "web-ping:v1"],
    [arm, "web-ping:v2"],
  ]);
  assert.is(imageFromLayout(`${target}:v1`).id, amd.id);
  assert.is(imageFromLayout(`${target}:v2`).id, arm.id);
  assert.is(imageFromLayout(`${target}:v2@${amd.descriptor.digest}`).id, amd.id);
  assert.match(errorOf(() => imageFromLayout(`${target}:v3`)).message, "no image with the tag v3");
  assert.match(errorOf(() => imageFromLayout(`${target}@${D}`)).message, "is missing");
  // A config's digest is no image's.
  assert.match(errorOf(() => imageFromLayout(`${target}@${amd.id}`)).message, "is no image");
});

test("of an index, also a nested one, it is the platform's image", async () => {
  const target = await layout([[amd], [arm]]);
  const entry = ({ descriptor }: Image, architecture: string): object => ({
    ...descriptor,
    platform: { os: "linux", architecture },
  });
  const index = put(target, {
    schemaVersion: 2,
    mediaType: MediaType.ociIndex,
    manifests: [entry(amd, "amd64"), entry(arm, "arm64")],
  });
  const outer = put(target, { schemaVersion: 2, mediaType: MediaType.ociIndex, manifests: [index] });
  for (const each of [index, outer]) {
    putIndex(target, each);
    assert.is(imageFromLayout({ folder: target }, parsePlatform("linux/arm64")).id, arm.id);
    assert.is(imageFromLayout({ folder: target }, parsePlatform("linux/amd64")).id, amd.id);
    const error = errorOf(() => imageFromLayout({ folder: target }, parsePlatform("linux/s390x")));
    assert.match(error.message, /no image for linux\/s390x .*linux\/amd64, linux\/arm64$/);
  }
});

if (available("skopeo", has("skopeo"))) {
  test("what skopeo wrote is read", async () => {
    const target = path.join(folder, "by-skopeo");
    await skopeo("copy", `oci:${await layout([[amd, "a:1"]])}:a:1`, `oci:${target}:v7`);
    const image = imageFromLayout(`oci-layout://${target}:v7`);
    assert.is(image.id, amd.id);
    assert.equal(await validate(image), []);
  });
}

test("indexes that never end are refused", async () => {
  const target = await layout([[amd]]);
  let inner = put(target, { schemaVersion: 2, manifests: [amd.descriptor] });
  for (let depth = 0; depth < 6; depth++) inner = put(target, { schemaVersion: 2, manifests: [inner] });
  putIndex(target, inner);
  assert.match(errorOf(() => imageFromLayout({ folder: target })).message, "nested too deeply");
});

for (const [what, spoil, reason] of [
  ["no folder", (at) => fs.rmSync(at, { recursive: true }), "does not exist"],
  ["no oci-layout file", (at) => fs.rmSync(`${at}/oci-layout`), "is not an OCI layout"],
  ["another version", (at) => fs.writeFileSync(`${at}/oci-layout`, '{"imageLayoutVersion":"2.0.0"}'), "version 1"],
  ["an oci-layout file that is no JSON", (at) => fs.writeFileSync(`${at}/oci-layout`, "x"), "version 1"],
  ["an oci-layout file that is null", (at) => fs.writeFileSync(`${at}/oci-layout`, "null"), "version 1"],
  ["no index.json", (at) => fs.rmSync(`${at}/index.json`), "index.json is missing"],
  [
    "an index.json that is a folder",
    (at) => {
      fs.rmSync(`${at}/index.json`);
      fs.mkdirSync(`${at}/index.json`);
    },
    "is not a file",
  ],
  [
    "an index.json of 5 MiB",
    (at) => fs.writeFileSync(`${at}/index.json`, Buffer.alloc(5 << 20, 32)),
    "at most 4194304",
  ],
  ["an empty index", (at) => putIndex(at), "has no image"],
  [
    "a media type that is none of an image",
    (at) => putIndex(at, { ...amd.descriptor, mediaType: "text/plain" }),
    "is no image",
  ],
  [
    "a digest that leads out of the folder",
    (at) => putIndex(at, { ...amd.descriptor, digest: "sha256:../../../etc/passwd" }),
    "no SHA-256 digest",
  ],
  ["a size below zero", (at) => putIndex(at, { ...amd.descriptor, size: -1 }), "has no size"],
  [
    "a manifest with other bytes",
    (at) => fs.appendFileSync(`${at}/blobs/sha256/${hexOf(amd.descriptor.digest)}`, " "),
    "other bytes",
  ],
  [
    "a manifest that is a fifo's place",
    (at) => fs.rmSync(`${at}/blobs/sha256/${hexOf(amd.descriptor.digest)}`),
    "is missing",
  ],
  ["a config with other bytes", (at) => fs.appendFileSync(`${at}/blobs/sha256/${hexOf(amd.id)}`, " "), "other bytes"],
  [
    "a manifest that is no JSON",
    (at) => putIndex(at, { ...put(at, "no"), mediaType: MediaType.ociManifest }),
    "it is not JSON",
  ],
  [
    "a manifest that is an index",
    (at) => putIndex(at, { ...put(at, { schemaVersion: 2, manifests: [] }), mediaType: MediaType.ociManifest }),
    "it is an index",
  ],
  [
    "a manifest with a layer that is no descriptor",
    (at) => putIndex(at, { ...put(at, { ...amd.manifest, layers: [1] }), mediaType: MediaType.ociManifest }),
    "layers[0]",
  ],
  [
    "a manifest with fewer layers than its config",
    (at) => putIndex(at, { ...put(at, { ...amd.manifest, layers: [] }), mediaType: MediaType.ociManifest }),
    "0 layers and its config 1",
  ],
] as const satisfies readonly (readonly [string, (at: string) => unknown, string])[]) {
  test(`a layout with ${what} is an error: ${reason}`, async () => {
    const target = await layout([[amd, "a:1"]]);
    spoil(target);
    const error = errorOf(() => {
      const image = imageFromLayout({ folder: target });
      return [image.manifest, image.config, image.layers];
    });
    assert.is(error.code, "build.layout");
    assert.is(error.exitStatus, 1);
    assert.match(error.message, reason);
  });
}

test.run();
