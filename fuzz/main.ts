/**
 * Feeds kbuild what nobody would write: `npm run fuzz -- [--minutes N] [--seed S]`. Dockerfiles of the recorded builds and
 * made ones, changed byte by byte, go through the parser, the planner and into configurations; ignore files and words
 * through what they are for. A finding is what throws anything but kbuild's own errors with their place, takes more than
 * a second for 64 KiB, or needs more memory than a build may. The status is 0 without findings.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { BATCH, casesOf } from "./cases.ts";
import type { BatchReport } from "./worker.ts";

const HELP = `Usage: npm run fuzz -- [OPTIONS]

  --minutes N   how long (default 1)
  --seed S      the first batch's seed, a whole number (default: another one each time; it is printed)
`;

/** Milliseconds that no case may take. */
const SLOW = 1000;
/** Milliseconds after which a case is ended. */
const HANGING = 15_000;
/** MiB that all of a batch may keep in use at a time. */
const MEMORY = 192;

/** A worker has no loader for TypeScript of its own. */
const START = `
  const { url } = require("node:worker_threads").workerData;
  import("tsx/esm/api").then(({ register }) => register()).then(() => import(url));
`;

interface Finding {
  readonly seed: number;
  readonly number: number;
  readonly reason: string;
}

/** A worker that runs batches, until one of them hangs or takes too much memory. */
class Runner {
  readonly #progress = new Int32Array(new SharedArrayBuffer(4));
  #worker: Worker | undefined;

  /** What came of a batch; a string when it did not come to its end. */
  async run(seed: number): Promise<BatchReport | { readonly number: number; readonly reason: string }> {
    this.#worker ??= new Worker(START, {
      eval: true,
      workerData: { progress: this.#progress, url: new URL("./worker.ts", import.meta.url).href },
      resourceLimits: { maxOldGenerationSizeMb: MEMORY },
    });
    const worker = this.#worker;
    const { promise: ended, resolve } = withResolver<BatchReport | string>();
    const fail = (error: Error) => resolve(`it ended the process: ${error.message}`);
    worker.once("message", resolve).once("error", fail);
    Atomics.store(this.#progress, 0, 0);
    worker.postMessage(seed);
    const waiting = this.#watch();
    const outcome = await Promise.race([ended, waiting.isHanging]);
    clearInterval(waiting.timer);
    worker.off("message", resolve).off("error", fail);
    if (typeof outcome !== "string") return outcome;
    await this.stop();
    return { number: this.#progress[0] ?? 0, reason: outcome };
  }

  /** Looks at the number of the case that is under way: it must not be the same for too long. */
  #watch(): { readonly timer: NodeJS.Timeout; readonly isHanging: Promise<string> } {
    const { promise, resolve } = withResolver<string>();
    let last = -1;
    const timer = setInterval(() => {
      const number = Atomics.load(this.#progress, 0);
      if (number === last) resolve(`it does not end within ${HANGING / 1000} s`);
      last = number;
    }, HANGING);
    return { timer, isHanging: promise };
  }

  async stop(): Promise<void> {
    await this.#worker?.terminate();
    this.#worker = undefined;
  }
}

function withResolver<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((found) => {
    resolve = found;
  });
  return { promise, resolve };
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { minutes: { type: "string" }, seed: { type: "string" }, help: { type: "boolean", short: "h" } },
  });
  if (values.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  const minutes = Number(values.minutes ?? 1);
  const first = Number(values.seed ?? Date.now() % 1_000_000_000);
  if (!(minutes > 0) || !Number.isSafeInteger(first)) {
    process.stderr.write(HELP);
    return 2;
  }
  const start = performance.now();
  const runner = new Runner();
  const findings: Finding[] = [];
  let cases = 0;
  let slowest = 0;
  for (let seed = first; performance.now() - start < minutes * 60_000; seed++) {
    const report = await runner.run(seed);
    if ("reason" in report) {
      findings.push({ seed, ...report });
      tell(findings.at(-1));
      continue;
    }
    cases += report.cases;
    slowest = Math.max(slowest, report.slowest.time);
    const slow =
      report.slowest.time > SLOW ? [{ ...report.slowest, reason: `it takes ${report.slowest.time} ms` }] : [];
    for (const { number, reason } of [...report.failures, ...slow]) {
      findings.push({ seed, number, reason });
      tell(findings.at(-1));
    }
  }
  await runner.stop();
  const seconds = (performance.now() - start) / 1000;
  process.stdout.write(
    `${cases} cases from seed ${first} in ${seconds.toFixed(0)} s (${(cases / seconds).toFixed(0)}/s), ` +
      `the slowest ${slowest.toFixed(0)} ms, ${findings.length} findings\n`,
  );
  return findings.length === 0 ? 0 : 1;
}

/** Shows a finding, and keeps its text. */
function tell(finding: Finding | undefined): void {
  if (finding === undefined) return;
  const { seed, number, reason } = finding;
  const { target, text } = casesOf(seed)[number] ?? { target: "none", text: "" };
  const file = path.join(os.tmpdir(), `kbuild-fuzz-${seed}-${number}.txt`);
  fs.writeFileSync(file, text);
  process.stdout.write(`seed ${seed}, case ${number} of ${BATCH}, ${target} (${file}): ${reason}\n`);
}

process.exitCode = await main();
