import { type ErrorCode, KbuildError, type Location } from "../errors.ts";
import { isBlank, skipSpace, trimmedEnd } from "./characters.ts";
import type { Escape } from "./directives.ts";
import { type ParsedFlags, parseFlags, splitFlags } from "./flags.ts";
import type { HeredocBody } from "./heredoc.ts";
import type { ParseWarning, Word } from "./instructions.ts";
import type { RawInstruction } from "./lexer.ts";
import type { LogicalLine } from "./logical-line.ts";

/** An instruction taken apart: keyword, flags, and arguments that its own parser reads. Numbers count in the line. */
export interface Statement {
  readonly line: LogicalLine;
  /** The keyword in upper case. */
  readonly keyword: string;
  /** Where the keyword begins. */
  readonly start: number;
  readonly keywordEnd: number;
  /** Checks the flags when it is called: an unknown instruction has no table to check them with. */
  readonly flags: () => ParsedFlags;
  /** Where the arguments begin, flags left out. */
  readonly rest: number;
  /** Where the instruction ends, white space left out. */
  readonly end: number;
  /** The arguments from `rest` to `end`. */
  readonly text: string;
  readonly heredocs: readonly HeredocBody[];
  /** Offset in the file where the instruction ends, heredocs included. */
  readonly fileEnd: number;
  readonly escape: Escape;
  readonly warn: (warning: ParseWarning) => void;
}

/** Takes an instruction apart that begins at `from` of its line: 0, or behind ONBUILD. */
export function readStatement(
  raw: RawInstruction,
  from: number,
  escapeCharacter: Escape,
  warn: (warning: ParseWarning) => void,
): Statement {
  const { line } = raw;
  const { text } = line;
  const start = skipSpace(text, from, text.length);
  const end = trimmedEnd(text, start, text.length);
  let keywordEnd = start;
  while (keywordEnd < end && !isBlank(text.charCodeAt(keywordEnd))) keywordEnd++;
  const keyword = text.slice(start, keywordEnd).toUpperCase();
  const { flags, rest } = splitFlags(text, keywordEnd, end);
  return {
    line,
    keyword,
    start,
    keywordEnd,
    flags: () => parseFlags(line, keyword, flags),
    rest,
    end,
    text: text.slice(rest, end),
    heredocs: raw.heredocs,
    fileEnd: raw.end,
    escape: escapeCharacter,
    warn,
  };
}

/** An error about the whole instruction. */
export function faultOf(statement: Statement, code: ErrorCode, message: string, hint?: string): KbuildError {
  return statement.line.fault(code, message, statement.start, statement.end, hint);
}

/** An error about a part of the instruction. */
export function faultAt(
  statement: Statement,
  location: Location,
  code: ErrorCode,
  message: string,
  hint?: string,
): KbuildError {
  return new KbuildError(code, message, { location, source: statement.line.source.text, hint });
}

/** Everything behind the flags as one word. */
export function restOf(statement: Statement): Word {
  return statement.line.word(statement.rest, statement.end);
}

/** A word with the place of its first and its last character in the line. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Words between blanks, whatever quotes say: FROM, COPY, EXPOSE and VOLUME are split so. */
export function splitPlain(statement: Statement): Span[] {
  const { line, end } = statement;
  const spans: Span[] = [];
  for (let at = statement.rest; at < end; ) {
    const start = at;
    while (at < end && !isBlank(line.text.charCodeAt(at))) at++;
    if (at > start) spans.push({ start, end: at });
    while (at < end && isBlank(line.text.charCodeAt(at))) at++;
  }
  return spans;
}
