import { execFileSync, spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../../src/errors.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import { takeLock, withLock } from "../../../src/oci/layout/lock.ts";
import { defaultRoot, openStore, type Store } from "../../../src/oci/layout/store.ts";
import { sweepTemporary } from "../../../src/oci/layout/sweep.ts";
import { canonicalName, parseReference } from "../../../src/oci/reference.ts";
import { type Descriptor, MediaType } from "../../../src/oci/types.ts";
import { available } from "../../support/command.ts";
import { sampleImage } from "../../support/sample-image.ts";
import { listing, workspace } from "../../support/workspace.ts";

const test = suite("store");
const TAGGER = path.join(import.meta.dirname ?? "", "tagger.ts");
const isRoot = process.getuid?.() === 0;

function newStore(): Store {
  return openStore(path.join(workspace("kbuild-store"), "store"), { create: true });
}

function tagger(...argv: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--import", "tsx", TAGGER, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    let errors = "";
    child.stderr.on("data", (part) => (errors += part));
    child.stdout.on("data", (part) => {
      output += part;
    });
    child.on("close", (status, signal) => {
      if (status === 0 || (signal === "SIGKILL" && argv[0] === "leave")) resolve(output);
      else reject(new Error(`${signal ?? status}: ${errors}`));
    });
  });
}

/** The error that an action ends with. */
async function fault(action: () => unknown): Promise<KbuildError> {
  try {
    await action();
  } catch (error) {
    assert.instance(error, KbuildError, String(error));
    return error as KbuildError;
  }
  throw new Error("there was no error");
}

function names(store: Store): Record<string, string> {
  const entries = store
    .list()
    .flatMap(({ reference, descriptor }) =>
      reference === undefined ? [] : [[canonicalName(reference), descriptor.digest] as const],
    );
  return Object.fromEntries(entries);
}

for (const [env, expected] of [
  [{ KBUILD_ROOT: "/a/b", XDG_DATA_HOME: "/x", HOME: "/h" }, "/a/b"],
  [{ KBUILD_ROOT: "", XDG_DATA_HOME: "/x", HOME: "/h" }, "/x/kbuild"],
  [{ XDG_DATA_HOME: "relative", HOME: "/h" }, "/h/.local/share/kbuild"],
  [{ HOME: "/h" }, "/h/.local/share/kbuild"],
] as const) {
  test(`the store is at ${expected} with ${JSON.stringify(env)}`, () => assert.is(defaultRoot(env), expected));
}

test("without any home, the error says what to set", async () => {
  const error = await fault(() => defaultRoot({}));
  assert.is(error.code, "machine.noHome");
  assert.match(error.hint ?? "", "KBUILD_ROOT");
});

test("a new store is an empty OCI image layout, for its owner alone", () => {
  const { root } = newStore();
  assert.equal(JSON.parse(fs.readFileSync(path.join(root, "oci-layout"), "utf8")), { imageLayoutVersion: "1.0.0" });
  assert.equal(JSON.parse(fs.readFileSync(path.join(root, "index.json"), "utf8")).manifests, []);
  assert.equal(JSON.parse(fs.readFileSync(path.join(root, "kbuild-store.json"), "utf8")), { version: 1 });
  assert.is(fs.statSync(root).mode & 0o777, 0o700);
  assert.equal(fs.readdirSync(path.join(root, "tmp")), []);
});

test("ten processes may make the same store at once", async () => {
  const root = path.join(workspace("kbuild-store"), "a/b/store");
  const outputs = await Promise.all(Array.from({ length: 10 }, () => tagger("open", root)));
  assert.equal(new Set(outputs), new Set(["opened\n"]));
  assert.equal(openStore(root, { create: false }).list(), []);
  assert.equal(fs.readdirSync(path.join(root, "tmp")), []);
});

test("a missing store that is not to be made is empty, and stays missing", () => {
  const root = path.join(workspace("kbuild-store"), "store");
  const store = openStore(root, { create: false });
  assert.equal(store.list(), []);
  assert.is(store.resolve("web-ping"), undefined);
  assert.not(fs.existsSync(root));
});

test("a half-made store is completed, and its images stay", async () => {
  const store = newStore();
  const { descriptor } = await sampleImage(store, []);
  await store.tag([parseReference("a")], descriptor);
  fs.rmSync(path.join(store.root, "kbuild-store.json"));
  fs.rmSync(path.join(store.root, "tmp"), { recursive: true });
  assert.is(openStore(store.root, { create: true }).resolve("a")?.digest, descriptor.digest);
  assert.ok(fs.existsSync(path.join(store.root, "tmp")));
});

test("opening a store looks at its version alone: no folder is listed or made", () => {
  const { root } = newStore();
  for (const name of fs.readdirSync(root)) {
    if (!/\.json$/.test(name)) fs.rmSync(path.join(root, name), { recursive: true });
  }
  assert.is(openStore(root, { create: true }).resolve("web-ping"), undefined);
  assert.equal(fs.readdirSync(root).sort(), ["index.json", "kbuild-store.json"]);
});

for (const [text, code] of [
  ['{"version":2}', "machine.storeVersion"],
  ['{"version":"1"}', "machine.storeDamaged"],
  ["", "machine.storeDamaged"],
  ["null", "machine.storeDamaged"],
] as const) {
  test(`a store whose version file is ${JSON.stringify(text)} is refused: ${code}`, async () => {
    const { root } = newStore();
    fs.writeFileSync(path.join(root, "kbuild-store.json"), text);
    const error = await fault(() => openStore(root, { create: true }));
    assert.is(error.code, code);
    assert.ok(error.hint);
    assert.is(error.exitStatus, 4);
  });
}

test("blobs are written once, and read only if their bytes are right", async () => {
  const store = newStore();
  const bytes = Buffer.from("some bytes");
  const descriptor = store.writeBlob(bytes, MediaType.ociLayer);
  assert.equal(descriptor, { mediaType: MediaType.ociLayer, digest: digestOf(bytes), size: 10 });
  const { ino } = fs.statSync(store.blobPath(descriptor.digest));
  store.writeBlob(bytes, MediaType.ociLayer);
  assert.is(fs.statSync(store.blobPath(descriptor.digest)).ino, ino);
  assert.equal(store.readBlob(descriptor.digest), bytes);
  assert.is((await fault(() => store.readBlob(descriptor.digest, 9))).code, "machine.storeDamaged");
  fs.writeFileSync(store.blobPath(descriptor.digest), "same length");
  assert.not(store.hasBlob(descriptor));
  fs.writeFileSync(store.blobPath(descriptor.digest), "some bytez");
  assert.ok(store.hasBlob(descriptor));
  assert.match((await fault(() => store.readBlob(descriptor.digest))).message, /has other bytes than its name says$/);
  fs.rmSync(store.blobPath(descriptor.digest));
  assert.match((await fault(() => store.readBlob(descriptor.digest))).message, /is missing in/);
});

test("a blob that a crash cut short counts as missing, and is written again", () => {
  const store = newStore();
  const descriptor = store.writeBlob(Buffer.from("some bytes"), MediaType.ociLayer);
  fs.truncateSync(store.blobPath(descriptor.digest), 4);
  assert.not(store.hasBlob(descriptor));
  store.writeBlob(Buffer.from("some bytes"), MediaType.ociLayer);
  assert.ok(store.hasBlob(descriptor));
});

test("a finished file is taken in by its digest; one of another size is not, and is gone", async () => {
  const store = newStore();
  const bytes = Buffer.from("a layer");
  const digest = digestOf(bytes);
  const temporary = store.temporaryPath(".tar");
  fs.writeFileSync(temporary, bytes);
  assert.is((await fault(() => store.adoptBlob(temporary, digest, 8))).code, "internal.blobSize");
  assert.equal(fs.readdirSync(store.temporaryFolder), []);
  fs.writeFileSync(temporary, bytes);
  store.adoptBlob(temporary, digest, 7);
  assert.equal(store.readBlob(digest), bytes);
  assert.equal(fs.readdirSync(store.temporaryFolder), []);
});

test("names: one image has several, a name has one image, who loses it stays listed", async () => {
  const store = newStore();
  const first = (await sampleImage(store, [{ files: { a: "1" } }])).descriptor;
  const second = (await sampleImage(store, [{ files: { a: "2" } }])).descriptor;
  await store.tag([parseReference("web-ping:v1"), parseReference("web-ping")], first);
  await store.tag([parseReference("web-ping")], second);
  assert.equal(names(store), {
    "docker.io/library/web-ping:v1": first.digest,
    "docker.io/library/web-ping:latest": second.digest,
  });
  await store.tag([parseReference("web-ping:v1")], second);
  const nameless = store.list().filter(({ reference }) => reference === undefined);
  assert.equal(
    nameless.map(({ descriptor }) => descriptor),
    [first],
  );

  await store.tag([], second);
  assert.is(store.list().length, 3, "an image with names is listed already");
  await store.tag([parseReference("back:1")], first);
  assert.is(store.list().filter(({ reference }) => reference === undefined).length, 0, "it has a name again");
  await store.untag([parseReference("back:1"), parseReference("never:1")]);
  assert.equal(
    store
      .list()
      .filter(({ reference }) => reference === undefined)
      .map(({ descriptor }) => descriptor),
    [first],
  );
  assert.is(await store.remove(second.digest, [parseReference("web-ping")]), false);
  assert.is(await store.remove(second.digest, [parseReference("web-ping:v1")]), true);
  assert.equal(
    store.list().map(({ descriptor }) => descriptor),
    [first],
  );
});

test("tagging what is tagged already writes nothing and takes no lock", async () => {
  const store = newStore();
  const { descriptor } = await sampleImage(store, []);
  await store.tag([parseReference("a")], descriptor);
  const lock = await takeLock(store.lockPath("index"));
  const before = fs.statSync(path.join(store.root, "index.json"));
  await store.tag([parseReference("a")], descriptor);
  lock.release();
  const after = fs.statSync(path.join(store.root, "index.json"));
  assert.is(after.ino, before.ino);
  assert.is(after.mtimeMs, before.mtimeMs);
});

test("an image is found by its name, its ID, the beginning of its ID, and the digest of its manifest", async () => {
  const store = newStore();
  const image = await sampleImage(store, [{ files: { a: "1" } }]);
  const { descriptor } = image;
  await store.tag([parseReference("localhost:5000/team/web-ping:v2")], descriptor);
  const hex = image.id.slice(7);
  for (const name of [
    "localhost:5000/team/web-ping:v2",
    `localhost:5000/team/web-ping@${descriptor.digest}`,
    `localhost:5000/team/web-ping:other@${descriptor.digest}`,
    image.id,
    hex,
    hex.slice(0, 12),
    hex.slice(0, 1),
    `sha256:${hex.slice(0, 5)}`,
    descriptor.digest,
    descriptor.digest.slice(7, 19),
  ]) {
    assert.is(store.resolve(name)?.digest, descriptor.digest, name);
  }
  for (const name of [
    "web-ping:v2",
    "localhost:5000/team/web-ping",
    "team/web-ping:v2",
    "f".repeat(64),
    `web-ping@${descriptor.digest}`,
  ]) {
    assert.is(store.resolve(name), undefined, name);
  }
  assert.is((await fault(() => store.resolve("No Name"))).code, "usage.reference");
});

test("a beginning that several IDs have is an error; a name that looks like an ID comes first", async () => {
  const store = newStore();
  const seen = new Map<string, Descriptor>();
  let digit = "";
  for (let number = 0; digit === ""; number++) {
    const image = await sampleImage(store, [{ files: { a: String(number) } }]);
    await store.tag([], image.descriptor);
    const first = image.id.slice(7, 8);
    if (seen.has(first)) digit = first;
    seen.set(first, image.descriptor);
  }
  assert.is((await fault(() => store.resolve(`sha256:${digit}`))).code, "usage.ambiguous");
  const [other] = [...seen.values()];
  assert.ok(other);
  if (other) await store.tag([parseReference(`${digit}${digit}`)], other);
  assert.is(store.resolve(`${digit}${digit}`)?.digest, other?.digest);
});

test("names that other tools write are understood, and what they write besides is kept", async () => {
  const store = newStore();
  const { descriptor } = await sampleImage(store, []);
  const foreign = {
    ...descriptor,
    artifactType: "application/x-test",
    annotations: { "org.opencontainers.image.ref.name": "web-ping:v2", "a.b": "c" },
  };
  const odd = { ...descriptor, annotations: { "org.opencontainers.image.ref.name": "Not A Name!" } };
  const index = { schemaVersion: 2, manifests: [foreign, odd], annotations: { kept: "yes" } };
  fs.writeFileSync(path.join(store.root, "index.json"), JSON.stringify(index));
  assert.is(store.resolve("web-ping:v2")?.digest, descriptor.digest);
  await store.tag([parseReference("new")], descriptor);
  const written = JSON.parse(fs.readFileSync(path.join(store.root, "index.json"), "utf8"));
  assert.equal(written.manifests[0], foreign);
  assert.equal(written.annotations, { kept: "yes" });
});

for (const [text, reason] of [
  ["", "it is not JSON"],
  ["[]", "it is no JSON object"],
  ['{"schemaVersion":2}', 'its "manifests" is no list'],
  ['{"schemaVersion":1,"manifests":[]}', 'its "schemaVersion" is 1, not 2'],
  ['{"schemaVersion":2,"manifests":[{"digest":"sha256:../../x"}]}', 'its "manifests[0]" has no media type'],
  ['{"schemaVersion":2,"manifests":[{"mediaType":"a","digest":"sha256:../../x","size":1}]}', "has no SHA-256 digest"],
] as const) {
  test(`a damaged index.json is an error that says so: ${reason}`, async () => {
    const store = newStore();
    fs.writeFileSync(path.join(store.root, "index.json"), text);
    for (const action of [() => store.list(), () => store.resolve("a"), () => store.untag([parseReference("a")])]) {
      const error = await fault(action);
      assert.is(error.code, "machine.storeDamaged");
      assert.match(error.message, reason);
      assert.match(error.message, "index.json");
      assert.ok(error.hint);
    }
    assert.is(fs.readFileSync(path.join(store.root, "index.json"), "utf8"), text);
  });
}

test("two processes tag 200 times each at the same time, and no name is lost", async () => {
  const store = newStore();
  const { descriptor } = await sampleImage(store, []);
  const argv = ["200", descriptor.digest, String(descriptor.size)];
  await Promise.all([tagger("tag", store.root, "one", ...argv), tagger("tag", store.root, "two", ...argv)]);
  assert.is(Object.keys(names(store)).length, 400);
  assert.equal(
    listing(store.root, (name) => !/^(tmp|locks)/.test(name)),
    ["locks/", "tmp/"],
  );
});

test("calls in one process wait for each other too", async () => {
  const store = newStore();
  const { descriptor } = await sampleImage(store, []);
  await Promise.all(Array.from({ length: 50 }, (_, number) => store.tag([parseReference(`a:${number}`)], descriptor)));
  assert.is(Object.keys(names(store)).length, 50);
});

test("a lock whose holder was killed is broken at once, by one of many", async () => {
  const store = newStore();
  const holder = spawn(process.execPath, ["--import", "tsx", TAGGER, "hold", store.root, "index"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => holder.stdout.once("data", resolve));
  const error = await fault(() => takeLock(store.lockPath("index"), { patience: 100 }));
  assert.is(error.code, "machine.locked");
  assert.match(error.message, `process ${holder.pid}`);
  holder.kill("SIGKILL");
  await new Promise((resolve) => holder.once("close", resolve));
  const began = Date.now();
  let inside = 0;
  await Promise.all(
    Array.from({ length: 20 }, () =>
      withLock(store.lockPath("index"), async () => {
        assert.is(++inside, 1);
        await new Promise((resolve) => setTimeout(resolve, 1));
        inside--;
      }),
    ),
  );
  assert.ok(Date.now() - began < 5000);
  assert.equal(fs.readdirSync(path.join(store.root, "locks")), []);
});

for (const [what, change, broken] of [
  ["of a process whose number another one has now", { started: "1" }, true],
  ["of another container, touched a moment ago", { place: "elsewhere.1" }, false],
  ["of another container, not touched for long", { place: "elsewhere.1", silent: true }, true],
  ["of this process, not touched for long", { silent: true }, false],
  ["that nobody can read, not touched for long", { text: "", silent: true }, true],
  ["that nobody can read, touched a moment ago", { text: "{" }, false],
] as const) {
  test(`a lock ${what} is ${broken ? "broken" : "kept"}`, async () => {
    const file = newStore().lockPath("x");
    const lock = await takeLock(file);
    const options: { started?: string; place?: string; silent?: boolean; text?: string } = change;
    const { silent, text, ...identity } = options;
    fs.writeFileSync(file, text ?? JSON.stringify({ ...JSON.parse(fs.readFileSync(file, "utf8")), ...identity }));
    if (silent) fs.utimesSync(file, new Date(Date.now() - 60_000), new Date(Date.now() - 60_000));
    try {
      const second = await takeLock(file, { patience: 50 });
      assert.ok(broken);
      second.release();
    } catch (error) {
      assert.instance(error, KbuildError);
      assert.not(broken);
    } finally {
      lock.release();
    }
  });
}

test("what a killed process left in tmp is swept; what is in use stays", async () => {
  const store = newStore();
  await tagger("leave", store.root);
  const used = store.temporaryPath(".tar");
  fs.writeFileSync(used, "in use");
  const foreign = path.join(store.temporaryFolder, "elsewhere.1-77-88-x.tar");
  fs.writeFileSync(foreign, "of another container");
  assert.is(fs.readdirSync(store.temporaryFolder).length, 3);
  const removed = sweepTemporary(store);
  assert.is(removed.length, 1);
  assert.match(removed[0] ?? "", /\.tar$/);
  assert.equal(fs.readdirSync(store.temporaryFolder).sort(), [path.basename(used), path.basename(foreign)].sort());
  await tagger("leave", store.root);
  assert.equal(sweepTemporary(store), [], "it was swept within the hour");
  assert.is(sweepTemporary(store, { force: true }).length, 1);
});

if (available("root, for mounts", isRoot)) {
  const mounts: string[] = [];
  test.after(() => {
    for (const folder of mounts) spawnSync("umount", ["-l", folder]);
  });
  const mount = (...argv: string[]): void => {
    execFileSync("mount", argv);
  };

  test("a read-only store can be read, and says why it cannot be written", async () => {
    const folder = workspace("kbuild-readonly");
    mount("-t", "tmpfs", "-o", "size=4m", "none", folder);
    mounts.push(folder);
    const store = openStore(path.join(folder, "store"), { create: true });
    const { descriptor } = await sampleImage(store, []);
    await store.tag([parseReference("a")], descriptor);
    mount("-o", "remount,ro", folder);
    const again = openStore(store.root, { create: true });
    assert.is(again.resolve("a")?.digest, descriptor.digest);
    await again.tag([parseReference("a")], descriptor);
    assert.equal(sweepTemporary(again), []);
    for (const action of [
      () => again.writeBlob(Buffer.from("new"), MediaType.ociLayer),
      () => again.tag([parseReference("b")], descriptor),
      () => openStore(path.join(folder, "new"), { create: true }),
    ]) {
      const error = await fault(action);
      assert.is(error.code, "machine.readOnly");
      assert.is(error.exitStatus, 4);
      assert.match(error.hint ?? "", "KBUILD_ROOT");
    }
  });

  test("a full disk says so, and leaves nothing half-written", async () => {
    const folder = workspace("kbuild-full");
    mount("-t", "tmpfs", "-o", "size=1m", "none", folder);
    mounts.push(folder);
    const store = openStore(path.join(folder, "store"), { create: true });
    const { descriptor } = await sampleImage(store, []);
    const error = await fault(() => store.writeBlob(Buffer.alloc(2 << 20), MediaType.ociLayer));
    assert.is(error.code, "machine.diskFull");
    assert.equal(fs.readdirSync(store.temporaryFolder), []);
    await store.tag([parseReference("a")], descriptor);
    try {
      fs.writeFileSync(path.join(folder, "fill"), Buffer.alloc(2 << 20));
    } catch {}
    assert.is((await fault(() => store.tag([parseReference("b")], descriptor))).code, "machine.diskFull");
    assert.equal(names(store), { "docker.io/library/a:latest": descriptor.digest });
    assert.equal(fs.readdirSync(path.join(store.root, "locks")), []);
    assert.equal(fs.readdirSync(store.temporaryFolder), []);
    fs.rmSync(path.join(folder, "fill"));
    await store.tag([parseReference("b")], descriptor);
  });

  test("a store of another user says that it may not be used", () => {
    const { root } = newStore();
    const store = JSON.stringify(path.resolve(import.meta.dirname ?? "", "../../../src/oci/layout/store.ts"));
    for (const [target, code] of [
      [root, "machine.storeNotWritable"],
      [path.join(path.dirname(root), "other"), "machine.storeNotWritable"],
    ] as const) {
      const script = `import(${store}).then((m) => { try { m.openStore(${JSON.stringify(target)}, { create: true }) } catch (e) { console.log(e.code) } })`;
      const result = spawnSync(process.execPath, ["--import", "tsx", "-e", script], {
        encoding: "utf8",
        uid: 65534,
        gid: 65534,
        env: { ...process.env, TSX_DISABLE_CACHE: "1" },
      });
      assert.is(result.stdout.trim(), code, result.stderr);
    }
  });
}

test.run();
