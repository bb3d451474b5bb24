import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { EntryType } from "../../src/layers/entry-table.ts";
import { contentDigest, entryParts, identityOf, type Part } from "../../src/layers/identity.ts";
import { entry, file } from "./entries.ts";

const Identity = suite("identities");

/** Text that says of a part all that makes it what it is. */
function written(part: Part): string {
  if (part === undefined) return "undefined";
  if (typeof part === "string") return JSON.stringify(part);
  if (typeof part === "number") return Object.is(part, -0) ? "-0" : String(part);
  if (typeof part === "boolean") return String(part);
  if (part instanceof Uint8Array) return `<${Buffer.from(part).toString("hex")}>`;
  return `[${[...part].map(written).join()}]`;
}

const { parts: anyParts } = fc.letrec<{ part: Part; parts: readonly Part[] }>((tie) => ({
  part: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom("", "a", "ab", "b", "bc", "c", "\ud800", "\udcff", "\ufffd", "é", "\udcc3\udca9"),
    fc.string({ unit: "binary", maxLength: 4 }),
    fc.constant(undefined),
    fc.boolean(),
    fc.oneof(fc.integer(), fc.double({ noNaN: true })),
    fc.uint8Array({ maxLength: 4 }),
    tie("parts"),
  ),
  parts: fc.array(tie("part") as fc.Arbitrary<Part>, { maxLength: 4 }),
}));

Identity("equal parts give equal identities, different ones different", () => {
  const parts = new Map<string, string>();
  fc.assert(
    fc.property(anyParts, (list) => {
      const [text, identity] = [written(list), identityOf(...list)];
      assert.match(identity, /^[0-9a-f]{64}$/);
      const known = parts.get(identity);
      if (known !== undefined) assert.is(known, text);
      parts.set(identity, text);
      assert.is(identityOf(...structuredClone(list)), identity);
    }),
    { numRuns: 10_000 },
  );
});

const frames: readonly (readonly [string, readonly Part[], readonly Part[]])[] = [
  ["text is not cut anew", ["ab", "c"], ["a", "bc"]],
  ["lists are not flattened", [["a"], "b"], [["a", "b"]]],
  ["nested lists are not unwrapped", [["a"]], [[["a"]]]],
  ["an empty list is something", [[]], []],
  ["absence is not the empty text", [undefined], [""]],
  ["absence is not nothing", [undefined], []],
  ["text is not its bytes", ["a"], [Buffer.from("a")]],
  ["text is not a number", ["1"], [1]],
  ["text is not a truth value", ["true"], [true]],
  ["a number is not a truth value", [1], [true]],
  ["text can look like a frame", ["\u0004\u0001\u0000\u0000\u0000a"], ["", "a"]],
  ["bytes that are not UTF-8 are not each other", ["\udc80"], ["\udc81"]],
  ["nor the character that stands for them", ["\ud800"], ["\ufffd"]],
  ["nor what they would be together", ["\udcc3\udca9"], ["é"]],
  ["long text is not short text", ["a".repeat(4096)], ["a".repeat(4097)]],
  ["order counts", ["a", "b"], ["b", "a"]],
];
for (const [name, left, right] of frames) {
  Identity(name, () => {
    assert.is.not(identityOf(...left), identityOf(...right));
  });
}

Identity("it does not matter where a piece that is hashed ends", () => {
  const texts = Array.from({ length: 2000 }, (_, number) => "é".repeat(number % 100));
  const huge = "x".repeat(1_000_000);
  const identity = identityOf(texts, huge, texts);
  assert.is(identityOf([...texts], `${huge}`, [...texts]), identity);
  assert.is.not(identityOf(texts, `${huge}x`, texts), identity);
  const seen = new Set(Array.from({ length: 300 }, (_, more) => identityOf("y".repeat(65_300 + more), "z")));
  assert.is(seen.size, 300);
});

Identity("all of an entry counts but its times and where its bytes come from", () => {
  const plain = file("a/b", { size: 3, digest: contentDigest(Buffer.from("abc")) });
  const of = (changed: typeof plain) => identityOf(entryParts(changed, "b", undefined));
  const identity = of(plain);
  const otherTime = { ...plain, mtime: { seconds: 1, nanoseconds: 2 }, inodeGroup: 9 };
  assert.is(of({ ...otherTime, source: { kind: "blob", blob: 1, offset: 512 } }), identity);
  const changes = [
    { type: EntryType.fifo },
    { mode: 0o600 },
    { uid: 1 },
    { gid: 1 },
    { size: 4 },
    { link: "x" },
    { digest: contentDigest(Buffer.from("abd")) },
    { digest: undefined },
    { device: { major: 1, minor: 3 } },
    { device: { major: 3, minor: 1 } },
    { xattrs: [{ name: "user.a", value: Buffer.from("1") }] },
    { xattrs: [{ name: "user.a1", value: Buffer.from("") }] },
  ];
  const seen = new Set(changes.map((change) => of({ ...plain, ...change })));
  assert.is(seen.add(identity).size, changes.length + 1);
  assert.is.not(identityOf(entryParts(plain, "c", undefined)), identity, "the path that is told");
});

Identity("a digest that is told stands before the entry's own", () => {
  const known = contentDigest(Buffer.from("abc"));
  const unread = entry("a", EntryType.file);
  assert.is(
    identityOf(entryParts(unread, "a", known)),
    identityOf(entryParts({ ...unread, digest: known }, "a", undefined)),
  );
});

Identity.run();
