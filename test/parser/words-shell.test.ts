// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what is expanded
import { spawnSync } from "node:child_process";
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import { expandWord } from "../../src/parser/words.ts";
import { has } from "../support/command.ts";

/**
 * Words are expanded as shells do it, with these exceptions, which are docker's and not asked for here:
 * - between double quotes, the word of `${x:-word}` begins anew: single quotes and escapes mean there what they mean
 *   outside, and the escape character before a backquote stays;
 * - a pattern has no classes, and quotes take no meaning away in it, neither from `*` and `?` nor from those in variables;
 * - escapes in the replacement of `/` stay, and bash's `&` for what was matched, `#` and `%` for the ends are themselves; and `*` matches
 *   a blank value, too;
 * - there is no command substitution, no arithmetic and no `~`.
 */

const Shell = suite("words as shells expand them");

interface Item {
  readonly x: string | undefined;
  readonly y: string | undefined;
  /** For patterns: no backslash is in it, which could end one. */
  readonly z: string;
  readonly word: string;
}

// Not beyond ASCII: some shells take a byte for a character.
const value = fc.option(fc.string({ unit: fc.constantFrom("a", "b", "/", ".", "*", "\\"), maxLength: 8 }), {
  nil: undefined,
});
const plain = fc.string({
  unit: fc.constantFrom("a", "b", "/", ".", "$x", "${y}", "\\}", "\\a", "'b'", '"a b"', "${x:-c}", '"$y"', '\\"'),
  maxLength: 4,
});
/** For a word within double quotes. */
const quotedPlain = fc.string({
  unit: fc.constantFrom("a", "b", "/", ".", "$x", "${y}", "\\}", "\\$", "\\\\", "${x:-c}", "${y+d}", " "),
  maxLength: 4,
});
const pattern = fc.string({
  unit: fc.constantFrom("a", "b", "/", ".", "*", "?", "\\*", "\\?", "\\a", '"b"', "'a'", "$z"),
  maxLength: 5,
});
const conditional = fc.constantFrom("-", ":-", "+", ":+");
const braced = (operator: fc.Arbitrary<string>, word: fc.Arbitrary<string>) =>
  fc.tuple(operator, word).map((parts) => `\${x${parts.join("")}}`);

const expansion = fc.oneof(
  braced(conditional, plain),
  braced(conditional, quotedPlain).map((text) => `"${text}"`),
  braced(fc.constantFrom("#", "##", "%", "%%"), pattern),
  fc.constantFrom("$x", "${x}", '"$x"', "'$x'", "\\$x", "a", '" "', '"\\a\\$\\"\\\\"', "\\'", "'\\'", "$y$x"),
);

const items = (word: fc.Arbitrary<string>): fc.Arbitrary<Item> =>
  fc.record({
    x: value,
    y: value,
    z: fc.constantFrom("", "a", "*b", "/?"),
    word: fc.array(word, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("")),
  });

/** A text as a shell takes it literally. */
function quoted(text: string): string {
  return `'${text.replace(/'/g, "'\\''")}'`;
}

/** What a shell makes of each item, all in one process; with `mayFail` each in one of its own, undefined for a failure. */
function expandBy(shell: string, list: readonly Item[], mayFail: boolean): readonly (string | undefined)[] {
  const script = list.map(({ x, y, z, word }) => {
    const set = [x === undefined ? "unset x" : `x=${quoted(x)}`, y === undefined ? "unset y" : `y=${quoted(y)}`];
    set.push(`z=${quoted(z)}`);
    const line = `${set.join("; ")}; r=${word}; printf '=%s\\0' "$r"`;
    return mayFail ? `(${line}) 2>/dev/null || printf '!\\0'` : line;
  });
  const done = spawnSync(shell, [], { input: script.join("\n"), encoding: "utf8", env: { LC_ALL: "C.UTF-8" } });
  assert.is(done.status, 0, done.stderr);
  const outcomes = done.stdout.split("\0").slice(0, -1);
  assert.is(outcomes.length, list.length);
  return outcomes.map((text) => (text.startsWith("=") ? text.slice(1) : undefined));
}

function expandByUs({ x, y, z, word }: Item): string | undefined {
  const values = new Map([
    ["x", x],
    ["y", y],
    ["z", z],
  ]);
  try {
    return expandWord(word, (name) => values.get(name), "\\");
  } catch (error) {
    assert.instance(error, KbuildError);
    return undefined;
  }
}

function compare(shell: string, list: readonly Item[], mayFail = false): void {
  for (const [number, expected] of expandBy(shell, list, mayFail).entries()) {
    const item = list[number];
    assert.ok(item !== undefined);
    assert.is(expandByUs(item), expected, JSON.stringify(item));
  }
}

Shell("/bin/sh: what both have gives the same", () => {
  compare("/bin/sh", fc.sample(items(expansion), 5000));
});

Shell("/bin/sh: what is missing fails in both", () => {
  compare("/bin/sh", fc.sample(items(braced(fc.constantFrom("?", ":?"), plain)), 500), true);
});

Shell("bash: replacements give the same", () => {
  if (!has("bash")) throw new Error("this needs bash");
  const anyPattern = fc.string({
    unit: fc.constantFrom("a", "b", ".", "*", "?", "\\*", "\\?", "\\a", "\\/", '"b"', "'a'"),
    minLength: 1,
    maxLength: 4,
  });
  // There bash finds nothing: it takes the last star for one that is not escaped.
  const searched = anyPattern.filter((text) => !/^\*.*\\\*$/.test(text));
  const replacement = fc.string({ unit: fc.constantFrom("a", "z", "/", ".", "'q r'", '"s"', "-"), maxLength: 3 });
  const replaced = fc
    .tuple(fc.constantFrom("/", "//"), searched, replacement)
    .map(([operator, from, to]) => `\${x${operator}${from}/${to}}`);
  const filled = items(replaced).filter(({ x }) => x !== undefined && x !== "");
  compare("bash", fc.sample(filled, 5000));
});

Shell.run();
