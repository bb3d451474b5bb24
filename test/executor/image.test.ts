import { rmSync } from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type BaseImage, scratchState, stateOfImage } from "../../src/executor/base.ts";
import { Cache } from "../../src/executor/cache.ts";
import { type WrittenImage, writeImage } from "../../src/executor/image.ts";
import { type ImageState, SCRATCH_CONFIG } from "../../src/executor/state.ts";
import { Clock, type Tools } from "../../src/executor/tools.ts";
import { imageFromStore } from "../../src/oci/image.ts";
import { openStore } from "../../src/oci/layout/store.ts";
import { type ContainerConfig, type DiffId, type Digest, type History, MediaType } from "../../src/oci/types.ts";
import { workspace } from "../support/workspace.ts";

const digest = (digit: string): Digest => `sha256:${digit.repeat(64)}`;

function baseWith(config: ContainerConfig | undefined, history?: readonly History[], layers = 2): BaseImage {
  const diffIds: DiffId[] = Array.from({ length: layers }, (_, number) => digest(String(number)));
  return {
    config: {
      created: "2020-01-01T00:00:00Z",
      author: "somebody",
      architecture: "arm",
      variant: "v7",
      os: "linux",
      ...(config === undefined ? {} : { config }),
      rootfs: { type: "layers", diff_ids: diffIds },
      ...(history === undefined ? {} : { history }),
    },
    configDigest: digest("c"),
    layers: diffIds.map((diffId) => ({ diffId, blob: { mediaType: MediaType.ociLayerGzip, digest: diffId, size: 1 } })),
    bytesOf: undefined,
    label: "x",
    pulled: undefined,
  };
}

const Base = suite("what a stage begins with");

Base("an image's configuration, without its triggers", () => {
  const state = stateOfImage(
    baseWith({ Env: ["PATH=/bin", "A=1"], WorkingDir: "/w", Cmd: ["sh"], OnBuild: ["RUN x"], User: "u" }),
  );
  assert.equal(state.config, { Env: ["PATH=/bin", "A=1"], WorkingDir: "/w", Cmd: ["sh"], User: "u" });
  assert.equal(state.platform, { os: "linux", architecture: "arm", variant: "v7" });
  assert.is(state.author, "somebody");
  assert.is(state.snapshot.layers.length, 2);
});

for (const [name, config] of [
  ["none at all", undefined],
  ["an empty one", {}],
  ["one with blank values", { Env: [], WorkingDir: "" }],
] as const) {
  Base(`${name} gets the usual search path and folder`, () => {
    assert.equal(stateOfImage(baseWith(config)).config, SCRATCH_CONFIG);
  });
}

Base("a search path that is missing comes first", () => {
  assert.equal(stateOfImage(baseWith({ Env: ["XPATH=1"] })).config.Env, [...(SCRATCH_CONFIG.Env ?? []), "XPATH=1"]);
});

Base("equal bases are equal content, others not", () => {
  const content = (base: BaseImage) => stateOfImage(base).snapshot.content;
  assert.is(content(baseWith({})), content(baseWith({ User: "x" })), "the config's digest is what counts");
  assert.is.not(content(baseWith({})), content({ ...baseWith({}), configDigest: digest("d") }));
  assert.is.not(content(baseWith({})), scratchState({ os: "linux", architecture: "arm" }).snapshot.content);
});

const layer = (name: string): History => ({ created_by: name });
const empty = (name: string): History => ({ created_by: name, empty_layer: true });
for (const [name, history, expected] of [
  ["right", [layer("a"), empty("b"), layer("c")], ["a", "b -", "c"]],
  ["left out", undefined, ["?", "?"]],
  ["too short", [empty("a"), layer("b")], ["a -", "b", "?"]],
  ["too long", [layer("a"), layer("b"), layer("c"), layer("d")], ["a", "b", "c -", "d -"]],
  ["without layers", [empty("a"), empty("b")], ["a -", "b -", "?", "?"]],
] as const) {
  Base(`a history that is ${name} agrees with the layers`, () => {
    const made = stateOfImage(baseWith({}, history)).history;
    assert.equal(
      made.map((each) => `${each.created_by ?? "?"}${each.empty_layer === true ? " -" : ""}`),
      expected,
    );
    assert.is(made.filter((each) => each.empty_layer !== true).length, 2);
  });
}

Base.run();

const Image = suite("the image that is written");

const store = openStore(path.join(workspace("kbuild-image"), "store"), { create: true });
const tools = { store, cache: new Cache(store), clock: new Clock(undefined) } as unknown as Tools;
const state: ImageState = {
  platform: { os: "linux", architecture: "arm64", variant: "v8" },
  snapshot: { layers: [], content: "x" },
  config: { Env: ["A=1"], Labels: { a: "1", b: "2" } },
  author: "me",
  history: [{ created: "2021-01-01T00:00:00Z" }, { created: "2022-01-01T00:00:00Z", empty_layer: true }],
};

/** The image as the store has it. */
const stored = ({ descriptor }: WrittenImage) => imageFromStore(store, descriptor);

Image("the same state gives the same bytes", () => {
  const [one, two] = [writeImage(tools, state, {}), writeImage(tools, state, {})];
  assert.is(one.descriptor.digest, two.descriptor.digest);
  const { config } = stored(one);
  assert.is(config.created, "2022-01-01T00:00:00Z");
  assert.is(config.author, "me");
  assert.is(config.variant, "v8");
  assert.is(one.id, stored(one).id);
  assert.is.not(writeImage(tools, { ...state, author: undefined }, {}).descriptor.digest, one.descriptor.digest);
});

Image("an image whose manifest is gone is written again", () => {
  const one = writeImage(tools, state, { labels: { again: "1" } });
  rmSync(store.blobPath(one.descriptor.digest));
  assert.equal(writeImage(tools, state, { labels: { again: "1" } }), one);
  assert.is(stored(one).id, one.id);
});

Image("labels that are told stand before the Dockerfile's", () => {
  const { config } = stored(writeImage(tools, state, { labels: { b: "3", c: "4" } }));
  assert.equal(config.config?.Labels, { a: "1", b: "3", c: "4" });
  assert.equal(state.config.Labels, { a: "1", b: "2" });
});

Image("an image without any history keeps the time that it was first made at", async () => {
  const bare = { ...state, history: [] };
  const first = writeImage(tools, bare, {});
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.is(writeImage(tools, bare, {}).descriptor.digest, first.descriptor.digest);
  const clamped = { ...tools, clock: new Clock(0) };
  assert.is(stored(writeImage(clamped, bare, {})).config.created, "1970-01-01T00:00:00.000Z");
  assert.equal(clamped.clock.mtime(), { seconds: 0, nanoseconds: 0 });
});

Image("layers of docker's types are named as OCI's", () => {
  const blobs = [MediaType.dockerLayerGzip, MediaType.dockerLayer, MediaType.ociLayerZstd].map((type, number) =>
    store.writeBlob(Buffer.from(String(number)), type),
  );
  const layers = blobs.map((blob) => ({ diffId: blob.digest, blob }));
  const { manifest } = stored(writeImage(tools, { ...state, snapshot: { layers, content: "y" } }, {}));
  assert.equal(
    manifest.layers.map(({ mediaType }) => mediaType),
    [MediaType.ociLayerGzip, MediaType.ociLayer, MediaType.ociLayerZstd],
  );
});

Image.run();
