import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { HOME } from "./support/workspace.ts";

const Docs = suite("the documents");

for (const name of ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "docs/compatibility.md"]) {
  Docs(`${name} leads to files that are there`, () => {
    const text = fs.readFileSync(path.join(HOME, name), "utf8");
    for (const [, target = ""] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^https?:/.test(target)) continue;
      assert.ok(fs.existsSync(path.join(HOME, path.dirname(name), target)), target);
    }
  });
}

Docs("every row about compatibility names a test, and what differs on purpose is little", () => {
  const text = fs.readFileSync(path.join(HOME, "docs/compatibility.md"), "utf8");
  const [, differences = "", ...sections] = text.split(/^## /m);
  const rowsOf = (section: string) =>
    section
      .split("\n")
      .filter((line) => /^\| (?!---)/.test(line))
      .slice(1);
  assert.ok(rowsOf(differences).length <= 10);
  const rows = sections.flatMap(rowsOf);
  assert.ok(rows.length > 60);
  for (const row of rows) assert.match(row, /\]\(\.\.\/test\/[^)]+\.ts\) ?[^|]*\|$/, row);
});

Docs.run();
