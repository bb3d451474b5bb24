import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { checkStore } from "../../../src/api.ts";
import { keepStep, type SampleStore, sampleStore } from "./sample-store.ts";

const Check = suite("check of the store");

const DEAD = "0.0-1-1-left";

function damage(report: Awaited<ReturnType<typeof checkStore>>): string[] {
  return report.findings.filter((one) => one.severity === "damage").map(({ kind, subject }) => `${kind} ${subject}`);
}

/** Digits of the layer that has `file`, and of the image's manifest and config. */
interface Names {
  readonly layer: string;
  readonly manifest: string;
  readonly config: string;
}

function firstRecord(store: SampleStore, kind: string): string {
  const folder = store.at("cache", kind);
  const [prefix = ""] = fs.readdirSync(folder).sort();
  const [name = ""] = fs.readdirSync(path.join(folder, prefix));
  return path.join("cache", kind, prefix, name);
}

Check("a store in which images were built is sound, however often", async () => {
  const store = sampleStore();
  await store.build();
  await store.build("another");
  await store.build("another");
  const report = await checkStore({ root: store.root });
  assert.equal(report.findings, []);
  assert.is(report.checked.images, 2);
  assert.ok(report.checked.blobs >= 8 && report.checked.records >= 8 && report.checked.layers >= 4);
  assert.ok(report.checked.bytes > 4 * 1024);
  assert.equal(fs.readdirSync(store.at("tmp")), [], "it leaves nothing");
});

Check("a store that is not there is sound", async () => {
  const { findings, checked } = await checkStore({ root: path.join(sampleStore().root, "nowhere") });
  assert.equal(findings, []);
  assert.equal(checked, { images: 0, blobs: 0, bytes: 0, records: 0, layers: 0 });
});

const layerBlob = ({ layer }: Names) => path.join("blobs/sha256", layer);
const index = ({ layer }: Names) => path.join("layers", layer, "index");

/** What is done to a store, and what of it has to be found. An image that lost a part is named by its own name. */
const DAMAGES: readonly (readonly [string, (store: SampleStore, names: Names) => void, readonly RegExp[]])[] = [
  [
    "a byte of a layer is another",
    (store, names) => flip(store.at(layerBlob(names)), 600),
    [/^blob blobs\/sha256\/LAYER$/, /^image sample:1$/, /^record cache\/content\//, /^record cache\/steps\//],
  ],
  [
    "a layer is cut short",
    (store, names) => fs.truncateSync(store.at(layerBlob(names)), 100),
    [/^blob blobs\/sha256\/LAYER$/, /^image sample:1$/, /^record cache\/content\//, /^record cache\/steps\//],
  ],
  [
    "a layer is gone",
    (store, names) => fs.rmSync(store.at(layerBlob(names))),
    [/^image sample:1$/, /^record cache\/content\//, /^record cache\/steps\//],
  ],
  [
    "a byte of the manifest is another",
    (store, { manifest }) => flip(store.at("blobs/sha256", manifest), 20),
    [/^blob blobs\/sha256\/MANIFEST$/, /^image sample:1$/, /^record cache\/images\//],
  ],
  [
    "the config is gone",
    (store, { config }) => fs.rmSync(store.at("blobs/sha256", config)),
    [/^image sample:1$/, /^record cache\/images\//],
  ],
  [
    "a blob has no digest for a name",
    (store) => fs.writeFileSync(store.at("blobs/sha256/x"), ""),
    [/^blob blobs\/sha256\/x$/],
  ],
  [
    "a record is no JSON",
    (store) => fs.writeFileSync(store.at(firstRecord(store, "places")), "{"),
    [/^record cache\/places\//],
  ],
  [
    "a record is empty",
    (store) => fs.writeFileSync(store.at(firstRecord(store, "steps")), ""),
    [/^record cache\/steps\//],
  ],
  [
    "a record has another shape",
    (store) => fs.writeFileSync(store.at(firstRecord(store, "content")), '{"diffId":1}'),
    [/^record cache\/content\//],
  ],
  [
    "an index is cut short",
    (store, names) => fs.truncateSync(store.at(index(names)), 40),
    [/^layer layers\/LAYER\/index$/],
  ],
  ["an index is empty", (store, names) => fs.truncateSync(store.at(index(names)), 0), [/^layer layers\/LAYER\/index$/]],
  [
    "an index tells of another mode",
    (store, names) => flip(store.at(index(names)), 32 + 28),
    [/^layer layers\/LAYER\/index$/],
  ],
  [
    "an index is that of another layer",
    (store, names) => {
      const [other = ""] = fs.readdirSync(store.at("layers")).filter((name) => name !== names.layer);
      fs.copyFileSync(store.at("layers", other, "index"), store.at(index(names)));
    },
    [/^layer layers\/LAYER\/index$/],
  ],
  [
    "something strange lies beside an index",
    (store, { layer }) => fs.writeFileSync(store.at("layers", layer, "tree-x"), ""),
    [/^layer layers\/LAYER\/tree-x$/],
  ],
  [
    "an unpacked tree is no folder",
    (store, { layer }) => fs.writeFileSync(store.at("layers", layer, "tree-userns-0123abcd"), ""),
    [/^layer layers\/LAYER\/tree-userns-0123abcd$/],
  ],
  ["a layer has no digest for a name", (store) => fs.mkdirSync(store.at("layers/x")), [/^layer layers\/x$/]],
  [
    "a cache mount does not tell what it is",
    (store) => fs.mkdirSync(store.at("cache-mounts/key/data"), { recursive: true }),
    [/^cacheMount cache-mounts\/key$/],
  ],
  [
    "a failed step's record is no JSON",
    (store) => {
      fs.mkdirSync(store.at("failed/failed-1/tree"), { recursive: true });
      fs.writeFileSync(store.at("failed/failed-1/step.json"), "{");
    },
    [/^failedStep failed\/failed-1$/],
  ],
  ["a layer of a failed step is gone", (store) => keepStep(store, "0".repeat(64)), [/^failedStep failed\/failed-1$/]],
  ["index.json is no JSON", (store) => fs.writeFileSync(store.at("index.json"), "{"), [/^index index\.json$/]],
];

for (const [what, harm, expected] of DAMAGES) {
  Check(`${what}: it is found, and once repaired the next build makes the same image`, async () => {
    const store = sampleStore();
    const built = await store.build();
    const names = {
      // The layer of `COPY file`, whose blob is not compressed.
      layer: (built.layers[1]?.digest ?? "").slice("sha256:".length),
      manifest: built.digest.slice("sha256:".length),
      config: built.imageId.slice("sha256:".length),
    };
    harm(store, names);
    const found = damage(await checkStore({ root: store.root })).sort();
    const patterns = expected.map(
      ({ source }) => new RegExp(source.replace("LAYER", names.layer).replace("MANIFEST", names.manifest)),
    );
    assert.is(found.length, patterns.length, found.join("\n"));
    for (const [number, pattern] of patterns.entries()) assert.match(found[number] ?? "", pattern);

    const repaired = await checkStore({ root: store.root, repair: true });
    assert.equal(damage(repaired).sort(), found, "the same is found again");
    assert.ok(repaired.findings.every((one) => one.repaired));
    assert.equal((await checkStore({ root: store.root })).findings, []);
    assert.is((await store.build()).digest, built.digest);
    assert.equal((await checkStore({ root: store.root })).findings, []);
  });
}

Check("what killed processes left behind is told of, and is no damage", async () => {
  const store = sampleStore();
  await store.build();
  const left = store.at("tmp", DEAD);
  fs.mkdirSync(path.join(left, "deep"), { recursive: true });
  const before = new Date(Date.now() - 48 * 3_600_000);
  fs.utimesSync(left, before, before);
  assert.equal(
    (await checkStore({ root: store.root })).findings,
    [],
    "it is of another machine, and young: its ctime is",
  );
  const { place } = await import("../../../src/oci/layout/process.ts").then(({ ownIdentity }) => ownIdentity());
  const dead = `${place}-4194304-1-x`;
  fs.mkdirSync(store.at("tmp", dead, "deep"), { recursive: true });
  const report = await checkStore({ root: store.root });
  assert.equal(
    report.findings.map(({ severity, subject }) => [severity, subject]),
    [["leftover", `tmp/${dead}`]],
  );
  await checkStore({ root: store.root, repair: true });
  assert.equal(fs.readdirSync(store.at("tmp")), [DEAD]);
});

Check("it stops when it is told to", async () => {
  const store = sampleStore();
  await store.build();
  const stopping = new AbortController();
  stopping.abort(new Error("enough"));
  try {
    await checkStore({ root: store.root, signal: stopping.signal });
  } catch (error) {
    assert.is((error as Error).message, "enough");
    return;
  }
  assert.unreachable();
});

function flip(file: string, at: number): void {
  const bytes = fs.readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  fs.writeFileSync(file, bytes);
}

Check.run();
