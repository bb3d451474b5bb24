/** An image ID as docker abbreviates it. */
export function shortId(id: string): string {
  return id.slice(id.indexOf(":") + 1).slice(0, 12);
}

/** A time as Go's `Time.String` has it, in UTC: `2024-05-06 07:08:09 +0000 UTC`; `N/A` where there is none. */
export function goTime(time: string | undefined): string {
  const text = utcTime(time);
  return text === undefined ? "N/A" : `${text.slice(0, 10)} ${text.slice(11, 19)} +0000 UTC`;
}

/** A time to the second, in UTC: `2024-05-06T07:08:09Z`; `N/A` where there is none. */
export function exactTime(time: string | undefined): string {
  return utcTime(time) ?? "N/A";
}

function utcTime(time: string | undefined): string | undefined {
  const value = time === undefined ? Number.NaN : Date.parse(time);
  // What is beyond the year 9999 would have another form.
  if (Number.isNaN(value) || Math.abs(value) > 253_402_300_799_000) return undefined;
  return `${new Date(value).toISOString().slice(0, 19)}Z`;
}
