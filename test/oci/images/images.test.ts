import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../../src/errors.ts";
import { hexOf } from "../../../src/oci/digest.ts";
import type { Image } from "../../../src/oci/image.ts";
import { imageHistory } from "../../../src/oci/images/history.ts";
import { inspectImage } from "../../../src/oci/images/inspect.ts";
import { listImages } from "../../../src/oci/images/list.ts";
import { removeImage } from "../../../src/oci/images/remove.ts";
import { planSave } from "../../../src/oci/images/save.ts";
import { tagImage } from "../../../src/oci/images/tag.ts";
import { openStore, type Store } from "../../../src/oci/layout/store.ts";
import { parseReference } from "../../../src/oci/reference.ts";
import { sampleImage } from "../../support/sample-image.ts";
import { workspace } from "../../support/workspace.ts";

// What agrees with a real docker is tested in ../archive/archive.test.ts.
const test = suite("images");

async function filled(): Promise<{ store: Store; old: Image; young: Image }> {
  const store = openStore(path.join(workspace("kbuild-images"), "store"), { create: true });
  const old = await sampleImage(store, [{ files: { "a/b": "12345", c: "678" }, gzip: true }], {
    created: "2023-01-01T00:00:00Z",
  });
  const young = await sampleImage(store, [{ files: { d: "" } }, { files: { e: "1" } }], {
    created: "2025-01-01T01:00:00+01:00",
  });
  await store.tag([parseReference("web-ping:v1"), parseReference("ghcr.io/x/web-ping:v1")], old.descriptor);
  await store.tag([], young.descriptor);
  return { store, old, young };
}

async function errorOf(action: () => unknown): Promise<KbuildError> {
  try {
    await action();
  } catch (error) {
    assert.instance(error, KbuildError, String(error));
    return error as KbuildError;
  }
  throw new Error("there was no error");
}

test("images are listed newest first, each under each of its names", async () => {
  const { store, old, young } = await filled();
  const common = { imageId: old.id, digest: old.descriptor.digest, created: "2023-01-01T00:00:00Z", size: 8 };
  assert.equal(await listImages(store), [
    {
      repository: undefined,
      tag: undefined,
      imageId: young.id,
      digest: young.descriptor.digest,
      created: "2025-01-01T01:00:00+01:00",
      size: 1,
    },
    { repository: "web-ping", tag: "v1", ...common },
    { repository: "ghcr.io/x/web-ping", tag: "v1", ...common },
  ]);
  assert.equal(
    (await listImages(store, { dangling: true })).map(({ imageId }) => imageId),
    [young.id],
  );
  assert.equal((await listImages(store, { dangling: false })).length, 2);
  assert.equal(
    (await listImages(store, { reference: "w*" })).map(({ repository }) => repository),
    ["web-ping"],
  );
  assert.equal(await listImages(store, { reference: "x*" }), []);
});

test("a pulled image by digest has a repository and no tag", async () => {
  const { store, young } = await filled();
  await store.tag([parseReference(`node@${young.descriptor.digest}`)], young.descriptor);
  const [first] = await listImages(store);
  assert.is(first?.repository, "node");
  assert.is(first?.tag, undefined);
  const inspected = await inspectImage(store, `node@${young.descriptor.digest}`);
  assert.equal(inspected.RepoTags, []);
  assert.equal(inspected.RepoDigests, [`node@${young.descriptor.digest}`]);
});

test("sizes are asked from whoever knows them, else read once and kept", async () => {
  const { store, old } = await filled();
  const known = await listImages(store, { reference: "w*", contentSize: () => 77 });
  assert.is(known[0]?.size, 77);
  assert.is((await listImages(store, { reference: "w*" }))[0]?.size, 8);
  fs.rmSync(old.layers[0]?.path ?? "");
  assert.is((await listImages(store, { reference: "w*" }))[0]?.size, 8);
});

test("an image that is damaged hides no other", async () => {
  const { store, old, young } = await filled();
  fs.writeFileSync(old.blobPath(old.id), "{}");
  assert.equal(
    (await listImages(store)).map(({ imageId }) => imageId),
    [young.id],
  );
});

test("history is newest first, and sizes belong to instructions that made a layer", async () => {
  const { store } = await filled();
  const entries = await imageHistory(store, "web-ping:v1");
  assert.equal(
    entries.map(({ size, emptyLayer }) => [size, emptyLayer]),
    [
      [0, true],
      [8, false],
    ],
  );
  assert.is(entries[1]?.imageId, undefined);
});

test("what is not there is an error, for every command", async () => {
  const { store } = await filled();
  for (const action of [
    () => imageHistory(store, "nothing"),
    () => inspectImage(store, "nothing"),
    () => planSave(store, ["web-ping:v1", "nothing"]),
    () => tagImage(store, "nothing", "a"),
    () => removeImage(store, "nothing"),
  ]) {
    const error = await errorOf(action);
    assert.is(error.code, "build.noSuchImage");
    assert.is(error.message, "no such image: nothing");
    assert.is(error.exitStatus, 1);
  }
});

test("a further name can be given, but no digest", async () => {
  const { store, old } = await filled();
  await tagImage(store, old.id.slice(7, 19), "localhost:5000/web-ping");
  assert.is(store.resolve("localhost:5000/web-ping:latest")?.digest, old.descriptor.digest);
  assert.is((await errorOf(() => tagImage(store, "web-ping:v1", `a@${old.id}`))).code, "usage.reference");
});

test("removing takes names away, and with the last one the image", async () => {
  const { store, old, young } = await filled();
  assert.equal(await removeImage(store, "web-ping:v1"), [{ kind: "untagged", name: "web-ping:v1" }]);
  assert.equal(await removeImage(store, "ghcr.io/x/web-ping:v1"), [
    { kind: "untagged", name: "ghcr.io/x/web-ping:v1" },
    { kind: "deleted", imageId: old.id },
  ]);
  assert.equal(await removeImage(store, hexOf(young.id).slice(0, 12)), [{ kind: "deleted", imageId: young.id }]);
  assert.equal(store.list(), []);
  assert.ok(store.hasBlob(old.manifest.config), "blobs are for prune");
});

test("an ID with several names is removed only by force", async () => {
  const { store, old } = await filled();
  const error = await errorOf(() => removeImage(store, old.id));
  assert.is(error.code, "build.imageInUse");
  assert.match(error.message, "web-ping:v1, ghcr.io/x/web-ping:v1");
  assert.equal(await removeImage(store, old.id, { force: true }), [
    { kind: "untagged", name: "web-ping:v1" },
    { kind: "untagged", name: "ghcr.io/x/web-ping:v1" },
    { kind: "deleted", imageId: old.id },
  ]);
});

test("an image with a layer that is not whole is not saved", async () => {
  const { store, old } = await filled();
  fs.truncateSync(old.layers[0]?.path ?? "", 10);
  const error = await errorOf(() => planSave(store, ["web-ping:v1"]));
  assert.is(error.code, "machine.storeDamaged");
  assert.match(error.message, "is not whole");
});

test.run();
