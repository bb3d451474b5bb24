import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Kbuild, kbuildWith } from "../support/command.ts";
import { HOME, plant, workspace } from "../support/workspace.ts";

// A small stand-in for the base: what these commands print does not depend on what is in it.
const folder = workspace();
const example = path.join(HOME, "examples/web-ping");

async function withBase(root: string): Promise<Kbuild> {
  const kbuild = kbuildWith(root);
  const context = plant(path.join(folder, "base"), {
    Dockerfile: 'FROM scratch\nCOPY node /usr/bin/node\nENV NODE_VERSION=20.0.0\nCMD ["node"]\n',
    node: { text: "x".repeat(3_000_000), mode: 0o755 },
  });
  await kbuild.must(["-q", "-t", "diamol/node", context]);
  return kbuild;
}

const Transcript = suite<{ kbuild: Kbuild }>("a tutorial's commands");

Transcript.before(async (context) => {
  context.kbuild = await withBase(path.join(folder, "store"));
  await context.kbuild.must(["-t", "web-ping:v2", example]);
});

Transcript("a build ends with docker's headline, and stands in the store under its name", async ({ kbuild }) => {
  const again = await kbuild.must(["--progress=plain", "-t", "web-ping:v2", example]);
  assert.match(again.stderr, /COPY app\.js \./);
  assert.match(again.stderr, /CACHED/);
  assert.match(again.stderr, /web-ping:v2/);
  assert.not(again.stderr.includes("\u001b"), "no control codes when it is not a terminal");
  assert.is(again.stdout, "", "progress goes to standard error");
});

Transcript("image ls has docker's columns and takes a pattern", async ({ kbuild }) => {
  const { stdout } = await kbuild.must(["image", "ls", "w*"]);
  const lines = stdout.trimEnd().split("\n");
  assert.match(lines[0] ?? "", /^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE$/);
  assert.is(lines.length, 2, stdout);
  assert.match(lines[1] ?? "", /^web-ping +v2 +[0-9a-f]{12} +\S.* ago +\d[\d.]*[kMG]?B$/);
  const all = await kbuild.must(["image", "ls"]);
  assert.match(all.stdout, /^diamol\/node +latest /m);
  const quiet = await kbuild.must(["image", "ls", "-q", "w*"]);
  assert.match(quiet.stdout, /^[0-9a-f]{12}\n$/);
  assert.ok(stdout.includes(quiet.stdout.trim()));
});

Transcript("history has docker's columns and one line for each instruction", async ({ kbuild }) => {
  const { stdout } = await kbuild.must(["history", "web-ping:v2"]);
  const lines = stdout.trimEnd().split("\n");
  assert.match(lines[0] ?? "", /^IMAGE +CREATED +CREATED BY +SIZE +COMMENT *$/);
  const instructions = [
    /CMD \["node" "\/web-ping\/app\.js"\]|CMD \["node","\/web-ping\/app\.js"\]/,
    /COPY app\.js \./,
    /WORKDIR \/web-ping/,
    /ENV INTERVAL=/,
    /ENV METHOD=/,
    /ENV TARGET=/,
    /CMD \["node"\]/,
    /ENV NODE_VERSION=/,
    /COPY node \/usr\/bin\/node/,
  ];
  assert.is(lines.length, instructions.length + 1, stdout);
  for (const [number, instruction] of instructions.entries()) assert.match(lines[number + 1] ?? "", instruction);
  const whole = await kbuild.must(["history", "--no-trunc", "web-ping:v2"]);
  assert.match(whole.stdout, /sha256:[0-9a-f]{64}/);
});

Transcript("inspect gives docker's JSON, and --format the usual fields", async ({ kbuild }) => {
  const { stdout } = await kbuild.must(["inspect", "web-ping:v2"]);
  const [image] = JSON.parse(stdout) as [
    {
      Id: string;
      RepoTags: string[];
      Config: { Env: string[]; Cmd: string[]; WorkingDir: string };
      RootFS: { Layers: string[] };
      Architecture: string;
      Os: string;
    },
  ];
  assert.match(image.Id, /^sha256:[0-9a-f]{64}$/);
  assert.equal(image.RepoTags, ["web-ping:v2"]);
  assert.equal(image.Config.Cmd, ["node", "/web-ping/app.js"]);
  assert.is(image.Config.WorkingDir, "/web-ping");
  assert.ok(image.Config.Env.includes("TARGET=blog.sixeyed.com"));
  assert.is(image.RootFS.Layers.length, 3);
  for (const [format, expected] of [
    ["{{.Id}}", image.Id],
    ["{{.Config.WorkingDir}}", "/web-ping"],
    ["{{json .Config.Cmd}}", '["node","/web-ping/app.js"]'],
    ["{{.Os}}/{{.Architecture}}", `${image.Os}/${image.Architecture}`],
  ] as const) {
    const formatted = await kbuild.must(["inspect", "--format", format, "web-ping:v2"]);
    assert.is(formatted.stdout, `${expected}\n`, format);
  }
});

Transcript("the optimized Dockerfile has fewer entries, and what changes often comes last", async ({ kbuild }) => {
  await kbuild.must(["-t", "web-ping:v3", "-f", path.join(example, "Dockerfile.optimized"), example]);
  const { stdout } = await kbuild.must(["history", "--no-trunc", "web-ping:v3"]);
  const lines = stdout.trimEnd().split("\n").slice(1);
  assert.is(lines.length, 4 + 3, stdout);
  assert.match(lines[0] ?? "", /COPY app\.js/);
  assert.match(lines[2] ?? "", /ENV TARGET=.*METHOD=.*INTERVAL=/);
});

Transcript("save and -o type=docker write the same image", async ({ kbuild }) => {
  const saved = path.join(folder, "saved.tar");
  const built = path.join(folder, "built.tar");
  await kbuild.must(["save", "-o", saved, "web-ping:v2"]);
  await kbuild.must(["-t", "web-ping:v2", "-o", `type=docker,dest=${built}`, example]);
  const { must } = await import("../support/command.ts");
  const names = async (file: string) =>
    (await must("tar", ["tf", file])).stdout
      .trimEnd()
      .split("\n")
      .filter((name) => name.startsWith("blobs/sha256/"))
      .sort();
  assert.equal(await names(saved), await names(built));
});

Transcript("-q prints the image ID and nothing else", async ({ kbuild }) => {
  const { stdout, stderr } = await kbuild.must(["build", "-q", example]);
  assert.match(stdout, /^sha256:[0-9a-f]{64}\n$/);
  assert.is(stderr, "");
});

Transcript("help names every command and is on standard output", async ({ kbuild }) => {
  const { stdout } = await kbuild.must(["--help"]);
  for (const word of ["build", "image", "history", "inspect", "save"])
    assert.match(stdout, new RegExp(`^ +${word}\\b`, "m"), word);
  const build = await kbuild.must(["build", "--help"]);
  for (const flag of [
    "--tag",
    "--file",
    "--build-arg",
    "--target",
    "--label",
    "--platform",
    "--no-cache",
    "--pull",
    "--quiet",
    "--progress",
    "--output",
    "--iidfile",
    "--build-context",
    "--explain",
  ]) {
    assert.ok(build.stdout.includes(flag), flag);
  }
});

Transcript.run();
