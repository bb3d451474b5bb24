import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { takeCacheMount } from "../../../src/executor/run/cache-mount.ts";
import { openStore } from "../../../src/oci/layout/store.ts";
import { workspace } from "../../support/workspace.ts";

const Cache = suite("cache mounts");
const never = new AbortController().signal;
const store = openStore(path.join(workspace("kbuild-cache-mounts"), "store"), { create: true });

async function begin(output: string): Promise<void> {
  fs.mkdirSync(output);
  fs.writeFileSync(path.join(output, "begun"), "");
}

async function move(from: string, to: string): Promise<void> {
  fs.renameSync(from, to);
}

Cache("a new one is begun once and then stays", async () => {
  let begun = 0;
  for (let round = 0; round < 2; round++) {
    const use = await takeCacheMount(store, "once", "shared", never);
    await use.make(
      "an id",
      async (output) => {
        begun += 1;
        await begin(output);
      },
      move,
    );
    assert.ok(fs.existsSync(path.join(use.path, "begun")));
    await use.release();
  }
  assert.is(begun, 1);
  const info = JSON.parse(fs.readFileSync(path.join(store.root, "cache-mounts/once/info.json"), "utf8"));
  assert.equal(info, { id: "an id" });
});

Cache("one that is shared is had by any number of steps at a time", async () => {
  const first = await takeCacheMount(store, "shared", "shared", never);
  const second = await takeCacheMount(store, "shared", "shared", never);
  assert.is(first.path, second.path);
});

Cache("one that is locked is waited for", async () => {
  const first = await takeCacheMount(store, "locked", "locked", never);
  let hasSecond = false;
  const second = takeCacheMount(store, "locked", "locked", never).then((use) => {
    hasSecond = true;
    return use;
  });
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.is(hasSecond, false);
  await first.release();
  assert.is((await second).path, first.path);
  await (await second).release();
});

Cache("waiting ends with the build", async () => {
  const first = await takeCacheMount(store, "stopped", "locked", never);
  const stopping = new AbortController();
  const second = takeCacheMount(store, "stopped", "locked", stopping.signal);
  stopping.abort(new Error("enough"));
  await second.then(
    () => assert.unreachable("it is another's"),
    (error: Error) => assert.is(error.message, "enough"),
  );
  await first.release();
});

Cache("private ones of a name are different while they are in use, and used again afterwards", async () => {
  const first = await takeCacheMount(store, "private", "private", never);
  const second = await takeCacheMount(store, "private", "private", never);
  assert.is.not(first.path, second.path);
  await first.release();
  const third = await takeCacheMount(store, "private", "private", never);
  assert.is(third.path, first.path);
  await second.release();
  await third.release();
});

Cache.run();
