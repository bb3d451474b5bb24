import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { kbuildWith } from "../support/command.ts";
import { git, LAST_MODIFIED, publish, startRemoteServer } from "../support/remote.ts";
import { plant, workspace } from "../support/workspace.ts";

const folder = workspace();
const kbuild = kbuildWith(path.join(folder, "store"));
const server = await startRemoteServer();
const MODIFIED = Date.parse(LAST_MODIFIED) / 1000;
const NEWEST = 1_500_000_000;

const plain = plant(path.join(folder, "plain"), {
  f: "f\n",
  Dockerfile: "FROM scratch\nARG SOURCE_DATE_EPOCH\nADD f /\n",
});
const checkout = plant(path.join(folder, "checkout"), {
  f: "f\n",
  Dockerfile: fs.readFileSync(`${plain}/Dockerfile`, "utf8"),
});
git(checkout, "init", "-q", "-b", "main", ".");
git(checkout, "add", "-A");
git(checkout, "commit", "-qm", "one");
const COMMITTED = Number(git(checkout, "show", "-s", "--format=%ct", "HEAD"));
publish(server, checkout, "epoch");
const repository = `${server.url}/git/epoch.git`;

const old = plant(path.join(folder, "old"), { f: "f\n", Dockerfile: fs.readFileSync(`${plain}/Dockerfile`, "utf8") });
fs.utimesSync(path.join(old, "f"), NEWEST, NEWEST);
fs.utimesSync(path.join(old, "Dockerfile"), NEWEST - 5, NEWEST - 5);
const archive = execFileSync("tar", ["-C", old, "-cz", "."]);
server.files.set("/dated.tgz", archive);
// A server that does not tell when.
server.files.set("/undated.tgz", (_, response) => response.writeHead(200).end(archive));
server.files.set("/undated.txt", (_, response) => response.writeHead(200).end("text"));

interface Told {
  readonly created: number | undefined;
  /** What the ARG was, by the history. */
  readonly argument: string | undefined;
  readonly stderr: string;
}

/** Builds, and tells the image's time in seconds since 1970, if it is not now. */
async function built(argv: readonly string[], options: Parameters<typeof kbuild.run>[1] = {}): Promise<Told> {
  const iid = path.join(folder, "iid");
  const { stderr } = await kbuild.must(["--progress=plain", "--no-cache", "--iidfile", iid, ...argv], options);
  const id = fs.readFileSync(iid, "utf8");
  const [image] = JSON.parse((await kbuild.must(["image", "inspect", id])).stdout);
  const seconds = Math.floor(Date.parse(image.Created) / 1000);
  const history = (await kbuild.must(["history", "--no-trunc", "--format", "{{.CreatedBy}}", id])).stdout;
  const argument = /ARG SOURCE_DATE_EPOCH(?:=(.*?))?(?:\s|$)/m.exec(history);
  const isNow = Math.abs(seconds - Date.now() / 1000) < 600;
  return { created: isNow ? undefined : seconds, argument: argument?.[1], stderr };
}

const Epoch = suite("SOURCE_DATE_EPOCH");

const context = ["--build-arg", "SOURCE_DATE_EPOCH=context"];
const contexts: readonly (readonly [string, string, number])[] = [
  ["a folder of a repository", checkout, COMMITTED],
  ["a repository", repository, COMMITTED],
  ["an archive by HTTP with Last-Modified", `${server.url}/dated.tgz`, MODIFIED],
  ["an archive by HTTP without", `${server.url}/undated.tgz`, NEWEST],
];
for (const [name, place, seconds] of contexts) {
  Epoch(`=context is the time of ${name}`, async () => {
    const { created, argument } = await built([...context, place]);
    assert.equal([created, argument], [seconds, String(seconds)]);
    const { created: reproducible } = await built(["--reproducible", place]);
    assert.is(reproducible, seconds);
  });
}

Epoch("=context of a tar on standard input is the time of its newest file", async () => {
  assert.is((await built([...context, "-"], { input: archive })).created, NEWEST);
});

Epoch("=context of a folder that is no repository is nothing, and says so", async () => {
  const env = { GIT_CEILING_DIRECTORIES: folder };
  const { created, argument, stderr } = await built([...context, plain], { env });
  assert.equal([created, argument], [undefined, ""]);
  assert.match(stderr, /the build context has no time that images could be held to/);
  const strict = await kbuild.run(["--reproducible", plain], { env });
  assert.is(strict.status, 2);
  assert.match(strict.stderr, /^error: the build context has no time that images could be held to/m);
});

Epoch("a default in the Dockerfile counts, and whatever the build was given goes before it", async () => {
  const dockerfile = "ARG YEAR=1700000000\nARG SOURCE_DATE_EPOCH=$YEAR\nFROM scratch\nARG SOURCE_DATE_EPOCH\nADD f /\n";
  const of = (argv: readonly string[], env = {}) => built([...argv, "-f", "-", plain], { input: dockerfile, env });
  const { created, argument } = await of([]);
  assert.equal([created, argument], [1_700_000_000, "1700000000"]);
  assert.is((await of(["--build-arg", "SOURCE_DATE_EPOCH=5"])).created, 5);
  assert.is((await of([], { SOURCE_DATE_EPOCH: "6" })).created, 6);
  assert.is((await of(["--build-arg", "SOURCE_DATE_EPOCH="])).created, undefined);
});

const stages: readonly (readonly [string, string, number])[] = [
  ["a repository", `ADD ${repository} /`, COMMITTED],
  ["a file by HTTP", `ARG NAME=dated\nADD ${server.url}/$NAME.tgz /`, MODIFIED],
  ["an archive by HTTP that has no time", `ADD ${server.url}/undated.tgz /`, NEWEST],
];
for (const [name, lines, seconds] of stages) {
  Epoch(`the name of a stage is the time of ${name}`, async () => {
    const input = `ARG SOURCE_DATE_EPOCH=Src\nFROM scratch AS src\n${lines}\nFROM scratch\nADD f /\n`;
    assert.is((await built(["-f", "-", plain], { input })).created, seconds);
  });
}

Epoch("the name of a named context is that context's time", async () => {
  const name = ["--build-arg", "SOURCE_DATE_EPOCH=other"];
  for (const [source, seconds] of [
    [checkout, COMMITTED],
    [repository, COMMITTED],
    [`${server.url}/undated.tgz`, NEWEST],
  ] as const) {
    assert.is((await built([...name, "--build-context", `other=${source}`, plain])).created, seconds);
  }
  const { created, stderr } = await built([...name, "--build-context", `other=${server.url}/undated.txt`, plain]);
  assert.is(created, undefined);
  assert.match(stderr, /other has no time/);
});

const refused: readonly (readonly [string, string, RegExp])[] = [
  ["=x", "ARG SOURCE_DATE_EPOCH=x\nFROM scratch\n", /^1 .*Dockerfile:1:23: .*"x", which is neither a number/s],
  ["=12a", "ARG SOURCE_DATE_EPOCH=12a\nFROM scratch\n", /^1 .*Dockerfile:1:23: .*"12a", which is no number/s],
  ["a stage with RUN", "ARG SOURCE_DATE_EPOCH=s\nFROM scratch AS s\nRUN x\n", /^1 .*Dockerfile:3:1: the stage that/s],
  [
    "a stage of an image",
    "ARG SOURCE_DATE_EPOCH=s\nFROM x AS s\nADD http://a/b /\n",
    /^1 .*Dockerfile:2:6: the stage that/s,
  ],
  ["a stage of nothing", "ARG SOURCE_DATE_EPOCH=s\nFROM scratch AS s\n", /^1 .*Dockerfile:2:1: the stage that/s],
  ["a local ADD", "ARG SOURCE_DATE_EPOCH=s\nFROM scratch AS s\nADD f /\n", /^1 .*Dockerfile:3:5: the stage that/s],
];
for (const [name, text, expected] of refused) {
  Epoch(`${name} is refused at its place`, async () => {
    fs.writeFileSync(path.join(plain, "wrong.Dockerfile"), text);
    const { status, stderr } = await kbuild.run(["-q", "-f", path.join(plain, "wrong.Dockerfile"), plain]);
    assert.match(`${status} ${stderr}`, expected);
  });
}

Epoch("a name that a build was given and nothing has is a wrong option", async () => {
  const { status, stderr } = await kbuild.run(["-q", plain], { env: { SOURCE_DATE_EPOCH: "yesterday" } });
  assert.is(status, 2);
  assert.match(stderr, /"yesterday", which is neither a number of seconds since 1970 nor a stage/);
});

Epoch.after(() => server.stop());
Epoch.run();
