import type { ErrorCode, KbuildError, Location } from "../errors.ts";
import type { Word } from "./instructions.ts";
import { lastAtMost, type SourceText } from "./source-text.ts";

/** A piece of a logical line: where it begins in the joined text, and in the file. */
export interface Piece {
  readonly start: number;
  readonly offset: number;
  readonly length: number;
}

/** Lines that continuation characters make one, with the way back from every character to its place in the file. */
export class LogicalLine {
  readonly source: SourceText;
  /** The pieces joined, without continuation characters, comments and line ends. */
  readonly text: string;
  readonly #pieces: readonly Piece[];
  readonly #starts: readonly number[];

  constructor(source: SourceText, pieces: readonly Piece[]) {
    this.source = source;
    this.text = pieces.map(({ offset, length }) => source.text.slice(offset, offset + length)).join("");
    this.#pieces = pieces;
    this.#starts = pieces.map(({ start }) => start);
  }

  /** Offset in the file of the character at `at`. */
  offset(at: number): number {
    const piece = this.#pieces[Math.max(0, lastAtMost(this.#starts, at))];
    return piece === undefined ? 0 : piece.offset + Math.min(at - piece.start, piece.length);
  }

  /** Offset in the file behind the character before `at`: a text that ends with a line does not end in the next one. */
  offsetBehind(at: number): number {
    return at === 0 ? this.offset(0) : this.offset(at - 1) + 1;
  }

  location(start: number, end: number): Location {
    return this.source.location(...this.#span(start, end));
  }

  word(start: number, end: number, text = this.text.slice(start, end)): Word {
    return { text, location: this.location(start, end) };
  }

  fault(code: ErrorCode, message: string, start: number, end: number, hint?: string): KbuildError {
    return this.source.fault(code, message, ...this.#span(start, end), hint);
  }

  /** What is empty stands behind what is before it, not on the next line. */
  #span(start: number, end: number): readonly [number, number] {
    const from = end > start ? this.offset(start) : this.offsetBehind(start);
    return [from, end > start ? this.offsetBehind(end) : from];
  }
}
