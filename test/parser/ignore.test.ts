import * as fs from "node:fs";
import * as path from "node:path";
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import { compileIgnoreLines, compileRules, isIgnored, matchName, parseIgnoreFile } from "../../src/parser/ignore.ts";
import { HOME } from "../support/workspace.ts";

const isBadPattern = (error: unknown) => error instanceof KbuildError && error.code === "build.pattern";

const Reading = suite("an ignore file");

for (const [text, expected] of [
  ["", []],
  ["a", [["a", false, 1]]],
  ["\ufeffa\n", [["a", false, 1]]],
  ["# c\n#x\n\n \t\n a \n", [["a", false, 5]]],
  [
    "a\r\nb\r\n",
    [
      ["a", false, 1],
      ["b", false, 2],
    ],
  ],
  [" # no comment\n", [["# no comment", false, 1]]],
  ["\\#a", [["\\#a", false, 1]]],
  ["a # b", [["a # b", false, 1]]],
  [
    "!a\n! b \n !c",
    [
      ["a", true, 1],
      ["b", true, 2],
      ["c", true, 3],
    ],
  ],
  ["!!x", [["!x", true, 1]]],
  [
    "/a\n//a//b/\n!/c",
    [
      ["a", false, 1],
      ["a/b", false, 2],
      ["c", true, 3],
    ],
  ],
  ["a/", [["a", false, 1]]],
  ["./a/./b", [["a/b", false, 1]]],
  [
    "a/../b\n!/b/../c",
    [
      ["b", false, 1],
      ["c", true, 2],
    ],
  ],
  [
    "..\n/..//x\n../x",
    [
      ["..", false, 1],
      ["x", false, 2],
      ["../x", false, 3],
    ],
  ],
  [
    ".\n/",
    [
      [".", false, 1],
      ["/", false, 2],
    ],
  ],
  ["a\rb", [["a\rb", false, 1]]],
] as const) {
  Reading(JSON.stringify(text), () => {
    assert.equal(
      parseIgnoreFile(text).map(({ pattern, negated, line }) => [pattern, negated, line]),
      expected,
    );
  });
}

for (const [text, line] of [
  ["!", 1],
  ["a\n ! ", 2],
  ["!/", 1],
  ["# [\n[\n", 2],
  ["a\n\n!b[z-a]\n", 3],
] as const) {
  Reading(`${JSON.stringify(text)} is refused`, () => {
    assert.throws(
      () => parseIgnoreFile(text),
      (error: unknown) =>
        isBadPattern(error) && error instanceof KbuildError && error.message.startsWith(`line ${line}: `),
    );
  });
}

Reading("a rule is known by its place in the list", () => {
  const rules = compileIgnoreLines(parseIgnoreFile("# c\n*.js\n!a.js\nd\n"));
  assert.equal(isIgnored(rules, "b.js"), { ignored: true, rule: 0 });
  assert.equal(isIgnored(rules, "a.js"), { ignored: false, rule: 1 });
  assert.equal(isIgnored(rules, "d/e"), { ignored: true, rule: 2 });
  assert.equal(isIgnored(rules, "x"), { ignored: false });
});

Reading("the last of equal rules decides", () => {
  const rules = compileIgnoreLines(parseIgnoreFile("a*\n!a*\n*\n!b\nb\na*\n"));
  assert.equal(isIgnored(rules, "ab"), { ignored: true, rule: 5 });
  assert.equal(isIgnored(rules, "b"), { ignored: true, rule: 4 });
  assert.equal(isIgnored(rules, "c"), { ignored: true, rule: 2 });
});

Reading.run();

const Rules = suite("ignore rules");

interface Row {
  readonly patterns: readonly string[];
  readonly path: string;
  readonly ignored: boolean;
}

const rows = JSON.parse(fs.readFileSync(path.join(HOME, "test/fixtures/ignore-cases.json"), "utf8")) as Row[];

// The outcomes were recorded from moby/patternmatcher 0.6.1, MatchesOrParentMatches.
Rules("decide as moby's matcher does, row by row", () => {
  assert.ok(rows.length >= 150, `only ${rows.length} rows`);
  for (const row of rows) {
    assert.is(isIgnored(compileRules(row.patterns), row.path).ignored, row.ignored, JSON.stringify(row));
    const lines = row.patterns.map((text, number) => {
      const negated = text.startsWith("!");
      return { pattern: negated ? text.slice(1) : text, negated, line: number + 1 };
    });
    assert.is(isIgnored(compileIgnoreLines(lines), row.path).ignored, row.ignored, `as lines: ${JSON.stringify(row)}`);
  }
});

Rules("are cleaned where they come from a flag; a blank one keeps its number", () => {
  const rules = compileRules([" a//b/ ", "", "./c", "!c/../d"]);
  assert.equal(isIgnored(rules, "a/b"), { ignored: true, rule: 0 });
  assert.equal(isIgnored(rules, "c"), { ignored: true, rule: 2 });
});

for (const pattern of ["[", "a[", "[a", "[]a]", "[-a]", "[a-]", "a\\", "[z-a]", "[^", "[\\", "!", "![", "x/[/y"]) {
  Rules(`${pattern} is refused`, () => {
    assert.throws(() => compileRules([pattern]), isBadPattern);
  });
}

/** Whether a pattern matches the whole of a path: by trying everything, character by character. */
function plainMatch(pattern: string, text: string): boolean {
  if (pattern === "") return text === "";
  if (pattern.startsWith("**")) {
    const rest = pattern.slice(pattern[2] === "/" ? 3 : 2);
    if (rest === "" || plainMatch(rest, text)) return true;
    return [...text].some((character, at) => character === "/" && plainMatch(rest, text.slice(at + 1)));
  }
  const [first = ""] = text;
  const after = text.slice(first.length);
  if (pattern.startsWith("*")) {
    return plainMatch(pattern.slice(1), text) || (first !== "" && first !== "/" && plainMatch(pattern, after));
  }
  if (first === "") return false;
  if (pattern.startsWith("?")) return first !== "/" && plainMatch(pattern.slice(1), after);
  const members = /^\[(\^?)(\w+)\]/.exec(pattern);
  if (members)
    return members[2]?.includes(first) !== (members[1] === "^") && plainMatch(pattern.slice(members[0].length), after);
  const skipped = pattern.startsWith("\\") ? 1 : 0;
  return pattern[skipped] === first && plainMatch(pattern.slice(skipped + 1), after);
}

/** Rule after rule, each against the path and every folder that it is in. */
function plainIgnored(patterns: readonly string[], text: string): boolean {
  const names = text.split("/");
  const paths = names.map((_, number) => names.slice(0, number + 1).join("/"));
  let ignored = false;
  for (const pattern of patterns) {
    const negated = pattern.startsWith("!");
    if (paths.some((each) => plainMatch(negated ? pattern.slice(1) : pattern, each))) ignored = !negated;
  }
  return ignored;
}

const part = fc.oneof(
  fc.constant("**"),
  fc.string({ unit: fc.constantFrom("a", "b", "*", "?", "[ab]", "[^a]", "\\*", "."), minLength: 1, maxLength: 4 }),
);
// `**` in front of a name, `**a`, has a meaning of its own, which the rows hold; so have names of dots only.
const pattern = fc
  .tuple(fc.boolean(), fc.array(part, { minLength: 1, maxLength: 4 }))
  .map(([negated, parts]) => `${negated ? "!" : ""}${parts.join("/")}`)
  .filter((text) => !/^!?\*\*[^/]/.test(text) && !/(^|\/|!)\.+(\/|$)/.test(text));
const names = fc
  .array(fc.string({ unit: fc.constantFrom("a", "b", "*", ".", "c"), minLength: 1, maxLength: 3 }), {
    minLength: 1,
    maxLength: 4,
  })
  .map((parts) => parts.join("/"));

Rules("decide as a matcher does that tries everything", () => {
  fc.assert(
    fc.property(fc.array(pattern, { minLength: 1, maxLength: 4 }), names, (patterns, text) => {
      assert.is(isIgnored(compileRules(patterns), text).ignored, plainIgnored(patterns, text));
    }),
    { numRuns: 5000 },
  );
});

Rules("take any text as a pattern, or refuse it", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (text, name) => {
      try {
        assert.type(isIgnored(compileRules([text]), name).ignored, "boolean");
        assert.type(matchName(text, name), "boolean");
      } catch (error) {
        assert.ok(isBadPattern(error), String(error));
      }
    }),
    { numRuns: 3000 },
  );
});

Rules("that are made to take for ever do not", () => {
  const text = `${"a/".repeat(2000)}${"a".repeat(4000)}`;
  for (const [pattern, expected] of [
    [`${"**/".repeat(500)}b`, false],
    [`${"*a".repeat(500)}b`, false],
    [`${"**/a*".repeat(200)}/**/c`, false],
    [`${"**/*/".repeat(300)}**`, true],
  ] as const) {
    assert.is(isIgnored(compileRules([pattern]), text).ignored, expected, pattern.slice(0, 20));
  }
});

Rules.run();

const Names = suite("a name against a pattern");

// The table of Go's own tests, src/path/filepath/match_test.go (BSD licence); undefined stands for ErrBadPattern.
for (const [text, name, expected] of [
  ["abc", "abc", true],
  ["*", "abc", true],
  ["*c", "abc", true],
  ["a*", "a", true],
  ["a*", "abc", true],
  ["a*", "ab/c", false],
  ["a*/b", "abc/b", true],
  ["a*/b", "a/c/b", false],
  ["a*b*c*d*e*/f", "axbxcxdxe/f", true],
  ["a*b*c*d*e*/f", "axbxcxdxexxx/f", true],
  ["a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false],
  ["a*b*c*d*e*/f", "axbxcxdxexxx/fff", false],
  ["a*b?c*x", "abxbbxdbxebxczzx", true],
  ["a*b?c*x", "abxbbxdbxebxczzy", false],
  ["ab[c]", "abc", true],
  ["ab[b-d]", "abc", true],
  ["ab[e-g]", "abc", false],
  ["ab[^c]", "abc", false],
  ["ab[^b-d]", "abc", false],
  ["ab[^e-g]", "abc", true],
  ["a\\*b", "a*b", true],
  ["a\\*b", "ab", false],
  ["a?b", "a☺b", true],
  ["a[^a]b", "a☺b", true],
  ["a???b", "a☺b", false],
  ["[a-ζ]*", "α", true],
  ["*[a-ζ]", "A", false],
  ["a?b", "a/b", false],
  ["a*b", "a/b", false],
  ["[\\]a]", "]", true],
  ["[\\-]", "-", true],
  ["[x\\-]", "x", true],
  ["[x\\-]", "z", false],
  ["[\\-x]", "x", true],
  ["[\\-x]", "a", false],
  ["[z-a]", "m", false],
  ["**", "abc", true],
  ["**/x", "x", false],
  ["*x", "xxx", true],
  ["", "", true],
  ["", "a", false],
  ["[]a]", "]", undefined],
  ["[-]", "-", undefined],
  ["[x-]", "x", undefined],
  ["[-x]", "x", undefined],
  ["\\", "a", undefined],
  ["[a-b-c]", "a", undefined],
  ["[", "a", undefined],
  ["[^", "a", undefined],
  ["[^bc", "a", undefined],
  ["a[", "a", undefined],
  ["a[", "ab", undefined],
] as const) {
  Names(`${text} on ${name}: ${expected ?? "malformed"}`, () => {
    if (expected === undefined) assert.throws(() => matchName(text, name), isBadPattern);
    else assert.is(matchName(text, name), expected);
  });
}

Names("bytes that are no UTF-8 count as characters", () => {
  assert.is(matchName("a?b", "a\udcffb"), true);
  assert.is(matchName("*", "\udcff\udcfe"), true);
});

Names.run();
