import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { compareTreeOrder } from "../../src/layers/entry-table.ts";
import { decodePath, encodePath, showPath } from "../../src/layers/path-bytes.ts";
import { sortInTreeOrder, treeOrderKey } from "../../src/layers/tree-order.ts";

const Bytes = suite("paths are bytes and strings");

const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  // Beginnings of long sequences, overlong forms, surrogates, what is above U+10FFFF.
  fc
    .array(
      fc.constantFrom(
        "c0af",
        "c3a9",
        "e0809f",
        "eda080",
        "edb080",
        "f09f9880",
        "f4908080",
        "f0",
        "e2",
        "82",
        "2f61",
        "ff",
      ),
      { maxLength: 8 },
    )
    .map((parts) => new Uint8Array(Buffer.from(parts.join(""), "hex"))),
);

Bytes("every path survives the way to a string and back", () => {
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      assert.equal([...encodePath(decodePath(bytes))], [...bytes]);
    }),
    { numRuns: 3000 },
  );
});

Bytes("what is UTF-8 is the text that it says, and each other byte a surrogate of its own", () => {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      const text = decodePath(bytes);
      const isValid = Buffer.from(bytes).equals(Buffer.from(decoder.decode(bytes), "utf8"));
      assert.is(text.isWellFormed(), isValid);
      if (isValid) assert.is(text, decoder.decode(bytes));
    }),
    { numRuns: 3000 },
  );
});

for (const [hex, expected] of [
  ["61c3a9", "aé"],
  ["61e9", "a\udce9"],
  ["eda080", "\udced\udca0\udc80"],
  ["c080", "\udcc0\udc80"],
  ["f4908080", "\udcf4\udc90\udc80\udc80"],
  ["f09f98", "\udcf0\udc9f\udc98"],
  ["efbbbf61", "\ufeffa"],
  ["efbbbf61ff", "\ufeffa\udcff"],
] as const) {
  Bytes(`${hex} is ${JSON.stringify(expected)}`, () => {
    assert.is(decodePath(Buffer.from(hex, "hex")), expected);
  });
}

Bytes("a long name that is not UTF-8 costs no more than its length", () => {
  const bytes = Buffer.alloc(1_000_000, 0xe9);
  assert.is(decodePath(bytes).length, bytes.length);
});

for (const [path, shown] of [
  ["plain/é", "plain/é"],
  ["a\nb\tc\rd", "a\\nb\\tc\\rd"],
  ["\u001b[31m", "\\x1b[31m"],
  ["a\\b", "a\\\\b"],
  ["\udcff", "\\xff"],
  ["\u009b\u007f", "\\x9b\\x7f"],
] as const) {
  Bytes(`people see ${shown}`, () => {
    assert.is(showPath(path), shown);
  });
}

Bytes.run();

const Order = suite("tree order");

const withoutNul = anyBytes.filter((bytes) => !bytes.includes(0));

Order("strings are sorted as the core sorts bytes", () => {
  fc.assert(
    fc.property(withoutNul, withoutNul, (left, right) => {
      const [a, b] = [treeOrderKey(decodePath(left)), treeOrderKey(decodePath(right))];
      assert.is(a < b ? -1 : a > b ? 1 : 0, Math.sign(compareTreeOrder(left, right)));
    }),
    { numRuns: 3000 },
  );
});

Order("what is in a folder follows it at once", () => {
  const paths = ["a.b", "a/c", "a", "a b", "a/b/c", "a/b", "é", "\udcff", "z"];
  const expected = ["a", "a/b", "a/b/c", "a/c", "a b", "a.b", "z", "é", "\udcff"];
  assert.equal(
    sortInTreeOrder(paths, (path) => path),
    expected,
  );
});

Order.run();
