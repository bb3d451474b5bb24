import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { kbuildWith, run } from "../support/command.ts";
import { startRegistry } from "../support/registry.ts";
import { plant, workspace } from "../support/workspace.ts";

const folder = workspace();
let number = 0;
/** A machine of its own: a new store. */
const machine = () => kbuildWith(path.join(folder, `store-${++number}`));

const context = plant(path.join(folder, "context"), { a: "a\n", b: "b\n", "d/e": "e\n" });
const DOCKERFILE = [
  "FROM scratch AS build",
  "COPY a /only-in-build",
  "COPY b /result",
  "FROM scratch",
  "ENV X=y",
  "COPY --from=build /result /",
  "WORKDIR /w",
  "COPY d .",
  "",
].join("\n");

async function build(kbuild: ReturnType<typeof machine>, argv: readonly string[], dockerfile = DOCKERFILE) {
  const done = await kbuild.must(["--progress=plain", ...argv, "-f", "-", context], { input: dockerfile });
  const id = /writing image (sha256:[0-9a-f]{64})/.exec(done.stderr)?.[1];
  return { id, cached: [...done.stderr.matchAll(/CACHED/g)].length, stderr: done.stderr };
}

const Transfer = suite("caches that leave the store");

Transfer("another machine does nothing with a cache of mode=max, and comes to the same image", async () => {
  const cache = path.join(folder, "max");
  const first = await build(machine(), ["--cache-to", `type=local,dest=${cache},mode=max`]);
  const other = machine();
  const second = await build(other, ["--cache-from", `type=local,src=${cache}`]);
  assert.is(second.id, first.id);
  assert.is(second.cached, 5, second.stderr);
  await other.must(["fsck"]);
  const listed = await run("skopeo", ["inspect", "--raw", `oci:${cache}:latest`]);
  assert.is(listed.status, 0, listed.stderr);
  assert.match(listed.stdout, /vnd\.kbuild\.cache\.config/);
});

Transfer("mode=min has the layers of the image alone", async () => {
  const cache = path.join(folder, "min");
  const first = await build(machine(), ["--cache-to", `type=local,dest=${cache}`]);
  const second = await build(machine(), ["--cache-from", `type=local,src=${cache}`]);
  assert.is(second.cached, 4, "all but what only another stage has");
  assert.is(second.id, first.id, "what was done again came to the same");
});

Transfer("a folder keeps caches by tag, and each replaces its own", async () => {
  const cache = path.join(folder, "tags");
  const one = machine();
  await build(one, ["--cache-to", `type=local,dest=${cache},tag=one`]);
  await build(one, ["--cache-to", `type=local,dest=${cache},tag=two`], "FROM scratch\nCOPY a /two\n");
  await build(one, ["--cache-to", `type=local,dest=${cache},tag=two`], "FROM scratch\nCOPY b /two\n");
  const index = JSON.parse(fs.readFileSync(path.join(cache, "index.json"), "utf8")) as { manifests: unknown[] };
  assert.is(index.manifests.length, 2);
  const from = (tag: string) => ["--cache-from", `type=local,src=${cache},tag=${tag}`];
  assert.is((await build(machine(), from("two"), "FROM scratch\nCOPY b /two\n")).cached, 1);
  assert.is((await build(machine(), from("one"), "FROM scratch\nCOPY b /two\n")).cached, 0);
  const several = [...from("one"), ...from("two")];
  assert.is((await build(machine(), several, "FROM scratch\nCOPY b /two\n")).cached, 1);
});

Transfer("a step of another content is done, and the rest is taken", async () => {
  const cache = path.join(folder, "max");
  const changed = DOCKERFILE.replace("COPY d .", "COPY a .");
  const done = await build(machine(), ["--cache-from", `type=local,src=${cache}`], changed);
  assert.is(done.cached, 4, done.stderr);
});

for (const [name, spoil] of [
  ["is not there", (cache: string) => fs.rmSync(cache, { recursive: true })],
  ["has a damaged list", (cache: string) => spoilBlob(cache, (text) => text.includes('"records"'))],
  ["has a list that is no JSON", (cache: string) => replaceList(cache, () => "{")],
  [
    "names layers by paths",
    (cache: string) => replaceList(cache, (text) => text.replace(/"diffId":"[^"]+/g, '"diffId":"../..')),
  ],
  [
    "has steps without a time",
    (cache: string) => replaceList(cache, (text) => text.replace(/"created":"[^"]+/g, '"created":"then')),
  ],
  [
    "has layers that are none",
    (cache: string) => replaceList(cache, (text) => text.replace(/"mediaType":"[^"]+/g, '"mediaType":"text/html')),
  ],
  ["has a pipe for its index", (cache: string) => replaceByPipe(path.join(cache, "index.json"))],
  ["has a pipe for its list", (cache: string) => replaceByPipe(...blobs(cache).filter(isList))],
  ["lacks its layers", (cache: string) => removeBlobs(cache)],
] as const) {
  Transfer(`a cache that ${name} is no error`, async () => {
    const cache = path.join(folder, `spoilt-${number}`);
    await build(machine(), ["--cache-to", `type=local,dest=${cache},mode=max`]);
    spoil(cache);
    const done = await build(machine(), ["--cache-from", `type=local,src=${cache}`]);
    assert.is(done.cached, 0, done.stderr);
    if (/not there|list|index/.test(name)) assert.match(done.stderr, /the cache .* is not used/);
  });
}

Transfer("a layer that is not what the cache says it is stops the build, and nothing of it stays", async () => {
  const cache = path.join(folder, "forged");
  await build(machine(), ["--cache-to", `type=local,dest=${cache},mode=max`]);
  spoilBlob(cache, (text) => text.includes("only-in-build"));
  spoilBlob(cache, (text) => text.startsWith("result\0"));
  const other = machine();
  const done = await other.run(["-q", "--cache-from", `type=local,src=${cache}`, "-f", "-", context], {
    input: DOCKERFILE,
  });
  assert.is.not(done.status, 0);
  assert.match(done.stderr, /layer sha256:/);
  await other.must(["fsck"]);
});

Transfer("an inline cache is in the image", async () => {
  const one = machine();
  const argv = [
    "-q",
    "-t",
    "inline",
    "--cache-to",
    "type=inline",
    "-o",
    `type=oci,tar=false,dest=${path.join(folder, "il")}`,
  ];
  await one.must([...argv, "-f", "-", context], { input: DOCKERFILE });
  const config = await run("skopeo", ["inspect", "--config", "--raw", `oci:${path.join(folder, "il")}:inline:latest`]);
  assert.is(config.status, 0, config.stderr);
  assert.match(config.stdout, /"io\.kbuild\.cache\.v1"/);
  const plain = (await one.must(["-q", "-f", "-", context], { input: DOCKERFILE })).stdout;
  const asked = await one.must(["-q", "--build-arg", "BUILDKIT_INLINE_CACHE=1", "-f", "-", context], {
    input: DOCKERFILE,
  });
  assert.is.not(asked.stdout, plain);
});

Transfer("an inline cache is read from a registry, for each of several platforms", async () => {
  const registry = await startRegistry();
  try {
    const layout = path.join(folder, "several");
    const platforms = ["--platform", "linux/amd64,linux/arm64"];
    const dockerfile = "FROM scratch\nARG TARGETARCH\nCOPY a /$TARGETARCH\nCOPY b /\n";
    const out = ["-t", "x:several", "--cache-to", "type=inline", "-o", `type=oci,tar=false,dest=${layout}`];
    await build(machine(), [...platforms, ...out], dockerfile);
    registry.copy(`oci:${layout}:x:several`, "cache:several");
    const from = ["--cache-from", `${registry.host}/cache:several`];
    assert.is((await build(machine(), [...platforms, ...from], dockerfile)).cached, 4);
    const third = await build(machine(), ["--platform", "linux/amd64,linux/s390x", ...from], dockerfile);
    assert.is(third.cached, 2, third.stderr);
    assert.match(third.stderr, /the cache .* is not used: .*linux\/s390x/);
  } finally {
    await registry.stop();
  }
});

for (const [spec, reason] of [
  ["--cache-to=type=registry,ref=x", /type=registry is not supported yet/],
  ["--cache-to=type=gha", /type=gha is not supported yet/],
  ["--cache-to=type=local", /dest= is missing/],
  ["--cache-to=type=local,dest=x,mode=most", /must be one of min, max/],
  ["--cache-to=type=local,dest=x,compression=zstd", /compression=zstd is not supported yet/],
  ["--cache-to=type=local,dest=x,mod=max", /there is no mod here.*\n.*did you mean mode/],
  ["--cache-from=type=s3,bucket=x", /type=s3 is not supported yet/],
  ["--cache-from=type=local", /src= is missing/],
  ["--cache-from=UPPER", /UPPER/],
] as const) {
  Transfer(`${spec} is refused`, async () => {
    const done = await machine().run([spec, context]);
    assert.is(done.status, 2, done.stderr);
    assert.match(done.stderr, reason);
  });
}

function blobs(cache: string): string[] {
  const at = path.join(cache, "blobs/sha256");
  return fs.readdirSync(at).map((name) => path.join(at, name));
}

function spoilBlob(cache: string, isMeant: (text: string) => boolean): void {
  for (const file of blobs(cache)) {
    const bytes = fs.readFileSync(file);
    if (isMeant(bytes.toString("latin1"))) fs.writeFileSync(file, bytes.fill("X", 0, 5));
  }
}

function isList(file: string): boolean {
  return fs.readFileSync(file, "latin1").includes('"records"');
}

function replaceByPipe(...files: readonly string[]): void {
  for (const file of files) {
    fs.rmSync(file);
    execFileSync("mkfifo", [file]);
  }
}

/** Puts another list in, whose digests are right all the way up. */
function replaceList(cache: string, change: (list: string) => string): void {
  const at = (digest: string) => path.join(cache, "blobs/sha256", digest.slice("sha256:".length));
  const put = (text: string) => {
    const digest = `sha256:${createHash("sha256").update(text).digest("hex")}`;
    fs.writeFileSync(at(digest), text);
    return { digest, size: Buffer.byteLength(text) };
  };
  const index = JSON.parse(fs.readFileSync(path.join(cache, "index.json"), "utf8"));
  const manifest = JSON.parse(fs.readFileSync(at(index.manifests[0].digest), "utf8"));
  Object.assign(manifest.config, put(change(fs.readFileSync(at(manifest.config.digest), "utf8"))));
  Object.assign(index.manifests[0], put(JSON.stringify(manifest)));
  fs.writeFileSync(path.join(cache, "index.json"), JSON.stringify(index));
}

function removeBlobs(cache: string): void {
  for (const file of blobs(cache)) if (!fs.readFileSync(file, "latin1").startsWith("{")) fs.rmSync(file);
}

Transfer.run();
