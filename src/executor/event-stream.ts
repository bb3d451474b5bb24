import type { BuildEvent } from "./events.ts";

/** Lines of steps that are kept for one who has not begun to read yet: some MiB, where a step may print a million. */
const WAITING_LINES = 10_000;

/**
 * The events of a build for whoever follows it. They wait until they are taken, so that one who comes late misses
 * nothing but lines of steps beyond the first 10,000. There is one reader: what it has taken is gone.
 */
export class EventStream implements AsyncIterable<BuildEvent> {
  readonly #waiting: BuildEvent[] = [];
  #wake: (() => void) | undefined;
  #isEnded = false;
  #isFollowed = false;
  #waitingLines = 0;

  push(event: BuildEvent): void {
    if (!this.#isFollowed && event.type === "stepLog") {
      if (this.#waitingLines >= WAITING_LINES) return;
      this.#waitingLines += 1;
    }
    this.#waiting.push(event);
    this.#wake?.();
  }

  end(): void {
    this.#isEnded = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<BuildEvent> {
    this.#isFollowed = true;
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
