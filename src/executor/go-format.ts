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
  // Remainders of whole numbers are exact, which those of fractions of a second are not.
  const seconds = Math.floor((nanoseconds % 60e9) / 1e9);
  const fraction = String(nanoseconds % 1e9)
    .padStart(9, "0")
    .replace(/0+$/, "");
  const minutes = Math.floor((nanoseconds % 3600e9) / 60e9);
  const hours = Math.floor(nanoseconds / 3600e9);
  const isLong = hours > 0 || minutes > 0;
  return `${hours > 0 ? `${hours}h` : ""}${isLong ? `${minutes}m` : ""}${seconds}${fraction && `.${fraction}`}s`;
}

/** A string as Go's `%q` quotes it. */
export function goQuote(text: string): string {
  return `"${quoted(text, '"')}"`;
}

/** A whole number as Go's `%q` prints it: the character of that number, in single quotes. */
export function goQuoteCharacter(code: number): string {
  const isCharacter = code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
  return `'${quoted(String.fromCodePoint(isCharacter ? code : 0xfffd), "'")}'`;
}

/** What Go prints as it is: letters, marks, numbers, punctuation, symbols, and of spaces only the one of ASCII. */
const UNPRINTED = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]|["'\\]/gu;
const LETTERS: Readonly<Record<string, string>> = {
  "\u0007": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  "\\": "\\\\",
};

/** What is printed as it is in either kind of quotes; the tables of the other expression take a millisecond to make. */
const PLAIN = /^[ !#-&(-[\]-~]*$/;

function quoted(text: string, quote: string): string {
  if (PLAIN.test(text)) return text;
  return text.toWellFormed().replace(UNPRINTED, (character) => {
    if (character === '"' || character === "'") return character === quote ? `\\${quote}` : character;
    const code = character.codePointAt(0) ?? 0;
    const letter = LETTERS[character];
    if (letter !== undefined) return letter;
    const digits = code.toString(16);
    if (code < 0x80) return `\\x${digits.padStart(2, "0")}`;
    return code < 0x10000 ? `\\u${digits.padStart(4, "0")}` : `\\U${digits.padStart(8, "0")}`;
  });
}
