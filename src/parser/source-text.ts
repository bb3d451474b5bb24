import { type ErrorCode, KbuildError, type Location } from "../errors.ts";

/** A file's text, which turns offsets (in UTF-16 units) into lines and columns. */
export class SourceText {
  readonly file: string;
  /** Without a byte order mark: columns count from what a person sees first. */
  readonly text: string;
  /** Offsets at which lines begin. */
  readonly #starts: readonly number[];
  readonly #hasPairs: boolean;
  /** The line that was last asked for, and where it is: the next question is most often about it, too. */
  #lastLine = 0;
  #lastStart = 0;
  #lastEnd: number;
  /** Per line, made when asked for: offsets behind characters that take two units. */
  readonly #pairs = new Map<number, readonly number[]>();

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text.startsWith("\ufeff") ? text.slice(1) : text;
    const starts = [0];
    for (let at = this.text.indexOf("\n"); at >= 0; at = this.text.indexOf("\n", at + 1)) starts.push(at + 1);
    this.#starts = starts;
    this.#hasPairs = /[\ud800-\udbff]/.test(this.text);
    this.#lastEnd = this.lineEnd(0);
  }

  /** The number of lines; what follows the last line end counts as one, even when it is nothing. */
  get lineCount(): number {
    return this.#starts.length;
  }

  /** Where line number `line`, counted from 0, begins. */
  lineStart(line: number): number {
    return this.#starts[line] ?? this.text.length;
  }

  /** Where line number `line`, counted from 0, ends: before its `\n`. */
  lineEnd(line: number): number {
    const next = this.#starts[line + 1];
    return next === undefined ? this.text.length : next - 1;
  }

  /** The place of the text from `start` to `end`, exclusive. */
  location(start: number, end: number): Location {
    const { line, column } = this.#point(start);
    // Most places are within one line.
    const isShort = !this.#hasPairs && start <= end && end <= this.#lastEnd;
    return { file: this.file, line, column, end: isShort ? { line, column: column + end - start } : this.#point(end) };
  }

  /** An error with the place of the text from `start` to `end`. */
  fault(code: ErrorCode, message: string, start: number, end: number, hint?: string): KbuildError {
    return new KbuildError(code, message, { location: this.location(start, end), source: this.text, hint });
  }

  #point(offset: number): { readonly line: number; readonly column: number } {
    if (offset < this.#lastStart || offset > this.#lastEnd) this.#goTo(offset);
    const wide = this.#hasPairs ? lastAtMost(this.#pairsOf(this.#lastLine), offset) + 1 : 0;
    return { line: this.#lastLine + 1, column: offset - this.#lastStart - wide + 1 };
  }

  /** Makes the line that an offset is in the last one: most often it is the next. */
  #goTo(offset: number): void {
    const next = this.#lastLine + 1;
    const isNext = this.lineStart(next) <= offset && offset <= this.lineEnd(next) && next < this.lineCount;
    const line = isNext ? next : lastAtMost(this.#starts, offset);
    this.#lastLine = line;
    this.#lastStart = this.lineStart(line);
    this.#lastEnd = this.lineEnd(line);
  }

  #pairsOf(line: number): readonly number[] {
    const known = this.#pairs.get(line);
    if (known !== undefined) return known;
    const start = this.lineStart(line);
    const found: number[] = [];
    for (const match of this.text.slice(start, this.lineEnd(line)).matchAll(/[\ud800-\udbff][\udc00-\udfff]/g)) {
      found.push(start + match.index + 2);
    }
    this.#pairs.set(line, found);
    return found;
  }
}

/** The index of the last of the ascending numbers that is not above `limit`; -1 when there is none. */
export function lastAtMost(numbers: readonly number[], limit: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] ?? 0) <= limit) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
