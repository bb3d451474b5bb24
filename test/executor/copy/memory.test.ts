import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ScannedEntries, scannedEntry } from "../../../src/executor/copy/entries.ts";
import { copyInto } from "../../../src/executor/copy/into.ts";
import { Draft } from "../../../src/layers/draft.ts";
import { Tree } from "../../../src/layers/tree.ts";
import { file, folder, tableOf } from "../../layers/entries.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Bytes of objects in use. */
function used(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

const Memory = suite("memory of a COPY");

Memory("a folder of many files is kept as the table that it was scanned to", () => {
  const count = 50_000;
  const names = Array.from({ length: count }, (_, number) => `d/${number % 500}/file-${number}`);
  const folders = Array.from({ length: 500 }, (_, number) => folder(`d/${number}`));
  const table = tableOf([folder("d"), ...folders, ...names.map((name) => file(name, { size: 1 }))]);
  const before = used();
  const draft = new Draft(new Tree([]));
  const below = new ScannedEntries(table, 1, table.length);
  copyInto(
    draft,
    { ...scannedEntry(table, 0), asked: "d", below },
    { path: "app", isFolder: true },
    { owner: { uid: 1, gid: 1 }, mode: undefined, folderMode: 0o755, now, exclude: undefined, parents: false },
  );
  const items = draft.items();
  // The smallest object takes more, with what holds it.
  const each = (used() - before) / count;
  assert.ok(each < 16, `${each} bytes for each file`);
  assert.is(items.length, table.length);
  assert.is([...items].at(-1)?.entry.uid, 1);
});

const now = { seconds: 0, nanoseconds: 0 };

Memory.run();
