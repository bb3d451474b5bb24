import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { checkStore, listStoredImages, prune, remove } from "../../../src/api.ts";
import { Bin } from "../../../src/executor/store/bin.ts";
import { holdStore } from "../../../src/oci/layout/in-use.ts";
import { takeLock } from "../../../src/oci/layout/lock.ts";
import { ownIdentity } from "../../../src/oci/layout/process.ts";
import { openStore } from "../../../src/oci/layout/store.ts";
import { age, filesBelow, keepStep, type SampleStore, sampleStore } from "./sample-store.ts";

const Prune = suite("prune");
const HOUR = 3_600_000;

/** Whether each step of the Dockerfile was in the cache. */
function cached(result: Awaited<ReturnType<SampleStore["build"]>>): boolean[] {
  return result.steps.filter((step) => /^\[.*\d\/\d\]/.test(step.name)).map((step) => step.cached);
}

function makeMount(store: SampleStore, name: string, used: number): void {
  fs.mkdirSync(store.at("cache-mounts", name, "data"), { recursive: true });
  fs.writeFileSync(store.at("cache-mounts", name, "data/file"), Buffer.alloc(100_000));
  fs.writeFileSync(store.at("cache-mounts", name, "info.json"), "{}");
  const then = new Date(Date.now() - used);
  fs.utimesSync(store.at("cache-mounts", name, "info.json"), then, then);
}

async function sound(store: SampleStore): Promise<void> {
  assert.equal((await checkStore({ root: store.root })).findings, []);
}

Prune("what an image came of stays, so that its next build is as fast; what no image has goes", async () => {
  const store = sampleStore();
  await store.build("first");
  await remove("sample:1", { root: store.root });
  const { digest } = await store.build("second");
  age(store.root, HOUR);
  const before = filesBelow(store.root).length;
  const report = await prune({ root: store.root });
  assert.ok(report.reclaimed > 0);
  assert.is(report.stuck, undefined);
  assert.ok(filesBelow(store.root).length < before);
  assert.ok(report.removed.some((one) => one.kind === "blob") && report.removed.some((one) => one.kind === "record"));
  await sound(store);
  const again = await store.build("second");
  assert.is(again.digest, digest);
  assert.ok(cached(again).includes(true));
});

Prune("with all, images alone stay, and build again to the same digest", async () => {
  const store = sampleStore();
  const { digest, layers } = await store.build();
  age(store.root, HOUR);
  await prune({ root: store.root, all: true });
  for (const folder of ["cache", "layers", "contexts"]) assert.equal(filesBelow(store.at(folder)), [], folder);
  assert.is(filesBelow(store.at("blobs")).length, layers.length + 2);
  await sound(store);
  assert.is((await listStoredImages({ root: store.root })).length, 1);
  assert.is((await store.build()).digest, digest);
});

Prune("without images nothing stays", async () => {
  const store = sampleStore();
  await store.build();
  await remove("sample:1", { root: store.root });
  age(store.root, HOUR);
  const { reclaimed, removed } = await prune({ root: store.root, all: true });
  for (const folder of ["blobs", "cache", "layers", "tmp"]) assert.equal(filesBelow(store.at(folder)), [], folder);
  assert.is(
    reclaimed,
    removed.reduce((sum, one) => sum + one.size, 0),
  );
});

Prune("what was used lately stays with an age, and what uses it", async () => {
  const store = sampleStore();
  await store.build("old");
  await remove("sample:1", { root: store.root });
  age(store.root, 48 * HOUR);
  await store.build("new");
  await remove("sample:1", { root: store.root });
  await prune({ root: store.root, all: true, unusedFor: 24 * HOUR });
  await sound(store);
  assert.ok(cached(await store.build("new")).every(Boolean));
  assert.not(cached(await store.build("old")).every(Boolean));
});

Prune("a size is kept: the least recently used goes first, and no more than is needed", async () => {
  const store = sampleOf(sampleStore());
  for (const [name, used] of [
    ["newest", 1],
    ["oldest", 3],
    ["middle", 2],
  ] as const)
    makeMount(store, name, used * HOUR);
  await prune({ root: store.root, keep: 250_000 });
  assert.equal(fs.readdirSync(store.at("cache-mounts")).sort(), ["middle", "newest"]);
  await prune({ root: store.root, keep: 250_000 });
  assert.equal(fs.readdirSync(store.at("cache-mounts")).sort(), ["middle", "newest"], "it is enough");
  await prune({ root: store.root, keep: 0 });
  assert.equal(fs.readdirSync(store.at("cache-mounts")), []);
});

Prune("a cache mount that a step has for itself stays", async () => {
  const store = sampleOf(sampleStore());
  makeMount(store, "held", HOUR);
  makeMount(store, "free", HOUR);
  const lock = await takeLock(store.at("locks/cache-mount-held"));
  try {
    await prune({ root: store.root });
  } finally {
    lock.release();
  }
  assert.equal(fs.readdirSync(store.at("cache-mounts")), ["held"]);
});

Prune("kinds can be chosen", async () => {
  const store = sampleStore();
  await store.build();
  age(store.root, HOUR);
  makeMount(store, "mount", HOUR);
  const { removed } = await prune({ root: store.root, all: true, kinds: ["cacheMount"] });
  assert.equal(
    removed.map(({ kind, subject }) => [kind, subject]),
    [["cacheMount", "cache-mounts/mount"]],
  );
});

Prune("what a running build has used since it began stays; once it has ended, it goes", async () => {
  const store = sampleStore();
  const { digest } = await store.build();
  await remove("sample:1", { root: store.root });
  age(store.root, HOUR);
  makeMount(store, "unused", HOUR);
  const running = holdStore(openStore(store.root, { create: false }));
  // It looks everything up, as a build of which all is cached does.
  assert.is((await store.build()).digest, digest);
  await remove("sample:1", { root: store.root });
  await prune({ root: store.root, all: true });
  await sound(store);
  assert.ok(cached(await store.build()).every(Boolean));
  assert.equal(fs.readdirSync(store.at("cache-mounts")), [], "what it has not used goes");
  running.release();
  await new Promise((resolve) => setTimeout(resolve, 50));
  await remove("sample:1", { root: store.root });
  await prune({ root: store.root, all: true });
  assert.equal(filesBelow(store.at("blobs")), []);
});

Prune("builds and prunes side by side do not disturb each other", async () => {
  const store = sampleStore();
  const { digest } = await store.build();
  let isDone = false;
  const pruning = (async () => {
    for (let round = 0; !isDone; round += 1) {
      await prune({ root: store.root, all: true });
      if (round % 3 === 0) await remove("sample:1", { root: store.root, force: true }).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  try {
    for (let round = 0; round < 12; round += 1) assert.is((await store.build()).digest, digest);
  } finally {
    isDone = true;
    await pruning;
  }
  await sound(store);
});

Prune("what killed processes left behind goes, what the living have stays", async () => {
  const store = sampleStore();
  await store.build();
  const { place, pid, started } = ownIdentity();
  fs.mkdirSync(store.at("tmp", `${place}-4194304-1-x/deep`), { recursive: true });
  fs.mkdirSync(store.at("tmp", `${place}-${pid}-${started}-x`));
  const { removed } = await prune({ root: store.root });
  assert.equal(removed.filter((one) => one.kind === "leftover").length, 1);
  assert.equal(fs.readdirSync(store.at("tmp")), [`${place}-${pid}-${started}-x`]);
});

Prune("a failed step keeps the layers that it ran on, until it goes itself", async () => {
  const store = sampleStore();
  const { layers } = await store.build();
  await remove("sample:1", { root: store.root });
  const [{ digest, size } = { digest: "", size: 0 }] = layers;
  keepStep(store, digest.slice("sha256:".length), size);
  age(store.root, HOUR);
  const then = new Date();
  fs.utimesSync(store.at("failed/failed-1/step.json"), then, then);
  await prune({ root: store.root, all: true, unusedFor: HOUR / 2 });
  assert.equal(filesBelow(store.at("blobs/sha256")), [digest.slice("sha256:".length)]);
  await sound(store);
  age(store.root, HOUR);
  const { removed } = await prune({ root: store.root });
  assert.ok(removed.some((one) => one.kind === "failedStep" && one.size >= 10_000));
  assert.equal([filesBelow(store.at("blobs")), filesBelow(store.at("failed"))], [[], []]);
});

Prune("a store that is not there is empty", async () => {
  assert.equal(await prune({ root: path.join(sampleStore().root, "nowhere") }), { removed: [], reclaimed: 0 });
});

Prune("a store whose index.json is damaged is left alone: nothing tells what images need", async () => {
  const store = sampleStore();
  await store.build();
  age(store.root, HOUR);
  fs.writeFileSync(store.at("index.json"), "{");
  const before = filesBelow(store.at("blobs"));
  await prune({ root: store.root, all: true }).then(
    () => assert.unreachable(),
    (error: { code: string }) => assert.is(error.code, "machine.storeDamaged"),
  );
  assert.equal(filesBelow(store.at("blobs")), before);
});

Prune("what is wanted after all is put back, unless there is something new in its place", () => {
  const { root, at } = sampleOf(sampleStore());
  const bin = new Bin(openStore(root, { create: false }));
  fs.writeFileSync(at("cache/file"), "old");
  fs.mkdirSync(at("layers/folder"));
  fs.writeFileSync(at("layers/folder/index"), "old");
  for (const name of ["cache/file", "layers/folder"]) {
    assert.is(
      bin.take(at(name), () => true),
      undefined,
    );
    assert.ok(fs.existsSync(at(name)));
  }
  const replaced = bin.take(at("cache/file"), () => {
    fs.writeFileSync(at("cache/file"), "new");
    return true;
  });
  assert.ok(replaced !== undefined);
  assert.is(fs.readFileSync(at("cache/file"), "utf8"), "new");
  assert.ok(bin.take(at("layers/folder")) !== undefined);
  assert.is(bin.take(at("layers/folder")), undefined);
  assert.equal(fs.readdirSync(at("tmp")), []);
});

/** The same store, made but empty. */
function sampleOf(store: SampleStore): SampleStore {
  openStore(store.root, { create: true });
  return store;
}

Prune.run();
