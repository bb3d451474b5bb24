import type { Location } from "../../errors.ts";

/** Lines of a file around a place. */
export interface Excerpt {
  /** The number of the first line, from 1. */
  readonly first: number;
  readonly lines: readonly string[];
  /** Numbers of the first and the last line that are meant. */
  readonly from: number;
  readonly to: number;
}

/** Of a place that spans many lines, so many are shown. */
const MOST_LINES = 20;
/** Longer lines are cut. */
const MOST_CHARACTERS = 1000;

/**
 * The lines of a place, with two around them, or one where the place is of several lines itself, as BuildKit shows them.
 * Undefined when the file, which is given as its lines, has no such line.
 */
export function excerptOf(all: readonly string[], location: Location): Excerpt | undefined {
  const from = location.line;
  if (from < 1 || from > all.length) return undefined;
  const to = Math.min(Math.max(location.end?.line ?? from, from), all.length, from + MOST_LINES - 1);
  const around = to > from ? 1 : 2;
  const first = Math.max(1, from - around);
  const lines = all.slice(first - 1, to + around).map((line) => line.replace(/\r$/, "").slice(0, MOST_CHARACTERS));
  return { first, lines, from, to };
}
