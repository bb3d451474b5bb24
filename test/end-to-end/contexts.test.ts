import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { kbuildWith, must } from "../support/command.ts";
import { listing, plant, workspace } from "../support/workspace.ts";

const folder = workspace();
const kbuild = kbuildWith(path.join(folder, "store"));
const context = plant(path.join(folder, "context"), {
  Dockerfile: "FROM scratch\nCOPY . /\n",
  "other.Dockerfile": "FROM scratch\nCOPY a.txt /other\n",
  ".dockerignore": "*Dockerfile\n.dockerignore\n*.log\n",
  "a.txt": "a\n",
  "b.log": "b\n",
});

let number = 0;
/** Builds into a folder; gives what is in it. */
async function files(argv: readonly string[], options: Parameters<typeof kbuild.must>[1] = {}): Promise<string[]> {
  number += 1;
  const dest = path.join(folder, `out-${number}`);
  await kbuild.must(["-q", "-o", dest, ...argv], options);
  return listing(dest);
}

const Contexts = suite("contexts");

Contexts("a folder, by an absolute or a relative path", async () => {
  assert.equal(await files([context]), ["a.txt 2"]);
  assert.equal(await files(["."], { cwd: context }), ["a.txt 2"]);
  assert.equal(await files(["../context/"], { cwd: path.join(folder, "store") }), ["a.txt 2"]);
  const word = path.join(folder, "by-word");
  await kbuild.must(["build", "-q", "-o", word, "."], { cwd: context });
  assert.equal(listing(word), ["a.txt 2"]);
});

Contexts("another Dockerfile, within the context or outside of it", async () => {
  assert.equal(await files(["-f", path.join(context, "other.Dockerfile"), context]), ["other 2"]);
  assert.equal(await files(["-f", "other.Dockerfile", "."], { cwd: context }), ["other 2"]);
  plant(folder, { "outside.Dockerfile": "FROM scratch\nCOPY b.log /\n", "outside.Dockerfile.dockerignore": "a.txt\n" });
  assert.equal(await files(["-f", path.join(folder, "outside.Dockerfile"), context]), ["b.log 2"]);
});

Contexts("a Dockerfile whose name is in lower case, as BuildKit takes it too", async () => {
  const lower = plant(path.join(folder, "lower"), { dockerfile: "FROM scratch\nCOPY x /\n", x: "x" });
  assert.equal(await files([lower]), ["x 1"]);
});

Contexts("a wildcard that matches nothing copies nothing, and a warning says so", async () => {
  const some = plant(path.join(folder, "no-match"), { Dockerfile: "FROM scratch\nCOPY *.ts x /y/\n", x: "x" });
  const done = await kbuild.must(["--progress=plain", some]);
  assert.match(done.stderr, /\*\.ts.*matches no file/);
});

Contexts("a Dockerfile from standard input with a context, and without one", async () => {
  assert.equal(await files(["-f", "-", context], { input: "FROM scratch\nCOPY a.txt /stdin\n" }), ["stdin 2"]);
  assert.equal(await files(["-"], { input: "FROM scratch\nCOPY <<EOF /x\nhello\nEOF\n" }), ["x 6"]);
  const copies = await kbuild.run(["-q", "-"], { input: "FROM scratch\nCOPY a.txt /\n" });
  assert.is(copies.status, 1);
  assert.match(copies.stderr, /Dockerfile:2|-:2|stdin.*:2/);
});

Contexts("a tar from standard input, plain or compressed", async () => {
  const programs: readonly (readonly [string, string])[] = [
    ["plain", "tar cf - ."],
    ["gzip", "tar cf - . | gzip"],
    ["bzip2", "tar cf - . | bzip2"],
    ["xz", "tar cf - . | xz"],
    ["zstd", "tar cf - . | zstd -q"],
  ];
  for (const [name, program] of programs) {
    const { bytes } = await must("sh", ["-c", program], { cwd: context });
    assert.equal(await files(["-"], { input: bytes }), ["a.txt 2"], name);
    assert.equal(await files(["-f", "other.Dockerfile", "-"], { input: bytes }), ["other 2"], `${name}, -f`);
  }
});

Contexts("what is neither a tar nor a Dockerfile is refused", async () => {
  for (const [input, what] of [
    [Buffer.from([0x1f, 0x8b, 8, 0, 1, 2, 3]), "a broken gzip"],
    [Buffer.alloc(5000, 0xff), "noise"],
    ["", "nothing"],
  ] as const) {
    const done = await kbuild.run(["-q", "-"], { input });
    assert.is(done.status, 1, `${what}: ${done.stderr}`);
  }
});

Contexts("a tar that would leave its folder stays within it", async () => {
  const evil = plant(path.join(folder, "evil"), { Dockerfile: "FROM scratch\nCOPY . /\n" });
  const target = path.join(folder, "target.txt");
  fs.writeFileSync(target, "untouched\n");
  const { bytes } = await must("tar", [
    "cPf",
    "-",
    "-C",
    evil,
    "Dockerfile",
    "--transform",
    "s,TARGET,../../../../..,",
    target,
  ]);
  await kbuild.run(["-q", "-o", path.join(folder, "evil-out"), "-"], { input: bytes });
  assert.is(fs.readFileSync(target, "utf8"), "untouched\n");
});

Contexts("a second context by name: a folder, an image of a layout", async () => {
  const more = plant(path.join(folder, "more"), { "m.txt": "more\n", ".dockerignore": "n.txt\n", "n.txt": "n\n" });
  plant(context, { "named.Dockerfile": "FROM scratch\nCOPY --from=more m.txt /m\n" });
  assert.equal(
    await files(["-f", path.join(context, "named.Dockerfile"), "--build-context", `more=${more}`, context]),
    ["m 5"],
  );
  const layout = path.join(folder, "layout");
  await kbuild.must([
    "-q",
    "-o",
    `type=oci,tar=false,dest=${layout}`,
    "-f",
    path.join(context, "other.Dockerfile"),
    context,
  ]);
  plant(context, { "layout.Dockerfile": "FROM base\nCOPY --from=base /other /copy\n" });
  assert.equal(
    await files([
      "-f",
      path.join(context, "layout.Dockerfile"),
      "--build-context",
      `base=oci-layout://${layout}`,
      context,
    ]),
    ["copy 2", "other 2"],
  );
});

Contexts.run();
