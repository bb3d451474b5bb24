import { type ErrorCode, KbuildError, type Location } from "../errors.ts";
import type { Word } from "./instructions.ts";
import type { SourceText } from "./source-text.ts";

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

  constructor(source: SourceText, pieces: readonly Piece[]) {
    this.source = source;
    let text = "";
    for (const { offset, length } of pieces) text += source.text.slice(offset, offset + length);
    this.text = text;
    this.#pieces = pieces;
  }

  /** Offset in the file of the character at `at`. */
  offset(at: number): number {
    const piece = this.#pieces.length === 1 ? this.#pieces[0] : this.#pieceAt(at);
    return piece === undefined ? 0 : piece.offset + Math.min(at - piece.start, piece.length);
  }

  /** Offset in the file behind the character before `at`: a text that ends with a line does not end in the next one. */
  offsetBehind(at: number): number {
    return at === 0 ? this.offset(0) : this.offset(at - 1) + 1;
  }

  location(start: number, end: number): Location {
    // What is empty stands behind what is before it, not on the next line.
    if (end <= start) return this.source.location(this.offsetBehind(start), this.offsetBehind(start));
    return this.source.location(this.offset(start), this.offsetBehind(end));
  }

  word(start: number, end: number, text = this.text.slice(start, end)): Word {
    return { text, location: this.location(start, end) };
  }

  fault(code: ErrorCode, message: string, start: number, end: number, hint?: string): KbuildError {
    return new KbuildError(code, message, { location: this.location(start, end), source: this.source.text, hint });
  }

  /** The last piece that does not begin behind `at`. */
  #pieceAt(at: number): Piece | undefined {
    let low = 0;
    for (let high = this.#pieces.length; high - low > 1; ) {
      const middle = (low + high) >>> 1;
      if ((this.#pieces[middle]?.start ?? 0) <= at) low = middle;
      else high = middle;
    }
    return this.#pieces[low];
  }
}
