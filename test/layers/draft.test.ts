import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import { Draft, type DraftItem, type DraftItems, folderEntry } from "../../src/layers/draft.ts";
import { type Entry, EntryTable, EntryType, encodeEntries } from "../../src/layers/entry-table.ts";
import { joinPath, Tree } from "../../src/layers/tree.ts";
import { findInTreeOrder, sortInTreeOrder } from "../../src/layers/tree-order.ts";
import { file, folder, symlink, tableOf } from "./entries.ts";
import { apply, type Files, parentOf, put, shownEntry, shownFiles, someEntry, someLayer, somePath } from "./model.ts";

const making = { owner: { uid: 7, gid: 8 }, mode: 0o750, mtime: { seconds: 42, nanoseconds: 0 } };
const draftOn = (...layers: readonly (readonly Entry[])[]): Draft => new Draft(new Tree(layers.map(tableOf)));
const paths = (draft: Draft): string[] => [...draft.items()].map(({ entry }) => entry.path);
const failsWith = (code: string) => (error: unknown) => error instanceof KbuildError && error.code === code;

const Model = suite("a layer being made");

/** Whether a folder can be made at a path without following a link: nothing else than folders is on the way. */
function isFree(files: Files, path: string): boolean {
  if (path === "") return true;
  const there = files.get(path);
  return (there === undefined || there.type === EntryType.directory) && isFree(files, parentOf(path));
}

function makeFolders(files: Files, path: string): void {
  if (path === "" || files.has(path)) return;
  makeFolders(files, parentOf(path));
  put(files, folderEntry(path, making));
}

Model("putting and making folders come to what they would on a disk, and so does the layer once it is on top", () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: someEntry.map((entry) => ({ kind: "put" as const, entry })) },
    { weight: 1, arbitrary: somePath.map((path) => ({ kind: "make" as const, path })) },
  );
  let opaque = 0;
  fc.assert(
    fc.property(
      fc.array(someLayer, { maxLength: 3 }),
      fc.array(step, { maxLength: 15 }),
      fc.array(somePath, { maxLength: 10 }),
      (layers, steps, asked) => {
        const tables = layers.map(tableOf);
        const draft = new Draft(new Tree(tables));
        const files: Files = new Map();
        for (const layer of layers) apply(files, layer);
        for (const each of steps) {
          const target = each.kind === "put" ? parentOf(each.entry.path) : each.path;
          if (!isFree(files, target)) continue;
          if (target !== "") assert.is(draft.makeFolders(target, making), target);
          makeFolders(files, target);
          if (each.kind === "put") {
            put(files, each.entry);
            draft.put(each.entry);
          }
        }
        for (const path of [...asked, ...files.keys()]) {
          const [there, found] = [files.get(path), draft.lookup(path)];
          assert.is(found && shownEntry(found.entry), there && shownEntry(there), path);
        }
        const items = [...draft.items()];
        if (items.some(({ entry }) => entry.type === EntryType.opaque)) opaque += 1;
        const merged = new Tree([...tables, new EntryTable(encodeEntries(items.map(({ entry }) => entry)))]);
        assert.equal(
          merged
            .below("")
            .map(({ entry }) => shownEntry(entry))
            .sort(),
          shownFiles(files),
        );
      },
    ),
    { numRuns: 1500 },
  );
  assert.ok(opaque > 0, "some folders came back in the place of others");
});

/** Items as something that has them all puts them. */
function itemsOf(entries: readonly Entry[]): DraftItems {
  const list = entries.map((entry): DraftItem => ({ entry, origin: undefined, group: undefined }));
  const at = (index: number): DraftItem => list[index] as DraftItem;
  return {
    length: list.length,
    path: (index) => at(index).entry.path,
    type: (index) => at(index).entry.type,
    item: at,
    find: (path) => findInTreeOrder(list.length, (index) => at(index).entry.path, path),
    [Symbol.iterator]: () => list[Symbol.iterator](),
  };
}

Model("what is put as a whole is the same as put one by one, whatever comes before and after", () => {
  const some = fc.array(someEntry, { maxLength: 6 });
  let wholes = 0;
  fc.assert(
    fc.property(someLayer, some, somePath, some, some, fc.array(somePath), (layer, first, at, whole, last, asked) => {
      const [one, other] = [draftOn(layer), draftOn(layer)];
      for (const draft of [one, other]) for (const entry of first) draft.put(entry);
      const below = new Map<string, Entry>();
      const files = (path: string) => below.get(path)?.type ?? EntryType.directory;
      for (const entry of whole) {
        const path = joinPath(at, entry.path);
        let folder = parentOf(path);
        while (folder !== at && files(folder) === EntryType.directory) folder = parentOf(folder);
        const there = one.typeAt(path);
        const isFolder = entry.type === EntryType.directory;
        const fits = there === undefined || (there === EntryType.directory) === isFolder;
        if (folder !== at || !fits || [...below.keys()].some((name) => name.startsWith(`${path}/`))) continue;
        below.set(path, { ...entry, path });
      }
      const entries = sortInTreeOrder([...below.values()], ({ path }) => path);
      for (const entry of entries) one.put(entry);
      other.putAll(at, itemsOf(entries));
      if (entries.length > 0) wholes += 1;
      for (const path of [...asked, ...below.keys()]) assert.equal(other.lookup(path), one.lookup(path), path);
      for (const draft of [one, other]) for (const entry of last) draft.put(entry);
      for (const path of [...asked, ...below.keys()]) assert.equal(other.lookup(path), one.lookup(path), path);
      assert.is(other.items().length, [...one.items()].length);
      assert.equal([...other.items()], [...one.items()]);
    }),
    { numRuns: 1500 },
  );
  assert.ok(wholes > 500, `${wholes} had something`);
});

Model("nothing is in the layer but what was put there", () => {
  const draft = draftOn([folder("a"), file("a/x")]);
  assert.equal([...draft.items()], []);
  assert.is(draft.makeFolders("a", making), "a");
  assert.equal([...draft.items()], []);
  draft.makeFolders("a/b/c", making);
  assert.equal(
    [...draft.items()].map(({ entry }) => entry),
    [folderEntry("a/b", making), folderEntry("a/b/c", making)],
  );
  assert.is(draft.lookup("a/b")?.layer, -1);
  assert.is(draft.lookup("a/x")?.layer, 0);
});

Model("items are in tree order", () => {
  const draft = draftOn();
  for (const path of ["b", "a.c", "a/b", "a", "é"]) draft.put(path === "a" ? folder(path) : file(path));
  assert.equal(paths(draft), ["a", "a/b", "a.c", "b", "é"]);
});

Model("a folder that comes back in another one's place is opaque, and only that", () => {
  const draft = draftOn([folder("a"), file("a/old"), folder("b"), file("b/old")]);
  draft.put(file("a"));
  draft.put(file("b"));
  draft.put(folder("a", { uid: 5 }));
  draft.put(file("a/new"));
  assert.equal(
    [...draft.items()].map(({ entry }) => [entry.path, entry.type]),
    [
      ["a", EntryType.directory],
      ["a/.wh..wh..opq", EntryType.opaque],
      ["a/new", EntryType.file],
      ["b", EntryType.file],
    ],
  );
  assert.is(draft.lookup("a/old"), undefined);
  assert.is(draft.lookup("b/old"), undefined);
});

Model("the first name of an inode has the content, the others link to it", () => {
  const draft = draftOn();
  const origin = { digest: undefined };
  for (const path of ["z", "m", "a", "other"]) draft.put(file(path, { size: 3 }), origin, path === "other" ? "2" : "1");
  const items = [...draft.items()];
  assert.equal(
    items.map(({ entry }) => [entry.path, entry.type, entry.link, entry.size]),
    [
      ["a", EntryType.file, "", 3],
      ["m", EntryType.hardlink, "a", 0],
      ["other", EntryType.file, "", 3],
      ["z", EntryType.hardlink, "a", 0],
    ],
  );
  assert.ok(
    items.every((item) => item.origin === origin),
    "a digest that is learnt is learnt for all",
  );
});

Model.run();

const Links = suite("links on the way");

const base = [
  folder("real"),
  symlink("link", "real"),
  symlink("absolute", "/real/deep"),
  symlink("out", "../../../outside"),
  symlink("loop", "loop"),
  file("file"),
  symlink("tofile", "file"),
];
for (const [path, expected] of [
  ["link/x", "real/x"],
  ["absolute/x", "real/deep/x"],
  ["out", "outside"],
  ["link/../y", "y"],
  ["", ""],
  ["real", "real"],
] as const) {
  Links(`/${path} is made at /${expected}`, () => {
    const draft = draftOn(base);
    assert.is(draft.makeFolders(path, making), expected);
    assert.is(draft.lookup(expected)?.entry.type, EntryType.directory);
  });
}
for (const [path, code] of [
  ["loop/x", "build.linkLoop"],
  ["loop", "build.linkLoop"],
  ["file/x", "build.notDirectory"],
  ["file", "build.notDirectory"],
  ["tofile", "build.notDirectory"],
  ["tofile/x/y", "build.notDirectory"],
] as const) {
  Links(`/${path} cannot be made: ${code}`, () => {
    const draft = draftOn(base);
    assert.throws(() => draft.makeFolders(path, making), failsWith(code));
    assert.equal([...draft.items()], []);
  });
}

Links("links of the layer itself are followed as well", () => {
  const draft = draftOn([folder("a")]);
  draft.put(symlink("l", "a/b"));
  assert.is(draft.makeFolders("l/c", making), "a/b/c");
  assert.equal(paths(draft), ["a/b", "a/b/c", "l"]);
});

Links.run();

const Bounds = suite("layers of any size");

Bounds("paths that no file system takes are refused", () => {
  const draft = draftOn();
  const name = "n".repeat(255);
  const deep = "a/".repeat(2047);
  draft.put(file(name));
  draft.put(file(`${deep}b`));
  draft.makeFolders(`${deep}c`, making);
  assert.is(paths(draft).length, 2050);
  for (const path of [
    `${name}n`,
    `x/${"é".repeat(128)}/y`,
    `${deep}bc`,
    `${"\udcff/".repeat(3000)}`,
    "x/".repeat(500_000),
  ]) {
    assert.throws(() => draft.put(file(path)), failsWith("build.longPath"), path.slice(0, 20));
    assert.throws(() => draft.makeFolders(path, making), failsWith("build.longPath"), path.slice(0, 20));
  }
  draft.put(file("é".repeat(127)));
  assert.throws(() => draft.put(file(`\u001b${"x".repeat(300)}`)), /path \/\\x1bxx/);
});

Bounds("a hundred thousand files onto as many", () => {
  const name = (number: number) => `d${number % 100}/f${number}`;
  const all = Array.from({ length: 100_000 }, (_, number) => file(name(number)));
  const draft = draftOn([folder("x")], all, [folder("y")]);
  for (const each of all) draft.put(each);
  for (let number = 0; number < 100; number++) draft.makeFolders(`d${number}/e/f`, making);
  assert.is(draft.items().length, 100_200);
});

Bounds("fifty thousand folders, each replaced by a file and made again", () => {
  const draft = draftOn();
  for (let number = 0; number < 50_000; number++) {
    draft.put(folder(`d${number}`));
    draft.put(file(`d${number}/f`));
  }
  for (let number = 0; number < 50_000; number++) draft.put(file(`d${number}`));
  assert.is(draft.items().length, 50_000);
  for (let number = 0; number < 50_000; number++) draft.put(folder(`d${number}`));
  assert.is(draft.lookup("d1/f"), undefined);
});

Bounds("a folder of a hundred thousand, replaced again and again", () => {
  const draft = draftOn();
  for (let round = 0; round < 20; round++) {
    draft.put(folder("a"));
    for (let number = 0; number < 5000; number++) draft.put(file(`a/${number}`));
    draft.put(file("a"));
  }
  assert.equal(paths(draft), ["a"]);
});

Bounds.run();
