import type { Location } from "../errors.ts";
import { skipSpace, trimmedEnd, trimSpace } from "./characters.ts";
import type { Escape } from "./directives.ts";
import { findHeredocs, type HeredocBody, type HeredocHead, readHeredocBody } from "./heredoc.ts";
import { LogicalLine, type Piece } from "./logical-line.ts";
import type { SourceText } from "./source-text.ts";

/** The lines of one instruction. */
export interface RawInstruction {
  readonly line: LogicalLine;
  /** In the order in which the line names them. */
  readonly heredocs: readonly HeredocBody[];
  /** Offset in the file where the instruction ends: behind its last character, or its last heredoc's delimiter. */
  readonly end: number;
  /** The comments that stand right above it, without `#` and white space around; a blank line or comment parts them from it. */
  readonly comments: readonly string[];
  /** Where reading had come to when a blank line had been skipped inside of it; undefined when none was. */
  readonly emptyContinuation: Location | undefined;
}

/**
 * Splits a Dockerfile into instructions: comments and blank lines dropped, continued lines joined, heredoc bodies set
 * aside. Dockerfile reference, "Format", "escape", "Here-Documents".
 * @throws KbuildError `build.heredoc` for a heredoc without end
 */
export function* splitInstructions(
  source: SourceText,
  escapeCharacter: Escape,
  firstLine: number,
): IterableIterator<RawInstruction> {
  let comments: string[] = [];
  for (let number = firstLine; number < source.lineCount; ) {
    const start = contentStart(source, number);
    if (start === undefined) {
      const comment = commentAt(source, number);
      if (comment === "") comments = [];
      else comments.push(comment);
      number++;
      continue;
    }
    const joined = joinLines(source, number, start, escapeCharacter);
    number = joined.next;
    const { line, emptyContinuation } = joined;
    const heads = findHeredocs(line);
    const heredocs = heads.length === 0 ? NO_BODIES : readBodies(line, heads, number);
    number = heredocs.at(-1)?.next ?? number;
    const end = heredocs.at(-1)?.end ?? line.offsetBehind(trimmedEnd(line.text, 0, line.text.length));
    yield { line, heredocs, end, comments, emptyContinuation };
    comments = [];
  }
}

/** What a comment says; nothing for a blank line. */
function commentAt(source: SourceText, number: number): string {
  const end = source.lineEnd(number);
  return trimSpace(source.text.slice(skipSpace(source.text, source.lineStart(number), end) + 1, end));
}

/** Of the most instructions. */
const NO_BODIES: readonly HeredocBody[] = [];

/** The bodies of heredocs, one behind the other from line `first` on. */
function readBodies(line: LogicalLine, heads: readonly HeredocHead[], first: number): readonly HeredocBody[] {
  let number = first;
  return heads.map((head) => {
    const body = readHeredocBody(line, head, number);
    number = body.next;
    return body;
  });
}

/** Where the first character of a line is; undefined for a comment and a blank line. */
function contentStart(source: SourceText, number: number): number | undefined {
  const end = source.lineEnd(number);
  const start = skipSpace(source.text, source.lineStart(number), end);
  return start === end || source.text[start] === "#" ? undefined : start;
}

/** Joins the line with those that it continues on. */
function joinLines(
  source: SourceText,
  first: number,
  start: number,
  escapeCharacter: Escape,
): { readonly line: LogicalLine; readonly next: number; readonly emptyContinuation: Location | undefined } {
  let { piece, continues } = readPiece(source, first, start, 0, escapeCharacter);
  const pieces = [piece];
  let hasBlank = false;
  let number = first;
  while (continues && number + 1 < source.lineCount) {
    number++;
    if (contentStart(source, number) !== undefined) {
      const length = piece.start + piece.length;
      ({ piece, continues } = readPiece(source, number, source.lineStart(number), length, escapeCharacter));
      pieces.push(piece);
    } else if (isLastEmpty(source, number)) break;
    else if (isBlankLine(source, number)) hasBlank = true;
  }
  // BuildKit tells the line that it has read up to, and so do we: places are compared.
  const last = isLastEmpty(source, number) ? number - 1 : number;
  const emptyContinuation = hasBlank ? source.location(source.lineStart(last), source.lineEnd(last)) : undefined;
  return { line: new LogicalLine(source, pieces), next: number + 1, emptyContinuation };
}

/** A line from `offset` on, which has `length` characters before it, and whether the next one continues it. */
function readPiece(
  source: SourceText,
  number: number,
  offset: number,
  length: number,
  escapeCharacter: Escape,
): { readonly piece: Piece; readonly continues: boolean } {
  const end = lineEndWithoutReturn(source, number, offset);
  const cut = continuation(source.text, offset, end, escapeCharacter);
  return { piece: { start: length, offset, length: (cut ?? end) - offset }, continues: cut !== undefined };
}

/** What follows the last line end is a line only if it holds something. */
function isLastEmpty(source: SourceText, number: number): boolean {
  return number + 1 === source.lineCount && source.lineStart(number) === source.lineEnd(number);
}

function isBlankLine(source: SourceText, number: number): boolean {
  const end = source.lineEnd(number);
  return skipSpace(source.text, source.lineStart(number), end) === end;
}

function lineEndWithoutReturn(source: SourceText, number: number, start: number): number {
  let end = source.lineEnd(number);
  while (end > start && source.text.charCodeAt(end - 1) === 0x0d) end--;
  return end;
}

/**
 * Where the continuation character at the end of a line is; undefined when there is none. Spaces and tabs may follow
 * it; two of them in a row are none, but an escaped escape character.
 */
function continuation(text: string, start: number, end: number, escapeCharacter: Escape): number | undefined {
  let at = end;
  while (at > start && (text[at - 1] === " " || text[at - 1] === "\t")) at--;
  if (at === start || text[at - 1] !== escapeCharacter) return undefined;
  return at - 1 > start && text[at - 2] === escapeCharacter ? undefined : at - 1;
}
