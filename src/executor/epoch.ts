import { KbuildError } from "../errors.ts";
import { shown } from "../parser/characters.ts";

/** The argument and the variable. https://reproducible-builds.org/specs/source-date-epoch */
export const EPOCH_ARGUMENT = "SOURCE_DATE_EPOCH";

/** What SOURCE_DATE_EPOCH says: seconds since 1970, or the name of what has the time. */
export type EpochWish = number | string | undefined;

/** The first second of the year 10000, which RFC 3339 cannot write. */
const TOO_LATE = 253_402_300_800;

/**
 * Reads a SOURCE_DATE_EPOCH: a whole number of seconds, `context`, or the name of a stage or a named context. An empty
 * one is none.
 * @throws KbuildError `usage.epoch`
 */
export function readEpoch(value: number | string | undefined): EpochWish {
  if (value === undefined || value === "") return undefined;
  const seconds = typeof value === "number" ? value : /^\d{1,12}$/.test(value) ? Number(value) : Number.NaN;
  if (Number.isInteger(seconds) && seconds >= 0 && seconds < TOO_LATE) return seconds;
  if (typeof value === "string" && /^[a-z]/i.test(value)) return value;
  throw new KbuildError(
    "usage.epoch",
    `${EPOCH_ARGUMENT} is ${showEpoch(value)}, which is no number of seconds since 1970`,
  );
}

/** A value as messages have it. */
export function showEpoch(value: number | string): string {
  return typeof value === "number" ? String(value) : JSON.stringify(shown(value));
}
