import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import * as zlib from "node:zlib";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KBUILD, kbuildWith, must } from "../support/command.ts";
import { type TestImage, testBlob, testImage } from "../support/registry.ts";
import { unsound } from "../support/store-check.ts";
import { plant, workspace } from "../support/workspace.ts";

const folder = workspace();
let number = 0;
/** A store and a context of its own. */
function fixture(files: Parameters<typeof plant>[1]) {
  number += 1;
  const kbuild = kbuildWith(path.join(folder, `store-${number}`));
  return { kbuild, context: plant(path.join(folder, `context-${number}`), files) };
}

/** Puts an image down as an OCI layout. */
function layoutOf(image: TestImage): string {
  number += 1;
  const root = path.join(folder, `layout-${number}`);
  const index = { schemaVersion: 2, manifests: [image.manifest.descriptor] };
  plant(root, { "oci-layout": '{"imageLayoutVersion":"1.0.0"}', "index.json": JSON.stringify(index) });
  for (const { bytes, descriptor } of [image.manifest, image.config, ...image.layers]) {
    plant(root, { [`blobs/sha256/${descriptor.digest.slice(7)}`]: bytes });
  }
  return root;
}

const Mended = suite("what was wrong once");

Mended("a base that has one tar in two compressions is taken in whole", async () => {
  const tar = Buffer.alloc(1024);
  const plain = testImage([tar, tar]);
  const [first] = plain.layers;
  assert.ok(first);
  const second = testBlob(first.descriptor.mediaType, zlib.gzipSync(tar, { level: 9 }));
  assert.is.not(second.descriptor.digest, first.descriptor.digest);
  const manifest = { ...JSON.parse(plain.manifest.bytes.toString()), layers: [first.descriptor, second.descriptor] };
  const image = {
    ...plain,
    manifest: testBlob(plain.manifest.descriptor.mediaType, manifest),
    layers: [first, second],
  };
  const { kbuild, context } = fixture({ Dockerfile: "FROM twice\nLABEL a=1\n" });
  const archive = path.join(folder, "twice.tar");
  const argv = ["--build-context", `twice=oci-layout://${layoutOf(image)}`, "-o", `type=docker,dest=${archive}`];
  await kbuild.must(["-q", ...argv, "-o", "type=image", context]);
  assert.equal(await unsound(kbuild.root), []);
});

Mended("FROM the name of a context that is a folder gives its files, and no registry is asked", async () => {
  const { kbuild, context } = fixture({ Dockerfile: "FROM base\n", "base/x": "x" });
  const argv = ["-q", "--build-context", `base=${context}/base`, "-o", "type=tar,dest=-", context];
  const { bytes } = await kbuild.must(argv);
  assert.is((await must("tar", ["-tf", "-"], { input: bytes })).stdout, "x\n");
});

Mended("two equal files that become one with two names are seen", async () => {
  const { kbuild, context } = fixture({ Dockerfile: "FROM scratch\nCOPY d /d\n", "d/a": "same", "d/b": "same" });
  const before = (await kbuild.must(["-q", context])).stdout;
  fs.rmSync(path.join(context, "d/b"));
  fs.linkSync(path.join(context, "d/a"), path.join(context, "d/b"));
  const after = (await kbuild.must(["-q", context])).stdout;
  assert.is.not(after, before);
  assert.is((await kbuild.must(["-q", context])).stdout, after);
});

Mended("an ADD that fails leaves nothing of the archives that it had unpacked", async () => {
  const { kbuild, context } = fixture({
    Dockerfile: "FROM scratch\nADD a.tar b.tar /\n",
    "in/good": "x",
    "bad/.wh.x": "",
  });
  await must("tar", ["cf", `${context}/a.tar`, "-C", `${context}/in`, "."]);
  await must("tar", ["cf", `${context}/b.tar`, "-C", `${context}/bad`, "."]);
  const done = await kbuild.run(["-q", context]);
  assert.is(done.status, 1, done.stderr);
  assert.equal(await unsound(kbuild.root), []);
});

Mended("ADD unpacks an archive whose name is not UTF-8", async () => {
  const { kbuild, context } = fixture({ Dockerfile: "FROM scratch\nADD *.tar /\n", "in/good": "x" });
  await must("tar", ["cf", `${context}/plain`, "-C", `${context}/in`, "good"]);
  fs.renameSync(
    `${context}/plain`,
    Buffer.concat([Buffer.from(`${context}/`), Buffer.from([0xff]), Buffer.from(".tar")]),
  );
  const dest = path.join(folder, "odd-out");
  await kbuild.must(["-q", "-o", dest, context]);
  assert.is(fs.readFileSync(path.join(dest, "good"), "utf8"), "x");
});

Mended("an output keeps the mode of the file that it replaces", async () => {
  const { kbuild, context } = fixture({ Dockerfile: "FROM scratch\nLABEL a=1\n" });
  const file = path.join(folder, "private.tar");
  fs.writeFileSync(file, "old", { mode: 0o600 });
  await kbuild.must(["-q", "-o", `type=oci,dest=${file}`, context]);
  assert.is(fs.statSync(file).mode & 0o777, 0o600);
});

Mended("a name that one output has is not another's", async () => {
  const { kbuild, context } = fixture({ Dockerfile: "FROM scratch\nLABEL a=1\n" });
  const file = path.join(folder, "named.tar");
  const outputs = ["-o", `type=docker,dest=${file},name=inarchive:1`, "-o", "type=image,name=instore:1"];
  await kbuild.must(["-q", "-t", "both:1", ...outputs, context]);
  const listed = (await kbuild.must(["image", "ls", "--format", "{{.Repository}}"])).stdout.split("\n").sort();
  assert.equal(listed, ["", "both", "instore"]);
  const manifest = (await must("tar", ["xOf", file, "manifest.json"])).stdout;
  assert.equal(JSON.parse(manifest)[0].RepoTags, ["both:1", "inarchive:1"]);
});

Mended("a compression level without a compression is refused", async () => {
  const { kbuild, context } = fixture({ Dockerfile: "FROM scratch\n" });
  const done = await kbuild.run(["-q", "-o", `type=oci,dest=${folder}/level.tar,compression-level=9`, context]);
  assert.is(done.status, 2, done.stderr);
});

Mended("an ignore file that is a pipe is refused instead of waited for", async () => {
  const { kbuild, context } = fixture({ Dockerfile: "FROM scratch\n" });
  assert.is(spawnSync("mkfifo", [`${context}/.dockerignore`]).status, 0);
  const done = await kbuild.run(["-q", context], { timeout: 10_000 });
  assert.is(done.status, 1, done.stderr);
  assert.match(done.stderr, /\.dockerignore is not a regular file/);
});

Mended("a missing source of a named context names that context's rule", async () => {
  const { kbuild, context } = fixture({
    Dockerfile: "FROM scratch\nCOPY --from=x f /\n",
    "x/f": "",
    "x/.dockerignore": "# c\nf\n",
  });
  const done = await kbuild.run(["-q", "--build-context", `x=${context}/x`, context]);
  assert.is(done.status, 1, done.stderr);
  assert.match(done.stderr, /excluded by \.dockerignore line 2 of the context "x"/);
});

Mended("Ctrl-C ends a build that waits for its context on standard input", async () => {
  const child = spawn(process.execPath, [KBUILD, "-q", "-"], {
    env: { PATH: process.env.PATH, HOME: folder, KBUILD_ROOT: path.join(folder, "store-waiting") },
    stdio: ["pipe", "ignore", "pipe"],
  });
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  for (let i = 0; i < 300 && !fs.existsSync(path.join(folder, "store-waiting", "kbuild-store.json")); i += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await new Promise((resolve) => setTimeout(resolve, 200));
  child.kill("SIGINT");
  const guard = setTimeout(() => child.kill("SIGKILL"), 8000);
  assert.is(await ended, 130);
  clearTimeout(guard);
});

Mended.run();
