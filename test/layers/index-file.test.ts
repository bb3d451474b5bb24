import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import { contentDigest } from "../../src/layers/identity.ts";
import { readDigests } from "../../src/layers/index-file.ts";
import { workspace } from "../support/workspace.ts";
import { file, folder, tableOf } from "./entries.ts";

const place = path.join(workspace(), "index");
const digest = contentDigest(Buffer.from("abc"));

const Digests = suite("digests in a table's file");

for (const count of [0, 1, 8192, 8193, 20_000]) {
  Digests(`of ${count} entries`, () => {
    const entries = Array.from({ length: count }, (_, number) => {
      const name = String(number).padStart(5, "0");
      return number % 3 === 0 ? folder(name) : file(name, { digest: contentDigest(Buffer.from(name)) });
    });
    const table = tableOf(entries);
    fs.writeFileSync(place, table.bytes);
    const found = [...readDigests(place)];
    assert.is(found.length, count);
    for (const [index, each] of found.entries()) {
      const expected = table.digest(index);
      assert.ok(expected === undefined ? each === undefined : expected.equals(each ?? Buffer.alloc(0)), `${index}`);
    }
  });
}

Digests("a file that is cut short or none is told from a whole one", () => {
  const { bytes } = tableOf([file("a", { digest }), file("b", { digest })]);
  for (const part of [bytes.subarray(0, 10), bytes.subarray(0, 32 + 200), Buffer.from("x".repeat(500))]) {
    fs.writeFileSync(place, part);
    assert.throws(
      () => [...readDigests(place)],
      (error: unknown) => error instanceof KbuildError && error.code === "internal.entryTable",
    );
  }
});

Digests.run();
