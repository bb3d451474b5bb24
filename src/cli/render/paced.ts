import type { Output } from "../shell.ts";
import type { Writer } from "./batch.ts";

/** Characters that may be on their way to somebody who is slow to read them. */
const MOST_PENDING = 1024 * 1024;

/**
 * Writes to a stream, and lets what is to be rendered wait while the stream has too much to write: a socket takes
 * everything at once, and keeps it in memory until it is read.
 */
export class PacedWriter implements Writer {
  readonly #output: Output;
  #pending = 0;
  #wake: (() => void) | undefined;

  constructor(output: Output) {
    this.#output = output;
  }

  write(text: string): void {
    this.#pending += text.length;
    this.#output.write(text, () => {
      this.#pending -= text.length;
      if (this.#pending <= MOST_PENDING) this.#wake?.();
    });
  }

  /** The same values, each when there is room for what it gives to write. */
  async *paced<T>(values: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
    for await (const value of values) {
      if (this.#pending > MOST_PENDING) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
      yield value;
    }
  }
}
