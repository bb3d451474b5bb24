import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { tarOf } from "../conformance/base.ts";
import { type CommandOptions, kbuildWith, type Outcome } from "../support/command.ts";
import { answering, cutting, hangUp, type LyingRegistry, startLyingRegistry } from "../support/lying-registry.ts";
import {
  makeCertificate,
  startRegistry,
  type TestImage,
  type TestRegistry,
  testImage,
  testIndex,
} from "../support/registry.ts";
import { unsound } from "../support/store-check.ts";
import { listing, plant, workspace } from "../support/workspace.ts";

const folder = workspace();

/** A base with two layers: the second deletes a file of the first. */
async function baseImage(text: string, docker = false): Promise<TestImage> {
  const first = await tarOf([
    { name: "etc", type: "directory", mode: 0o755 },
    { name: "etc/passwd", type: "file", mode: 0o644, data: "root:x:0:0::/root:/bin/sh\nweb:x:7:8::/:/bin/sh\n" },
    { name: "etc/gone", type: "file", mode: 0o644, data: "gone\n" },
    { name: "noise", type: "file", mode: 0o600, data: randomBytes(300_000).toString("base64") },
  ]);
  const second = await tarOf([
    { name: "etc/.wh.gone", type: "file", mode: 0o600 },
    { name: "text", type: "file", mode: 0o644, data: text },
  ]);
  return testImage([first, second], { docker });
}

let number = 0;
/** Builds on a base in a store of its own, into a folder. */
async function build(base: string, argv: readonly string[] = [], options: CommandOptions = {}) {
  number += 1;
  const kbuild = kbuildWith(path.join(folder, `store-${number}`));
  const context = plant(path.join(folder, `context-${number}`), {
    Dockerfile: `FROM ${base}\nCOPY --chown=web file /file\n`,
    file: "file\n",
  });
  const dest = path.join(folder, `out-${number}`);
  const again = (): Promise<Outcome> =>
    kbuild.run(["--progress=plain", "-o", dest, "-o", "type=image", ...argv, context], options);
  const done = await again();
  return { kbuild, done, dest, again };
}

const EXPECTED = ["etc/", "etc/passwd 47", "file 5", "noise 400000"];

function sees(outcome: { readonly done: Outcome; readonly dest: string }, text: string): void {
  assert.is(outcome.done.status, 0, outcome.done.stderr);
  assert.equal(listing(outcome.dest), [...EXPECTED, `text ${text.length}`]);
  if (process.getuid?.() === 0) assert.is(fs.statSync(path.join(outcome.dest, "file")).uid, 7);
}

interface State {
  open: TestRegistry;
  closed: TestRegistry;
  secure: TestRegistry;
  liar: LyingRegistry;
}

const Pull = suite<State>("bases from registries");

Pull.before(async (state) => {
  const tls = makeCertificate(folder, "DNS:registry.test,IP:127.0.0.1");
  [state.open, state.closed, state.secure, state.liar] = await Promise.all([
    startRegistry(),
    startRegistry({ htpasswd: { alice: "open sesame" } }),
    startRegistry({ tls }),
    startLyingRegistry(),
  ]);
});
Pull.after(async ({ open, closed, secure, liar }) => {
  await Promise.all([open, closed, secure, liar].map((server) => server?.stop()));
});

for (const docker of [false, true]) {
  Pull(
    `a base of ${docker ? "Docker's" : "OCI's"} types is pulled by digest, once, and stays in the store`,
    async ({ open }) => {
      const name = `${open.host}/some/base:${docker ? "docker" : "oci"}`;
      await open.put("some/base", docker ? "docker" : "oci", await baseImage("one", docker));
      const outcome = await build(name);
      sees(outcome, "one");
      assert.match(outcome.done.stderr, /\[internal\] load metadata for 127\.0\.0\.1/);
      assert.match(outcome.done.stderr, /\[1\/2\] FROM 127\.0\.0\.1:\d+\/some\/base:\w+@sha256:[0-9a-f]{64}/);
      const asked = open.log().length;
      const second = await outcome.again();
      assert.is(second.status, 0, second.stderr);
      assert.match(second.stderr, /CACHED/);
      assert.is(open.log().length, asked, "the registry is not asked again");
      assert.match((await outcome.kbuild.must(["image", "ls"])).stdout, /some\/base/);
      assert.equal(await unsound(outcome.kbuild.root), []);
    },
  );
}

Pull("--pull asks the registry first, and takes what the name means now", async ({ open }) => {
  await open.put("moving", "1", await baseImage("before"));
  const outcome = await build(`${open.host}/moving:1`);
  sees(outcome, "before");
  await open.put("moving", "1", await baseImage("afterwards"));
  assert.is((await outcome.again()).status, 0);
  assert.is(fs.readFileSync(path.join(outcome.dest, "text"), "utf8"), "before", "without --pull the store's is taken");
  const kbuild = outcome.kbuild;
  const done = await kbuild.run(["--pull", "-q", "-o", outcome.dest, path.join(folder, `context-${number}`)]);
  assert.is(done.status, 0, done.stderr);
  assert.is(fs.readFileSync(path.join(outcome.dest, "text"), "utf8"), "afterwards");
});

Pull("of an index the platform's image is taken, by tag and by digest", async ({ open }) => {
  const arm = testImage([await tarOf([{ name: "arm", type: "file", mode: 0o644, data: "arm" }])], {
    platform: { os: "linux", architecture: "arm64" },
  });
  const index = testIndex({ "linux/amd64": await baseImage("amd"), "linux/arm64": arm });
  await open.put("several", "1", index);
  sees(await build(`${open.host}/several:1`, ["--platform", "linux/amd64"]), "amd");
  const byDigest = `${open.host}/several@${index.index.descriptor.digest}`;
  const outcome = await build(byDigest, ["--platform", "linux/amd64"]);
  sees(outcome, "amd");
  const asked = open.log().length;
  assert.is((await outcome.again()).status, 0);
  assert.is(open.log().length, asked, "a digest that is there is not asked for again");
  const other = await build(`${open.host}/several:1`, ["--platform", "linux/s390x"]);
  assert.is(other.done.status, 3, other.done.stderr);
  assert.match(other.done.stderr, /s390x/);
  assert.match(other.done.stderr, /linux\/amd64/, "tells what there is");
});

Pull(
  "a registry that asks for a password gets it from config.json; without one it is refused with a hint",
  async ({ closed }) => {
    const login = Buffer.from("alice:open sesame").toString("base64");
    const config = plant(path.join(folder, "docker-config"), {
      "config.json": JSON.stringify({ auths: { [closed.host]: { auth: login } } }),
    });
    await closed.put("secret/base", "1", await baseImage("hidden"));
    const outcome = await build(`${closed.host}/secret/base:1`, [], { env: { DOCKER_CONFIG: config } });
    sees(outcome, "hidden");
    for (const kept of fs.readdirSync(outcome.kbuild.root, { recursive: true, withFileTypes: true })) {
      if (!kept.isFile()) continue;
      const bytes = fs.readFileSync(path.join(kept.parentPath, kept.name));
      assert.not(bytes.includes(login) || bytes.includes("open sesame"), `${kept.name} has the password`);
    }
    assert.not(outcome.done.stderr.includes("sesame"));
    const refused = await build(`${closed.host}/secret/base:1`);
    assert.is(refused.done.status, 3, refused.done.stderr);
    assert.match(
      refused.done.stderr.split("\n").find((line) => line.startsWith("Dockerfile:1")) ?? "",
      /Dockerfile:1:6/,
    );
    assert.match(refused.done.stderr, /login|credentials|config\.json/i);
    assert.equal(await unsound(refused.kbuild.root), []);
  },
);

Pull("a certificate that nobody vouches for is refused, and taken with --insecure-registry", async ({ secure }) => {
  await secure.put("base", "1", await baseImage("tls"));
  const refused = await build(`${secure.host}/base:1`, [], { env: { KBUILD_LOOPBACK: "" } });
  if (refused.done.status === 0) sees(refused, "tls");
  else assert.is(refused.done.status, 3, refused.done.stderr);
  sees(await build(`${secure.host}/base:1`, ["--insecure-registry", secure.host]), "tls");
});

Pull("an image that is not there, and a registry that is down", async ({ open }) => {
  const missing = await build(`${open.host}/no/such:1`);
  assert.is(missing.done.status, 3, missing.done.stderr);
  assert.match(missing.done.stderr, /Dockerfile:1:6.*no\/such:1/);
  const down = await build("127.0.0.1:1/none:1");
  assert.is(down.done.status, 3, down.done.stderr);
  assert.match(down.done.stderr, /127\.0\.0\.1:1/);
  for (const { kbuild } of [missing, down]) assert.equal(await unsound(kbuild.root), []);
});

Pull("a name that is nearly a stage's is told so", async ({ liar }) => {
  const context = plant(path.join(folder, "near"), {
    Dockerfile: `FROM scratch AS build\nCOPY a /\nFROM scratch\nCOPY --from=biuld /a /\n`,
    a: "a",
  });
  // Nothing is to be asked of a registry of the real world: a proxy that refuses stands in for it.
  const env = { HTTPS_PROXY: `http://${liar.host}`, HTTP_PROXY: `http://${liar.host}` };
  const done = await kbuildWith(path.join(folder, "store-near")).run(["-q", context], { env });
  assert.is(done.status, 3, done.stderr);
  assert.match(done.stderr, /Dockerfile:4:13/);
  assert.match(done.stderr, /did you mean the stage build\?/);
});

for (const [what, lie, status] of [
  ["other bytes", (bytes: Buffer) => answering(200, {}, Buffer.alloc(bytes.length, 1)), 3],
  ["too few bytes", (bytes: Buffer) => answering(200, {}, bytes.subarray(0, -10)), 3],
  ["too many bytes", (bytes: Buffer) => answering(200, {}, Buffer.concat([bytes, Buffer.from("more")])), 3],
  ["a cut, once", (bytes: Buffer) => cutting(bytes.subarray(0, 1000), bytes.length), 0],
  ["a hung-up connection, once", () => hangUp, 0],
  ["503 and then the truth", () => answering(503, { "retry-after": "0" }), 0],
  ["429 and then the truth", () => answering(429, { "retry-after": "0" }), 0],
] as const) {
  Pull(
    `a layer with ${what}: ${status === 0 ? "the build goes on" : "refused, and nothing of it stays"}`,
    async ({ liar }) => {
      const image = await baseImage(`lie ${what}`);
      const [layer] = image.layers;
      if (layer === undefined) throw new Error("no layer");
      const repository = `lies/${what.replace(/\W+/g, "-").toLowerCase()}`;
      liar.put(repository, "1", image);
      liar.lie(new RegExp(`${repository}/blobs/${layer.descriptor.digest}`), lie(layer.bytes), status === 0 ? 1 : 20);
      const outcome = await build(`${liar.host}/${repository}:1`);
      assert.is(outcome.done.status, status, outcome.done.stderr);
      if (status === 0) sees(outcome, `lie ${what}`);
      else assert.not(fs.existsSync(outcome.dest), "no output was begun");
      assert.equal(await unsound(outcome.kbuild.root), []);
      assert.equal(fs.readdirSync(path.join(outcome.kbuild.root, "tmp")), []);
    },
  );
}

Pull("a manifest with other bytes than its digest is refused", async ({ liar }) => {
  const image = await baseImage("manifest");
  liar.put("bad/manifest", "1", image);
  const { digest } = image.manifest.descriptor;
  const wrong = Buffer.concat([image.manifest.bytes, Buffer.from(" ")]);
  liar.lie(
    /bad\/manifest\/manifests/,
    answering(200, { "content-type": image.manifest.descriptor.mediaType }, wrong),
    20,
  );
  const outcome = await build(`${liar.host}/bad/manifest@${digest}`);
  assert.is(outcome.done.status, 3, outcome.done.stderr);
  assert.match(outcome.done.stderr, /digest/);
  assert.equal(await unsound(outcome.kbuild.root), []);
});

Pull("a layer whose tar is not what the config says is refused", async ({ liar }) => {
  const image = await baseImage("one");
  const other = await baseImage("two");
  const [layer] = other.layers;
  const config = JSON.parse(image.config.bytes.toString()) as { rootfs: { diff_ids: string[] } };
  config.rootfs.diff_ids.reverse();
  const swapped = testImage([Buffer.alloc(1024), Buffer.alloc(2048)]);
  liar.put("bad/diffid", "1", { ...swapped, layers: swapped.layers });
  assert.ok(layer);
  const manifest = { ...JSON.parse(swapped.manifest.bytes.toString()) } as { layers: object[] };
  manifest.layers.reverse();
  const bytes = Buffer.from(JSON.stringify(manifest));
  liar.lie(
    /bad\/diffid\/manifests/,
    answering(200, { "content-type": swapped.manifest.descriptor.mediaType }, bytes),
    20,
  );
  const outcome = await build(`${liar.host}/bad/diffid:1`);
  assert.is(outcome.done.status, 3, outcome.done.stderr);
  assert.match(outcome.done.stderr, /diffID|digest/i);
  assert.equal(await unsound(outcome.kbuild.root), []);
});

Pull.run();
