import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { build, check, outline, targets } from "../../src/api.ts";
import { kbuildWith } from "../support/command.ts";
import { plant, workspace } from "../support/workspace.ts";

const folder = workspace();
const root = path.join(folder, "store");
const kbuild = kbuildWith(root);
const FAULTY = "FROM scratch as base\nCOPY a /\nENV password=x\nCMD node app.js\n";
const faulty = plant(path.join(folder, "faulty"), { Dockerfile: FAULTY, a: "a\n" });

const Checks = suite("checks, from the command line");

const SUMMARY = ` 3 warnings found (use --debug to expand):
 - FromAsCasing: "as" and "FROM" are not written in the same case (line 1)
 - SecretsUsedInArgOrEnv: ENV "password" seems to be a secret, which everybody who has the image could read (line 3)
 - JSONArgsRecommended: CMD is in shell form: signals go to a shell, not to the program (line 4)
`;

Checks("a build tells what checks found, and succeeds", async () => {
  const { stderr } = await kbuild.must(["--progress=plain", faulty]);
  assert.ok(stderr.endsWith(`\n\n${SUMMARY}`), stderr);
  const again = await kbuild.must(["--progress=plain", faulty]);
  assert.ok(again.stderr.endsWith(SUMMARY), "also when all is cached");
  assert.is((await kbuild.must(["-q", faulty])).stderr, "");
});

Checks("--debug tells them at length", async () => {
  const { stderr } = await kbuild.must(["--debug", "--progress=plain", faulty]);
  assert.ok(
    stderr.endsWith(` - JSONArgsRecommended: CMD is in shell form: signals go to a shell, not to the program (line 4)
CMD and ENTRYPOINT are JSON arrays, so that signals reach the program
hint: write CMD ["node", "app.js"]
Dockerfile:4
--------------------
   2 |     COPY a /
   3 |     ENV password=x
   4 | >>> CMD node app.js
   5 |
--------------------

`),
    stderr,
  );
  assert.match(stderr, /^ 3 warnings found:$/m);
});

Checks("as JSON they have their places and reasons", async () => {
  const { stderr } = await kbuild.must(["--progress=json", faulty]);
  const events = stderr
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ type }) => type === "warning");
  assert.is(events.length, 3);
  const [{ code, location, excerpt, hint, description, explanation } = {}] = events;
  assert.is(code, "FromAsCasing");
  assert.equal(location, { file: "Dockerfile", line: 1, column: 1, end: { line: 1, column: 21 } });
  assert.equal(excerpt, { first: 1, lines: FAULTY.split("\n").slice(0, 3), from: 1, to: 1 });
  for (const text of [hint, description, explanation]) assert.type(text, "string");
});

Checks("--metadata-file has them when the environment asks for it, in BuildKit's shape", async () => {
  const file = path.join(folder, "metadata.json");
  const read = () => JSON.parse(fs.readFileSync(file, "utf8")) as Record<string, unknown>;
  await kbuild.must(["-q", "--metadata-file", file, faulty]);
  assert.not("buildx.build.warnings" in read());
  await kbuild.must(["-q", "--metadata-file", file, faulty], { env: { BUILDX_METADATA_WARNINGS: "1" } });
  const warnings = read()["buildx.build.warnings"] as { short: string; range: unknown; level: number }[];
  const [first] = warnings;
  assert.is(warnings.length, 3);
  assert.is(first?.level, 1);
  assert.match(Buffer.from(first?.short ?? "", "base64").toString(), /^FromAsCasing: .* \(line 1\)$/);
  assert.equal(first?.range, [{ start: { line: 1 }, end: { line: 1 } }]);
});

Checks("with error=true the build fails before it runs anything", async () => {
  const strict = plant(path.join(folder, "strict"), { Dockerfile: `# check=error=true\n${FAULTY}`, a: "a\n" });
  for (const argv of [[strict], ["--build-arg", "BUILDKIT_DOCKERFILE_CHECK=error=true", faulty]]) {
    const { status, stderr } = await kbuild.run(["--progress=plain", ...argv]);
    assert.is(status, 1);
    assert.match(stderr, /^ 3 warnings found/m);
    assert.match(stderr, /^Dockerfile:\d:1: checks found 3 things.*: FromAsCasing, JSONArgs/m);
    assert.not.match(stderr, /\[1\/1\] COPY/);
    assert.not.match(stderr, /build argument/);
  }
  const argv = ["--build-arg", "BUILDKIT_DOCKERFILE_CHECK=skip=all", "--progress=plain", strict];
  assert.not.match((await kbuild.must(argv)).stderr, /warning/);
});

Checks("what is wrong with a file is told along with why it cannot be built", async () => {
  const place = plant(path.join(folder, "blank"), { Dockerfile: "ARG IMAGE\nFROM $IMAGE as x\n" });
  const { status, stderr } = await kbuild.run(["--progress=plain", place]);
  assert.is(status, 1);
  assert.match(stderr, / - InvalidDefaultArgInFrom: .* \(line 2\)$/m);
  assert.match(stderr, /^Dockerfile:2:6: the base image \$IMAGE is blank/m);
  const half = plant(path.join(folder, "half"), { Dockerfile: "FROM scratch AS Bad\nBADCMD\n" });
  const told = await kbuild.run(["--progress=plain", half]);
  assert.is(told.status, 1);
  assert.match(told.stderr, / - StageNameCasing: .* \(line 1\)\n.*Dockerfile:2:1: unknown instruction: BADCMD/s);
});

Checks("variables of a base image in the store are known, also when nothing is built", async () => {
  const base = plant(path.join(folder, "base"), {
    Dockerfile: 'FROM scratch\nENV VERSION=1\nSHELL ["/x"]\nONBUILD ARG EDITION=a\n',
  });
  await kbuild.must(["-q", "-t", "checks-base:1", base]);
  const source = "FROM checks-base:1\nLABEL a=$VERSION b=$EDITION\nLABEL c=$VERSOIN\nLABEL d=$OTHER\nCMD a\n";
  const user = plant(path.join(folder, "user"), { Dockerfile: source });
  const { stdout, status } = await kbuild.run(["check", user]);
  assert.is(status, 1);
  assert.equal(
    [...stdout.matchAll(/^(the variable .*)$/gm)].map(([, text]) => text),
    ["the variable $VERSOIN is not defined here (did you mean $VERSION?)", "the variable $OTHER is not defined here"],
  );
  assert.not.match(stdout, /JSONArgs/, "the base has a SHELL");
  const built = await kbuild.must(["--progress=plain", user]);
  assert.match(built.stderr, / 2 warnings found/);
});

Checks("a check makes no store and asks no registry", async () => {
  const elsewhere = path.join(folder, "elsewhere");
  const place = plant(path.join(folder, "far"), { Dockerfile: "FROM nowhere.invalid/x:1\nCOPY a /\n" });
  const options = { env: { KBUILD_ROOT: elsewhere } };
  for (const argv of [
    ["check", place],
    ["--call=outline", place],
    ["--call=targets", place],
  ]) {
    const { status, stderr } = await kbuild.run(argv, options);
    assert.is(status, 0, stderr);
  }
  assert.not(fs.existsSync(elsewhere));
});

Checks("SARIF names files from the working directory", async () => {
  const place = plant(path.join(folder, "a:b #1"), { Dockerfile: "FROM scratch AS A\n" });
  for (const [cwd, argv, uri] of [
    [folder, ["faulty"], "faulty/Dockerfile"],
    [faulty, ["."], "Dockerfile"],
    [faulty, [faulty], "Dockerfile"],
    [faulty, ["-f", "Dockerfile", place], "Dockerfile"],
    [folder, [place], "./a:b%20%231/Dockerfile"],
    [faulty, [place], `file://${folder}/a:b%20%231/Dockerfile`],
  ] as const) {
    const { stdout } = await kbuild.run(["check", "--format=sarif", ...argv], { cwd });
    assert.ok(stdout.includes(`"uri": "${uri}"`), `${uri} in ${stdout.slice(-2000)}`);
  }
});

Checks("a check reads the Dockerfile of an archive", async () => {
  const tar = path.join(folder, "context.tar");
  const archive = plant(path.join(folder, "archive"), { Dockerfile: "FROM scratch\nCOPY . /\n" });
  await kbuild.must(["-q", "-o", `type=tar,dest=${tar}`, archive]);
  const { status, stdout } = await kbuild.run(["check", "-"], { input: fs.readFileSync(tar) });
  assert.is(stdout, "Check complete, no warnings found.\n");
  assert.is(status, 0);
});

const Api = suite("checks, from a program");

Api("a build's result has its warnings", async () => {
  const { warnings } = await build({ context: faulty, root, env: {} });
  assert.equal(
    warnings.map(({ code, location }) => [code, location?.line]),
    [
      ["FromAsCasing", 1],
      ["SecretsUsedInArgOrEnv", 3],
      ["JSONArgsRecommended", 4],
    ],
  );
  assert.match(warnings[2]?.hint ?? "", /CMD \["node"/);
});

Api("check gives findings, and an error as an answer", async () => {
  const report = await check({ context: faulty, root, env: {} });
  assert.is(report.file, "Dockerfile");
  assert.is(report.path, path.join(faulty, "Dockerfile"));
  assert.is(report.source, FAULTY);
  assert.is(report.findings.length, 3);
  assert.is(report.error, undefined);
  const buildArgs = { BUILDKIT_DOCKERFILE_CHECK: "error=true" };
  assert.is((await check({ context: faulty, buildArgs, root, env: {} })).error?.code, "build.checks");
  const broken = await check({ context: faulty, dockerfile: "FROMM x\n", root, env: {} });
  assert.is(broken.error?.code, "build.unknownInstruction");
  assert.equal(broken.findings, []);
  assert.is(broken.path, undefined);
});

Api("check looks into all stages, unless one is named", async () => {
  const dockerfile = "FROM scratch AS a\nENV a b\nFROM scratch AS c\nENV c d\n";
  const lines = async (target?: string) =>
    (await check({ context: faulty, dockerfile, target, root, env: {} })).findings.map(({ location }) => location.line);
  assert.equal(await lines(), [2, 4]);
  assert.equal(await lines("a"), [2]);
});

Api("outline and targets give what there is", async () => {
  const dockerfile = "ARG V=1\nFROM x:$V AS a\nRUN --mount=type=secret,id=k true\nFROM a\nARG W\n";
  const options = { context: faulty, dockerfile, buildArgs: { W: "2" }, root, env: {} };
  const { name, args, secrets, ssh } = await outline(options);
  assert.is(name, undefined);
  assert.equal(
    args.map((one) => [one.name, one.value, one.location.line]),
    [
      ["V", "1", 1],
      ["W", "2", 5],
    ],
  );
  assert.equal(
    secrets.map((one) => [one.name, one.required]),
    [["k", false]],
  );
  assert.equal(ssh, []);
  assert.equal(
    (await targets(options)).targets.map((one) => [one.name, one.base, one.default]),
    [
      ["a", "x:$V", false],
      [undefined, "a", true],
    ],
  );
});

Checks.run();
Api.run();
