import { mapOf, type Value } from "../values.ts";
import { type CallSite, type FunctionTable, ofTexts, wrong } from "./function.ts";

/** POSIX classes, which RE2 has and JavaScript has not. */
const CLASSES: Readonly<Record<string, string>> = {
  alnum: "0-9A-Za-z",
  alpha: "A-Za-z",
  ascii: "\\x00-\\x7F",
  blank: "\\t ",
  cntrl: "\\x00-\\x1F\\x7F",
  digit: "0-9",
  graph: "!-~",
  lower: "a-z",
  print: " -~",
  punct: "!-\\/:-@[-`{-~",
  space: "\\t\\n\\v\\f\\r ",
  upper: "A-Z",
  word: "0-9A-Za-z_",
  xdigit: "0-9A-Fa-f",
};

/** RE2's syntax (https://github.com/google/re2/wiki/Syntax) in JavaScript's. */
export function expression(pattern: string, site: CallSite, number: number): RegExp {
  let flags = "g";
  let text = pattern;
  const [whole, given] = /^\(\?([imsU]+)\)/.exec(pattern) ?? [];
  if (whole !== undefined && given !== undefined) {
    if (given.includes("U")) throw wrong(site, number, "the flag U of regular expressions is not supported");
    flags += [...new Set(given)].join("");
    text = pattern.slice(whole.length);
  }
  if (/\(\?<?[=!]/.test(text)) throw wrong(site, number, "regular expressions look neither ahead nor back");
  text = text
    .replace(/\(\?P</g, "(?<")
    .replace(/\\Q([\s\S]*?)(?:\\E|$)/g, (_, literal: string) => literal.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"))
    .replace(/\[:(\^?)([a-z]+):\]/g, (all, negated: string, name: string) => {
      if (negated !== "" || CLASSES[name] === undefined) throw wrong(site, number, `${all} is not supported`);
      return CLASSES[name] ?? "";
    })
    .replace(/\\A/g, "^")
    .replace(/\\z/g, "$");
  try {
    return new RegExp(text, flags);
  } catch {
    throw wrong(site, number, `${JSON.stringify(pattern)} is no regular expression`);
  }
}

/** What a match is: its text, a list of what groups took, or an object when groups have names. */
function matchOf(match: RegExpExecArray): Value {
  if (match.groups !== undefined) {
    return mapOf(Object.entries(match.groups).map(([name, text]) => [name, text ?? null] as const));
  }
  if (match.length === 1) return match[0];
  return match.slice(1).map((text) => text ?? null);
}

/** `$1`, `${1}`, `$name` and `${name}` stand for groups, `$$` for a `$`. Go's `Regexp.Expand`. */
function expanded(template: string, match: RegExpExecArray): string {
  return template.replace(/\$(?:\$|\{(\w+)\}|(\w+))/g, (all, braced?: string, plain?: string) => {
    if (all === "$$") return "$";
    const name = braced ?? plain ?? "";
    return (/^\d+$/.test(name) ? match[Number(name)] : match.groups?.[name]) ?? "";
  });
}

export const REGEXP_FUNCTIONS: FunctionTable = {
  regex: ofTexts(2, ([pattern = "", text = ""], site) => {
    const match = expression(pattern, site, 0).exec(text);
    if (match === null) throw wrong(site, 1, `${JSON.stringify(pattern)} does not match ${JSON.stringify(text)}`);
    return matchOf(match);
  }),
  regexall: ofTexts(2, ([pattern = "", text = ""], site) =>
    [...text.matchAll(expression(pattern, site, 0))].map(matchOf),
  ),
  regex_replace: ofTexts(3, ([text = "", pattern = "", template = ""], site) => {
    const parts: string[] = [];
    let at = 0;
    for (const match of text.matchAll(expression(pattern, site, 1))) {
      parts.push(text.slice(at, match.index), expanded(template, match));
      at = match.index + match[0].length;
    }
    return [...parts, text.slice(at)].join("");
  }),
};
