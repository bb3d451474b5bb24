import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type CacheMountUse, type Sharing, takeCacheMounts } from "../../../src/executor/run/cache-mount.ts";
import { openStore } from "../../../src/oci/layout/store.ts";
import { workspace } from "../../support/workspace.ts";

const Cache = suite("cache mounts");
const never = new AbortController().signal;
const store = openStore(path.join(workspace("kbuild-cache-mounts"), "store"), { create: true });

/** Takes one, as a step with a single cache mount does. */
async function take(key: string, sharing: Sharing, signal = never, onWait = (_: string) => {}): Promise<CacheMountUse> {
  const taken = await takeCacheMounts(store, [{ key, id: `the id ${key}`, sharing }], { signal, onWait });
  const use = taken.get(key);
  assert.ok(use);
  return use;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

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
    const use = await take("once", "shared");
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
  const first = await take("shared", "shared");
  const second = await take("shared", "shared");
  assert.is(first.path, second.path);
  await first.release();
  await second.release();
});

Cache("one that is locked waits for all that share it, and they for it", async () => {
  const order: string[] = [];
  const shared = await Promise.all([take("mixed", "shared"), take("mixed", "shared")]);
  const alone = take("mixed", "locked").then(async (use) => {
    order.push("locked");
    await pause(100);
    order.push("released");
    await use.release();
  });
  await pause(100);
  const late = take("mixed", "shared").then(async (use) => {
    order.push("shared");
    await use.release();
  });
  await shared[0].release();
  await pause(100);
  assert.equal(order, []);
  await shared[1].release();
  await Promise.all([alone, late]);
  assert.equal(order, ["locked", "released", "shared"]);
});

Cache("steps that want the same ones in another order do not wait for each other for ever", async () => {
  const orders = [
    ["a", "b", "c"],
    ["c", "b", "a"],
    ["b", "c", "a"],
  ];
  for (const sharing of ["locked", "shared"] as const) {
    const rounds = Array.from({ length: 12 }, async (_, round) => {
      const keys = orders[round % orders.length] ?? [];
      const requests = keys.map((key) => ({ key, id: key, sharing: round % 2 === 0 ? sharing : "locked" }) as const);
      const taken = await takeCacheMounts(store, requests, { signal: never, onWait: () => {} });
      assert.is(taken.size, 3);
      await pause(5);
      for (const use of taken.values()) await use.release();
    });
    await Promise.all(rounds);
  }
});

Cache("one that a step wants twice is taken once, as the stricter of both wants it", async () => {
  const requests = (["shared", "locked"] as const).map((sharing) => ({ key: "twice", id: "twice", sharing }));
  const taken = await takeCacheMounts(store, requests, { signal: never, onWait: () => {} });
  assert.is(taken.size, 1);
  let hasOther = false;
  const other = take("twice", "shared").then((use) => {
    hasOther = true;
    return use;
  });
  await pause(100);
  assert.is(hasOther, false);
  for (const use of taken.values()) await use.release();
  await (await other).release();
});

Cache("what is waited for is told once, after a while", async () => {
  const first = await take("told", "locked");
  const told: string[] = [];
  const second = take("told", "shared", never, (id) => told.push(id));
  await pause(300);
  assert.equal(told, []);
  await pause(1500);
  assert.equal(told, ["the id told"]);
  await first.release();
  await (await second).release();
});

Cache("one that is locked is waited for", async () => {
  const first = await take("locked", "locked");
  let hasSecond = false;
  const second = take("locked", "locked").then((use) => {
    hasSecond = true;
    return use;
  });
  await pause(300);
  assert.is(hasSecond, false);
  await first.release();
  assert.is((await second).path, first.path);
  await (await second).release();
});

Cache("waiting ends with the build", async () => {
  const first = await take("stopped", "locked");
  const stopping = new AbortController();
  const second = take("stopped", "locked", stopping.signal);
  stopping.abort(new Error("enough"));
  await second.then(
    () => assert.unreachable("it is another's"),
    (error: Error) => assert.is(error.message, "enough"),
  );
  await first.release();
});

Cache("private ones of a name are different while they are in use, and used again afterwards", async () => {
  const first = await take("private", "private");
  const second = await take("private", "private");
  assert.is.not(first.path, second.path);
  await first.release();
  const third = await take("private", "private");
  assert.is(third.path, first.path);
  await second.release();
  await third.release();
});

Cache.run();
