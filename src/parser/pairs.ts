import { KbuildError } from "../errors.ts";
import { isBlank, isSpace, shown } from "./characters.ts";
import type { ArgInstruction, Pair, Word } from "./instructions.ts";
import { faultAt, faultOf, type Span, type Statement } from "./statement.ts";
import { expandWord } from "./words.ts";

/**
 * The pairs of ENV and LABEL: `name=value …`, or the old `name value`, which it is when the first word has no `=`.
 * Dockerfile reference, "ENV", "LABEL".
 * @throws KbuildError `build.parse`, `build.blankName`
 */
export function parsePairs(statement: Statement): Pair[] {
  const { keyword, line } = statement;
  const words = splitQuoted(statement);
  const [first] = words;
  if (first === undefined) {
    throw faultOf(statement, "build.parse", `${keyword} sets nothing`, `write ${keyword} NAME=VALUE`);
  }
  if (!line.text.slice(first.start, first.end).includes("=")) return [parseLegacyPair(statement)];
  return words.map((word) => {
    const equals = line.text.indexOf("=", word.start);
    if (equals < 0 || equals >= word.end) {
      throw line.fault(
        "build.parse",
        `"${shown(line.text.slice(word.start, word.end))}" has no =: ${keyword} takes NAME=VALUE`,
        word.start,
        word.end,
        'put a value with spaces in quotes: NAME="a b"',
      );
    }
    if (equals === word.start) throw blankName(statement, word);
    return { name: line.word(word.start, equals), value: line.word(equals + 1, word.end), legacy: false };
  });
}

/** `ENV name the whole rest`: the name ends with the first blank, quotes or not. */
function parseLegacyPair(statement: Statement): Pair {
  const { keyword, line, end } = statement;
  let nameEnd = statement.rest;
  while (nameEnd < end && !isBlank(line.text.charCodeAt(nameEnd))) nameEnd++;
  let start = nameEnd;
  while (start < end && isBlank(line.text.charCodeAt(start))) start++;
  if (start === end) {
    const name = shown(line.text.slice(statement.rest, nameEnd));
    throw faultOf(statement, "build.parse", `${keyword} ${name} has no value`, `write ${keyword} ${name}=VALUE`);
  }
  return { name: line.word(statement.rest, nameEnd), value: line.word(start, end), legacy: true };
}

/**
 * The items of ARG: `name` or `name=default`.
 * @throws KbuildError `build.parse`, `build.blankName`
 */
export function parseArguments(statement: Statement): ArgInstruction["items"] {
  const { line } = statement;
  const words = splitQuoted(statement);
  if (words.length === 0) {
    throw faultOf(statement, "build.parse", "ARG declares nothing", "write ARG NAME or ARG NAME=DEFAULT");
  }
  return words.map((word) => {
    const text = line.text.slice(word.start, word.end);
    const equals = text.indexOf("=");
    if (equals === 0) throw blankName(statement, word);
    const nameEnd = equals < 0 ? word.end : word.start + equals;
    return {
      name: plainName(statement, line.word(word.start, nameEnd)),
      value: equals < 0 ? undefined : line.word(nameEnd + 1, word.end),
      location: line.location(word.start, word.end),
    };
  });
}

/** The name of an ARG without quotes. */
function plainName(statement: Statement, word: Word): string {
  if (/^[\w.-]*$/.test(word.text)) return word.text;
  const fail = () =>
    faultAt(
      statement,
      word.location,
      "build.parse",
      `"${shown(word.text)}" cannot be the name of an ARG`,
      "a name has letters, digits and _",
    );
  // A name made from variables could not be known before the build.
  if (word.text.includes("$")) throw fail();
  try {
    const name = expandWord(word.text, () => undefined, statement.escape);
    if (name !== "") return name;
  } catch (cause) {
    throw cause instanceof KbuildError
      ? cause.with({ location: word.location, source: statement.line.source.text })
      : cause;
  }
  throw fail();
}

function blankName({ keyword, line }: Statement, word: Span): KbuildError {
  return line.fault(
    "build.blankName",
    `${keyword} has a blank name`,
    word.start,
    word.end,
    "write NAME=VALUE without spaces around the =",
  );
}

/** Characters that end no word and quote nothing. */
const PLAIN = /[\w./:=,$@+-]+/y;

/** Words between white space that is neither quoted nor escaped; quotes and escapes stay in them. */
function splitQuoted(statement: Statement): Span[] {
  const { line, end } = statement;
  const spans: Span[] = [];
  let start: number | undefined;
  let quote: string | undefined;
  for (let at = statement.rest; at < end; at++) {
    PLAIN.lastIndex = at;
    if (PLAIN.test(line.text)) {
      start ??= at;
      at = Math.min(PLAIN.lastIndex, end) - 1;
      continue;
    }
    const character = line.text[at];
    if (quote === undefined && isSpace(line.text.charCodeAt(at))) {
      if (start !== undefined) spans.push({ start, end: at });
      start = undefined;
      continue;
    }
    start ??= at;
    if (character === statement.escape && quote !== "'") at++;
    else if (quote === undefined && (character === "'" || character === '"')) quote = character;
    else if (character === quote) quote = undefined;
  }
  if (start !== undefined) spans.push({ start, end });
  return spans;
}
