// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { RULES } from "../../../src/parser/checks/rules.ts";
import { type CheckSetting, checked, found } from "../../support/checked.ts";

/** What is checked, and the lines at which the rule finds something. */
type Row = readonly [source: string, lines: readonly number[], setting?: CheckSetting];

/** What is triggered, and what is not, by rule; as BuildKit has it, whose own tests many rows follow. */
const TABLE: Readonly<Record<string, readonly Row[]>> = {
  StageNameCasing: [
    ["FROM scratch AS Build", [1]],
    ["FROM scratch AS build\nFROM scratch AS b2_x-y.Z", [2]],
    ["FROM scratch AS build", []],
    ["FROM scratch", []],
  ],
  FromAsCasing: [
    ["FROM scratch as base", [1]],
    ["FROM scratch As base", [1]],
    ["from scratch AS base", [1]],
    ["from scratch as base\nFROM scratch AS b2", []],
    // Which of the two is right is not clear; ConsistentInstructionCasing tells it.
    ["From scratch as base", []],
    ["FROM scratch", []],
  ],
  NoEmptyContinuation: [
    ["FROM scratch\nCOPY a \\\n\n.\nCOPY a \\\n.", [4]],
    ["FROM scratch\nCOPY a \\\n # no\n.", []],
    ["FROM scratch\nCOPY a \\\n\n\n\n.", [6]],
    ["ARG A=\\\n\n1\nFROM scratch", [3]],
    ["FROM scratch\nUSER a \\\n\n", [3]],
    ["FROM scratch\nUSER a \\\n\n\n# no\n", [5]],
    ["FROM scratch\nUSER a \\\n", []],
    ["FROM scratch\nONBUILD RUN a \\\n\n b", [4]],
  ],
  ConsistentInstructionCasing: [
    ["FROM scratch\ncopy a b\nCOPY a b", [2]],
    ["from scratch\nCOPY a b\ncopy a b", [2]],
    ["from scratch\nCOPY a b\nCOPY a c\nCOPY a d", [1]],
    ["FROM scratch\ncopy a b\ncopy a c", [1]],
    ["From scratch\nFROM scratch", [1]],
    ["frOM scratch\nfrom scratch", [1]],
    ["from scratch\ncopy a b", []],
    ["FROM scratch\nCOPY a b", []],
    // As many of each: upper case is right.
    ["FROM scratch\ncopy a b", [2]],
    ["arg A\nFROM scratch\nCOPY a b", []],
    ["FROM scratch\nRUN <<'EOT'\nenv\nEOT", []],
  ],
  DuplicateStageName: [
    ["FROM scratch AS b\nFROM scratch AS b", [2]],
    ["FROM scratch AS b\nFROM scratch AS B\nFROM scratch AS b", [2, 3]],
    ["FROM scratch AS b1\nFROM scratch AS b2\nFROM scratch\nFROM scratch", []],
  ],
  ReservedStageName: [
    ["FROM scratch AS scratch\nFROM scratch AS context", [1, 2]],
    ["FROM scratch AS Context", [1]],
    ["FROM scratch\nFROM scratch AS a", []],
  ],
  JSONArgsRecommended: [
    ["FROM scratch\nCMD a b", [2]],
    ["FROM scratch\nENTRYPOINT a b", [2]],
    ["FROM scratch\nCMD ['a']", [2]],
    ['FROM scratch\nCMD ["a"]\nENTRYPOINT []', []],
    ['FROM scratch\nSHELL ["/x"]\nCMD a', []],
    ['FROM scratch AS b\nSHELL ["/x"]\nFROM b\nCMD a\nENTRYPOINT a', []],
    ['FROM scratch\nCMD a\nSHELL ["/x"]', [2]],
    ["FROM scratch\nRUN a\nHEALTHCHECK CMD a", []],
    ["FROM x\nCMD a", [2]],
    ["FROM x\nCMD a", [], { base: { Shell: ["/bin/bash", "-c"] } }],
    ["FROM x\nCMD a", [2], { base: { Shell: [] } }],
  ],
  MaintainerDeprecated: [
    ["FROM scratch\nMAINTAINER me", [2]],
    ['FROM scratch\nLABEL org.opencontainers.image.authors="me"', []],
  ],
  UndefinedArgInFrom: [
    ["ARG base=scratch\nFROM $base", []],
    ["FROM --platform=$BUILDPLATFORM scratch", []],
    ["ARG BUILDPLATFORM=linux/amd64\nFROM --platform=$BUILDPLATFORM scratch", []],
    ["ARG DEBUG\nFROM scratch${DEBUG}", []],
    ["ARG DEBUG\nFROM scra${DEBUG:-tch}", []],
    ['ARG DEBUG=""\nFROM scratch${DEBUG-@bogus}', []],
    ["ARG tag=latest\nFROM busybox:${tag}${version} AS b", [2]],
    ["FROM scratch$A$A$B", [1, 1]],
    ["FROM scratch${A:-}", [1]],
    ["FROM scratch\nARG A\nFROM scratch$A", [3]],
    ["FROM scratch$A", [1], { args: { A: "" } }],
  ],
  WorkdirRelativePath: [
    ["FROM scratch\nWORKDIR app/", [2]],
    ["FROM scratch\nWORKDIR app\nWORKDIR x", [2]],
    ["FROM scratch\nWORKDIR /app\nWORKDIR x", []],
    ["FROM scratch AS a\nWORKDIR /app\nFROM a\nWORKDIR x", []],
    ["FROM scratch\nARG D=/x\nWORKDIR $D", []],
    ["FROM scratch\nARG D=x\nWORKDIR $D", [3]],
    ["FROM scratch\nARG D=x\nWORKDIR $D", [], { args: { D: "/y" } }],
    ["FROM x\nWORKDIR a", [2]],
    // The working directory of a base image does not count: it can change.
    ["FROM x\nWORKDIR a", [2], { base: { WorkingDir: "/w" } }],
    ["FROM x\nWORKDIR $HOME_OF_APP", []],
    ["FROM x\nWORKDIR $HOME_OF_APP", [], { base: { Env: ["HOME_OF_APP=/app"] } }],
    ["FROM scratch\nWORKDIR $HOME_OF_APP", [2]],
  ],
  UndefinedVar: [
    ["FROM scratch\nARG foo\nCOPY a${foo} .", []],
    ["FROM scratch AS base\nARG foo=a\nFROM base\nCOPY $foo .", []],
    ["FROM scratch\nRUN echo $PATH $foo", []],
    ["FROM scratch\nCOPY $foo .\nARG foo=bar", [2]],
    ["FROM scratch\nARG DIR_ASSETS=a\nCOPY $DIR_ASSET .", [3]],
    ["FROM scratch\nENV PATH=$PAHT:/tmp/bin", [2]],
    ["FROM scratch\nENV PATH=$PATH:/tmp/bin", []],
    ["FROM scratch\nENV a=$a", [2]],
    ["FROM scratch\nENV a=1 b=$a", [2]],
    ["FROM scratch\nARG a=1 b=$a", []],
    ["FROM scratch\nARG a=$b", [2]],
    ["FROM scratch\nARG a=$b", [], { args: { a: "1" } }],
    // BuildKit looks a variable up even when it has a default.
    ["FROM scratch\nENV a=${b:-c}", [2]],
    ["FROM scratch\nENV a='$b' c=\\$d", []],
    ["FROM scratch\nCOPY $a $a $b", [2, 2]],
    ["FROM scratch\nLABEL a=$b\nUSER $c\nVOLUME $d\nSTOPSIGNAL $e", [2, 3, 4, 5]],
    ["FROM scratch\nCOPY --chown=$a --chmod=$b x /y", [2, 2]],
    ["FROM scratch\nCOPY <<EOF /x\n$a\nEOF\nCOPY <<'EOF' /x\n$a\nEOF", [2]],
    ["FROM scratch\nRUN --mount=type=cache,target=/$a,from=b true", [2]],
    ["FROM scratch\nCMD echo $a\nENTRYPOINT echo $a\nEXPOSE $a\nONBUILD COPY $a $b", []],
    ["FROM scratch\nCOPY $BUILDKIT_SBOM_SCAN_STAGE .", []],
    // What is before FROM, and what the machine gives, is not in a stage unless it says so.
    ["ARG a=1\nFROM scratch\nCOPY $a .", [3]],
    ["ARG a=1\nFROM scratch\nARG a\nCOPY $a .", []],
    ["FROM scratch\nCOPY $TARGETARCH .", [2]],
    ["FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH .", []],
    ["FROM x\nCOPY $NODE_VERSION .", [], { base: { Env: ["NODE_VERSION=1"] } }],
    ["FROM x\nCOPY $NODE_VERSION .", [2], { base: {} }],
    ["FROM x\nCOPY $D .", [], { base: { OnBuild: ["ARG D=1"] } }],
    ["FROM scratch AS a\nONBUILD ENV D=1\nFROM a\nCOPY $D .", []],
    // Stages that build on one are apart from each other.
    ["FROM scratch AS a\nFROM a AS b\nARG x=1\nFROM a AS c\nCOPY $x .\nFROM b\nCOPY $x .", [5]],
    ["FROM scratch AS a\nCOPY $b .\nFROM scratch AS c\nCOPY $d .", [2, 4]],
    ["FROM scratch AS a\nCOPY $b .\nFROM scratch AS c\nCOPY $d .", [4], { target: "c" }],
    // Nothing is known of the base: only what is likely wrong is told.
    ["FROM x\nCOPY $NODE_VERSION .", []],
    ["FROM x AS a\nFROM a\nCOPY $NODE_VERSION .", []],
    ["FROM x\nCOPY $late .\nARG late", [2]],
    ["ARG out\nFROM x\nCOPY $out .", [3]],
    ["FROM x\nENV PATH=$PAHT", [2]],
  ],
  MultipleInstructionsDisallowed: [
    [
      'FROM scratch\nENTRYPOINT ["a"]\nENTRYPOINT ["b"]\nCMD ["a"]\nCMD ["b"]\nHEALTHCHECK CMD ["a"]\nHEALTHCHECK NONE',
      [2, 4, 6],
    ],
    ['FROM scratch\nCMD ["a"]\nCOPY a b\nCMD ["b"]\nCMD ["c"]', [2, 4]],
    ['FROM scratch AS a\nCMD ["a"]\nFROM a\nCMD ["b"]', []],
    ["FROM scratch\nUSER a\nUSER b\nEXPOSE 1\nEXPOSE 2", []],
  ],
  LegacyKeyValueFormat: [
    ["FROM scratch\nENV a b\nLABEL a b", [2, 3]],
    ["FROM scratch\nENV a=b\nLABEL a=b c=d", []],
    ["FROM scratch AS a\nFROM a AS b\nENV a b\nFROM a AS c", [3]],
    ["FROM scratch AS a\nFROM a AS b\nENV a b\nFROM a AS c", [], { target: "c" }],
  ],
  RedundantTargetPlatform: [
    ["FROM --platform=$TARGETPLATFORM scratch", [1]],
    ["FROM --platform=${TARGETPLATFORM} scratch", [1]],
    ["FROM --platform=$BUILDPLATFORM scratch", []],
    ["FROM --platform=${TARGETPLATFORM:-linux/amd64} scratch", [1]],
    ["FROM --platform=$TARGETOS/$TARGETARCH scratch", []],
    ["FROM scratch", []],
  ],
  SecretsUsedInArgOrEnv: [
    [
      "FROM scratch\nARG SECRET_PASSPHRASE\nENV SUPER_Secret=foo\nENV password=bar secret=baz\nARG super_duper_secret_token=foo auth=bar\n" +
        "ENV apikey=bar sunflower=foo\nENV git_key=\nENV PUBLIC_KEY=\nARG public_token",
      [2, 3, 4, 4, 5, 5, 6, 7],
    ],
    ["FROM scratch\nENV DB_PASSWORD_FILE=/run/secrets/db\nENV TOKEN_VERSION=2\nARG KEY_FILE", []],
    ["FROM scratch\nENV MONKEY=1 KEYS=1 AUTHOR=me COMPASSWORD=1 TOKENS=1", []],
    ["FROM scratch\nENV CREDENTIAL=1\nENV my_credentials=1\nENV PWORD=1\nENV passwd=1", [2, 3, 4, 5]],
    // BuildKit does not look at what stands before FROM.
    ["ARG API_TOKEN\nFROM scratch", []],
    ["FROM scratch\nLABEL password=x", []],
  ],
  InvalidDefaultArgInFrom: [
    ["ARG VERSION\nFROM busybox:$VERSION", [2], { args: { VERSION: "latest" } }],
    ["ARG IMAGE\nFROM $IMAGE", [2], { args: { IMAGE: "busybox" } }],
    ['ARG SFX="box:"\nFROM busy${SFX}', [2], { args: { SFX: "box:latest" } }],
    ["ARG VERSION=latest\nFROM busybox:${VERSION}", []],
    ['ARG VARIANT=""\nFROM busybox:stable${VARIANT}', [], { args: { VARIANT: "-musl" } }],
    ["ARG VARIANT\nFROM busybox:stable${VARIANT}", [], { args: { VARIANT: "-musl" } }],
    ["FROM scratch AS Build\nFROM Build", []],
  ],
  FromPlatformFlagConstDisallowed: [
    ["FROM --platform=linux/amd64 scratch", [1]],
    ["FROM --platform=linux/x86_64 scratch AS build", [1]],
    ["FROM --platform=linux/amd64 scratch AS my_amd64_stage", []],
    ["FROM --platform=linux/amd64 scratch AS linux", []],
    ["FROM --platform=linux/$TARGETARCH scratch", []],
    ["ARG P=linux/amd64\nFROM --platform=$P scratch", []],
  ],
  CopyIgnoredFile: [
    ["FROM scratch\nCOPY Dockerfile .\nADD Dockerfile /windy", [2, 3], { ignore: "Dockerfile" }],
    ["FROM scratch\nCOPY ./a/../Dockerfile .", [2], { ignore: "Dockerfile" }],
    ["FROM scratch\nCOPY dir/a .", [2], { ignore: "dir" }],
    ["FROM scratch\nCOPY . .", [2], { ignore: "*" }],
    ["FROM scratch\nCOPY Dockerfile .", [], { ignore: "foobar" }],
    ["FROM scratch\nCOPY Dockerfile .", []],
    // With exceptions a folder that is left out may still have files.
    ["FROM scratch\nCOPY dir .", [], { ignore: "dir\n!dir/a" }],
    ["FROM scratch AS a\nFROM scratch\nCOPY --from=a /Dockerfile /", [], { ignore: "Dockerfile" }],
    ["FROM scratch\nADD https://x.y/Dockerfile /", [], { ignore: "**/Dockerfile" }],
    ["FROM scratch\nARG F=Dockerfile\nCOPY $F .", [3], { ignore: "Dockerfile" }],
    ["FROM scratch\nCOPY <<Dockerfile /\nDockerfile", [], { ignore: "Dockerfile" }],
  ],
  ExposeProtoCasing: [
    ["FROM scratch\nEXPOSE 80/TCP 81/tcp 82/Udp", [2, 2]],
    ["FROM scratch\nARG P=80/TCP\nEXPOSE $P", [3]],
    ["FROM scratch\nEXPOSE 80 81/udp", []],
  ],
  ExposeInvalidFormat: [
    ["FROM scratch\nEXPOSE 127.0.0.1:80:80 8080:80 [::1]:80:80", [2, 2, 2]],
    ["FROM scratch\nEXPOSE 80 8000-8010/tcp", []],
  ],
  InvalidJSONForm: [
    ["FROM scratch\nCMD ['a']", [2]],
    ["FROM scratch\nVOLUME ['a']", [2]],
    ["FROM scratch\nRUN [ -f x ]", []],
  ],
  UnusedFlag: [
    ["FROM scratch\nHEALTHCHECK --retries=3 NONE", [2]],
    ["FROM scratch\nHEALTHCHECK NONE", []],
  ],
  UnknownCheck: [
    ["# check=skip=FromAsCasng\nFROM scratch", [1]],
    ["# check=experimental=Nope\nFROM scratch", [1]],
    ["\n# check=skip=Nope\nFROM scratch", [3]],
    ["\n# check=this out\nFROM scratch", [3]],
    ["\n# check=error=true\nFROM scratch", [3]],
    ["# check=error=true\nFROM scratch", []],
    ["# check=skip=FromAsCasing,StageNameCasing;experimental=all\nFROM scratch", []],
    ["\n# check=skip=all\nFROM scratch", []],
    ["\n# we check=everything\nFROM scratch", []],
  ],
};

const Rules = suite("checks");

for (const [rule, rows] of Object.entries(TABLE)) {
  for (const [source, lines, setting] of rows) {
    const with_ = setting === undefined ? "" : ` with ${JSON.stringify(setting)}`;
    const verb = lines.length === 0 ? "finds nothing" : `finds something in line ${lines.join(", ")}`;
    Rules(`${rule} ${verb}: ${source.replaceAll("\n", " | ")}${with_}`, () => {
      assert.equal(
        checked(source, setting)
          .findings.filter((one) => one.rule === rule)
          .map(({ location }) => location.line),
        lines,
      );
    });
  }
}

const description = "# check=experimental=InvalidDefinitionDescription\n";
for (const [source, lines] of [
  ["# foo is it\nARG foo=bar\n\n# base image\nFROM scratch AS base\n# version 1\nARG version", []],
  ["# baz this\nARG foo=baz bar=qux baz=quux\n#\nARG bit=bat\n# any\nFROM scratch\n# any\nCOPY a b", []],
  ["# bar this\nARG foo\n# BasE this\nFROM scratch AS base\n# bad\nARG version\n# bad\nARG a b", [3, 5, 7, 9]],
  ["# bad\n\nARG foo\n# bad\n#\nFROM scratch AS base", []],
  ["\n# check=skip=StageNameCasing\nFROM scratch AS base", []],
] as const) {
  Rules(`InvalidDefinitionDescription, when asked for: ${source.replaceAll("\n", " | ")}`, () => {
    assert.equal(
      found(description + source).filter((one) => one.startsWith("Inv")),
      lines.map((line) => `InvalidDefinitionDescription ${line}`),
    );
    assert.equal(
      found(`\n${source}`).filter((one) => one.startsWith("Inv")),
      [],
      "it is experimental",
    );
  });
}

for (const [source, message, hint] of [
  ["FROM scratch\nENV PATH=$PAHT", "the variable $PAHT is not defined here (did you mean $PATH?)", undefined],
  [
    "FROM --platform=${BULIDPLATFORM:-linux/amd64} scratch",
    "FROM uses BULIDPLATFORM, which no ARG before it declares (did you mean BUILDPLATFORM?)",
    undefined,
  ],
  [
    "ARG out=1\nFROM scratch\nCOPY $out .",
    "the variable $out is not defined here",
    "ARG out in this stage brings in the value from outside of it",
  ],
  [
    "FROM scratch\nCMD node app.js",
    "CMD is in shell form: signals go to a shell, not to the program",
    'write CMD ["node", "app.js"]',
  ],
  [
    'FROM scratch\nCMD a && b "c"',
    "CMD is in shell form: signals go to a shell, not to the program",
    'write CMD ["program", "argument"]',
  ],
  ["FROM scratch\nEXPOSE 80/TCP", 'the protocol of "80/TCP" is not in lower case', "write 80/tcp"],
  ["# check=skip=FromAsCasng\nFROM scratch", "there is no check FromAsCasng (did you mean FromAsCasing?)", undefined],
] as const) {
  Rules(`it is told so: ${message}`, () => {
    const [finding] = checked(source).findings;
    assert.is(finding?.message, message);
    assert.is(finding?.hint, hint);
    assert.ok(finding?.excerpt, "the lines are shown");
  });
}

Rules("all rules of BuildKit are there, each with a paragraph of its own", () => {
  const names =
    "StageNameCasing FromAsCasing NoEmptyContinuation ConsistentInstructionCasing DuplicateStageName ReservedStageName " +
    "JSONArgsRecommended MaintainerDeprecated UndefinedArgInFrom WorkdirRelativePath UndefinedVar " +
    "MultipleInstructionsDisallowed LegacyKeyValueFormat InvalidBaseImagePlatform RedundantTargetPlatform " +
    "SecretsUsedInArgOrEnv InvalidDefaultArgInFrom FromPlatformFlagConstDisallowed CopyIgnoredFile " +
    "InvalidDefinitionDescription ExposeProtoCasing ExposeInvalidFormat";
  assert.equal(
    RULES.filter(({ own }) => own !== true).map(({ name }) => name),
    names.split(" "),
  );
  assert.equal(
    RULES.filter(({ experimental }) => experimental).map(({ name }) => name),
    ["InvalidDefinitionDescription"],
  );
  assert.is(new Set(RULES.map(({ explanation }) => explanation)).size, RULES.length);
  for (const { name, description, explanation } of RULES) {
    assert.ok(description.length < 100, name);
    assert.ok(explanation.length > description.length && explanation.endsWith("."), name);
    assert.not.match(explanation, /https?:/, name);
  }
});

Rules.run();
