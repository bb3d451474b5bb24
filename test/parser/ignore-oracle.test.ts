import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { compileIgnoreLines, isIgnored, matchName, parseIgnoreFile } from "../../src/parser/ignore.ts";
import { goMatch, isIgnoredByRules } from "./ignore-oracle.ts";
import { ignoreText, namePattern, someName } from "./patterns.ts";

const Oracle = suite("against the plainest matcher");

Oracle("names match as there", () => {
  let matching = 0;
  fc.assert(
    fc.property(namePattern, someName, (pattern, name) => {
      const expected = goMatch(pattern, name);
      if (expected) matching++;
      assert.is(matchName(pattern, name), expected);
    }),
    { numRuns: 20_000 },
  );
  assert.ok(matching > 500, `only ${matching} match`);
});

Oracle("paths are ignored as there", () => {
  const path = fc
    .array(fc.oneof(fc.constantFrom("a", "b", "c", "a.b", ".a"), someName), { minLength: 1, maxLength: 4 })
    .map((names) => names.join("/"));
  let ignored = 0;
  fc.assert(
    fc.property(ignoreText, path, (text, candidate) => {
      const lines = parseIgnoreFile(text);
      const expected = isIgnoredByRules(lines, candidate);
      if (expected) ignored++;
      assert.is(isIgnored(compileIgnoreLines(lines), candidate).ignored, expected, JSON.stringify([text, candidate]));
    }),
    { numRuns: 20_000 },
  );
  assert.ok(ignored > 1000, `only ${ignored} are ignored`);
});

Oracle.run();
