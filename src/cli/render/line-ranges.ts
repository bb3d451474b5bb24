import type { Location } from "../../api.ts";

/** A place as BuildKit has it: a range for each line. */
export function lineRanges({ line, end }: Location): readonly object[] {
  const last = Math.max(line, end?.line ?? line);
  return Array.from({ length: last - line + 1 }, (_, index) => {
    const point = { line: line + index };
    return { start: point, end: point };
  });
}
