import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { writeBase } from "../conformance/base.ts";
import { type Kbuild, kbuildWith } from "../support/command.ts";
import { readImage } from "../support/image-reader.ts";
import { unsound } from "../support/store-check.ts";
import { plant, workspace } from "../support/workspace.ts";

const DOCKERFILE = `FROM busybox
ENV A=1
COPY first.txt /first.txt
WORKDIR /app
COPY app.js .
COPY last.txt /last.txt
CMD ["sh"]
`;

interface Fixture {
  kbuild: Kbuild;
  context: string;
  build(more?: readonly string[]): Promise<Built>;
}

interface Built {
  readonly id: string;
  readonly digest: string;
  /** The names of the steps that were made, and of those that the cache had. */
  readonly made: string[];
  readonly cached: string[];
  readonly text: string;
}

const shared = workspace();
const base = path.join(shared, "busybox");
await writeBase(base);
let number = 0;

/** A new store and a new context. */
function fixture(dockerfile = DOCKERFILE): Fixture {
  number += 1;
  const kbuild = kbuildWith(path.join(shared, `store-${number}`));
  const context = plant(path.join(shared, `context-${number}`), {
    Dockerfile: dockerfile,
    "app.js": "one\n",
    "first.txt": "first\n",
    "last.txt": "last\n",
  });
  return { kbuild, context, build: (more = []) => build(kbuild, context, more) };
}

async function build(kbuild: Kbuild, context: string, more: readonly string[]): Promise<Built> {
  const files = path.join(kbuild.root, "..", `${path.basename(kbuild.root)}-${process.hrtime.bigint()}`);
  const { stdout, stderr } = await kbuild.must([
    ...["build", "--progress=json", `--build-context=busybox=oci-layout://${base}`],
    ...[`--iidfile=${files}.iid`, `--metadata-file=${files}.json`, ...more, context],
  ]);
  const names = new Map<number, string>();
  const made: string[] = [];
  const cached: string[] = [];
  for (const line of `${stdout}${stderr}`.split("\n").filter((text) => text.startsWith("{"))) {
    const event = JSON.parse(line) as { type: string; step: number; name: string; kind: string; status: string };
    if (event.type === "stepPlanned" && event.kind === "instruction")
      names.set(event.step, event.name.replace(/^\[.*?\] /, ""));
    if (event.type === "stepFinished" && names.has(event.step)) {
      (event.status === "cached" ? cached : made).push(names.get(event.step) ?? "");
    }
  }
  const metadata = JSON.parse(fs.readFileSync(`${files}.json`, "utf8")) as Record<string, string>;
  return {
    id: fs.readFileSync(`${files}.iid`, "utf8"),
    digest: metadata["containerimage.digest"] ?? "",
    made,
    cached,
    text: stderr,
  };
}

const Cache = suite("the cache");

Cache("a second build makes nothing and gives the same image, created times included", async () => {
  const { build, kbuild } = fixture();
  const one = await build();
  const two = await build();
  assert.equal(two.made, []);
  assert.is(two.id, one.id);
  assert.is(two.digest, one.digest);
  assert.equal(await unsound(kbuild.root), []);
});

Cache("touching a file changes nothing", async () => {
  const { build, context } = fixture();
  const one = await build();
  const future = Date.now() / 1000 + 1000;
  for (const name of fs.readdirSync(context)) fs.utimesSync(path.join(context, name), future, future);
  const two = await build();
  assert.equal(two.made, []);
  assert.is(two.id, one.id);
});

Cache("after an edit only the COPY of that file and what follows is made", async () => {
  const { build, context } = fixture();
  const one = await build();
  fs.writeFileSync(path.join(context, "app.js"), "two\n");
  const two = await build();
  assert.equal(
    two.cached.filter((name) => /^COPY app|^COPY last/.test(name)),
    [],
  );
  assert.equal(
    two.made.filter((name) => !/^COPY app|^COPY last|^CMD/.test(name)),
    [],
    "nothing above was made again",
  );
  assert.ok(two.made.includes("COPY app.js ."), two.made.join());
  assert.is.not(two.id, one.id);
});

Cache("an edit that keeps size and time is seen", async () => {
  const { build, context } = fixture();
  const file = path.join(context, "app.js");
  const one = await build();
  const before = fs.statSync(file);
  fs.writeFileSync(file, "two\n");
  fs.utimesSync(file, before.atime, before.mtime);
  assert.is.not((await build()).id, one.id);
});

Cache("a mode that changes is seen, an owner in the context is not", async () => {
  const { build, context } = fixture();
  const one = await build();
  fs.chmodSync(path.join(context, "app.js"), 0o755);
  const two = await build();
  assert.ok(two.made.includes("COPY app.js ."));
  assert.is.not(two.id, one.id);
  if (process.getuid?.() !== 0) return;
  fs.chownSync(path.join(context, "app.js"), 1234, 1234);
  assert.is((await build()).id, two.id);
});

Cache("a COPY whose outcome is the same content stops the chain of misses", async () => {
  const { build, context } = fixture(`FROM busybox
COPY one* /same.txt
COPY last.txt /last.txt
`);
  fs.writeFileSync(path.join(context, "one.txt"), "same\n");
  fs.chmodSync(path.join(context, "one.txt"), 0o644);
  const one = await build();
  plant(context, {
    Dockerfile: "FROM busybox\nCOPY two.txt /same.txt\nCOPY last.txt /last.txt\n",
    "two.txt": "same\n",
  });
  const two = await build();
  assert.ok(two.cached.includes("COPY last.txt /last.txt"), `made: ${two.made.join()}`);
  const layers = async (digest: string) =>
    (await readImage(path.join(shared, `store-${number}`), digest)).config.rootfs.diff_ids;
  assert.equal(await layers(two.digest), await layers(one.digest));
});

Cache("an edit in one stage that leaves what is copied from it alone makes nothing in the other", async () => {
  const { build, context } = fixture(`FROM busybox AS build
COPY . /src
FROM busybox
COPY --from=build /src/app.js /app.js
COPY last.txt /last.txt
`);
  await build();
  fs.writeFileSync(path.join(context, "first.txt"), "changed\n");
  const two = await build();
  assert.equal(two.made, ["COPY . /src"]);
});

Cache("comments, blank lines and spaces do not count", async () => {
  const { build, context } = fixture();
  const one = await build();
  plant(context, { Dockerfile: `# a comment\n\n${DOCKERFILE.replace("ENV A=1", "ENV   A=1\n# another\n")}` });
  const two = await build();
  assert.equal(two.made, []);
  assert.is(two.id, one.id);
});

Cache("what made a step run is told in one line", async () => {
  const { build, context, kbuild } = fixture();
  await build();
  fs.writeFileSync(path.join(context, "app.js"), "three\n");
  const plain = await kbuild.must(["--progress=plain", `--build-context=busybox=oci-layout://${base}`, context]);
  assert.match(plain.stderr, /app\.js/);
  assert.match(plain.stderr, /changed/i);
  plant(context, { Dockerfile: DOCKERFILE.replace("last.txt /last.txt", "last.txt /other.txt") });
  const explained = await kbuild.must([
    "--progress=plain",
    "--explain",
    `--build-context=busybox=oci-layout://${base}`,
    context,
  ]);
  assert.match(explained.stderr, /was: COPY last\.txt \/last\.txt/, "names what the instruction was");
});

Cache("--no-cache makes everything, --no-cache-filter one stage", async () => {
  const { build } = fixture(
    "FROM busybox AS one\nCOPY app.js /1\nFROM busybox AS two\nCOPY app.js /2\nCOPY --from=one /1 /3\n",
  );
  await build();
  assert.equal((await build(["--no-cache"])).cached, []);
  const filtered = await build(["--no-cache-filter", "one"]);
  assert.ok(filtered.made.includes("COPY app.js /1"), filtered.made.join());
  assert.ok(filtered.cached.includes("COPY app.js /2"), filtered.cached.join());
});

Cache("two stores give the same digest when SOURCE_DATE_EPOCH is set", async () => {
  const digests = [];
  for (const wait of [0, 1100]) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    const { kbuild, context } = fixture();
    const file = `${kbuild.root}.json`;
    await kbuild.must(["-q", "--metadata-file", file, `--build-context=busybox=oci-layout://${base}`, context], {
      env: { SOURCE_DATE_EPOCH: "1700000000" },
    });
    const { "containerimage.digest": digest } = JSON.parse(fs.readFileSync(file, "utf8")) as Record<string, string>;
    digests.push(digest);
    const image = await readImage(kbuild.root, digest ?? "");
    assert.is(new Date(image.config.created ?? "").getTime(), 1_700_000_000_000);
    for (const [name, entry] of image.tree) assert.ok(entry.mtime <= 1_700_000_000, `${name}: ${entry.mtime}`);
  }
  assert.is(digests[0], digests[1]);
});

for (const [what, copy, make] of [
  ["that is not excluded", "COPY --exclude=*.md d /x/", (d: string) => plant(d, { "a.md": "never read\n" })],
  ["with two names", "COPY d /x/", (d: string) => fs.linkSync(path.join(d, "f3"), path.join(d, "g3"))],
  ["beside one that another takes the place of", "COPY e d /x/", (d: string) => plant(`${d}/../e`, { f1: "lost\n" })],
] as const) {
  Cache(`an edit of a file ${what} is seen`, async () => {
    const { build, context, kbuild } = fixture(`FROM scratch\n${copy}\n`);
    // More files than those that are read without the core.
    const names = Array.from({ length: 12 }, (_, index) => `f${index}`);
    const folder = plant(path.join(context, "d"), Object.fromEntries(names.map((name) => [name, `${name}\n`])));
    make(folder);
    const one = await build();
    assert.equal((await build()).made, []);
    fs.writeFileSync(path.join(folder, "f3"), "changed\n");
    const two = await build();
    assert.is.not(two.id, one.id);
    assert.is((await readImage(kbuild.root, two.digest)).tree.get("x/f3")?.text, "changed\n");
  });
}

Cache("a lost cache folder costs time and nothing else", async () => {
  const { build, kbuild } = fixture();
  const one = await build();
  fs.rmSync(path.join(kbuild.root, "cache"), { recursive: true, force: true });
  const two = await build();
  assert.ok(two.made.length > 0);
  const layers = async (built: Built) => (await readImage(kbuild.root, built.digest)).config.rootfs.diff_ids.length;
  assert.is(await layers(one), await layers(two));
});

Cache("a blob that is gone is made again", async () => {
  const { build, kbuild } = fixture();
  const one = await build();
  const image = await readImage(kbuild.root, one.digest);
  const last = image.manifest.layers.at(-1)?.digest.split(":")[1] ?? "";
  fs.chmodSync(path.join(kbuild.root, "blobs/sha256"), 0o755);
  fs.rmSync(path.join(kbuild.root, "blobs/sha256", last));
  const two = await build();
  assert.is((await readImage(kbuild.root, two.digest)).tree.get("last.txt")?.text, "last\n");
});

Cache("two builds at the same time do not hurt each other", async () => {
  const { kbuild, context } = fixture();
  const big = plant(path.join(shared, "parallel"), {
    Dockerfile: DOCKERFILE.replace("COPY first.txt", "COPY big.bin /big.bin\nCOPY first.txt"),
    "app.js": "one\n",
    "first.txt": "first\n",
    "last.txt": "last\n",
    "big.bin": Buffer.alloc(30_000_000, "kbuild"),
  });
  const all = await Promise.all([
    build(kbuild, context, []),
    build(kbuild, context, []),
    build(kbuild, big, []),
    build(kbuild, big, []),
  ]);
  for (const each of all) await readImage(kbuild.root, each.digest);
  assert.equal(await unsound(kbuild.root), []);
  assert.equal((await build(kbuild, context, [])).made, []);
  assert.equal((await build(kbuild, big, [])).made, []);
});

Cache.run();
