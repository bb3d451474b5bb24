import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runCommand, type Told } from "../support/fake-shell.ts";
import { plant, workspace } from "../support/workspace.ts";

const folder = workspace();
const FAULTY = `# syntax=docker/dockerfile:1
FROM scratch AS Base
# TAG which one
ARG TAG=1
COPY \\
  app.js .
CMD node app.js
`;
const faulty = plant(path.join(folder, "faulty"), { Dockerfile: FAULTY });
const fine = plant(path.join(folder, "fine"), { Dockerfile: "FROM scratch\n" });
const broken = plant(path.join(folder, "broken"), { Dockerfile: "FROM scratch\nCOPPY a b\n" });
const strict = plant(path.join(folder, "strict"), { Dockerfile: "# check=error=true\nFROM scratch\nENV a b\n" });
const many = plant(path.join(folder, "many"), {
  Dockerfile: `# VERSION of the base, for all
ARG VERSION=3.20
ARG UNUSED
ARG IMAGE=alpine:\${VERSION}

# build compiles
FROM --platform=$BUILDPLATFORM $IMAGE AS build
ARG VERSION
# MODE is debug or release
ARG MODE=release LEVEL
RUN --mount=type=secret,id=npm,required=true --mount=type=secret,target=/run/x/git --mount=type=ssh true

FROM scratch AS other
ARG ELSEWHERE

# it is not described
FROM scratch
COPY --from=build /a /
`,
});

const root = path.join(folder, "store");
const run = (...argv: string[]): Promise<Told> => runCommand(argv, { env: { KBUILD_ROOT: root } });

const Check = suite("checking without building");

Check("what is found reads so, as docker prints it", async () => {
  for (const argv of [
    ["check", faulty],
    ["build", "--check", faulty],
    ["--check", faulty],
    ["build", "--call=check", faulty],
    ["buildx", "build", "--call", "lint", faulty],
    ["check", "-f", path.join(faulty, "Dockerfile"), faulty],
  ]) {
    const { status, stdout, stderr } = await run(...argv);
    assert.is(
      stdout.replaceAll(path.join(faulty, "Dockerfile"), "Dockerfile"),
      `Check complete, 2 warnings have been found!

WARNING: StageNameCasing - Names of stages are in lower case
the stage name "Base" has capital letters
hint: write AS base, and the same where the stage is used
Dockerfile:2
--------------------
   1 |     # syntax=docker/dockerfile:1
   2 | >>> FROM scratch AS Base
   3 |     # TAG which one
   4 |     ARG TAG=1
--------------------

WARNING: JSONArgsRecommended - CMD and ENTRYPOINT are JSON arrays, so that signals reach the program
CMD is in shell form: signals go to a shell, not to the program
hint: write CMD ["node", "app.js"]
Dockerfile:7
--------------------
   5 |     COPY \\
   6 |       app.js .
   7 | >>> CMD node app.js
   8 |
--------------------
`,
      argv.join(" "),
    );
    assert.is(stderr, "");
    assert.is(status, 1, "something was found");
  }
});

Check("that nothing is found reads so", async () => {
  const { status, stdout, stderr } = await run("check", fine);
  assert.is(stdout, "Check complete, no warnings found.\n");
  assert.is(stderr, "");
  assert.is(status, 0);
});

Check("one thing is one warning, and with error=true the reason is told besides", async () => {
  const { status, stdout, stderr } = await run("check", strict);
  assert.match(stdout, /^Check complete, 1 warning has been found!\n\nWARNING: LegacyKeyValueFormat - /);
  assert.match(stderr, /^Dockerfile:3:1: a check found something, and error=true makes that fail the build: Legacy/);
  assert.is(status, 1);
});

Check("the status can be ignored, but not that the file cannot be built", async () => {
  assert.is((await run("check", "--ignore-status", faulty)).status, 0);
  assert.is((await run("--call=check,ignorestatus=true", faulty)).status, 0);
  assert.is((await run("--call=check,ignorestatus=true", strict)).status, 1);
  const { status, stdout, stderr } = await run("check", "--ignore-status", broken);
  assert.is(stdout, "");
  assert.match(stderr, /^Dockerfile:2:1: unknown instruction: COPPY\n {2}hint: did you mean COPY\?\n/);
  assert.is(status, 1);
});

Check("JSON has BuildKit's shape", async () => {
  const { status, stdout, stderr } = await run("check", "--format", "json", faulty);
  assert.is(status, 1);
  assert.is(stderr, "");
  const line = (number: number) => ({ start: { line: number }, end: { line: number } });
  assert.equal(JSON.parse(stdout), {
    warnings: [
      {
        ruleName: "StageNameCasing",
        description: "Names of stages are in lower case",
        detail: 'the stage name "Base" has capital letters',
        location: { ranges: [line(2)] },
      },
      {
        ruleName: "JSONArgsRecommended",
        description: "CMD and ENTRYPOINT are JSON arrays, so that signals reach the program",
        detail: "CMD is in shell form: signals go to a shell, not to the program",
        location: { ranges: [line(7)] },
      },
    ],
    sources: [{ filename: "Dockerfile", language: "Dockerfile", data: Buffer.from(FAULTY).toString("base64") }],
  });
  assert.is((await run("--call=check,format=json", faulty)).stdout, stdout);
  assert.equal((JSON.parse((await run("check", "--format=json", fine)).stdout) as { warnings: [] }).warnings, []);
});

Check("JSON of a file that cannot be built says why, and so does the status", async () => {
  const { status, stdout, stderr } = await run("check", "--format", "json", broken);
  assert.is(status, 1);
  assert.is(stderr, "");
  assert.equal((JSON.parse(stdout) as { buildError: unknown }).buildError, {
    message: "unknown instruction: COPPY",
    location: { ranges: [{ start: { line: 2 }, end: { line: 2 } }] },
  });
});

Check("what stands before a fault is checked all the same", async () => {
  const place = plant(path.join(folder, "half"), { Dockerfile: "FROM scratch AS Bad\nMAINTAINER me\nBADCMD\n" });
  const { status, stdout, stderr } = await run("check", place);
  assert.equal(
    [...stdout.matchAll(/^WARNING: (\w+)/gm)].map(([, rule]) => rule),
    ["StageNameCasing", "MaintainerDeprecated"],
  );
  assert.match(stderr, /^Dockerfile:3:1: unknown instruction: BADCMD/);
  assert.is(status, 1);
});

interface Sarif {
  readonly version: string;
  readonly runs: readonly {
    readonly tool: { readonly driver: { readonly name: string; readonly rules: readonly { readonly id: string }[] } };
    readonly columnKind: string;
    readonly results: readonly {
      readonly ruleId: string;
      readonly ruleIndex: number;
      readonly level: string;
      readonly message: { readonly text: string };
      readonly locations: readonly unknown[];
    }[];
  }[];
}

async function sarif(...argv: string[]): Promise<Sarif["runs"][number] & { readonly status: number }> {
  const { status, stdout } = await run("check", "--format", "sarif", ...argv);
  const log = JSON.parse(stdout) as Sarif;
  assert.is(log.version, "2.1.0");
  const [first] = log.runs;
  if (first === undefined) throw new Error("there is no run");
  return { ...first, status };
}

Check("SARIF has rules, levels and regions, by paths from the working directory", async () => {
  const { tool, columnKind, results, status } = await sarif(faulty);
  assert.is(status, 1);
  assert.is(tool.driver.name, "kbuild");
  assert.is(columnKind, "unicodeCodePoints");
  assert.equal(
    results.map(({ ruleId, ruleIndex, level }) => [ruleId, tool.driver.rules[ruleIndex]?.id, level]),
    [
      ["StageNameCasing", "StageNameCasing", "warning"],
      ["JSONArgsRecommended", "JSONArgsRecommended", "warning"],
    ],
  );
  assert.is(
    results[1]?.message.text,
    'CMD is in shell form: signals go to a shell, not to the program; write CMD ["node", "app.js"]',
  );
  assert.equal(results[1]?.locations, [
    {
      physicalLocation: {
        artifactLocation: { uri: `file://${faulty}/Dockerfile` },
        region: { startLine: 7, startColumn: 1, endLine: 7, endColumn: 16 },
      },
    },
  ]);
});

Check("SARIF tells errors as such", async () => {
  assert.equal(
    (await sarif(strict)).results.map(({ ruleId, level }) => [ruleId, level]),
    [["LegacyKeyValueFormat", "error"]],
  );
  const { results, tool, status } = await sarif(broken);
  assert.is(status, 1);
  assert.equal(
    results.map(({ ruleId, ruleIndex, level, message }) => [
      tool.driver.rules[ruleIndex]?.id,
      ruleId,
      level,
      message.text,
    ]),
    [["BuildError", "BuildError", "error", "unknown instruction: COPPY; did you mean COPY?"]],
  );
  const odd = plant(path.join(folder, "a:b c%"), { "x:ä": "FROM scratch AS A\n" });
  const [result] = (await sarif("-f", path.join(odd, "x:ä"), odd)).results;
  assert.match(JSON.stringify(result?.locations), /\/a:b%20c%25\/x:%C3%A4"/);
});

Check("the outline reads so", async () => {
  const { status, stdout } = await run("build", "--call=outline", "--target", "build", "--build-arg", "LEVEL=3", many);
  assert.is(status, 0);
  assert.is(
    stdout.replaceAll(/ +$/gm, ""),
    `TARGET:      build
DESCRIPTION: compiles

BUILD ARG   VALUE         DESCRIPTION
VERSION     3.20          of the base, for all
IMAGE       alpine:3.20
MODE        release       is debug or release
LEVEL       3

SECRET   REQUIRED
npm      true
git

SSH       REQUIRED
default

`,
  );
});

Check("the outline of the default target has what the stages before it need, and no more", async () => {
  const { stdout } = await run("--call=outline", many);
  assert.match(stdout, /^BUILD ARG/, "it has no name");
  assert.match(stdout, /^MODE /m);
  assert.not.match(stdout, /ELSEWHERE|UNUSED/);
});

Check("JSON of an outline has BuildKit's shape", async () => {
  const { stdout } = await run("--call=outline,format=json", "--target=build", many);
  const outline = JSON.parse(stdout) as Record<string, unknown[]>;
  assert.equal(Object.keys(outline), ["name", "description", "args", "secrets", "ssh", "sources"]);
  assert.equal(outline.args?.[0], {
    name: "VERSION",
    description: "of the base, for all",
    value: "3.20",
    location: { ranges: [{ start: { line: 2 }, end: { line: 2 } }] },
  });
  assert.equal(outline.secrets?.[1], {
    name: "git",
    location: { ranges: [{ start: { line: 11 }, end: { line: 11 } }] },
  });
  assert.match(Buffer.from(String(outline.sources?.[0]), "base64").toString(), /^# VERSION of/);
});

Check("targets read so, and as JSON have BuildKit's shape", async () => {
  const { stdout } = await run("--call=targets", many);
  assert.is(
    stdout.replaceAll(/ +$/gm, ""),
    `TARGET    DESCRIPTION
build     compiles
other
(default)
`,
  );
  const { targets } = JSON.parse((await run("--call=targets", "--format=json", many)).stdout) as { targets: unknown[] };
  assert.equal(targets[0], {
    name: "build",
    description: "compiles",
    base: "$IMAGE",
    platform: "$BUILDPLATFORM",
    location: { ranges: [{ start: { line: 7 }, end: { line: 7 } }] },
  });
  assert.equal(targets[2], {
    default: true,
    base: "scratch",
    location: { ranges: [{ start: { line: 17 }, end: { line: 17 } }] },
  });
});

Check("what can be asked is told", async () => {
  const { stdout } = await run("--call=subrequests.describe", fine);
  assert.match(
    stdout,
    /^NAME +VERSION +DESCRIPTION\noutline +1\.0\.0 +\S.*\ntargets .*\nlint .*\nsubrequests\.describe /,
  );
  const requests = JSON.parse((await run("--call=subrequests.describe,format=json", fine)).stdout) as {
    name: string;
  }[];
  assert.equal(
    requests.map(({ name }) => name),
    ["frontend.outline", "frontend.targets", "frontend.lint", "frontend.subrequests.describe"],
  );
});

Check("a check explains itself, whatever case its name is written in", async () => {
  const { status, stdout } = await runCommand(["check", "--explain", "legacykeyvalueformat"], {
    terminal: { columns: 60 },
  });
  assert.is(status, 0);
  assert.is(
    stdout,
    `LegacyKeyValueFormat: ENV and LABEL have = between name and
value

ENV NAME VALUE, with a blank in between, is an old form that
takes all the rest of the line for the value. It looks like
several words where it is one, and cannot set several
variables. Write ENV NAME=VALUE, with quotes around a value
that has spaces.
`,
  );
  assert.match(
    (await run("check", "--explain", "InvalidDefinitionDescription")).stdout,
    /# check=experimental=Invalid/,
  );
  const unknown = await run("check", "--explain", "LegacyKeyValue");
  assert.is(unknown.status, 2);
  assert.match(unknown.stderr, /there is no check "LegacyKeyValue"/);
  assert.match((await run("check", "--explain", "x")).stderr, /kbuild check --list lists them/);
});

Check("all checks are listed", async () => {
  const { stdout } = await run("check", "--list");
  assert.match(stdout, /^CHECK +WHAT IT ASKS FOR\nStageNameCasing +Names of stages are in lower case\n/);
  assert.match(stdout, /^InvalidDefinitionDescription .* \(experimental\)$/m);
});

Check("a Dockerfile can come by standard input", async () => {
  for (const argv of [
    ["check", "-"],
    ["check", "-f", "-", fine],
  ]) {
    const { status, stdout } = await runCommand(argv, { stdin: "FROM scratch\nENV a b\n", env: { KBUILD_ROOT: root } });
    assert.is(status, 1);
    assert.match(stdout, /^Dockerfile:2$/m);
  }
  const told = await runCommand(["check", "--format=json", "-"], { stdin: "FROMM x\n", env: { KBUILD_ROOT: root } });
  assert.is(told.status, 1);
  assert.match(told.stdout, /"message": "unknown instruction: FROMM"/);
});

Check("what is wrong with the question is told as for a build", async () => {
  for (const [argv, status, says] of [
    [["check", path.join(folder, "nowhere")], 1, /does not exist/],
    [["check", "-f", "x", fine], 1, /the Dockerfile x does not exist/],
    [["check", "a", "b"], 2, /does not take "b"/],
    [["check", "--target", "x", fine], 1, /no stage named "x"/],
    [["check", "--platform", "a/b/c/d", fine], 2, /is not a platform/],
    [["--call=outline", broken], 1, /unknown instruction: COPPY/],
    [["--check", "--call=outline", fine], 2, /cannot both be done/],
  ] as const) {
    const told = await run(...argv);
    assert.is(told.status, status, argv.join(" "));
    assert.match(told.stderr, says);
    assert.is(told.stdout, "");
  }
});

Check("nothing from a Dockerfile controls the terminal", async () => {
  const hostile = "a\u001b[2J\u009b31m\u202ec";
  const text = `# ${hostile}\nFROM scratch AS b\n# ${hostile} d\u001bd\nARG ${"A"}\nENV ${hostile} x\nCOPY $${hostile} /\u001b\n`;
  const place = plant(path.join(folder, "hostile"), { Dockerfile: text });
  for (const argv of [
    ["check", place],
    ["check", "--format=json", place],
    ["check", "--format=sarif", place],
    ["--call=outline", place],
    ["--call=targets,format=json", place],
  ]) {
    const { stdout, stderr } = await run(...argv);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    assert.not.match(stdout + stderr, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/, argv.join(" "));
  }
});

Check.run();
