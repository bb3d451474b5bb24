/** Characters that are collected at most: a pipe takes 64 KiB at once. */
const MOST = 32 * 1024;

/** Something that text is written to. */
export interface Writer {
  write(text: string): void;
}

/**
 * Writes what comes in one turn of the event loop at once. A step that prints a million lines would otherwise cost a
 * million system calls.
 */
export class BatchWriter implements Writer {
  readonly #target: Writer;
  #text = "";
  #timer: NodeJS.Immediate | undefined;

  constructor(target: Writer) {
    this.#target = target;
  }

  write(text: string): void {
    this.#text += text;
    if (this.#text.length >= MOST) this.flush();
    else this.#timer ??= setImmediate(() => this.flush());
  }

  /** Writes what has been collected. To be called when nothing more comes. */
  flush(): void {
    if (this.#timer !== undefined) clearImmediate(this.#timer);
    this.#timer = undefined;
    const text = this.#text;
    this.#text = "";
    if (text !== "") this.#target.write(text);
  }
}
