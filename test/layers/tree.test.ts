import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Entry, EntryType } from "../../src/layers/entry-table.ts";
import { Tree } from "../../src/layers/tree.ts";
import { file, folder, hardlink, mark, symlink, tableOf } from "./entries.ts";
import { apply, type Files, names, parentOf, shownEntry, shownFiles, someEntry, someLayer, somePath } from "./model.ts";

const treeOf = (...layers: readonly (readonly Entry[])[]): Tree => new Tree(layers.map(tableOf));

const Layers = suite("a stack of layers");

Layers("it is what unpacking the layers one after the other gives", () => {
  fc.assert(
    fc.property(fc.array(someLayer, { maxLength: 4 }), fc.array(somePath, { maxLength: 5 }), (layers, asked) => {
      const tree = treeOf(...layers);
      const files: Files = new Map();
      for (const layer of layers) apply(files, layer);
      assert.equal(
        tree
          .below("")
          .map(({ entry }) => shownEntry(entry))
          .sort(),
        shownFiles(files),
      );
      for (const path of [...asked, ...files.keys()]) {
        const there = files.get(path);
        const found = tree.lookup(path);
        assert.is(found && shownEntry(found.entry), there && shownEntry(there), path);
        const below = [...files.values()].filter((each) => each.path.startsWith(`${path}/`));
        assert.equal(
          tree
            .below(path)
            .map(({ entry }) => shownEntry(entry))
            .sort(),
          below.map(shownEntry).sort(),
          path,
        );
        const inside = [...files.keys()]
          .filter((each) => parentOf(each) === path)
          .map((each) => each.split("/").at(-1));
        assert.equal(tree.children(path).sort(), inside.sort(), path);
      }
    }),
    { numRuns: 1500 },
  );
});

Layers("whatever hostile layers have, looking up and listing agree, and nothing is below a file", () => {
  const hostile = fc.array(
    fc.oneof(
      someEntry,
      fc.constantFrom(
        file(""),
        symlink("", "a"),
        mark(".wh.a"),
        mark("a/.wh..wh..opq"),
        mark(".wh..wh..opq"),
        file("a/.wh.b/c"),
      ),
      fc.tuple(somePath, somePath).map(([path, link]) => hardlink(path, link)),
    ),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(fc.array(hostile, { maxLength: 3 }), fc.array(somePath, { maxLength: 20 }), (layers, asked) => {
      const tree = treeOf(...layers);
      const listed = new Map(tree.below("").map((located) => [located.entry.path, located]));
      for (const path of new Set([...asked, ...layers.flat().map(({ path }) => path), ...listed.keys()])) {
        if (path === "") continue;
        const found = tree.lookup(path);
        assert.is(
          found && shownEntry(found.entry),
          listed.get(path) && shownEntry(listed.get(path)?.entry ?? file("")),
          path,
        );
        const parent = parentOf(path);
        if (found !== undefined && parent !== "") assert.is(tree.lookup(parent)?.entry.type, EntryType.directory, path);
        if (found === undefined) continue;
        const content = tree.content(found).entry.type;
        assert.ok(content !== EntryType.whiteout && content !== EntryType.opaque, path);
        const above = tree.below(parent).map(({ entry }) => entry.path);
        assert.ok(above.includes(path), path);
      }
      assert.is(tree.lookup("")?.entry.type, EntryType.directory);
    }),
    { numRuns: 1000 },
  );
});

const tables: readonly (readonly [string, readonly (readonly Entry[])[], readonly string[]])[] = [
  [
    "a folder of an upper layer keeps what the lower one has in it",
    [
      [folder("a"), file("a/x")],
      [folder("a"), file("a/y")],
    ],
    ["a", "a/x", "a/y"],
  ],
  ["a file hides a folder", [[folder("a"), file("a/x")], [file("a")]], ["a"]],
  ["a whiteout hides a folder and all in it", [[folder("a"), file("a/x"), file("b")], [mark(".wh.a")]], ["b"]],
  [
    "a whiteout is for lower layers, not for its own",
    [
      [folder("a"), file("a/x")],
      [mark(".wh.a"), file("a/y")],
    ],
    ["a", "a/y"],
  ],
  [
    "an opaque folder has only its own",
    [
      [file("a/x/1"), file("a/y")],
      [folder("a"), mark("a/.wh..wh..opq"), file("a/z")],
    ],
    ["a", "a/z"],
  ],
  [
    "an opaque root has only its own",
    [
      [file("a"), file("b/c")],
      [mark(".wh..wh..opq"), file("z")],
    ],
    ["z"],
  ],
  ["a folder that is only implied stands in a file's place", [[file("a")], [file("a/x")]], ["a", "a/x"]],
  ["and hides what was below that file's place before", [[file("a/old")], [file("a")], [file("a/x")]], ["a", "a/x"]],
  [
    "what sorts between a folder and its files is no part of it",
    [[folder("a"), file("a/x"), file("a.b"), file("a b")], [mark(".wh.a")]],
    ["a b", "a.b"],
  ],
  ["the name of a mark is no file", [[mark("a/.wh.b"), mark("c/.wh..wh..opq")]], []],
];
for (const [name, layers, expected] of tables) {
  Layers(name, () => {
    const tree = treeOf(...layers);
    assert.equal(
      tree.below("").map(({ entry }) => entry.path),
      expected,
    );
    for (const path of ["a", "b", "a/x", "a/y", "a/z", "a/old", "z", "a.b", "a b", "a/.wh.b", "c"]) {
      assert.is(tree.lookup(path) !== undefined, expected.includes(path), path);
    }
  });
}

Layers("hard links lead to the content, in their own layer first, and end where they lead in circles", () => {
  const tree = treeOf(
    [file("f", { uid: 1 }), hardlink("h", "f"), hardlink("hh", "h"), symlink("s", "f"), hardlink("hs", "s")],
    [file("f", { uid: 2 }), hardlink("up", "f"), hardlink("x", "y"), hardlink("y", "x"), hardlink("self", "self")],
    [mark(".wh.f"), hardlink("far", "h"), hardlink("gone", "nothing"), hardlink("m", ".wh.f")],
  );
  const content = (path: string) => {
    const located = tree.lookup(path);
    return located === undefined ? undefined : tree.content(located).entry;
  };
  assert.is(content("h")?.uid, 1);
  assert.is(content("hh")?.uid, 1);
  assert.is(content("up")?.uid, 2);
  assert.is(content("far")?.uid, 1);
  assert.is(content("hs")?.type, EntryType.symlink);
  for (const path of ["x", "y", "self", "gone", "m"]) assert.is(content(path)?.type, EntryType.hardlink, path);
});

Layers.run();

const Resolve = suite("following links");

const place = treeOf([
  folder("etc"),
  file("etc/passwd"),
  symlink("abs", "/etc"),
  symlink("rel", "etc/../etc"),
  symlink("file", "etc/passwd"),
  symlink("etc/up", "../../../../etc"),
  symlink("out", "../../../x"),
  symlink("dangling", "no/such"),
  symlink("loop", "loop"),
  symlink("ping", "pong/x"),
  symlink("pong", "ping/x"),
  symlink("here", "."),
  symlink("empty", ""),
  symlink("slashes", "//etc///./up//"),
]);
for (const [path, last, expected] of [
  ["etc/passwd", true, "found etc/passwd"],
  ["/etc//./passwd/", true, "found etc/passwd"],
  ["", true, "found "],
  ["../../etc", true, "found etc"],
  ["abs/passwd", true, "found etc/passwd"],
  ["rel/passwd", true, "found etc/passwd"],
  ["abs", true, "found etc"],
  ["abs", false, "found abs"],
  ["abs/", false, "found abs"],
  ["file", true, "found etc/passwd"],
  ["file/x", true, "notDirectory etc/passwd"],
  ["etc/passwd/x/y", true, "notDirectory etc/passwd"],
  ["etc/up/passwd", true, "found etc/passwd"],
  ["abs/up/up/up/passwd", true, "found etc/passwd"],
  ["out", true, "missing x"],
  ["dangling", true, "missing no/such"],
  ["dangling/more", true, "missing no/such/more"],
  ["no/such/../../etc", true, "found etc"],
  ["loop", true, "loop loop"],
  ["loop", false, "found loop"],
  ["loop/x", false, "loop loop"],
  ["ping", true, "loop ping"],
  ["here/here/here/etc", true, "found etc"],
  ["empty", true, "found "],
  ["slashes", true, "found etc"],
  ["etc/../abs/..", true, "found "],
] as const) {
  Resolve(`${JSON.stringify(path)}${last ? "" : " but not the last"}: ${expected}`, () => {
    const resolution = place.resolve(path, last);
    const shown = `${resolution.kind} ${resolution.path}`;
    if (expected.startsWith("loop")) assert.is(resolution.kind, "loop");
    else assert.is(shown, expected);
  });
}

Resolve("forty links are followed, and no more", () => {
  const chain = (length: number) =>
    treeOf([file("l0"), ...Array.from({ length }, (_, number) => symlink(`l${number + 1}`, `l${number}`))]);
  assert.is(chain(40).resolve("l40", true).kind, "found");
  assert.is(chain(41).resolve("l41", true).kind, "loop");
});

Resolve("whatever the links are, it comes to something that is there, or that is not", () => {
  const target = fc
    .array(fc.constantFrom(...names, "..", ".", ""), { maxLength: 6 })
    .chain((parts) => fc.constantFrom(parts.join("/"), `/${parts.join("/")}`));
  const layer = fc.array(
    fc.oneof(
      someEntry,
      fc.tuple(somePath, target).map(([path, link]) => symlink(path, link)),
    ),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(fc.array(layer, { maxLength: 2 }), target, fc.boolean(), (layers, path, last) => {
      const tree = treeOf(...layers);
      const resolution = tree.resolve(path, last);
      const there = tree.lookup(resolution.path);
      switch (resolution.kind) {
        case "found":
          assert.is(there && shownEntry(there.entry), shownEntry(resolution.located.entry));
          if (last) assert.is.not(there?.entry.type, EntryType.symlink);
          break;
        case "missing":
          assert.is(there, undefined);
          break;
        case "notDirectory":
          assert.is.not(there?.entry.type, EntryType.directory);
          break;
        case "loop":
          assert.is(there?.entry.type, EntryType.symlink);
      }
    }),
    { numRuns: 1000 },
  );
});

Resolve.run();

const Bounds = suite("trees of any size");

/** A path of about 4,000 characters, and the folders on its way. */
const deepNames = Array.from({ length: 2000 }, (_, number) => "abc"[number % 3] ?? "a");
const deepFolders = Array.from({ length: 2000 }, (_, number) => folder(deepNames.slice(0, number + 1).join("/")));
const deepPath = deepNames.join("/");

Bounds("a path of 4,000 characters", () => {
  const tree = treeOf(deepFolders, deepFolders.slice(0, 1999), [file(`${deepPath}/file`)], [mark("a/.wh.x")]);
  assert.is(tree.lookup(`${deepPath}/file`)?.layer, 2);
  assert.is(tree.resolve(`${deepPath}/file`, true).kind, "found");
  assert.is(tree.resolve(`${deepPath}/no`, true).kind, "missing");
  assert.is(tree.below("").length, 2001);
  assert.is(tree.below("a").length, 2000);
  assert.equal(tree.children(deepPath), ["file"]);
  const implied = treeOf([file(`${deepPath}/file`)]);
  assert.is(implied.below("").length, 2001);
  assert.is(implied.lookup(deepPath)?.entry.type, EntryType.directory);
});

Bounds("links that are long and lead through each other", () => {
  const turns = "a/../".repeat(800);
  const tree = treeOf([
    folder("a"),
    ...Array.from({ length: 50 }, (_, number) => symlink(`l${number}`, `${turns}l${number + 1}`)),
  ]);
  assert.is(tree.resolve("l0", true).kind, "loop");
  assert.is(tree.resolve("l20", true).kind, "missing");
  assert.is(tree.resolve("x/".repeat(500_000), true).kind, "missing");
});

Bounds("a hundred thousand files in each of two layers, and as many marks", () => {
  const name = (number: number) => `d${number % 100}/f${number}`;
  const lower = Array.from({ length: 100_000 }, (_, number) => file(name(number)));
  const upper = Array.from({ length: 100_000 }, (_, number) =>
    number % 2 === 0 ? file(name(number), { uid: 1 }) : mark(name(number).replace("/", "/.wh.")),
  );
  const tree = treeOf(lower, upper);
  const found = tree.below("");
  assert.is(found.length, 50_100);
  assert.is(tree.children("d0").length, 1000);
  for (let number = 0; number < 100_000; number++) {
    if ((tree.lookup(name(number)) !== undefined) !== (number % 2 === 0)) assert.unreachable(name(number));
  }
});

Bounds("a thousand folders that have nothing but marks", () => {
  const marks = Array.from({ length: 50_000 }, (_, number) => mark(`d${number % 1000}/.wh.f${number}`));
  const tree = treeOf([folder("x")], marks);
  assert.equal(tree.children(""), ["x"]);
  assert.is(tree.lookup("d1"), undefined);
});

Bounds.run();
