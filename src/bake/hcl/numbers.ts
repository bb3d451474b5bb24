import { faultAt, type Place } from "../source.ts";

/** So many digits a double holds for sure. */
const MOST_DIGITS = 15;

/**
 * The number that a text is.
 *
 * @throws KbuildError `build.bake` when a double cannot hold it as it is written
 */
export function numberOf(text: string, place: Place): number {
  const number = Number(text);
  const digits = text
    .replace(/[eE].*$/, "")
    .replace(".", "")
    .replace(/^0+/, "");
  const isExact = Number.isSafeInteger(number) || (!Number.isInteger(number) && digits.length <= MOST_DIGITS);
  if (Number.isFinite(number) && isExact) return number;
  throw faultAt(place, "this number has more digits than can be computed with", "write it as a string");
}
