import { readFileSync } from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type * as Engine from "../../src/api.ts";
import { KbuildError } from "../../src/errors.ts";
import type { Digest } from "../../src/oci/types.ts";
import { type FakeOptions, runCommand, type Told } from "../support/fake-shell.ts";
import { streamed, webPing } from "../support/sample-events.ts";
import { plant, workspace } from "../support/workspace.ts";

const BakeCommand = suite("the bake command");

const digest: Digest = `sha256:${"2".repeat(64)}`;
const result: Engine.BuildResult = {
  digest,
  imageId: `sha256:${"1".repeat(64)}`,
  descriptor: { mediaType: "application/vnd.oci.image.manifest.v1+json", digest, size: 7 },
  tags: ["web:v2"],
  layers: [],
  steps: [],
  warnings: [],
  duration: 1,
};

const plan: Engine.BakePlan = {
  group: { default: { targets: ["web"] } },
  target: { web: { context: ".", output: [{ type: "oci" }] } },
  warnings: ["the variable X is not set, and so is taken to be empty"],
};

interface Asked extends Told {
  readonly asked: Engine.BakeOptions | undefined;
}

/** Runs the command with an engine that only keeps what it is asked for. */
async function baked(argv: readonly string[], options: FakeOptions & { readonly error?: Error } = {}): Promise<Asked> {
  let asked: Engine.BakeOptions | undefined;
  const { error } = options;
  const told = await runCommand(argv, {
    ...options,
    engine: {
      planBake: async (given = {}) => {
        asked = given;
        return plan;
      },
      listBake: async (given = {}) => {
        asked = given;
        return {
          targets: [{ name: "default", description: "web", group: true }, { name: "web" }],
          variables: [
            { name: "NONE", value: null },
            { name: "TAG", type: "string", value: "v1", description: "which" },
          ],
        };
      },
      bake: (given = {}) => {
        asked = given;
        const outcome = { targets: { web: result }, duration: 1 };
        const promise = error ? Promise.reject(error) : Promise.resolve(outcome);
        promise.catch(() => undefined);
        return {
          events: streamed(webPing().end(2472)),
          // biome-ignore lint/suspicious/noThenProperty: a bake is something that can be waited for
          then: (done, failed) => promise.then(done, failed),
          catch: (handler) => promise.catch(handler),
          finally: (handler) => promise.finally(handler),
        };
      },
    },
  });
  return { ...told, asked };
}

BakeCommand("targets and options become the engine's", async () => {
  const { status, asked } = await baked([
    ...[
      "bake",
      "-f",
      "a.hcl",
      "-f",
      "b.yaml",
      "--set",
      "web.args.A=1",
      "--var",
      "TAG=x=y",
      "--no-cache",
      "--pull=false",
    ],
    ...["--push", "--load", "--sbom=true", "--provenance", "mode=max", "--allow", "security.insecure", "-j", "3"],
    ...["--root", "/store", "web", "db"],
  ]);
  assert.is(status, 0);
  assert.equal(asked?.files, ["a.hcl", "b.yaml"]);
  assert.equal(asked?.targets, ["web", "db"]);
  assert.equal(asked?.set, ["web.args.A=1"]);
  assert.equal(asked?.variables, { TAG: "x=y" });
  assert.equal([asked?.noCache, asked?.pull, asked?.push, asked?.load], [true, false, true, true]);
  assert.equal([asked?.sbom, asked?.provenance, asked?.jobs, asked?.root], ["true", "mode=max", 3, "/store"]);
  assert.equal(asked?.allow, ["security.insecure"]);
});

BakeCommand("buildx bake and buildx f are the same", async () => {
  for (const name of ["bake", "f"]) assert.equal((await baked(["buildx", name, "web"])).asked?.targets, ["web"]);
});

BakeCommand("--check and --call are one", async () => {
  assert.is((await baked(["bake", "--check"])).asked?.call, "check");
  assert.is((await baked(["bake", "--call", "build"])).asked?.call, "build");
});

BakeCommand("standard input is read as a file", async () => {
  const { asked } = await baked(["bake", "-f", "-"], { stdin: 'target "default" {}' });
  assert.equal(asked?.files, [{ name: "-", text: 'target "default" {}' }]);
});

BakeCommand("BUILDX_BAKE_FILE names files where -f does not", async () => {
  assert.equal((await baked(["bake"], { env: { BUILDX_BAKE_FILE: "a.hcl:b.hcl" } })).asked?.files, ["a.hcl", "b.hcl"]);
  const env = { BUILDX_BAKE_FILE: "a|b", BUILDX_BAKE_PATH_SEPARATOR: "|" };
  assert.equal((await baked(["bake"], { env })).asked?.files, ["a", "b"]);
  assert.equal((await baked(["bake", "-f", "c"], { env })).asked?.files, ["c"]);
});

BakeCommand("--print writes the plan to standard output, and what is to be told to the other", async () => {
  const { stdout, stderr } = await baked(["bake", "--print"]);
  assert.equal(JSON.parse(stdout), { group: plan.group, target: plan.target });
  assert.is(stderr, "warning: the variable X is not set, and so is taken to be empty\n");
});

BakeCommand("--list prints a table or JSON", async () => {
  assert.is(
    (await baked(["bake", "--list", "targets"])).stdout.replace(/ +$/gm, ""),
    "TARGET    DESCRIPTION\ndefault   web\nweb\n",
  );
  const variables = (await baked(["bake", "--list=variables"])).stdout;
  assert.match(variables, /^VARIABLE +TYPE +VALUE +DESCRIPTION\nNONE +<null> *\nTAG +string +v1 +which\n$/);
  const json = (await baked(["bake", "--list", "type=variables,format=json"])).stdout;
  assert.equal(JSON.parse(json)[1], { name: "TAG", type: "string", value: "v1", description: "which" });
});

BakeCommand("--metadata-file has the facts of each target", async () => {
  const file = path.join(workspace(), "facts.json");
  await baked(["bake", "--metadata-file", file]);
  assert.equal(Object.keys(JSON.parse(readFileSync(file, "utf8"))), ["web"]);
  assert.is(JSON.parse(readFileSync(file, "utf8")).web["containerimage.digest"], digest);
});

BakeCommand("a bake that fails leaves no facts of an earlier one, and has its error's status", async () => {
  const folder = plant(workspace(), { "facts.json": "{}" });
  const file = path.join(folder, "facts.json");
  const error = new KbuildError("build.step", "target web: it failed");
  const { status, stderr } = await baked(["bake", "--metadata-file", file], { error });
  assert.is(status, 1);
  assert.match(stderr, /error: target web: it failed/);
  assert.throws(() => readFileSync(file));
});

BakeCommand("entitlements for files are told to be of no need", async () => {
  const { stderr, asked } = await baked(["bake", "--allow", "fs.read=/x", "--allow", "network.host"]);
  assert.match(stderr, /note: --allow fs\.read=\/x: targets may use all files and agents that you may use/);
  assert.equal(asked?.allow, ["network.host"]);
});

const faults: readonly (readonly [argv: readonly string[], expected: RegExp, options?: FakeOptions])[] = [
  [["--print", "--list", "targets"], /--print and --list cannot be used together/],
  [["--list", "target"], /--list type= "target": this must be one of targets, variables[\s\S]*did you mean targets\?/],
  [["--list", "format=json"], /--list needs a type/],
  [["--list", "type=targets,sort=x"], /this must be type=TYPE,format=FORMAT/],
  [["https://github.com/a/b"], /definitions from a URL are not supported yet/],
  [["--var", "X"], /--var "X": this must be NAME=VALUE/],
  [["--allow", "securty"], /--allow "securty": there is nothing of that name to allow/],
  [["--jobs", "-1"], /--jobs is at least 0/],
  [["-f", "-", "-f", "-"], /standard input can only be one of the files/],
  [["--execution", "defer-error"], /--execution=defer-error is not supported yet/],
  [["--policy", "x"], /--policy is not supported yet/],
  [[], /BUILDX_BAKE_FILE_RELATIVE_PATHS is not supported yet/, { env: { BUILDX_BAKE_FILE_RELATIVE_PATHS: "1" } }],
  [[], /the target web writes an archive, which does not go to a terminal/, { terminal: { columns: 80 } }],
];

for (const [argv, expected, options] of faults) {
  BakeCommand(`bake ${argv.join(" ")} is refused (${expected.source.slice(0, 30)})`, async () => {
    const { status, stderr } = await baked(["bake", ...argv], options);
    assert.is(status, 2, stderr);
    assert.match(stderr, expected);
  });
}

BakeCommand.run();
