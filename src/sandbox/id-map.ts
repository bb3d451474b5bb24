import type { IdRange } from "../native/sandbox-protocol.ts";
import type { IdSpan } from "./machine.ts";

/** user_namespaces(7): more rows the kernel does not take. */
const MAX_ROWS = 340;

/** A map that leaves every id what it is: all that are mapped here. */
export function identityRows(here: readonly IdRange[]): IdRange[] {
  return here.map(({ inside, count }) => ({ inside, outside: inside, count }));
}

/**
 * 0 is the user's own id; 1 and on are his subordinate ids, as far as they are mapped `here`, in the order of the file.
 * No id is mapped twice, however the ranges overlap: the kernel would refuse the map.
 */
export function mapOwnAndSubordinate(own: number, spans: readonly IdSpan[], here: readonly IdRange[]): IdRange[] {
  const rows: IdRange[] = [{ inside: 0, outside: own, count: 1 }];
  const taken: IdSpan[] = [{ start: own, count: 1 }];
  let next = 1;
  for (const span of spans) {
    const mapped = here.flatMap(({ inside, count }) => intersect(span, { start: inside, count }));
    for (const { start, count } of mapped.flatMap((part) => subtract(part, taken))) {
      if (rows.length === MAX_ROWS) return rows;
      rows.push({ inside: next, outside: start, count });
      taken.push({ start, count });
      next += count;
    }
  }
  return rows;
}

/** How many ids a map has. */
export function countIds(rows: readonly IdRange[]): number {
  return rows.reduce((sum, { count }) => sum + count, 0);
}

function intersect(left: IdSpan, right: IdSpan): IdSpan[] {
  const start = Math.max(left.start, right.start);
  const end = Math.min(left.start + left.count, right.start + right.count);
  return end > start ? [{ start, count: end - start }] : [];
}

/** What of a range is in none of the others. */
function subtract(span: IdSpan, others: readonly IdSpan[]): IdSpan[] {
  let rest: IdSpan[] = [span];
  for (const other of others) {
    rest = rest.flatMap((part) => [
      ...intersect(part, { start: 0, count: other.start }),
      ...intersect(part, {
        start: other.start + other.count,
        count: Number.MAX_SAFE_INTEGER - other.start - other.count,
      }),
    ]);
  }
  return rest;
}
