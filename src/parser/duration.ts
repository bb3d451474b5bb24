/** Nanoseconds of each unit. */
const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  // The micro sign, and the Greek letter.
  "\u00b5s": 1_000n,
  "\u03bcs": 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/** A duration has at most so many characters: nobody writes a longer one, and numbers of any length cost time. */
const LONGEST = 200;
/** The most that Go's signed 64-bit number of nanoseconds holds: about 292 years. */
const MOST = 2n ** 63n - 1n;

/**
 * Reads a duration as Go writes it: `1h30m`, `1.5s`, `300ms`, `0`. In nanoseconds; undefined when it is none. Above
 * 2^53 (104 days) nanoseconds are rounded to what a number holds.
 */
export function parseDuration(text: string): number | undefined {
  const match = /^([-+]?)(.+)$/s.exec(text);
  const digits = match?.[2];
  if (digits === undefined || text.length > LONGEST) return undefined;
  if (digits === "0") return 0;
  let total = 0n;
  let done = 0;
  for (const part of digits.matchAll(/(\d*)(?:\.(\d*))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/gy)) {
    const [all, whole = "", fraction = "", unit = ""] = part;
    const size = UNITS[unit];
    if (size === undefined || whole + fraction === "") return undefined;
    total += BigInt(whole === "" ? 0 : whole) * size;
    if (fraction !== "") total += (BigInt(fraction) * size) / 10n ** BigInt(fraction.length);
    done += all.length;
  }
  if (done !== digits.length || total > MOST) return undefined;
  return Number(match?.[1] === "-" ? -total : total);
}
