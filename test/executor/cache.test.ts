import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import { Cache, type KeyParts, type StepRecord } from "../../src/executor/cache.ts";
import { explainMiss } from "../../src/executor/miss.ts";
import type { DraftItem } from "../../src/layers/draft.ts";
import { type Entry, EntryType } from "../../src/layers/entry-table.ts";
import { contentDigest } from "../../src/layers/identity.ts";
import { openStore } from "../../src/oci/layout/store.ts";
import { type DiffId, MediaType } from "../../src/oci/types.ts";
import { file, folder, symlink, tableOf } from "../layers/entries.ts";
import { listing, workspace } from "../support/workspace.ts";

const home = workspace("kbuild-cache");
const KEY = "ab".repeat(32);
const DIFF = `sha256:${"0".repeat(64)}` as DiffId;

function fresh(name: string) {
  const store = openStore(path.join(home, name), { create: true });
  return { store, cache: new Cache(store), blob: store.writeBlob(Buffer.from("layer"), MediaType.ociLayer) };
}

const Records = suite("the build cache");

Records("a record comes back, also to another build", () => {
  const { store, cache, blob } = fresh("records");
  const record: StepRecord = {
    created: "2026-01-01T00:00:00Z",
    layer: { diffId: DIFF, blob },
    content: "c",
    duration: 5,
  };
  assert.is(cache.step(KEY), undefined);
  cache.putStep(KEY, record);
  assert.equal(cache.step(KEY), record);
  assert.equal(new Cache(store).step(KEY), record);
  cache.putStep(KEY, { created: "2027-01-01T00:00:00Z" });
  assert.equal(cache.step(KEY), { created: "2027-01-01T00:00:00Z" });
  assert.equal(listing(store.temporaryFolder), []);
});

Records("a record whose blob is gone, or cut short, is lost", () => {
  const { store, cache, blob } = fresh("lost");
  cache.putStep(KEY, { created: "2026-01-01T00:00:00Z", layer: { diffId: DIFF, blob }, content: "c" });
  cache.putLayerOfContent(KEY, { diffId: DIFF, blob });
  cache.putCompressed(DIFF, "gzip-6", blob);
  assert.not.ok(cache.hasLostStep(KEY));
  assert.equal(cache.layerOfContent(KEY), { diffId: DIFF, blob });
  assert.equal(cache.compressed(DIFF, "gzip-6"), blob);
  assert.is(cache.compressed(DIFF, "gzip-7"), undefined);
  const place = store.blobPath(blob.digest);
  fs.chmodSync(place, 0o644);
  fs.truncateSync(place, 2);
  for (const remove of [() => {}, () => fs.rmSync(place)]) {
    remove();
    assert.is(cache.step(KEY), undefined);
    assert.ok(cache.hasLostStep(KEY));
    assert.is(cache.layerOfContent(KEY), undefined);
    assert.is(cache.compressed(DIFF, "gzip-6"), undefined);
  }
  assert.not.ok(cache.hasLostStep("cd".repeat(32)));
});

const GOOD = {
  created: "2026-01-01T00:00:00Z",
  layer: { diffId: DIFF, blob: { mediaType: "m", digest: DIFF, size: 1 } },
  content: "c",
};
for (const [name, text] of [
  ["nothing", ""],
  ["half of it", JSON.stringify(GOOD).slice(0, 40)],
  ["null", "null"],
  ["a number", "1"],
  ["a list", "[]"],
  ["no time", JSON.stringify({ ...GOOD, created: 1 })],
  ["a time that is none", JSON.stringify({ ...GOOD, created: "x" })],
  ["a layer that is none", JSON.stringify({ ...GOOD, layer: 1 })],
  ["a layer that is null", JSON.stringify({ ...GOOD, layer: null })],
  ["no diffID", JSON.stringify({ ...GOOD, layer: { blob: GOOD.layer.blob } })],
  ["no content", JSON.stringify({ ...GOOD, content: undefined })],
  [
    "a digest that leaves the store",
    JSON.stringify({ ...GOOD, layer: { ...GOOD.layer, blob: { ...GOOD.layer.blob, digest: "sha256:../../x" } } }),
  ],
  ["a size in words", JSON.stringify({ ...GOOD, layer: { ...GOOD.layer, blob: { ...GOOD.layer.blob, size: "1" } } })],
] as const) {
  Records(`a record with ${name} counts as none`, () => {
    const { store, cache } = fresh("damaged");
    for (const kind of ["steps", "content", "places", "compressed"]) {
      const place = path.join(store.root, "cache", kind, KEY.slice(0, 2));
      fs.mkdirSync(place, { recursive: true });
      fs.writeFileSync(path.join(place, KEY.slice(2)), text);
    }
    assert.is(cache.step(KEY), undefined);
    assert.not.ok(cache.hasLostStep(KEY));
    assert.is(cache.layerOfContent(KEY), undefined);
    assert.is(cache.lastParts(KEY), undefined);
    cache.putStep(KEY, { created: "2027-01-01T00:00:00Z" });
    assert.equal(cache.step(KEY), { created: "2027-01-01T00:00:00Z" });
  });
}

Records("what cannot be written is an error of the machine", () => {
  const { store, cache } = fresh("unwritable");
  fs.rmSync(path.join(store.root, "cache"), { recursive: true });
  fs.writeFileSync(path.join(store.root, "cache"), "");
  assert.throws(
    () => cache.putStep(KEY, { created: "2026-01-01T00:00:00Z" }),
    (error: unknown) => error instanceof KbuildError && error.exitStatus === 4,
  );
});

Records.run();

const Misses = suite("why a step is not in the cache");

const index = path.join(home, "index");
const digest = (text: string) => contentDigest(Buffer.from(text));
const before: readonly Entry[] = [
  folder("d"),
  file("d/content", { digest: digest("1") }),
  file("d/gone", { digest: digest("1") }),
  symlink("d/link", "a"),
  file("d/mode", { digest: digest("1") }),
  file("d/same", { digest: digest("1") }),
  file("d/type", { digest: digest("1") }),
  file("d.gone", { digest: digest("1") }),
];
fs.writeFileSync(index, tableOf(before).bytes);
const item = (entry: Entry, origin?: DraftItem["origin"]): DraftItem => ({ entry, origin, group: undefined });
const now: readonly DraftItem[] = [
  item(folder("d", { mtime: { seconds: 1, nanoseconds: 1 } })),
  item(file("d/content"), { digest: digest("2") }),
  item(symlink("d/link", "b")),
  item(file("d/mode", { mode: 0o755, digest: digest("1") })),
  item(file("d/new\u001b", { digest: digest("1") })),
  item(file("d/same"), { digest: digest("1") }),
  item(folder("d/type")),
  item(file("d/type/new", { digest: digest("1") })),
];
const parts: KeyParts = { instruction: "COPY . .", parent: "p", platform: "linux/amd64", files: "f" };
function why(last: KeyParts | undefined, items = now, isRemembered = true, isLost = false) {
  return explainMiss(parts, last, isLost, isRemembered ? { index, items } : undefined);
}

for (const [name, last, isLost, reason] of [
  ["the first build", undefined, false, "not built here before"],
  ["the instruction", { ...parts, instruction: "COPY a b" }, false, "the instruction changed, it was: COPY a b"],
  [
    "the platform",
    { ...parts, platform: "linux/arm64" },
    false,
    "the platform changed from linux/arm64 to linux/amd64",
  ],
  ["files that nobody remembers", { ...parts, files: "g" }, false, "the copied files changed"],
  ["the parent", { ...parts, parent: "q" }, false, "what it builds on changed"],
  ["a layer that is gone", parts, true, "its layer is no longer in the store"],
  ["a record that is gone", parts, false, "its record is no longer in the store"],
  [
    "the instruction before all else",
    { instruction: "x", parent: "q", platform: "p" },
    true,
    "the instruction changed, it was: x",
  ],
] as const) {
  Misses(name, () => {
    assert.is(why(last, now, !name.includes("nobody"), isLost).reason, reason);
  });
}

Misses("files, by name", () => {
  const { reason, details } = why({ ...parts, files: "g" });
  assert.is(
    reason,
    "changed: d/content, d/link, d/mode and 1 more; added: d/new\\x1b, d/type/new; removed: d/gone, d.gone",
  );
  assert.equal(details, {
    reason: "files",
    added: ["d/new\u001b", "d/type/new"],
    changed: ["d/content", "d/link", "d/mode", "d/type"],
    removed: ["d/gone", "d.gone"],
  });
});

Misses("files whose earlier index is gone or damaged, or that are the same, are not the reason", () => {
  const same = before.map((entry) => item(entry));
  fs.writeFileSync(`${index}-damaged`, fs.readFileSync(index).subarray(0, 50));
  for (const [items, place] of [
    [now, undefined],
    [now, `${index}-none`],
    [now, `${index}-damaged`],
    [same, index],
  ] as const) {
    const copied = place === undefined ? undefined : { index: place, items };
    assert.is(
      explainMiss(parts, { ...parts, files: "g", parent: "q" }, false, copied).reason,
      "what it builds on changed",
    );
  }
});

Misses("a content that is not known is another one", () => {
  const last = { ...parts, files: "g" };
  assert.match(
    why(
      last,
      before.map((entry) => item(entry, entry.type === EntryType.file ? { digest: undefined } : undefined)),
    ).reason,
    /^the copied files changed$/,
  );
  const unknown = before.map((entry) => item({ ...entry, digest: undefined }));
  assert.match(why(last, unknown).reason, /^changed: d\/content, /);
});

Misses.run();
