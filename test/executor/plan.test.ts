// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import { type Plan, type PlanInput, planBuild, stageLabel } from "../../src/executor/plan.ts";
import { formatPlatform } from "../../src/oci/platform.ts";
import { parseDockerfile } from "../../src/parser/parser.ts";

interface Told {
  readonly target?: string;
  readonly given?: Readonly<Record<string, string>>;
  readonly contexts?: readonly string[];
}

function plan(text: string, told: Told = {}): Plan {
  const input: PlanInput = {
    target: told.target,
    given: new Map(Object.entries(told.given ?? {})),
    buildPlatform: { os: "linux", architecture: "amd64" },
    targetPlatform: { os: "linux", architecture: "arm", variant: "v7" },
    contextNames: new Set(told.contexts ?? []),
  };
  return planBuild(parseDockerfile(text, "Dockerfile"), input);
}

/** The error that planning ends with. */
function refused(text: string, told: Told = {}): KbuildError {
  try {
    plan(text, told);
  } catch (error) {
    if (error instanceof KbuildError) return error;
    throw error;
  }
  throw new Error("it was planned");
}

const needed = (of: Plan): string =>
  [...of.needed]
    .sort((a, b) => a - b)
    .map(String)
    .join(" ");
const origins = (of: Plan): string[] =>
  of.stages.map(({ origin }) =>
    "index" in origin ? `stage ${origin.index}` : "name" in origin ? `${origin.kind} ${origin.name}` : origin.kind,
  );

const Needed = suite("what of a Dockerfile is built");

const STAGES =
  "FROM a AS one\nFROM b AS two\nCOPY --from=one /x /y\nFROM two\nFROM c AS four\nRUN --mount=type=bind,from=two,target=/x y\n";
for (const [target, expected] of [
  [undefined, "0 1 3"],
  ["", "0 1 3"],
  ["four", "0 1 3"],
  ["FOUR", "0 1 3"],
  ["two", "0 1"],
  ["one", "0"],
] as const) {
  Needed(`the target ${String(target)} needs ${expected}`, () => {
    assert.is(needed(plan(STAGES, target === undefined ? {} : { target })), expected);
  });
}

for (const [text, expected] of [
  ["FROM a\nFROM b\nCOPY --from=0 /x /y", "0 1"],
  ["FROM a\nFROM b\nCOPY --from=a /x /y", "1"],
  ["FROM a AS x\nFROM b AS x\nFROM c\nCOPY --from=x /x /y", "1 2"],
  ["FROM a AS x\nFROM b AS x\nCOPY --from=0 /x /y", "0 1"],
  ["FROM a\nCOPY --from=later /x /y\nFROM b AS later", "1"],
  ["FROM a AS base\nFROM base\nFROM base\nCOPY --from=1 /x /y", "0 1 2"],
  ["FROM a AS x\nFROM x AS x\nFROM x", "0 1 2"],
  ["FROM a AS one\nFROM b\nRUN --mount=from=one x", "0 1"],
  ["FROM a AS one\nFROM b\nRUN --mount=type=cache,target=/fromage=one x", "1"],
] as const) {
  Needed(JSON.stringify(text), () => {
    assert.is(needed(plan(text)), expected);
  });
}

Needed("a later stage may be copied from", () => {
  const text = "FROM a AS first\nCOPY --from=later /x /y\nFROM b AS later";
  assert.is(needed(plan(text, { target: "first" })), "0 1");
});

Needed("of two stages with one name the last is the target", () => {
  assert.is(plan("FROM a AS x\nFROM b AS x\nFROM c", { target: "x" }).target, 1);
});

Needed("what needs a stage comes after it", () => {
  const { needed: order } = plan("FROM a AS one\nCOPY --from=three / /\nFROM one AS two\nFROM b AS three\nFROM two");
  assert.equal([...order], [2, 0, 1, 3]);
});

Needed("stages without a name are called by their number", () => {
  assert.equal(plan("FROM a\nFROM b AS two").stages.map(stageLabel), ["stage-0", "two"]);
});

Needed.run();

const From = suite("what FROM means");

for (const [text, told, expected] of [
  ["FROM scratch", {}, ["scratch"]],
  ["FROM busybox:1@sha256:x", {}, ["image busybox:1@sha256:x"]],
  ["FROM a AS B\nFROM b", {}, ["image a", "stage 0"]],
  ["FROM a AS b\nFROM B", {}, ["image a", "stage 0"]],
  ["FROM b\nFROM a AS b", {}, ["image b", "image a"]],
  ["FROM a AS a\nFROM a AS a\nFROM a", {}, ["image a", "stage 0", "stage 1"]],
  ["FROM a AS b\nFROM b", { contexts: ["b"] }, ["context b", "context b"]],
  ["FROM a AS Deps\nFROM b\nCOPY --from=0 /x /y", { contexts: ["deps"] }, ["context deps", "image b"]],
  ["FROM docker.io/library/a:latest", { contexts: ["a"] }, ["context docker.io/library/a:latest"]],
  ["FROM scratch", { contexts: ["scratch"] }, ["context scratch"]],
  ["ARG B=busybox\nFROM $B", {}, ["image busybox"]],
  ["ARG B=busybox\nFROM ${B}:${TAG:-latest}", {}, ["image busybox:latest"]],
  ["ARG B=busybox\nFROM $B", { given: { B: "alpine" } }, ["image alpine"]],
  ["ARG B\nFROM $B", { given: { B: "alpine" } }, ["image alpine"]],
  ["ARG A=1\nARG B=x:$A\nFROM $B", {}, ["image x:1"]],
  ["ARG A=1\nARG B=x:$A\nFROM $B", { given: { A: "2" } }, ["image x:2"]],
  ["ARG A=1\nARG A=2\nFROM x:$A", {}, ["image x:2"]],
  ["FROM x:$TARGETARCH$TARGETVARIANT-$BUILDARCH", {}, ["image x:armv7-amd64"]],
  ["ARG TARGETARCH\nFROM x:$TARGETARCH", {}, ["image x:arm"]],
  ["ARG TARGETARCH=mine\nFROM x:$TARGETARCH", {}, ["image x:mine"]],
  ["ARG S=one\nFROM a AS one\nFROM $S", {}, ["image a", "stage 0"]],
] as const) {
  From(`${JSON.stringify(text)} ${JSON.stringify(told)}`, () => {
    assert.equal(origins(plan(text, told)), expected);
  });
}

for (const [text, expected] of [
  ["FROM a", ["linux/arm/v7"]],
  ["FROM --platform=linux/s390x a", ["linux/s390x"]],
  ["FROM --platform=$BUILDPLATFORM a", ["linux/amd64"]],
  ["FROM --platform=$TARGETPLATFORM a", ["linux/arm/v7"]],
  ["FROM --platform=linux/$BUILDARCH a", ["linux/amd64"]],
  ["FROM --platform=linux/x86_64 a", ["linux/amd64"]],
  ["FROM --platform=arm64 a", ["linux/arm64"]],
  ["ARG P=linux/386\nFROM --platform=$P a", ["linux/386"]],
  ["FROM --platform=linux/386 a AS one\nFROM one", ["linux/386", "linux/386"]],
  ["FROM --platform=linux/386 a AS one\nFROM --platform=linux/arm64 one", ["linux/386", "linux/arm64"]],
  ["FROM --platform=linux/386 scratch", ["linux/386"]],
] as const) {
  From(`${JSON.stringify(text)} is for ${expected.join(", ")}`, () => {
    assert.equal(
      plan(text).stages.map(({ platform }) => formatPlatform(platform)),
      expected,
    );
  });
}

From.run();

const Refused = suite("Dockerfiles that cannot be planned");

for (const [text, told, code, message, hint] of [
  ["FROM a AS build", { target: "biuld" }, "build.unknownStage", /no stage named "biuld"/, /did you mean build\?/],
  ["FROM a AS x\nFROM b AS y", { target: "nothing" }, "build.unknownStage", /"nothing"/, /its stages are x, y/],
  ["FROM a", { target: "x" }, "build.unknownStage", /"x"/, /FROM … AS NAME/],
  ["FROM a", { target: "0" }, "build.unknownStage", /"0"/, /FROM … AS NAME/],
  ["FROM a\nFROM b\nCOPY --from=2 /x /y", {}, "build.unknownStage", /number 2/, /2 stages, numbered from 0/],
  ["FROM a\nCOPY --from=99999999999999999999 /x /y", {}, "build.unknownStage", /number 9+/, /1 stage,/],
  ["FROM a AS a\nCOPY --from=a /x /y", {}, "build.stageCircle", /"a" cannot copy from itself/, /rename/],
  ["FROM a\nCOPY --from=0 /x /y", {}, "build.stageCircle", /"0" cannot copy from itself/, /rename/],
  ["FROM a AS x\nRUN --mount=from=x,target=/y z", {}, "build.stageCircle", /"x" cannot/, /rename/],
  [
    "FROM a AS x\nCOPY --from=y /b /c\nFROM a AS y\nCOPY --from=x /b /c",
    {},
    "build.stageCircle",
    /circle: y -> x -> y/,
    undefined,
  ],
  [
    "FROM a\nCOPY --from=2 / /\nFROM 0\nFROM b\nCOPY --from=0 / /\nFROM c\nCOPY --from=0 / /",
    {},
    "build.stageCircle",
    /circle: 0 -> 2 -> 0/,
    undefined,
  ],
  ["ARG X\nFROM $X", {}, "build.blankBase", /\$X is blank/, /--build-arg/],
  ["ARG X=\nFROM ${X}", {}, "build.blankBase", /is blank/, /default/],
  ["FROM $X", {}, "build.unknownVariable", /variable X/, /put ARG X=… before/],
  ["ARG BASE=x\nFROM $BSAE", {}, "build.unknownVariable", /variable BSAE/, /did you mean BASE\?/],
  ["FROM $TARGETARHC", {}, "build.unknownVariable", /TARGETARHC/, /did you mean TARGETARCH\?/],
  ["FROM a\nARG X=b\nFROM $X", {}, "build.unknownVariable", /variable X/, /before the first FROM/],
  ["FROM --platform=what/is/this/now a", {}, "build.platform", /"what\/is\/this\/now"/, /OS\/ARCHITECTURE/],
  ["FROM --platform=linux/ a", {}, "build.platform", /is not a platform/, /linux\/arm64/],
  ["FROM ${X:?missing} AS y", {}, "build.expand", /missing/, undefined],
] as const) {
  Refused(`${JSON.stringify(text)} ${JSON.stringify(told)}: ${code}`, () => {
    const error = refused(text, told);
    assert.is(error.code, code);
    assert.match(error.message, message);
    if (hint !== undefined) assert.match(error.hint ?? "", hint);
    if (!("target" in told)) assert.ok(error.location !== undefined && error.source !== undefined, "its place is told");
  });
}

Refused("a circle among stages that nobody needs is nobody's trouble", () => {
  const text = "FROM a AS x\nCOPY --from=y / /\nFROM a AS y\nCOPY --from=x / /\nFROM a AS z";
  assert.is(needed(plan(text)), "2");
  assert.is(refused(text, { target: "x" }).code, "build.stageCircle");
});

Refused.run();

const Bounds = suite("plans of any size");

Bounds("twenty thousand stages, each on the one before", () => {
  const text = Array.from(
    { length: 20_000 },
    (_, number) => `FROM ${number === 0 ? "a" : `s${number - 1}`} AS s${number}`,
  );
  assert.is(plan(text.join("\n")).needed.size, 20_000);
  const circle = [`FROM a AS first\nCOPY --from=s19999 / /`, "FROM first AS s0", ...text.slice(1)];
  assert.match(refused(circle.join("\n")).message, /^stages need each other in a circle: /);
});

Bounds("sixty stages, each copied from by all that follow", () => {
  const text = Array.from({ length: 60 }, (_, number) =>
    ["FROM a", ...Array.from({ length: number }, (_, other) => `COPY --from=${other} / /`)].join("\n"),
  );
  assert.is(plan(text.join("\n")).needed.size, 60);
});

Bounds.run();
