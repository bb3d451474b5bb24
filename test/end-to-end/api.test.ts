import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { kbuildWith, must, run } from "../support/command.ts";
import { HOME, plant, workspace } from "../support/workspace.ts";

const folder = workspace();

const Api = suite("the package as others import it");

Api("the example builds, follows the events, and tells the result", async () => {
  const root = path.join(folder, "store");
  const kbuild = kbuildWith(root);
  await kbuild.must([
    "-q",
    "-t",
    "diamol/node",
    plant(path.join(folder, "base"), { Dockerfile: "FROM scratch\nCOPY node /\n", node: "x" }),
  ]);
  const example = () =>
    must(process.execPath, ["--import", "tsx", "examples/api.ts"], { env: { KBUILD_ROOT: root, HOME: folder } });
  const first = await example();
  assert.match(first.stdout, /^done +.*COPY app\.js \.$/m);
  assert.match(first.stdout, /^image +sha256:[0-9a-f]{64}$/m);
  assert.match(first.stdout, /^took +\d+ ms$/m);
  const second = await example();
  assert.match(second.stdout, /^cached +.*COPY app\.js \.$/m);
  const id = (text: string): string | undefined => /^image +(\S+)$/m.exec(text)?.[1];
  assert.is(id(second.stdout), id(first.stdout));
  assert.match((await kbuild.must(["image", "ls", "web-ping"])).stdout, /web-ping +api/);
});

Api("the example shows an error with its place, and ends with its status", async () => {
  const context = plant(path.join(folder, "broken"), { Dockerfile: "FROM scratch\nCOPY nothing /\n" });
  const done = await run(process.execPath, ["--import", "tsx", "examples/api.ts", context], {
    env: { KBUILD_ROOT: path.join(folder, "store"), HOME: folder },
  });
  assert.is(done.status, 1, done.stderr);
  assert.match(done.stderr, /Dockerfile:2:/);
});

Api("an AbortSignal stops a build, whose promise rejects with `interrupted`", async () => {
  const context = plant(path.join(folder, "abort"), {
    Dockerfile: "FROM scratch\nCOPY . /\n",
    big: Buffer.alloc(200_000_000, "y"),
  });
  const script = `
    import { build } from "kbuild";
    const stop = new AbortController();
    const running = build({ context: ${JSON.stringify(context)}, root: ${JSON.stringify(path.join(folder, "abort-store"))}, signal: stop.signal });
    const seen = [];
    setTimeout(() => stop.abort(), 60);
    for await (const event of running.events) seen.push(event);
    const error = await running.then(() => undefined, (reason) => reason);
    console.log(error?.code, error?.exitStatus, seen.at(-1)?.type, seen.at(-1)?.status);
  `;
  const done = await must(process.execPath, ["--input-type=module", "-e", script], { cwd: HOME });
  assert.is(done.stdout, "interrupted 130 buildFinished cancelled\n");
});

Api("a signal that was aborted before, and a build that nobody follows", async () => {
  const context = plant(path.join(folder, "plain"), { Dockerfile: "FROM scratch\nLABEL a=1\n" });
  const script = `
    import { build } from "kbuild";
    const options = { context: ${JSON.stringify(context)}, root: ${JSON.stringify(path.join(folder, "plain-store"))} };
    console.log(await build({ ...options, signal: AbortSignal.abort() }).catch((error) => error.code));
    const result = await build(options);
    console.log(result.imageId === (await build(options)).imageId, result.steps.length > 0, typeof result.duration);
  `;
  const done = await must(process.execPath, ["--input-type=module", "-e", script], { cwd: HOME });
  assert.is(done.stdout, "interrupted\ntrue true number\n");
});

Api("nothing but the public names is handed out", async () => {
  const done = await must(
    process.execPath,
    ["--input-type=module", "-e", 'import * as all from "kbuild"; console.log(Object.keys(all).sort().join())'],
    { cwd: HOME },
  );
  for (const name of ["build", "KbuildError"]) assert.ok(done.stdout.trim().split(",").includes(name), done.stdout);
});

Api.run();
