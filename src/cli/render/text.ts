/** Text for people: widths on a terminal, durations, sizes, and what makes foreign text safe to show. */

/** Control characters, and those that turn the direction of text (they make it read other than it is). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;
const EVERY_UNSAFE = new RegExp(UNSAFE.source, "g");
/** Sequences that terminals obey: CSI, OSC and its kin up to their end, and the short ones. */
const SEQUENCES =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|\u001b[\]PX^_][^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)?|\u001b[ -/]*[0-~]/g;

/**
 * Text that came from outside (a Dockerfile, a registry, a file's name), made safe for one line of a terminal: what
 * would control the terminal is shown as an escape (`\x1b`, `\n`, `\u{202e}`).
 */
export function printable(text: string): string {
  return UNSAFE.test(text) ? text.replace(EVERY_UNSAFE, escapeOf) : text;
}

/** Text of several lines, made safe for a terminal: line ends and tabs stay. */
export function printableText(text: string): string {
  return UNSAFE.test(text)
    ? text
        .split(/([\n\t])/)
        .map((part, number) => (number % 2 === 1 ? part : printable(part)))
        .join("")
    : text;
}

/** What JSON lets through and terminals obey: the controls of C1, and those that turn the direction of text. */
const LOOSE_IN_JSON = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** JSON that means the same, with what a terminal may obey escaped. */
export function printableJson(text: string): string {
  return text.replace(LOOSE_IN_JSON, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function escapeOf(character: string): string {
  if (character === "\n") return "\\n";
  if (character === "\r") return "\\r";
  if (character === "\t") return "\\t";
  const code = character.charCodeAt(0);
  return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
}

/** A line that a program printed: colours and cursor movements are taken out, of an overwritten line the last is kept. */
export function printableLog(line: string): string {
  if (!UNSAFE.test(line)) return line;
  const last = line.replace(/\r+$/, "").replace(/^.*\r/s, "");
  return printable(last.replace(SEQUENCES, "").replace(/\t/g, "    "));
}

let graphemes: Intl.Segmenter | undefined;
const WIDE =
  /^[\u1100-\u115f\u231a\u231b\u2329\u232a\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}|\ufe0f/u;
const WITHOUT_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]+$/u;

/** The characters of a text as a reader counts them, each with the columns that it takes. */
function* cells(text: string): Generator<readonly [string, number]> {
  graphemes ??= new Intl.Segmenter(undefined, { granularity: "grapheme" });
  for (const { segment } of graphemes.segment(text)) {
    yield [segment, WITHOUT_WIDTH.test(segment) ? 0 : WIDE.test(segment) ? 2 : 1];
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII
const ASCII = /^[\u0000-\u007f]*$/;

/** How many columns a text takes on a terminal. The text has no control characters. */
export function widthOf(text: string): number {
  if (ASCII.test(text)) return text.length;
  let width = 0;
  for (const [, columns] of cells(text)) width += columns;
  return width;
}

/** The text, cut to so many columns with `…` as its end when it is longer. */
export function cut(text: string, columns: number): string {
  if (columns <= 0) return "";
  if (text.length <= columns ? widthOf(text) <= columns : false) return text;
  if (ASCII.test(text)) return text.length <= columns ? text : `${text.slice(0, columns - 1)}…`;
  let [kept, width] = ["", 0];
  let isCut = false;
  for (const [segment, own] of cells(text)) {
    if (width + own > columns - 1) {
      isCut = true;
      break;
    }
    kept += segment;
    width += own;
  }
  return isCut && widthOf(text) > columns ? `${kept}…` : text;
}

/** Text with spaces after it up to so many columns. */
export function padEnd(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - widthOf(text)));
}

/** Milliseconds as docker shows them in progress: `0.3s`. */
export function seconds(milliseconds: number): string {
  return `${(Math.max(0, milliseconds) / 1000).toFixed(1)}s`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

function scaled(size: number, digits: (value: number) => string): string {
  let [value, unit] = [size, 0];
  while (unit < UNITS.length - 1 && (value >= 1000 || (unit > 0 && Number(digits(value)) >= 1000))) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? String(Math.round(value)) : digits(value)}${UNITS[unit] ?? ""}`;
}

/** Bytes as docker shows them in progress: `32B`, `45.38MB`. */
export function progressBytes(size: number): string {
  return scaled(size, (value) => value.toFixed(2));
}

/** Bytes as docker shows them in tables, three digits: `76.9MB`, `1.05kB`, `0B`. */
export function humanSize(size: number): string {
  return scaled(size, (value) => String(Number(value.toPrecision(3))));
}

/** How long ago, as docker says it: `2 minutes ago`, `About an hour ago`; `N/A` for what has no time. */
export function ago(time: string | undefined, now: number): string {
  const then = time === undefined ? Number.NaN : Date.parse(time);
  return Number.isNaN(then) || then <= 0 ? "N/A" : `${humanDuration(now - then)} ago`;
}

/** Milliseconds as docker's go-units says them. */
export function humanDuration(milliseconds: number): string {
  const whole = Math.floor(milliseconds / 1000);
  if (whole < 1) return "Less than a second";
  if (whole === 1) return "1 second";
  if (whole < 60) return `${whole} seconds`;
  const minutes = Math.floor(whole / 60);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.floor(milliseconds / 3_600_000 + 0.5);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(milliseconds / 3_600_000 / 24 / 365)} years`;
}
