import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { holdStore, oldestUse } from "../../../src/oci/layout/in-use.ts";
import { markUsed } from "../../../src/oci/layout/last-use.ts";
import { ownIdentity } from "../../../src/oci/layout/process.ts";
import { openStore, type Store } from "../../../src/oci/layout/store.ts";
import { leftovers, sweepTemporary } from "../../../src/oci/layout/sweep.ts";
import { workspace } from "../../support/workspace.ts";

const InUse = suite("stores in use");
const HOUR = 3_600_000;
const { place, pid, started } = ownIdentity();

function newStore(): Store {
  return openStore(path.join(workspace(), "store"), { create: true });
}

/** A mark of another process. */
function mark(store: Store, name: string, ago: number): string {
  const file = path.join(store.root, "locks/in-use", name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, "");
  const then = new Date(Date.now() - ago);
  fs.utimesSync(file, then, then);
  return file;
}

InUse("a store is in use from its hold to its release, by the oldest of several", () => {
  const store = newStore();
  assert.is(oldestUse(store), undefined);
  const uses = [holdStore(store), holdStore(store)];
  mark(store, `${place}-${pid}-${started}-old`, HOUR);
  assert.ok(Math.abs((oldestUse(store) ?? 0) - (Date.now() - HOUR)) < 5000);
  fs.rmSync(path.join(store.root, "locks/in-use", `${place}-${pid}-${started}-old`));
  assert.ok(Math.abs((oldestUse(store) ?? 0) - Date.now()) < 5000);
  for (const use of uses) use.release();
  assert.is(oldestUse(store), undefined);
  uses[0]?.release();
});

for (const [what, name, ago, isLive] of [
  ["a process that is gone", `${place}-4194304-1-0`, 0, false],
  ["an earlier process with this one's number", `${place}-${pid}-1-0`, 0, false],
  ["a process elsewhere", "elsewhere.1-1-1-0", 23 * HOUR, true],
  ["a process elsewhere, of long ago", "elsewhere.1-1-1-0", 25 * HOUR, false],
  ["nobody that is known, of long ago", "x", 25 * HOUR, false],
] as const) {
  InUse(`the mark of ${what} ${isLive ? "counts" : "is removed"}`, () => {
    const store = newStore();
    const file = mark(store, name, ago);
    assert.is(oldestUse(store) !== undefined, isLive);
    assert.is(fs.existsSync(file), isLive);
  });
}

InUse("a file that is used gets the time of now; one that is gone is told", () => {
  const store = newStore();
  const file = path.join(store.root, "cache/file");
  assert.not(markUsed(file));
  assert.not(markUsed(path.join(store.root, "index.json/below")));
  fs.writeFileSync(file, "");
  fs.utimesSync(file, 1, 1);
  assert.ok(markUsed(file));
  assert.ok(Math.abs(fs.statSync(file).mtimeMs - Date.now()) < 5000);
});

InUse("a blob that is used or written again is not old any more", () => {
  const store = newStore();
  const blob = store.writeBlob(Buffer.from("bytes"), "text/plain");
  const file = store.blobPath(blob.digest);
  for (const use of [() => store.useBlob(blob), () => store.writeBlob(Buffer.from("bytes"), "text/plain")]) {
    fs.utimesSync(file, 1, 1);
    assert.ok(use());
    assert.ok(fs.statSync(file).mtimeMs > 1000);
  }
  fs.utimesSync(file, 1, 1);
  assert.ok(store.hasBlob(blob));
  assert.is(fs.statSync(file).mtimeMs, 1000, "to ask is not to use");
  assert.not(store.useBlob({ ...blob, size: 1 }));
});

InUse("one leftover that cannot be removed keeps none of the others", () => {
  if (process.getuid?.() === 0) return sweepAsRoot();
  return sweepAsUser();
});

/** Root may remove everything but what is in a folder that takes no change. */
function sweepAsRoot(): void {
  const store = newStore();
  for (const name of ["a", "b"]) fs.mkdirSync(path.join(store.temporaryFolder, `${place}-4194304-1-${name}`));
  assert.is(leftovers(store).length, 2);
  assert.equal(sweepTemporary(store, { force: true }).length, 2);
  assert.equal(fs.readdirSync(store.temporaryFolder), []);
}

function sweepAsUser(): void {
  const store = newStore();
  const [locked, other] = ["a", "b"].map((name) => path.join(store.temporaryFolder, `${place}-4194304-1-${name}`));
  if (locked === undefined || other === undefined) throw new Error("there are two");
  fs.mkdirSync(path.join(locked, "deep"), { recursive: true });
  fs.mkdirSync(other);
  fs.chmodSync(locked, 0o500);
  const stuck: string[] = [];
  try {
    assert.equal(sweepTemporary(store, { force: true, stuck: (one) => stuck.push(one) }), [path.basename(other)]);
  } finally {
    fs.chmodSync(locked, 0o700);
  }
  assert.equal(stuck, [locked]);
}

InUse.run();
