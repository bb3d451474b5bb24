import type { BuildEvent } from "./events.ts";

/**
 * The events of a build for whoever follows it. They wait until they are taken, so that one who comes late misses
 * nothing. There is one reader: what it has taken is gone.
 */
export class EventStream implements AsyncIterable<BuildEvent> {
  readonly #waiting: BuildEvent[] = [];
  #wake: (() => void) | undefined;
  #isEnded = false;

  push(event: BuildEvent): void {
    this.#waiting.push(event);
    this.#wake?.();
  }

  end(): void {
    this.#isEnded = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<BuildEvent> {
    for (;;) {
      // Taken all at once: shifting one after the other from a long list is slow.
      for (const event of this.#waiting.splice(0)) yield event;
      if (this.#waiting.length > 0) continue;
      if (this.#isEnded) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}
