import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { countIds, identityRows, mapOwnAndSubordinate } from "../../src/sandbox/id-map.ts";

const IdMap = suite("id map");
const ALL = [{ inside: 0, outside: 0, count: 4_294_967_295 }];

IdMap("0 is the user, and his subordinate ids follow from 1 on", () => {
  const spans = [
    { start: 100_000, count: 10 },
    { start: 300_000, count: 5 },
  ];
  assert.equal(mapOwnAndSubordinate(1000, spans, ALL), [
    { inside: 0, outside: 1000, count: 1 },
    { inside: 1, outside: 100_000, count: 10 },
    { inside: 11, outside: 300_000, count: 5 },
  ]);
});

IdMap("ranges that overlap, and the user's own id, are mapped once", () => {
  const spans = [
    { start: 998, count: 5 },
    { start: 1000, count: 10 },
  ];
  assert.equal(mapOwnAndSubordinate(1000, spans, ALL), [
    { inside: 0, outside: 1000, count: 1 },
    { inside: 1, outside: 998, count: 2 },
    { inside: 3, outside: 1001, count: 2 },
    { inside: 5, outside: 1003, count: 7 },
  ]);
});

IdMap("ids that are not mapped where kbuild runs are left out", () => {
  const here = [
    { inside: 0, outside: 500_000, count: 1001 },
    { inside: 100_005, outside: 700_000, count: 3 },
  ];
  assert.equal(mapOwnAndSubordinate(1000, [{ start: 100_000, count: 65_536 }], here), [
    { inside: 0, outside: 1000, count: 1 },
    { inside: 1, outside: 100_005, count: 3 },
  ]);
});

IdMap("there are never more rows than the kernel takes", () => {
  const spans = Array.from({ length: 1000 }, (_, number) => ({ start: 100_000 + number * 10, count: 5 }));
  assert.is(mapOwnAndSubordinate(1000, spans, ALL).length, 340);
});

IdMap("of any ranges, each id is mapped at most once on both sides, and without gaps inside", () => {
  const span = fc.record({ start: fc.integer({ min: 0, max: 60 }), count: fc.integer({ min: 1, max: 20 }) });
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 60 }), fc.array(span, { maxLength: 6 }), (own, spans) => {
      const rows = mapOwnAndSubordinate(own, spans, ALL);
      const outside = rows.flatMap((row) => Array.from({ length: row.count }, (_, id) => row.outside + id));
      assert.is(new Set(outside).size, outside.length);
      const wanted = new Set([
        own,
        ...spans.flatMap(({ start, count }) => Array.from({ length: count }, (_, id) => start + id)),
      ]);
      assert.equal(new Set(outside), wanted);
      let next = 0;
      for (const row of rows) {
        assert.is(row.inside, next);
        next += row.count;
      }
      assert.is(countIds(rows), wanted.size);
    }),
  );
});

IdMap("root's map leaves every id what it is", () => {
  assert.equal(identityRows([{ inside: 5, outside: 100, count: 3 }]), [{ inside: 5, outside: 5, count: 3 }]);
});

IdMap.run();
