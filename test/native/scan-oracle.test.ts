import * as fs from "node:fs";
import * as path from "node:path";
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { EntryTable, EntryType } from "../../src/layers/entry-table.ts";
import { NativeClient } from "../../src/native/client.ts";
import type { IgnoreRule, SelectionSegment } from "../../src/native/protocol.ts";
import { parseIgnoreFile } from "../../src/parser/ignore.ts";
import { goMatch, isIgnoredByWalk } from "../parser/ignore-oracle.ts";
import { ignoreText, namePattern, someName } from "../parser/patterns.ts";
import { workspace } from "../support/workspace.ts";

const Oracle = suite("a scan against the plainest matcher");
const native = new NativeClient();
Oracle.after(() => native.close());

const NAMES = ["a", "b", "c", "a.b", ".a"];

/** Makes files; gives their paths. */
function plantFiles(root: string, paths: readonly string[]): readonly string[] {
  for (const file of paths) {
    fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    fs.writeFileSync(path.join(root, file), "");
  }
  return paths;
}

/** The files that a scan of one selection lists. */
async function filesOf(
  root: string,
  segments: readonly SelectionSegment[],
  ignore: readonly IgnoreRule[],
): Promise<readonly string[]> {
  const { table } = await native.scan({ root, selections: [{ segments, followLast: true }], ignore, digest: false });
  return [...new EntryTable(table)].flatMap((entry) => (entry.type === EntryType.file ? [entry.path] : []));
}

Oracle("what is ignored is left out, and nothing else is", async () => {
  const root = workspace("kbuild-oracle");
  const below = NAMES.flatMap((name) => ["x", ...NAMES].map((last) => `${name}/${last}`));
  const files = plantFiles(root, [
    ...["f", "ab", "a-", "é", "[", "*"],
    ...below.filter((file) => !file.startsWith("b/")),
    ...NAMES.flatMap((name) => ["x", ...NAMES].map((last) => `b/${name}/${last}`)),
  ]);
  const all = (await filesOf(root, [], [])).toSorted();
  assert.equal(all, files.toSorted());
  await fc.assert(
    fc.asyncProperty(ignoreText, async (text) => {
      const rules = parseIgnoreFile(text).map(({ pattern, negated }) => ({ pattern, negated }));
      const expected = all.filter((file) => !isIgnoredByWalk(rules, file));
      assert.equal((await filesOf(root, [], rules)).toSorted(), expected, JSON.stringify(text));
    }),
    { numRuns: 1500 },
  );
});

Oracle("a wildcard selects what it matches", async () => {
  const root = workspace("kbuild-oracle");
  const names = fc.sample(someName, 300).filter((name) => name !== "." && name !== "..");
  const all = [...new Set(plantFiles(root, names))].toSorted();
  await fc.assert(
    // The folder itself and the one above are no names that wildcards are for.
    fc.asyncProperty(
      namePattern.filter((text) => !/^\\?\.{1,2}$/.test(text)),
      async (text) => {
        const expected = all.filter((name) => goMatch(text, name));
        assert.equal((await filesOf(root, [{ kind: "pattern", text }], [])).toSorted(), expected, text);
      },
    ),
    { numRuns: 1500 },
  );
});

Oracle.run();
