import { KbuildError, type Location } from "../errors.ts";

/** A text that a person wrote, and where places in it are. */
export class Source {
  readonly file: string;
  readonly text: string;
  /** For a text that is a part of another one, like a template in a JSON string: the place of all of it. */
  readonly #within: Place | undefined;
  #lines: readonly number[] | undefined;

  constructor(file: string, text: string, within?: Place) {
    this.file = file;
    this.text = text;
    this.#within = within;
  }

  /** The whole text that places lead into. */
  get whole(): string {
    return this.#within === undefined ? this.text : this.#within.source.whole;
  }

  locate(from: number, to: number): Location {
    if (this.#within !== undefined) return locationOf(this.#within);
    const start = this.#position(from);
    const end = this.#position(Math.max(from + 1, to));
    return { file: this.file, ...start, end };
  }

  #position(offset: number): { readonly line: number; readonly column: number } {
    this.#lines ??= [0, ...[...this.text.matchAll(/\n/g)].map(({ index }) => index + 1)];
    const lines = this.#lines;
    let [low, high] = [0, lines.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((lines[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: [...this.text.slice(lines[low], offset)].length + 1 };
  }
}

/** A range of a source, in UTF-16 units; `to` is exclusive. */
export interface Place {
  readonly source: Source;
  readonly from: number;
  readonly to: number;
}

export function locationOf({ source, from, to }: Place): Location {
  return source.locate(from, to);
}

/** From the beginning of one place to the end of another of the same source. */
export function span(first: Place, last: Place): Place {
  return { source: first.source, from: first.from, to: Math.max(first.to, last.to) };
}

/** What is wrong at a place of a bake file. */
export function faultAt(place: Place | undefined, message: string, hint?: string, cause?: unknown): KbuildError {
  return new KbuildError("build.bake", message, {
    location: place && locationOf(place),
    source: place?.source.whole,
    hint,
    cause,
  });
}
