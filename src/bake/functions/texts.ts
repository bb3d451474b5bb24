import { compareTexts, toList, toNumber, toText } from "../values.ts";
import { type FunctionTable, given, ofText, ofTexts, taking, takingMany, textOf, wrong } from "./function.ts";

/** What a person takes for one character. */
function graphemes(text: string): string[] {
  return [...new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(text)].map(({ segment }) => segment);
}

/** Letter by letter, as Go does it: one that would become several stays. */
function mapped(text: string, map: (letter: string) => string): string {
  return Array.from(text, (letter) => {
    const other = map(letter);
    return [...other].length === 1 ? other : letter;
  }).join("");
}

const SPACE = /^[\s\u0085]+|[\s\u0085]+$/g;

export const TEXT_FUNCTIONS: FunctionTable = {
  upper: ofText((text) => mapped(text, (letter) => letter.toUpperCase())),
  lower: ofText((text) => mapped(text, (letter) => letter.toLowerCase())),
  // As Go's strings.Title: a word begins behind blanks and behind signs of ASCII, an apostrophe too.
  title: ofText((text) => text.replace(/(?<![\p{L}\p{N}_]|(?!\s)\P{ASCII})\p{L}/gu, (letter) => letter.toUpperCase())),
  strlen: ofText((text) => graphemes(text).length),
  reverse: ofText((text) => graphemes(text).reverse().join("")),
  chomp: ofText((text) => text.replace(/[\r\n]+$/, "")),
  trimspace: ofText((text) => text.replace(SPACE, "")),
  trim: ofTexts(2, ([text = "", cutset = ""]) => {
    const letters = new Set(cutset);
    const characters = [...text];
    let [from, to] = [0, characters.length];
    while (from < to && letters.has(characters[from] ?? "")) from += 1;
    while (to > from && letters.has(characters[to - 1] ?? "")) to -= 1;
    return characters.slice(from, to).join("");
  }),
  trimprefix: ofTexts(2, ([text = "", prefix = ""]) => (text.startsWith(prefix) ? text.slice(prefix.length) : text)),
  trimsuffix: ofTexts(2, ([text = "", suffix = ""]) =>
    suffix !== "" && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text,
  ),
  replace: ofTexts(3, ([text = "", from = "", to = ""]) =>
    from === "" ? ["", ...text, ""].join(to) : text.split(from).join(to),
  ),
  indent: taking(2, 2, (values, site) => {
    const spaces = toNumber(given(values, 0), site.operand(0));
    if (!Number.isInteger(spaces) || spaces < 0 || spaces > 10_000) throw wrong(site, 0, "this is no number of spaces");
    return textOf(values, 1, site).replace(/\n/g, `\n${" ".repeat(spaces)}`);
  }),
  substr: taking(3, 3, (values, site) => {
    const characters = graphemes(textOf(values, 0, site));
    const offset = toNumber(given(values, 1), site.operand(1));
    const length = toNumber(given(values, 2), site.operand(2));
    const from = offset < 0 ? Math.max(0, characters.length + offset) : offset;
    return characters.slice(from, length < 0 ? undefined : from + length).join("");
  }),
  split: ofTexts(2, ([separator = "", text = ""]) => (separator === "" ? [...text] : text.split(separator))),
  join: takingMany(2, (values, site) => {
    const texts = values
      .slice(1)
      .flatMap((list, number) =>
        toList(list, site.operand(number + 1)).map((member) => toText(member, site.operand(number + 1))),
      );
    return texts.join(textOf(values, 0, site));
  }),
  sort: taking(1, 1, (values, site) => {
    const texts = toList(given(values, 0), site.operand(0)).map((member) => toText(member, site.operand(0)));
    return texts.sort(compareTexts);
  }),
  compact: taking(1, 1, (values, site) =>
    toList(given(values, 0), site.operand(0)).filter((member) => member !== null && member !== ""),
  ),
  sanitize: ofText((text) => text.replace(/[^a-zA-Z0-9_-]/gu, "_")),
  basename: ofText((text) => {
    const trimmed = text.replace(/\/+$/, "");
    if (trimmed === "") return text === "" ? "." : "/";
    return trimmed.slice(trimmed.lastIndexOf("/") + 1);
  }),
  dirname: ofText((text) => {
    const folder = text.slice(0, text.lastIndexOf("/") + 1);
    return cleanPath(folder);
  }),
  homedir: taking(0, 0, (_, site) => site.home),
};

/** A path without `.`, `..` and doubled slashes, as Go's `path.Clean` has it. */
function cleanPath(path: string): string {
  const isAbsolute = path.startsWith("/");
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === ".." && parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (part !== ".." || !isAbsolute) parts.push(part);
  }
  const joined = parts.join("/");
  return isAbsolute ? `/${joined}` : joined || ".";
}
