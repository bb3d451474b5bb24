import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import { parseMode } from "../../src/parser/copy-mode.ts";

const Modes = suite("--chmod");

// What BuildKit makes of a file of 0644, a program of 0755, a file of 06750, a file of 01640, and a folder of 0644.
for (const [text, ...expected] of [
  ["644", 0o644, 0o644, 0o644, 0o644, 0o644],
  ["0755", 0o755, 0o755, 0o755, 0o755, 0o755],
  ["07777", 0o7777, 0o7777, 0o7777, 0o7777, 0o7777],
  ["0", 0, 0, 0, 0, 0],
  ["u+rwx", 0o744, 0o755, 0o6750, 0o1740, 0o744],
  ["a+X", 0o644, 0o755, 0o6751, 0o1640, 0o755],
  ["+X", 0o644, 0o755, 0o6751, 0o1640, 0o755],
  ["u-X", 0o644, 0o655, 0o6650, 0o1640, 0o644],
  ["+x", 0o755, 0o755, 0o6751, 0o1751, 0o755],
  ["+s", 0o6644, 0o6755, 0o6750, 0o7640, 0o6644],
  ["u+s", 0o4644, 0o4755, 0o6750, 0o5640, 0o4644],
  ["g+s", 0o2644, 0o2755, 0o6750, 0o3640, 0o2644],
  ["o+s", 0o644, 0o755, 0o6750, 0o1640, 0o644],
  ["u-s", 0o644, 0o755, 0o2750, 0o1640, 0o644],
  ["+t", 0o1644, 0o1755, 0o7750, 0o1640, 0o1644],
  ["a-t", 0o644, 0o755, 0o6750, 0o640, 0o644],
  ["o+t", 0o644, 0o755, 0o6750, 0o1640, 0o644],
  ["go=u-w", 0o644, 0o755, 0o6755, 0o1644, 0o644],
  ["u=", 0o044, 0o055, 0o2050, 0o1040, 0o044],
  ["=", 0, 0, 0, 0o1000, 0],
  ["a=rwxst", 0o7777, 0o7777, 0o7777, 0o7777, 0o7777],
  ["u=rwX,go=rX", 0o644, 0o755, 0o755, 0o1644, 0o755],
  ["u+rw-x", 0o644, 0o655, 0o6650, 0o1640, 0o644],
  ["g=u", 0o664, 0o775, 0o6770, 0o1660, 0o664],
  ["u=o,o=u", 0o444, 0o555, 0o6050, 0o1040, 0o444],
  ["g=us", 0o2604, 0o2705, 0o6700, 0o3600, 0o2604],
  ["ug+s", 0o6644, 0o6755, 0o6750, 0o7640, 0o6644],
  ["u+", 0o644, 0o755, 0o6750, 0o1640, 0o644],
] as const) {
  Modes(text, () => {
    const { apply, octal } = parseMode(text);
    const actual = [0o644, 0o755, 0o6750, 0o1640].map((mode) => apply(mode, false));
    assert.equal([...actual, apply(0o644, true)], expected);
    assert.is(octal, /^\d/.test(text) ? expected[0] : undefined);
  });
}

for (const text of [
  "",
  "9",
  "u=q",
  "10000",
  "888",
  "0o644",
  "644x",
  "u",
  "rwx",
  "u=rwx,",
  ",u+x",
  "u+x,,g+x",
  " u+x",
  "u+x ",
  "-1",
]) {
  Modes(`"${text}" is refused`, () => {
    assert.throws(
      () => parseMode(text),
      (error: unknown) => error instanceof KbuildError && error.code === "build.chmod" && error.hint !== undefined,
    );
  });
}

Modes("whatever is asked for, a mode is a mode, and asking again changes nothing more for + and -", () => {
  const clause = fc.tuple(
    fc.string({ unit: fc.constantFrom("u", "g", "o", "a"), maxLength: 3 }),
    fc.constantFrom("+", "-"),
    fc.string({ unit: fc.constantFrom("r", "w", "x", "s", "t"), maxLength: 4 }),
  );
  fc.assert(
    fc.property(clause, fc.integer({ min: 0, max: 0o7777 }), fc.boolean(), (parts, mode, isFolder) => {
      const { apply } = parseMode(parts.join(""));
      const once = apply(mode, isFolder);
      assert.ok(once >= 0 && once <= 0o7777);
      assert.is(apply(once, isFolder), once);
      const [, operator] = parts;
      assert.is(operator === "+" ? once & mode : once | mode, mode, "+ takes nothing away, - adds nothing");
    }),
  );
});

Modes("a mode of any length is read or refused at once", () => {
  for (const text of [
    "u+x,".repeat(100_000),
    "u".repeat(1_000_000),
    `${"0".repeat(1_000_000)}9`,
    "+".repeat(1_000_000),
  ]) {
    assert.throws(() => parseMode(text), /is not a mode/);
  }
});

Modes.run();
