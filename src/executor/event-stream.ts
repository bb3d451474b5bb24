import type { BuildEvent } from "./events.ts";

/** Lines of steps that wait for their reader: some MiB, where a step may print a million. */
const WAITING_LINES = 10_000;

/**
 * The events of a build for whoever follows it. They wait until they are taken, so that one who comes late misses
 * nothing but lines of steps beyond the first 10,000; for one who is slow, the steps wait. There is one reader: what it
 * has taken is gone.
 */
export class EventStream implements AsyncIterable<BuildEvent> {
  readonly #waiting: BuildEvent[] = [];
  #wake: (() => void) | undefined;
  #isEnded = false;
  #isFollowed = false;
  /** Lines that nobody has taken yet. */
  #waitingLines = 0;
  #whenRoom: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  push(event: BuildEvent): void {
    if (event.type === "stepLog") {
      if (!this.#isFollowed && this.#waitingLines >= WAITING_LINES) return;
      this.#waitingLines += 1;
    }
    this.#waiting.push(event);
    this.#wake?.();
  }

  end(): void {
    this.#isEnded = true;
    this.#wake?.();
    this.#makeRoom();
  }

  /** What is to be waited for before more lines are pushed; undefined: nothing. */
  room(): Promise<void> | undefined {
    if (!this.#isFollowed || this.#isEnded || this.#waitingLines < WAITING_LINES) return undefined;
    if (this.#whenRoom === undefined) {
      let resolve = (): void => undefined;
      const promise = new Promise<void>((whenRoom) => {
        resolve = whenRoom;
      });
      this.#whenRoom = { promise, resolve };
    }
    return this.#whenRoom.promise;
  }

  #makeRoom(): void {
    this.#whenRoom?.resolve();
    this.#whenRoom = undefined;
  }

  async *[Symbol.asyncIterator](): AsyncIterator<BuildEvent> {
    this.#isFollowed = true;
    try {
      for (;;) {
        // Taken all at once: shifting one after the other from a long list is slow.
        for (const event of this.#waiting.splice(0)) {
          if (event.type === "stepLog") {
            this.#waitingLines -= 1;
            if (this.#waitingLines <= WAITING_LINES / 2) this.#makeRoom();
          }
          yield event;
        }
        if (this.#waiting.length > 0) continue;
        if (this.#isEnded) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    } finally {
      // Nobody waits for a reader that went away.
      this.#isFollowed = false;
      this.#makeRoom();
    }
  }
}
