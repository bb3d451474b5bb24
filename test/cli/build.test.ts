import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import type { BuildEvent } from "../../src/executor/events.ts";
import type { Build, BuildOptions, BuildResult } from "../../src/executor/options.ts";
import type { Digest } from "../../src/oci/types.ts";
import { type FakeOptions, runCommand, type Told } from "../support/fake-shell.ts";
import { failing, streamed, webPing } from "../support/sample-events.ts";
import { Screen } from "../support/screen.ts";
import { workspace } from "../support/workspace.ts";

const BuildCommand = suite("the build command");

const imageId: Digest = `sha256:${"1".repeat(64)}`;
const digest: Digest = `sha256:${"2".repeat(64)}`;
const result: BuildResult = {
  digest,
  imageId,
  descriptor: { mediaType: "application/vnd.oci.image.manifest.v1+json", digest, size: 7 },
  tags: ["web-ping:v2"],
  layers: [],
  steps: [],
  warnings: [],
  duration: 2472,
};

/** A build that has happened already. */
function happened(events: readonly BuildEvent[], outcome: BuildResult | Error): Build {
  const promise = outcome instanceof Error ? Promise.reject(outcome) : Promise.resolve(outcome);
  promise.catch(() => undefined);
  return {
    events: streamed(events),
    // biome-ignore lint/suspicious/noThenProperty: a build is something that can be waited for
    then: (done, failed) => promise.then(done, failed),
    catch: (handler) => promise.catch(handler),
    finally: (handler) => promise.finally(handler),
  };
}

interface Asked extends Told {
  readonly asked: BuildOptions | undefined;
}

async function built(argv: readonly string[], options: FakeOptions & { readonly error?: Error } = {}): Promise<Asked> {
  let asked: BuildOptions | undefined;
  const { error } = options;
  const told = await runCommand(argv, {
    ...options,
    engine: {
      build: (given) => {
        asked = given;
        return error ? happened(failing(), error) : happened(webPing().end(2472), result);
      },
    },
  });
  return { ...told, asked };
}

BuildCommand("what was typed reaches the engine", async () => {
  const { asked } = await built(
    [
      "-t",
      "a:1",
      "--build-arg",
      "A=1",
      "--build-arg",
      "B",
      "--label",
      "l=",
      "--target",
      "s",
      "--no-cache",
      "--root",
      "/r",
      "ctx",
    ],
    { env: { B: "2" } },
  );
  const { signal, env, ...others } = asked ?? { context: "" };
  assert.instance(signal, AbortSignal);
  assert.equal(env, { B: "2" });
  assert.equal(JSON.parse(JSON.stringify(others)), {
    context: "ctx",
    tags: ["a:1"],
    buildArgs: { A: "1", B: null },
    labels: { l: "" },
    target: "s",
    noCache: true,
    root: "/r",
  });
});

BuildCommand("progress goes to standard error, and nothing to standard output", async () => {
  const told = await built(["-t", "a", "."]);
  assert.is(told.status, 0);
  assert.is(told.stdout, "");
  assert.match(told.stderr, /^#1 \[internal] load build definition/);
  assert.not(told.stderr.includes("\u001b"));
});

BuildCommand("on a terminal it is drawn there", async () => {
  const told = await built(["."], { terminal: { columns: 80, rows: 30 } });
  const screen = new Screen(80, 30);
  screen.write(told.stderr);
  assert.match(screen.text, /^\[\+] Building 2\.5s \(7\/7\) FINISHED\n => \[internal] load build definition/);
  assert.ok(screen.isCursorVisible);
});

BuildCommand("-q prints the image ID and nothing else", async () => {
  const told = await built(["-q", "--rm", "."]);
  assert.equal([told.status, told.stdout, told.stderr], [0, `${imageId}\n`, ""]);
});

BuildCommand("-q with an archive on standard output prints no ID into it", async () => {
  assert.is((await built(["-q", "-o", "-", "."])).stdout, "");
});

BuildCommand("notes tell what is accepted and changes nothing", async () => {
  assert.match((await built(["--rm", "."])).stderr, /^note: --rm: /);
  assert.match((await built(["--rm", "--progress=json", "."])).stderr, /^\{"type":"note","message":"--rm: /);
});

BuildCommand("a failed build ends with its log and the error", async () => {
  const error = new KbuildError("build.step", "RUN make failed", {
    location: { file: "Dockerfile", line: 2, column: 1, end: { line: 2, column: 9 } },
    source: "FROM scratch\nRUN make\n",
    hint: "look above",
  });
  const told = await built(["."], { error });
  assert.is(told.status, 1);
  assert.match(told.stderr, /#2 ERROR: RUN make failed\n/);
  assert.ok(
    told.stderr.endsWith(
      "Dockerfile:2:1: RUN make failed\n  hint: look above\n 1 | FROM scratch\n 2 | >>> RUN make\n         ^^^^^^^^\n",
    ),
    told.stderr,
  );
  const quiet = await built(["-q", "."], { error });
  assert.is(quiet.stdout, "");
  assert.match(quiet.stderr, /^------\n > \[2\/3] RUN make:\n/);
});

for (const [code, status] of [
  ["build.x", 1],
  ["usage.x", 2],
  ["registry.x", 3],
  ["machine.x", 4],
  ["interrupted", 130],
  ["internal.x", 1],
] as const) {
  BuildCommand(`${code} ends with status ${status}`, async () => {
    const told = await built(["--progress=json", "."], {
      error: new KbuildError(code, "it\u009b failed", { hint: "h" }),
    });
    assert.is(told.status, status);
    const last = told.stderr.trimEnd().split("\n").at(-1) ?? "";
    assert.equal(JSON.parse(last), { type: "error", code, message: "it\u009b failed", hint: "h", exitStatus: status });
    assert.not(last.includes("\u009b"));
  });
}

BuildCommand("an error that nobody expected is told as kbuild's own, with its stack when asked for", async () => {
  const error = new TypeError("x is not a\u001b function");
  const told = await built(["."], { error });
  assert.is(told.status, 1);
  assert.match(told.stderr, /internal error: x is not a\\x1b function; run with --debug/);
  assert.not.match(told.stderr, /at .*build\.test/);
  assert.match((await built(["."], { error, debug: true })).stderr, /TypeError: x is not a\\x1b function\n/);
});

BuildCommand("--iidfile and --metadata-file are written, whole", async () => {
  const folder = workspace();
  const [iid, metadata] = [path.join(folder, "iid"), path.join(folder, "metadata.json")];
  assert.is((await built(["--iidfile", iid, "--metadata-file", metadata, "."])).status, 0);
  assert.is(readFileSync(iid, "utf8"), imageId);
  assert.equal(JSON.parse(readFileSync(metadata, "utf8")), {
    "containerimage.config.digest": imageId,
    "containerimage.descriptor": result.descriptor,
    "containerimage.digest": digest,
    "image.name": "web-ping:v2",
  });
  assert.equal(readdirSync(folder), ["iid", "metadata.json"]);
});

BuildCommand("a build that fails leaves no file of an earlier one", async () => {
  const folder = workspace();
  const iid = path.join(folder, "iid");
  writeFileSync(iid, "old");
  await built(["--iidfile", iid, "."], { error: new KbuildError("build.x", "x") });
  assert.equal(readdirSync(folder), []);
});

BuildCommand("a result that cannot be written is told", async () => {
  const told = await built(["-q", "--iidfile", "/proc/nonexistent/iid", "."]);
  assert.is(told.status, 4);
  assert.match(told.stderr, /--iidfile \/proc\/nonexistent\/iid cannot be written/);
});

BuildCommand("--reproducible asks for the time of the context, and the variable goes before it", async () => {
  assert.is((await built(["--reproducible", "."])).asked?.sourceDateEpoch, "context");
  assert.is(
    (await built(["--reproducible", "."], { env: { SOURCE_DATE_EPOCH: "5" } })).asked?.sourceDateEpoch,
    undefined,
  );
});

BuildCommand.run();
