import { isBlank, isSpace, shown, skipSpace, trimSpace } from "./characters.ts";
import { splitFlags } from "./flags.ts";
import type { Heredoc } from "./instructions.ts";
import { parseJsonWords } from "./json-form.ts";
import type { LogicalLine } from "./logical-line.ts";

/** `<<EOF` in an instruction: from `start` to `end` of the logical line. */
export interface HeredocHead {
  readonly name: string;
  readonly stripsTabs: boolean;
  readonly expand: boolean;
  readonly start: number;
  readonly end: number;
}

/** A heredoc with its body. */
export interface HeredocBody {
  readonly head: HeredocHead;
  readonly heredoc: Heredoc;
  /** The content as it stands in the file, tabs kept. */
  readonly raw: string;
  /** Offset in the file behind the delimiter. */
  readonly end: number;
  /** Number of the line after the delimiter, from 0. */
  readonly next: number;
}

/** Of the most instructions. */
const NONE: readonly HeredocHead[] = [];

/**
 * Finds the heredocs that an instruction opens: words of the form `<<NAME`, `<<-NAME` and, for shells, `3<<NAME` and
 * `<< NAME`. Only RUN, COPY and ADD, alone or behind ONBUILD, have heredocs, and not in JSON form.
 */
export function findHeredocs(line: LogicalLine): readonly HeredocHead[] {
  const { text } = line;
  if (!text.includes("<<")) return NONE;
  const keywordStart = skipSpace(text, 0, text.length);
  let argumentsStart = keywordEnd(text, keywordStart);
  let keyword = text.slice(keywordStart, argumentsStart).toUpperCase();
  if (keyword === "ONBUILD") {
    const start = skipBlank(text, argumentsStart);
    argumentsStart = keywordEnd(text, start);
    keyword = text.slice(start, argumentsStart).toUpperCase();
  }
  if (keyword !== "RUN" && keyword !== "COPY" && keyword !== "ADD") return [];
  const { rest } = splitFlags(text, argumentsStart, text.length);
  if (text[rest] === "[" && parseJsonWords(trimSpace(text.slice(rest))) !== undefined) return [];
  const heads: HeredocHead[] = [];
  for (const [start, end] of shellWords(text, argumentsStart) ?? []) {
    const head = parseHead(text, start, end);
    if (head !== undefined) heads.push(head);
  }
  return heads;
}

/**
 * Reads a heredoc's body, which begins with line number `first` of the file, counted from 0.
 * @throws KbuildError `build.heredoc` when the file ends before the delimiter
 */
export function readHeredocBody(line: LogicalLine, head: HeredocHead, first: number): HeredocBody {
  const { source } = line;
  for (let number = first; number < source.lineCount; number++) {
    const lineStart = source.lineStart(number);
    const end = source.lineEnd(number);
    if (!isDelimiter(source.text, lineStart, end, head)) continue;
    const raw = source.text.slice(source.lineStart(first), lineStart);
    const content = head.stripsTabs ? raw.replace(/(^|\n)\t+/g, "$1") : raw;
    const location = line.location(head.start, head.end);
    const heredoc: Heredoc = { name: head.name, content, expand: head.expand, location };
    return { head, heredoc, raw, end: trimReturns(source.text, lineStart, end), next: number + 1 };
  }
  throw line.fault(
    "build.heredoc",
    `the heredoc ${shown(head.name)} does not end`,
    head.start,
    head.end,
    `end it with a line that holds nothing but ${shown(head.name)}, or quote the word if it is to open no heredoc`,
  );
}

function isDelimiter(text: string, start: number, lineEnd: number, head: HeredocHead): boolean {
  const end = trimReturns(text, start, lineEnd);
  let from = start;
  if (head.stripsTabs) while (from < end && text[from] === "\t") from++;
  return end - from === head.name.length && text.startsWith(head.name, from);
}

function trimReturns(text: string, start: number, end: number): number {
  let at = end;
  while (at > start && text[at - 1] === "\r") at--;
  return at;
}

function keywordEnd(text: string, start: number): number {
  let at = start;
  while (at < text.length && !isBlank(text.charCodeAt(at))) at++;
  return at;
}

function skipBlank(text: string, start: number): number {
  let at = start;
  while (at < text.length && isBlank(text.charCodeAt(at))) at++;
  return at;
}

/**
 * Start and end of each word as a shell splits them, white space behind `<<` being part of a word; undefined when a quote
 * is not closed. The escape character is the shell's backslash here, whatever the Dockerfile's is.
 */
function shellWords(text: string, from: number): (readonly [number, number])[] | undefined {
  const words: [number, number][] = [];
  let start: number | undefined;
  let quote: string | undefined;
  for (let at = from; at < text.length; at++) {
    const character = text[at];
    if (quote === undefined && isSpace(text.charCodeAt(at))) {
      if (start !== undefined) words.push([start, at]);
      start = undefined;
      continue;
    }
    start ??= at;
    if (character === "\\" && quote !== "'") at++;
    else if (quote === undefined && (character === "'" || character === '"')) quote = character;
    else if (character === quote) quote = undefined;
    else if (quote === undefined && text.startsWith("<<", at)) at = skipSpace(text, at + 2, text.length) - 1;
  }
  if (quote !== undefined) return undefined;
  if (start !== undefined) words.push([start, text.length]);
  return words;
}

function parseHead(text: string, start: number, end: number): HeredocHead | undefined {
  const word = text.slice(start, end);
  const match = /^\d*<<(-?)/.exec(word);
  const behind = word.slice(match?.[0].length);
  if (match === null || behind.includes("<")) return undefined;
  const written = behind.slice(skipSpace(behind, 0, behind.length));
  const name = unquote(written);
  // A name that is blank but for its quotes is none.
  if (name === undefined || name === "") return undefined;
  const isQuoted = /['"]/.test(withoutEscapes(written));
  // BuildKit takes `1 << 2` for a heredoc as well, that never ends.
  if (written !== behind && !isQuoted && !/^[A-Za-z_][\w.-]*$/.test(name)) return undefined;
  return { name, stripsTabs: match[1] === "-", expand: !isQuoted, start, end };
}

/** Escaped characters do not quote the delimiter, as docker sees it: only quotes do. */
function withoutEscapes(written: string): string {
  return written.replace(/\\./gsu, "");
}

/** The delimiter without its quotes and escapes; undefined when a quote is not closed. */
function unquote(written: string): string | undefined {
  let name = "";
  let quote: string | undefined;
  for (let at = 0; at < written.length; at++) {
    const character = written[at] ?? "";
    if (character === "\\" && quote !== "'") {
      const next = written[at + 1] ?? "";
      // Inside of double quotes a backslash is one, unless it has something to escape.
      if (quote === '"' && next !== '"' && next !== "$" && next !== "\\") name += character;
      name += next;
      at++;
    } else if (quote === undefined && (character === "'" || character === '"')) quote = character;
    else if (character === quote) quote = undefined;
    else name += character;
  }
  return quote === undefined ? name : undefined;
}
