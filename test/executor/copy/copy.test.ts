import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../../src/errors.ts";
import { unpackInto } from "../../../src/executor/copy/archive.ts";
import { ListedEntries } from "../../../src/executor/copy/entries.ts";
import { type CopyTreatment, copyInto } from "../../../src/executor/copy/into.ts";
import { SnapshotSource } from "../../../src/executor/copy/snapshot-source.ts";
import { hasWildcard, type SourceMatch, sourcePattern } from "../../../src/executor/copy/sources.ts";
import { filesOf } from "../../../src/executor/export/files.ts";
import { Draft } from "../../../src/layers/draft.ts";
import { type Entry, EntryType } from "../../../src/layers/entry-table.ts";
import { Tree } from "../../../src/layers/tree.ts";
import { compileRules } from "../../../src/parser/ignore.ts";
import { entry, file, folder, hardlink, mark, symlink, tableOf } from "../../layers/entries.ts";
import { someEntry, somePath } from "../../layers/model.ts";

const treeOf = (...layers: readonly (readonly Entry[])[]): Tree => new Tree(layers.map(tableOf));
const sourceOf = (...layers: readonly (readonly Entry[])[]) => new SnapshotSource("the stage", treeOf(...layers), []);

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof KbuildError) return error.code;
    throw error;
  }
  return "nothing";
}

const Patterns = suite("sources as docker reads them");

for (const [text, expected] of [
  [".", []],
  ["/", []],
  ["", []],
  ["./a//b/.", ["a", "b"]],
  ["/a/../b", ["b"]],
  ["../../a", ["a"]],
  ["a/..", []],
  ["*.txt", ["*.txt?"]],
  ["a/[b]/c", ["a", "[b]?", "c"]],
  ["a\\b", ["a\\b"]],
  ["a\\*b/c", ["a\\*b", "c"]],
  ["a\\b/*/c\\d", ["a\\b", "*?", "c\\d?"]],
  ["a\\\\*", ["a\\\\*?"]],
  ["**/x", ["**?", "x"]],
  ["a b/é", ["a b", "é"]],
] as const) {
  Patterns(JSON.stringify(text), () => {
    const pattern = sourcePattern(text, false);
    const shown = pattern.segments.map((segment) =>
      segment.kind === "any" ? "ANY" : `${segment.text}${segment.kind === "pattern" ? "?" : ""}`,
    );
    assert.equal(shown, expected);
    assert.is(hasWildcard(pattern), expected.join().includes("?"));
  });
}

Patterns("two stars span folders only where they may", () => {
  assert.equal(sourcePattern("a/**/b", true).segments[1], { kind: "any" });
  assert.equal(sourcePattern("a/**/b", false).segments[1], { kind: "pattern", text: "**" });
});

Patterns.run();

const Select = suite("files of a stage as sources");

const stage = sourceOf(
  [
    folder("d"),
    file("d/a.txt", { uid: 1 }),
    file("d/b.md"),
    folder("d/sub"),
    file("d/sub/c.txt"),
    symlink("link", "d"),
    symlink("broken", "nothing"),
    symlink("loop", "loop"),
    symlink("toFile", "d/a.txt"),
  ],
  [mark("d/.wh.b.md"), file("top.txt", { uid: 2 })],
);

async function select(source: SnapshotSource, text: string, spans = false): Promise<string[] | string> {
  const [result] = await source.select([sourcePattern(text, spans)]);
  if (result === undefined || result.kind === "missing") return "missing";
  return result.matches.map(({ asked, entry: { path }, below }) => `${asked} is ${path}, ${below.length} below`);
}

for (const [text, expected] of [
  ["d/a.txt", ["d/a.txt is d/a.txt, 0 below"]],
  ["d", ["d is d, 3 below"]],
  [".", [" is , 9 below"]],
  ["link", ["link is d, 3 below"]],
  ["link/a.txt", ["link/a.txt is d/a.txt, 0 below"]],
  ["toFile", ["toFile is d/a.txt, 0 below"]],
  ["d/b.md", "missing"],
  ["d/a.txt/x", "missing"],
  ["broken", "missing"],
  ["*.txt", ["top.txt is top.txt, 0 below"]],
  ["d/*", ["d/a.txt is d/a.txt, 0 below", "d/sub is d/sub, 1 below"]],
  ["*/a.txt", ["d/a.txt is d/a.txt, 0 below", "link/a.txt is d/a.txt, 0 below"]],
  ["b*", ["broken is broken, 0 below"]],
  ["no*", []],
  ["[!x]op.txt", []],
  ["[^x]op.txt", ["top.txt is top.txt, 0 below"]],
  ["d/.wh*", []],
] as const) {
  Select(text, async () => {
    assert.equal(await select(stage, text), expected);
  });
}

Select("two stars reach into folders and not through links", async () => {
  assert.equal(await select(stage, "**/*.txt", true), [
    "d/a.txt is d/a.txt, 0 below",
    "d/sub/c.txt is d/sub/c.txt, 0 below",
    "top.txt is top.txt, 0 below",
  ]);
});

Select("many of them, in a deep tree, cost what the tree is large", async () => {
  const folders = Array.from({ length: 60 }, (_, depth) =>
    folder(Array.from({ length: depth + 1 }, () => "a").join("/")),
  );
  const source = sourceOf([...folders, file(`${folders.at(-1)?.path}/x`)]);
  const found = await select(source, `${"**/".repeat(20)}${"a/**/".repeat(10)}x`, true);
  assert.is(found.length, 1);
  assert.equal(await select(source, `${"**/a/".repeat(20)}y`, true), []);
});

Select("a circle of links is told", async () => {
  for (const text of ["loop", "loo*"]) {
    try {
      await select(stage, text);
      assert.unreachable(text);
    } catch (error) {
      assert.ok(error instanceof KbuildError && error.code === "build.linkLoop", String(error));
    }
  }
});

Select("names near a missing one", async () => {
  assert.equal(await stage.neighbours("d"), ["a.txt", "sub"]);
  assert.equal(await stage.neighbours("link"), ["a.txt", "sub"]);
  assert.equal(await stage.neighbours("nothing"), []);
});

Select("hard links stay one file, whichever names are taken", async () => {
  const blob = (offset: number) => ({ kind: "blob", blob: 0, offset }) as const;
  const source = sourceOf(
    [folder("x")],
    [
      file("x/f", { size: 1, source: blob(512) }),
      hardlink("x/g", "x/f"),
      hardlink("x/h", "x/g"),
      file("x/i", { source: blob(2048) }),
    ],
  );
  const [all, one] = await source.select([sourcePattern("x", false), sourcePattern("x/h", false)]);
  if (all?.kind !== "found" || one?.kind !== "found") return assert.unreachable("they are there");
  const below = [...(all.matches[0]?.below ?? [])];
  assert.equal(
    below.map(({ group }) => group),
    ["1:x/f", "1:x/f", "1:x/f", undefined],
  );
  assert.ok(
    below.every(
      ({
        entry: {
          type,
          source: { kind },
        },
      }) => type === EntryType.file && kind === "blob",
    ),
  );
  assert.equal(one.matches[0]?.entry.source, { kind: "blob", blob: 1, offset: 512 });
});

Select("a hard link may be a name of a symbolic link or a device", async () => {
  const device = { major: 1, minor: 3 };
  const source = sourceOf([
    folder("x"),
    symlink("x/s", "t"),
    hardlink("x/ss", "x/s"),
    entry("x/n", EntryType.characterDevice, { device }),
    hardlink("x/nn", "x/n"),
  ]);
  const [result] = await source.select([sourcePattern("x", false)]);
  const below = result?.kind === "found" ? [...(result.matches[0]?.below ?? [])] : [];
  assert.equal(
    below.map(({ entry: { path, type, link } }) => `${path} ${type} ${link}`),
    ["x/n 4 ", "x/nn 4 ", "x/s 2 t", "x/ss 2 t"],
  );
  assert.equal(below[1]?.entry.device, device);
});

Select.run();

const NOW = { seconds: 1000, nanoseconds: 0 };
const treatment = (more: Partial<CopyTreatment> = {}): CopyTreatment => ({
  owner: undefined,
  mode: undefined,
  folderMode: 0o755,
  now: NOW,
  exclude: undefined,
  parents: false,
  ...more,
});

const matchOf = (self: Entry, asked = self.path, below: readonly Entry[] = []): SourceMatch => {
  const source = (each: Entry) => ({ entry: each, origin: undefined, group: undefined });
  return { ...source(self), asked, below: new ListedEntries(below.map(source), (each) => each) };
};

/** What a copy puts into a layer on top of a base. */
function copied(base: readonly Entry[], match: SourceMatch, to: string, more: Partial<CopyTreatment> = {}): string[] {
  const draft = new Draft(treeOf(base));
  copyInto(draft, match, { path: to.replace(/^\/|\/$/g, ""), isFolder: to.endsWith("/") }, treatment(more));
  return [...draft.items()].map(({ entry: { path, uid, mode } }) => `${path} ${uid} ${mode.toString(8)}`);
}

const Into = suite("copying into a layer");

const tree = matchOf(folder("src"), "src", [
  file("src/a"),
  folder("src/s", { mode: 0o700 }),
  file("src/s/b", { uid: 9 }),
]);
const rows: readonly (readonly [
  string,
  readonly Entry[],
  SourceMatch,
  string,
  Partial<CopyTreatment>,
  readonly string[] | string,
])[] = [
  ["a file to a name", [], matchOf(file("a")), "/x", {}, ["x 0 644"]],
  ["a file to a folder", [], matchOf(file("a")), "/x/", {}, ["x 0 755", "x/a 0 644"]],
  ["a file to a folder that is there", [folder("x")], matchOf(file("a")), "/x", {}, ["x/a 0 644"]],
  ["a file through a link to a folder", [folder("y"), symlink("x", "y")], matchOf(file("a")), "/x", {}, ["y/a 0 644"]],
  ["a file is called as it was asked for", [], matchOf(file("real"), "link"), "/x/", {}, ["x 0 755", "x/link 0 644"]],
  ["a folder gives its contents", [], tree, "/x", {}, ["x 0 755", "x/a 0 644", "x/s 0 700", "x/s/b 9 644"]],
  ["the root gives its contents", [], matchOf(folder(""), "", [file("a")]), "/", {}, ["a 0 644"]],
  [
    "an owner for all",
    [],
    tree,
    "/x",
    { owner: { uid: 5, gid: 6 } },
    ["x 5 755", "x/a 5 644", "x/s 5 700", "x/s/b 5 644"],
  ],
  [
    "a mode for all but links",
    [],
    matchOf(folder("d"), "d", [file("d/a"), symlink("d/l", "a")]),
    "/x",
    { mode: () => 0o600, folderMode: 0o600 },
    ["x 0 600", "x/a 0 600", "x/l 0 777"],
  ],
  ["what is excluded is not copied", [], tree, "/x", { exclude: compileRules(["s"]) }, ["x 0 755", "x/a 0 644"]],
  [
    "its folders are, when something in them is let in",
    [],
    tree,
    "/x",
    { exclude: compileRules(["s", "!s/b"]) },
    ["x 0 755", "x/a 0 644", "x/s 0 755", "x/s/b 9 644"],
  ],
  ["an excluded file alone is nothing", [], matchOf(file("a")), "/x/", { exclude: compileRules(["a"]) }, []],
  [
    "parents are kept",
    [],
    matchOf(file("p/q/a")),
    "/x/",
    { parents: true },
    ["x 0 755", "x/p 0 755", "x/p/q 0 755", "x/p/q/a 0 644"],
  ],
  ["a file onto a file", [file("x")], matchOf(file("a")), "/x", {}, ["x 0 644"]],
  ["a file below a file", [file("x")], matchOf(file("a")), "/x/", {}, "build.notDirectory"],
  ["a folder onto a file", [file("x")], tree, "/x", {}, "build.notDirectory"],
  ["a folder's folder onto a file", [folder("x"), file("x/s")], tree, "/x", {}, "build.notDirectory"],
  [
    "a folder's folder onto a link",
    [folder("x"), folder("y"), symlink("x/s", "/y")],
    tree,
    "/x",
    {},
    "build.notDirectory",
  ],
  ["a folder's file onto a folder", [folder("x"), folder("x/a")], tree, "/x", {}, "build.folderInTheWay"],
  ["a circle of links", [symlink("x", "x")], matchOf(file("a")), "/x", {}, "build.linkLoop"],
  ["the name of a mark", [], matchOf(file("a")), "/.wh.a", {}, "build.markName"],
  ["a name that is too long", [], matchOf(file("a")), `/${"x".repeat(256)}`, {}, "build.longPath"],
];
for (const [name, base, match, to, more, expected] of rows) {
  Into(`${name}, ${to.slice(0, 20)}`, () => {
    if (typeof expected === "string")
      assert.is(
        codeOf(() => copied(base, match, to, more)),
        expected,
      );
    else assert.equal(copied(base, match, to, more), expected);
  });
}

Into("a hundred thousand files into a folder that has as many", () => {
  const all = Array.from({ length: 100_000 }, (_, number) => file(`s/${number}`));
  const draft = new Draft(
    treeOf(
      [folder("x")],
      all.map((each) => ({ ...each, path: each.path.replace("s", "x") })),
    ),
  );
  copyInto(draft, matchOf(folder("s"), "s", all), { path: "x", isFolder: true }, treatment());
  assert.is(draft.items().length, 100_000);
});

Into.run();

const Unpack = suite("unpacking an archive into a layer");

function unpacked(base: readonly Entry[], entries: readonly Entry[], to = "x", owner?: { uid: number; gid: number }) {
  const draft = new Draft(treeOf(base));
  unpackInto(draft, tableOf(entries), to, { blob: 3, owner, now: NOW });
  return [...draft.items()].map(({ entry: each }) => each);
}
const shown = (entries: readonly Entry[]) => entries.map(({ path, type, uid }) => `${path} ${type} ${uid}`);

Unpack("it is merged into what is there, and replaces what is in the way", () => {
  const base = [folder("x"), file("x/old"), folder("x/d"), file("x/d/gone")];
  assert.equal(shown(unpacked(base, [file("d", { uid: 4 }), file("n/m", { uid: 5 })])), [
    "x/d 0 4",
    "x/n 1 0",
    "x/n/m 0 5",
  ]);
});

Unpack("an owner is for what the archive names and for the destination", () => {
  const made = unpacked([], [file("n/m", { uid: 5 })], "x/y", { uid: 7, gid: 7 });
  assert.equal(shown(made), ["x 1 7", "x/y 1 7", "x/y/n 1 0", "x/y/n/m 0 7"]);
});

Unpack("hard links are names of one file, whose bytes are the archive's", () => {
  const made = unpacked(
    [],
    [hardlink("a", "z"), file("z", { size: 2, source: { kind: "blob", blob: 0, offset: 512 } })],
  );
  assert.equal(
    made.map(({ path, type, link }) => `${path} ${type} ${link}`),
    ["x 1 ", "x/a 0 ", "x/z 3 x/a"],
  );
  assert.equal(made[1]?.source, { kind: "blob", blob: 3, offset: 512 });
});

Unpack("links are followed to the destination in the image, and from there on only below it", () => {
  assert.equal(shown(unpacked([folder("real"), symlink("x", "real")], [file("a")])), ["real/a 0 0"]);
  const made = unpacked([], [symlink("l", "/etc"), file("l/passwd")]);
  assert.equal(shown(made), ["x 1 0", "x/etc 1 0", "x/etc/passwd 0 0", "x/l 2 0"]);
});

for (const [name, entries, code] of [
  ["a mark", [mark(".wh.a")], "build.markName"],
  ["an opaque mark", [mark("a/.wh..wh..opq")], "build.markName"],
  ["what is below a file", [file("a"), file("a/b")], "build.notDirectory"],
  ["a hard link to nothing", [hardlink("a", "b")], "build.brokenLink"],
  ["a hard link to itself", [hardlink("a", "a")], "build.brokenLink"],
  ["hard links in a circle", [hardlink("a", "b"), hardlink("b", "a")], "build.brokenLink"],
  ["a circle of links on the way", [symlink("l", "l"), file("l/a")], "build.linkLoop"],
] as const) {
  Unpack(`${name}: ${code}`, () => {
    assert.is(
      codeOf(() => unpacked([], entries)),
      code,
    );
  });
}

const anything = fc.array(
  fc.oneof(
    someEntry,
    fc.tuple(somePath, somePath).map(([path, link]) => hardlink(path, link)),
    fc.constantFrom(mark(".wh.a"), symlink("a", ".."), file(""), folder("")),
  ),
  { maxLength: 10 },
);

Unpack("hostile tables end with an image or with an error", async () => {
  let done = 0;
  await fc.assert(
    fc.asyncProperty(anything, anything, somePath, async (base, entries, path) => {
      if (codeOf(() => unpacked(base, entries)) === "nothing") done += 1;
      if (codeOf(() => filesOf(treeOf(base, entries))) === "nothing") done += 1;
      const source = sourceOf(base, entries);
      for (const text of [".", path, "*", "**/a"]) {
        try {
          const [result] = await source.select([sourcePattern(text, true)]);
          const draft = new Draft(treeOf(base));
          const matches = result?.kind === "found" ? result.matches : [];
          for (const match of matches) copyInto(draft, match, { path: "x", isFolder: true }, treatment());
          assert.ok([...draft.items()].every(({ entry: each }) => each.type !== EntryType.whiteout));
          done += 1;
        } catch (error) {
          if (!(error instanceof KbuildError)) throw error;
        }
      }
    }),
    { numRuns: 500 },
  );
  assert.ok(done > 500, `${done} came to something`);
});

Unpack.run();

const Files = suite("the files of an image as one layer");

Files("names of one file are linked across layers", () => {
  const blob = (offset: number) => ({ kind: "blob", blob: 0, offset }) as const;
  const files = filesOf(
    treeOf([file("b", { size: 4, source: blob(512) }), file("c")], [hardlink("a", "b"), mark(".wh.c")]),
  );
  assert.equal(
    files.map(({ path, type, link, size }) => `${path} ${type} ${link} ${size}`),
    ["a 0  4", "b 3 a 0"],
  );
  assert.equal(files[0]?.source, { kind: "blob", blob: 0, offset: 512 });
  const upper = filesOf(treeOf([folder("x")], [file("f", { source: blob(512) })])).find(({ path }) => path === "f");
  assert.equal(upper?.source, { kind: "blob", blob: 1, offset: 512 });
});

Files("a broken hard link is told as people can read it", () => {
  try {
    filesOf(treeOf([hardlink("a\u001b", "b\n")]));
    assert.unreachable("it was taken");
  } catch (error) {
    assert.ok(error instanceof KbuildError && error.code === "build.brokenLink");
    assert.match(error.message, /\/a\\x1b is a hard link to \/b\\n/);
  }
});

Files.run();
