import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../../src/errors.ts";
import { configurationOf, parseConfiguration } from "../../../src/parser/checks/configuration.ts";
import { excerptOf } from "../../../src/parser/checks/excerpt.ts";
import { type CheckSetting, checked, found } from "../../support/checked.ts";

const Configuration = suite("which checks are run");

const names = (set: "all" | ReadonlySet<string>): string => (set === "all" ? set : [...set].join(" "));

for (const [text, skip, experimental, error] of [
  ["", "", "", false],
  ["skip=all", "all", "", false],
  ["skip=A", "A", "", false],
  [" skip = A , B ; error = true ", "A B", "", true],
  ["error=true;skip=A;experimental=B,C", "A", "B C", true],
  ["experimental=all", "", "all", false],
  ["error=1", "", "", true],
  ["error=F", "", "", false],
  ["skip=A;skip=B", "B", "", false],
] as const) {
  Configuration(`${JSON.stringify(text)} is read`, () => {
    const read = parseConfiguration(text, {});
    assert.equal([names(read.skip), names(read.experimental), read.error], [skip, experimental, error]);
  });
}

for (const [text, says] of [
  ["skip", /"skip" is no option of checks: it has no =/],
  ["skip=A;", /"" is no option of checks/],
  ["skp=A", /"skp" is no option of checks: there are skip, error and experimental/],
  ["error=yes", /error is true or false, not "yes"/],
  ["x".repeat(1000), /x{60}…/],
] as const) {
  Configuration(`${text.slice(0, 20)} is refused, with the place and a hint`, () => {
    const error = refusal(`# check=${text}\nFROM scratch\n`);
    assert.is(error.code, "build.directive");
    assert.match(error.message, says);
    assert.is(error.location?.line, 1);
    assert.is(error.location?.column, 9);
    assert.match(error.hint ?? "", /check=skip=/);
  });
}

function refusal(source: string, setting?: CheckSetting): KbuildError {
  try {
    checked(source, setting);
  } catch (error) {
    if (error instanceof KbuildError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

const FILE = "FROM scratch as base\ncopy a .\n";

for (const [source, expected, setting] of [
  [FILE, ["FromAsCasing 1", "ConsistentInstructionCasing 2"]],
  [`#check=skip=all\n${FILE}`, []],
  [`#check=skip=all;error=true\n${FILE}`, []],
  [`#check=skip=ConsistentInstructionCasing,FromAsCasing;error=true\n${FILE}`, []],
  [`#check=skip=ConsistentInstructionCasing\n${FILE}`, ["FromAsCasing 2"]],
  // A check is named as it is written.
  [
    `#check=skip=fromascasing;error=true\n${FILE}`,
    ["UnknownCheck 1", "FromAsCasing 2", "ConsistentInstructionCasing 3"],
  ],
  // The build argument takes the directive's place.
  [`#check=skip=all\n${FILE}`, ["FromAsCasing 2"], args("skip=ConsistentInstructionCasing;error=true")],
  [`#check=error=true\n${FILE}`, [], args("skip=all")],
  [`#check=nonsense\n${FILE}`, [], args("skip=all")],
  // Comments above an instruction.
  [`\n# check=skip=FromAsCasing\n${FILE}`, ["ConsistentInstructionCasing 4"]],
  [`\n# check=skip=FromAsCasing old habits\n${FILE}`, ["ConsistentInstructionCasing 4"]],
  [`\n# a\n#check=skip=all\n# b\n${FILE}`, ["ConsistentInstructionCasing 6"]],
  [
    `\n# check=skip=StageNameCasing\n# check=skip=FromAsCasing\n${FILE}`,
    ["FromAsCasing 4", "ConsistentInstructionCasing 5"],
  ],
  [`\n# check=skip=FromAsCasing\n\n${FILE}`, ["FromAsCasing 4", "ConsistentInstructionCasing 5"]],
  ["FROM scratch\n# check=skip=UndefinedVar\nCOPY $a .\nCOPY $a .\n", ["UndefinedVar 4"]],
  ["FROM scratch\n# check=skip=NoEmptyContinuation\nCOPY a \\\n\n.\n", []],
  // The one that is told, or the one that makes it so.
  ['FROM scratch\n# check=skip=MultipleInstructionsDisallowed\nCMD ["a"]\nCMD ["b"]\n', []],
  ['FROM scratch\nCMD ["a"]\n# check=skip=MultipleInstructionsDisallowed\nCMD ["b"]\n', []],
  // Experimental checks are not skipped, but asked for.
  ["#check=skip=all;experimental=all\n\n# x\nARG a\nFROM scratch\n", ["InvalidDefinitionDescription 4"]],
  ["# check=experimental=InvalidDefinitionDescription\n# x\nARG a\nFROM scratch\n", ["InvalidDefinitionDescription 3"]],
  ["\n# check=experimental=all\n# x\nARG a\nFROM scratch\n", ["InvalidDefinitionDescription 4"]],
  ["# x\nARG a\nFROM scratch\n", ["InvalidDefinitionDescription 2"], args("experimental=all")],
  ["# x\nARG a\nFROM scratch\n", ["InvalidDefinitionDescription 2"], more("1")],
  ["# x\nARG a\nFROM scratch\n", ["InvalidDefinitionDescription 2"], more("InvalidDefinitionDescription")],
  ["# x\nARG a\nFROM scratch\n", [], more("false")],
] as readonly (readonly [string, readonly string[], CheckSetting?])[]) {
  Configuration(`${source.replaceAll("\n", " | ")}${setting ? ` with ${JSON.stringify(setting.args)}` : ""}`, () => {
    assert.equal(found(source, setting), expected);
  });
}

function args(text: string): CheckSetting {
  return { args: { BUILDKIT_DOCKERFILE_CHECK: text } };
}

function more(text: string): CheckSetting {
  return { args: { BUILDKIT_DOCKERFILE_CHECK_EXPERIMENTAL: text } };
}

Configuration("a build argument that cannot be read is the caller's fault", () => {
  const error = refusal(FILE, args("skp=all"));
  assert.is(error.code, "usage.checks");
  assert.match(error.message, /^--build-arg BUILDKIT_DOCKERFILE_CHECK: "skp"/);
});

Configuration("with error=true there is a failure that names the checks, once each", () => {
  const failure = checked("# check=error=true\nFROM scratch as A\nENV a b\nENV c d\n").failure();
  assert.is(failure?.code, "build.checks");
  assert.match(failure?.message ?? "", /4 things.*: FromAsCasing, LegacyKeyValueFormat, StageNameCasing$/);
  assert.is(failure?.location?.line, 2);
  assert.is(checked("FROM scratch as A\n").failure(), undefined, "without it there is none");
  assert.is(checked("# check=error=true\nFROM scratch\n").failure(), undefined, "nor without findings");
});

Configuration("what BuildKit does not check makes nothing fail that it would build", () => {
  const checker = checked("# check=error=true;skip=Nope\nFROM scratch\nVOLUME ['a']\nHEALTHCHECK --retries=1 NONE\n");
  assert.equal(
    checker.findings.map(({ rule }) => rule),
    ["UnknownCheck", "InvalidJSONForm", "UnusedFlag"],
  );
  assert.is(checker.failure(), undefined);
});

Configuration("a message does not repeat a megabyte", () => {
  const long = "x".repeat(1_000_000);
  const source = `FROM scratch AS ${long}X\nWORKDIR ${long}\nCOPY $${long} /\nEXPOSE 1/${long}X\nENV ${long}_KEY=1\n# check=${long}\nCMD a`;
  const { findings } = checked(source);
  assert.is(findings.length, 7);
  for (const { message, hint = "" } of findings) assert.ok(message.length + hint.length < 700, message.slice(0, 100));
});

Configuration("of comments the first that is about checks counts", () => {
  assert.is(configurationOf([]), undefined);
  assert.is(configurationOf(["skip=all", "checks=skip=all"]), undefined);
  assert.is(names(configurationOf(["x", "CHECK = skip=A b", "check=skip=B"])?.skip ?? new Set()), "A");
});

for (const [name, location, expected] of [
  ["a line in the middle", { line: 4, end: 4 }, [2, "bcdef", 4, 4]],
  ["the first", { line: 1, end: 1 }, [1, "abc", 1, 1]],
  ["the last", { line: 6, end: 6 }, [4, "def", 6, 6]],
  ["several", { line: 3, end: 4 }, [2, "bcde", 3, 4]],
  ["all", { line: 1, end: 6 }, [1, "abcdef", 1, 6]],
  ["one beyond the end", { line: 7, end: 7 }, undefined],
] as const) {
  Configuration(`the lines that are shown of ${name}`, () => {
    const place = { file: "F", line: location.line, column: 1, end: { line: location.end, column: 2 } };
    const excerpt = excerptOf(["a", "b\r", "c", "d", "e", "f"], place);
    assert.equal(excerpt && [excerpt.first, excerpt.lines.join(""), excerpt.from, excerpt.to], expected);
  });
}

Configuration("of a place of many lines the first are shown, and long lines are cut", () => {
  const place = { file: "F", line: 1, column: 1, end: { line: 1000, column: 1 } };
  const excerpt = excerptOf(new Array(1000).fill("x".repeat(5000)), place);
  assert.is(excerpt?.lines.length, 21);
  assert.is(excerpt?.to, 20);
  assert.is(excerpt?.lines[0]?.length, 1000);
});

Configuration.run();
