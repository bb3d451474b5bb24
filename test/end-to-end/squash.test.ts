import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { kbuildWith, run } from "../support/command.ts";
import { plant, workspace } from "../support/workspace.ts";

const folder = workspace();
const kbuild = kbuildWith(path.join(folder, "store"));
const base = plant(path.join(folder, "base"), {
  "bin/tool": "tool",
  "etc/a": "a",
  "etc/b": "b",
  "etc/d/x": "x",
  "etc/d/y": "y",
  "opt/file": "file",
  "opt/kept": "kept",
});
const context = plant(path.join(folder, "context"), {
  one: "1",
  two: "2",
  "folder/inner": "inner",
});
await kbuild.must(["-q", "-t", "base", "-f", "-", base], { input: "FROM scratch\nCOPY . /\nLABEL of=base\n" });

/** Files with their type, mode, owner and content, by GNU tar of what the build exports. */
async function files(argv: readonly string[], dockerfile: string): Promise<string> {
  const { bytes } = await kbuild.must(["-q", "-o", "type=tar,dest=-", "-f", "-", ...argv, context], {
    input: dockerfile,
  });
  const listed = await run("tar", ["--numeric-owner", "--full-time", "-tvf", "-"], { input: bytes });
  return listed.stdout;
}

const Squash = suite("--squash");

for (const [name, dockerfile] of [
  ["copies over each other", "FROM base\nCOPY one /etc/a\nCOPY two /etc/a\nCOPY folder /etc/\n"],
  ["a folder of the base that a file replaces", "FROM base\nCOPY one /new\nCOPY --link two /etc\n"],
  ["links to what a later layer changes", "FROM base\nCOPY one /l/one\nCOPY two /l/one\nCOPY one /l/two\n"],
  ["a stage on a stage", "FROM base AS first\nCOPY one /\nFROM first\nCOPY two /\nWORKDIR /w\n"],
  ["without a base", "FROM scratch\nCOPY one /\nCOPY two /one\n"],
] as const) {
  Squash(`${name}: the same files, in one layer on those of the base`, async () => {
    const env = { SOURCE_DATE_EPOCH: "1" };
    assert.is(await files(["--squash"], dockerfile), await files([], dockerfile));
    const id = (await kbuild.must(["-q", "--squash", "-f", "-", context], { input: dockerfile, env })).stdout.trim();
    const of = async (image: string) =>
      JSON.parse((await kbuild.must(["inspect", "--format", "{{json .RootFS.Layers}}", image])).stdout) as string[];
    const own = await of(id);
    const below = dockerfile.startsWith("FROM base") ? await of("base") : [];
    assert.equal(own.slice(0, below.length), below);
    assert.is(own.length, below.length + 1);
    const history = (await kbuild.must(["history", "-q", id])).stdout.trim().split("\n");
    assert.ok(history.length > 1);
  });
}

Squash("a hard link says of its file what the file says of itself", async () => {
  const linked = plant(path.join(folder, "linked"), { a: "a" });
  fs.linkSync(path.join(linked, "a"), path.join(linked, "b"));
  const layout = path.join(folder, "linked-layout");
  await kbuild.must(["-q", "--squash", "-o", `type=oci,tar=false,dest=${layout}`, "-f", "-", linked], {
    input: "FROM scratch\nCOPY --chown=5:6 . /\nWORKDIR /w\n",
    env: { SOURCE_DATE_EPOCH: "1700000000" },
  });
  const read = (digest: string) => path.join(layout, "blobs/sha256", digest.slice("sha256:".length));
  const index = JSON.parse(fs.readFileSync(path.join(layout, "index.json"), "utf8"));
  const manifest = JSON.parse(fs.readFileSync(read(index.manifests[0].digest), "utf8"));
  const listed = await run("tar", ["--numeric-owner", "--utc", "--full-time", "-tvf", read(manifest.layers[0].digest)]);
  assert.match(listed.stdout, /^h\S+ 5\/6 +0 2023-11-14 22:13:20 b link to a$/m);
});

Squash("what a real runtime tool unpacks is the same as without, deletions of the base included", async () => {
  const busybox = plant(path.join(folder, "busybox"), {
    "bin/busybox": { text: fs.readFileSync("/bin/busybox"), mode: 0o755 },
    "bin/sh": { link: "busybox" },
  });
  for (const name of ["rm", "mkdir", "ln", "echo", "mv"]) fs.symlinkSync("busybox", path.join(busybox, "bin", name));
  const dockerfile = [
    "FROM base",
    "COPY --from=busybox / /",
    "RUN rm -r /etc/d && mkdir /etc/d && echo new > /etc/d/z",
    "RUN rm /etc/a && mkdir /etc/a && rm -r /opt && echo file > /opt",
    "RUN ln /opt /etc/hard && mv /bin/tool /bin/tool2",
    "",
  ].join("\n");
  const roots = [];
  for (const [number, option] of [[], ["--squash"]].entries()) {
    const layout = path.join(folder, `layout-${number}`);
    const argv = ["-q", "-t", "x:y", "-o", `type=oci,tar=false,dest=${layout}`, "-f", "-", ...option];
    await kbuild.must([...argv, "--build-context", `busybox=${busybox}`, context], {
      input: dockerfile,
      env: { SOURCE_DATE_EPOCH: "1" },
    });
    const root = path.join(folder, `root-${number}`);
    const unpacked = await run("umoci", ["raw", "unpack", "--rootless", "--image", `${layout}:x:y`, root]);
    assert.is(unpacked.status, 0, unpacked.stderr);
    const listed = await run("find", [".", "-printf", "%P %y %m %n %l\\n"], { cwd: root });
    roots.push(listed.stdout.split("\n").sort().join("\n"));
  }
  assert.is(roots[1], roots[0]);
  assert.match(roots[0] ?? "", /^etc\/d\/z f/m);
  assert.not.match(roots[0] ?? "", /^etc\/d\/x/m);
});

Squash("the steps' cache stays, and an image of one layer is left as it is", async () => {
  const dockerfile = "FROM base\nCOPY one /cached\nCOPY two /cached2\n";
  await kbuild.must(["-q", "--squash", "-f", "-", context], { input: dockerfile });
  const again = await kbuild.must(["--progress=plain", "--squash", "-f", "-", context], { input: dockerfile });
  assert.is([...again.stderr.matchAll(/CACHED/g)].length, 3, again.stderr);
  const single = "FROM base\nCOPY one /single\n";
  const ids = [];
  for (const option of [[], ["--squash"]]) {
    ids.push((await kbuild.must(["-q", ...option, "-f", "-", context], { input: single })).stdout);
  }
  assert.is(ids[0], ids[1]);
});

Squash.run();
