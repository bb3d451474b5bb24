import type { Core } from "./core.ts";

/** Bytes of a piece of an `ingest` at most. */
const PIECE = 1024 * 1024;
/** Pieces after which the event loop has its turn, even if the source and the core are always ready. */
const TURN = 64;

/**
 * Sends the bytes of an `ingest` as the core takes them, until they end or the request does (`finished`); then the
 * source is told to stop. What the source throws is thrown.
 */
export async function feed(
  core: Core,
  id: number,
  bytes: AsyncIterable<Uint8Array>,
  finished: Promise<unknown>,
): Promise<void> {
  let isOver = false;
  let wake: (() => void) | undefined;
  const end = (): void => {
    isOver = true;
    wake?.();
  };
  finished.then(end, end);
  // Not Promise.race: on a promise that lives long it keeps every waiter until then.
  const unlessOver = <T>(promise: Promise<T>): Promise<T | undefined> =>
    new Promise((resolve, reject) => {
      wake = () => resolve(undefined);
      if (isOver) wake();
      promise.then(resolve, reject);
    });
  const iterator = bytes[Symbol.asyncIterator]();
  for (let count = 0; ; count++) {
    const next = await unlessOver(iterator.next());
    if (next === undefined || isOver) {
      // A source that waits for something itself may answer late: nobody has to wait for that.
      iterator.return?.()?.catch(() => undefined);
      return;
    }
    if (next.done === true) break;
    for (let at = 0; at < next.value.length; at += PIECE) {
      core.send({ op: "data", id }, next.value.subarray(at, at + PIECE));
      await unlessOver(core.drained());
    }
    if (count % TURN === TURN - 1) await new Promise((resolve) => setImmediate(resolve));
  }
  core.send({ op: "end", id });
}
