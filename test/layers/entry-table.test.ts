import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import { type Entry, EntryTable, EntryType, encodeEntries, type Source } from "../../src/layers/entry-table.ts";
import { sortInTreeOrder } from "../../src/layers/tree-order.ts";
import { anyPath, entry, file, folder, tableOf } from "./entries.ts";

const Table = suite("the entry table");

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const large = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
/** fast-check's records have no prototype unless told otherwise, and then equal nothing. */
const plain = { noNullPrototype: true } as const;
const buffer = (bytes: Uint8Array) => Buffer.from(bytes);
const bytes = fc.uint8Array({ maxLength: 20 }).map(buffer);
const source: fc.Arbitrary<Source> = fc.oneof(
  fc.constant({ kind: "none" as const }),
  fc.record({ kind: fc.constant("file" as const), root: u32, path: anyPath }, plain),
  fc.record({ kind: fc.constant("blob" as const), blob: u32, offset: large }, plain),
  fc.record({ kind: fc.constant("inline" as const), bytes }, plain),
);

const anyEntry: fc.Arbitrary<Entry> = fc
  .record(
    {
      path: fc.oneof(anyPath, fc.constant("")),
      type: fc.constantFrom(...Object.values(EntryType)),
      mode: fc.integer({ min: 0, max: 0o7777 }),
      uid: u32,
      gid: u32,
      size: large,
      mtime: fc.record(
        {
          seconds: fc.integer({ min: -Number.MAX_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER }),
          nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
        },
        plain,
      ),
      link: fc.oneof(anyPath, fc.constant("")),
      device: fc.record({ major: u32, minor: u32 }, plain),
      xattrs: fc.array(fc.record({ name: anyPath, value: bytes }, plain), { maxLength: 3 }),
      digest: fc.option(fc.uint8Array({ minLength: 32, maxLength: 32 }).map(buffer), { nil: undefined }),
      inodeGroup: large,
      source,
    },
    plain,
  )
  .map(({ device, ...rest }) => {
    const isDevice = rest.type === EntryType.characterDevice || rest.type === EntryType.blockDevice;
    const size = rest.source.kind === "inline" ? rest.source.bytes.length : rest.size;
    return { ...rest, size, ...(isDevice ? { device } : {}) };
  });

const sorted = fc
  .uniqueArray(anyEntry, { selector: ({ path }) => path, maxLength: 30 })
  .map((entries) => sortInTreeOrder(entries, ({ path }) => path));

Table("what goes in comes out", () => {
  fc.assert(
    fc.property(sorted, (entries) => {
      const table = new EntryTable(encodeEntries(entries));
      assert.is(table.length, entries.length);
      assert.equal([...table], entries);
      for (const [index, { path, type, digest }] of entries.entries()) {
        assert.is(table.path(index), path);
        assert.is(table.type(index), type);
        assert.equal(table.digest(index), digest);
      }
      assert.ok(encodeEntries(table).equals(table.bytes), "encoding it again gives the same bytes");
    }),
    { numRuns: 500 },
  );
});

Table("paths are found as in a plain list", () => {
  fc.assert(
    fc.property(sorted, fc.array(fc.oneof(anyPath, fc.constant("")), { maxLength: 20 }), (entries, asked) => {
      const table = new EntryTable(encodeEntries(entries));
      const paths = entries.map(({ path }) => path);
      for (const path of [...asked, ...paths]) {
        assert.is(table.find(path), paths.indexOf(path), path);
        const isBelow = (other: string) => other !== "" && (path === "" || other.startsWith(`${path}/`));
        const below = [...paths.keys()].filter((index) => isBelow(paths[index] ?? ""));
        const [start, end] = table.below(path);
        assert.equal(
          Array.from({ length: end - start }, (_, offset) => start + offset),
          below,
          path,
        );
        const index = paths.findIndex((other) => other === path || isBelow(other));
        const first = index < 0 ? undefined : { index, isOwn: paths[index] === path };
        assert.equal(table.first(path), first, path);
      }
    }),
    { numRuns: 500 },
  );
});

Table("tables grow with what is put into them", () => {
  const entries = Array.from({ length: 5000 }, (_, number) =>
    file(`folder/${String(number).padStart(8, "0")}${"x".repeat(number % 200)}`, { size: number }),
  );
  const table = new EntryTable(encodeEntries(entries));
  assert.is(table.length, 5000);
  assert.is(table.entry(4999).path, entries[4999]?.path);
  assert.is(table.entry(4999).size, 4999);
  assert.throws(() => table.entry(5000), RangeError);
  assert.throws(() => table.path(-1), RangeError);
});

function isDamaged(error: unknown): boolean {
  return error instanceof KbuildError && error.code === "internal.entryTable";
}

Table("what is no whole table is refused", () => {
  const whole = tableOf([file("a"), folder("b")]).bytes;
  for (const cut of [0, 1, 31, 32, 100, whole.length - 1]) {
    assert.throws(() => new EntryTable(whole.subarray(0, cut)), isDamaged, `cut at ${cut}`);
  }
  assert.throws(() => new EntryTable(Buffer.concat([whole, Buffer.from([0])])), isDamaged, "a byte too many");
  for (const [at, value] of [
    [0, 0x20],
    [4, 2],
    [8, 3],
    [11, 0xff],
    [16, 1],
    [23, 0xff],
  ] as const) {
    const changed = Buffer.from(whole);
    changed[at] = value;
    assert.throws(() => new EntryTable(changed), isDamaged, `byte ${at}`);
  }
});

Table("damage within is found when it is read, and nothing else happens", () => {
  const xattrs = [{ name: "user.a", value: Buffer.from("value") }];
  const inline = { kind: "inline", bytes: Buffer.from("content") } as const;
  const whole = tableOf([
    entry("a", EntryType.file, { xattrs, size: 7, source: inline, digest: Buffer.alloc(32, 1) }),
    entry("b/c", EntryType.symlink, { link: "../a", xattrs }),
    entry("d", EntryType.file, { source: { kind: "file", root: 0, path: "elsewhere" } }),
  ]).bytes;
  let damaged = 0;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 32, max: whole.length - 1 }), fc.nat({ max: 255 })), {
        minLength: 1,
        maxLength: 4,
      }),
      (changes) => {
        const changed = Buffer.from(whole);
        for (const [at, value] of changes) changed[at] = value;
        const table = new EntryTable(changed);
        try {
          for (const { path } of table) table.find(path);
          table.below("b");
        } catch (error) {
          if (!isDamaged(error)) throw error;
          damaged += 1;
        }
      },
    ),
    { numRuns: 3000 },
  );
  assert.ok(damaged > 0, "some of it is found");
});

Table("a hundred thousand entries are looked up at once", () => {
  const entries = Array.from({ length: 100_000 }, (_, number) => file(`f${String(number).padStart(6, "0")}`));
  const table = new EntryTable(encodeEntries(entries));
  for (let number = 0; number < 100_000; number++) {
    if (table.find(`f${String(number).padStart(6, "0")}`) !== number) assert.unreachable(`entry ${number}`);
  }
});

Table.run();
