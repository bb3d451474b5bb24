import { parentPort, workerData } from "node:worker_threads";
import { casesOf } from "./cases.ts";
import { feed } from "./targets.ts";

/** What a batch tells when it is done. */
export interface BatchReport {
  readonly cases: number;
  /** Milliseconds of the case that took the longest, and its number. */
  readonly slowest: { readonly time: number; readonly number: number };
  readonly failures: readonly { readonly number: number; readonly reason: string }[];
}

const { progress } = workerData as { readonly progress: Int32Array };

/** Runs the batches that it is told the seeds of; the number of the case that is under way is in shared memory. */
parentPort?.on("message", (seed: number) => {
  const cases = casesOf(seed);
  const failures: { number: number; reason: string }[] = [];
  let slowest = { time: 0, number: 0 };
  for (const [number, each] of cases.entries()) {
    Atomics.store(progress, 0, number);
    const start = performance.now();
    try {
      feed(each);
    } catch (error) {
      failures.push({ number, reason: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
    const time = performance.now() - start;
    if (time > slowest.time) slowest = { time, number };
  }
  parentPort?.postMessage({ cases: cases.length, slowest, failures } satisfies BatchReport);
});
