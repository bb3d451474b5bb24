/**
 * Docker shows instructions in the history as Go prints their values. Users compare these lines, so we print the same.
 */

/** `[a b]`: Go's `%v` of a slice of strings. */
export function goList(items: readonly string[]): string {
  return `[${items.join(" ")}]`;
}

/** `["a" "b"]`: Go's `%q` of a slice of strings, which docker prints for commands in JSON form. */
export function goQuotedList(items: readonly string[]): string {
  return `[${items.map(goQuote).join(" ")}]`;
}

/** A duration as Go's `time.Duration` prints it; `nanoseconds` is an integer. */
export function goDuration(nanoseconds: number): string {
  if (nanoseconds === 0) return "0s";
  const units: readonly (readonly [number, string])[] = [
    [1e3, "ns"],
    [1e6, "µs"],
    [1e9, "ms"],
  ];
  for (const [limit, unit] of units) {
    if (nanoseconds < limit) return `${nanoseconds / (limit / 1e3)}${unit}`;
  }
  const seconds = nanoseconds / 1e9;
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = Number((seconds % 60).toFixed(9));
  return `${hours > 0 ? `${hours}h` : ""}${hours > 0 || minutes > 0 ? `${minutes}m` : ""}${rest}s`;
}

/** A string as Go's `%q` quotes it. */
export function goQuote(text: string): string {
  return JSON.stringify(text);
}
