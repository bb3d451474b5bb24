/**
 * The benchmark: builds the same images with every engine, in rounds, and prints how kbuild stands beside the fastest
 * peer and beside the bare cost of the work. bench/README.md says what is measured; bench/run.sh makes everything ready.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { bookkeeper } from "./accounting.ts";
import { ENGINES, type Engine } from "./engines.ts";
import { makeField } from "./field.ts";
import { describeMachine, stealBetween, stealNow } from "./machine.ts";
import { HELP, listing, type Options, type Part, parseOptions, UsageError } from "./options.ts";
import { measureParse, measureScan } from "./parts.ts";
import { personsOf } from "./person.ts";
import { type Places, placesIn } from "./places.ts";
import { report } from "./report.ts";
import { type Measured, runCase } from "./rounds.ts";
import { measureSandbox } from "./sandbox.ts";
import { type Service, startRegistry } from "./services.ts";
import { makeBases, makeContexts, type Setting } from "./setting.ts";

const SUBJECT = "kbuild";

function measurePart(part: Part, signal: AbortSignal): Promise<string> {
  switch (part) {
    case "sandbox":
      return measureSandbox(signal);
    case "parse":
      return measureParse(signal);
    case "scan":
      return measureScan(signal);
  }
}

/** Returns the exit status: 1 if an engine that took part failed. */
async function main(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const options = parseOptions(argv);
  if (options === "help") {
    process.stdout.write(HELP);
    return 0;
  }
  if (options === "list") {
    process.stdout.write(listing());
    return 0;
  }
  if (typeof options === "string") {
    process.stdout.write(await measurePart(options, signal));
    return 0;
  }
  const { cases } = options;
  const engines = ENGINES.filter(({ name }) => options.engines.includes(name));
  const places = placesIn(process.env.BENCH_FOLDER ?? "/tmp/kbuild-bench", options.scale);
  process.umask(0o022);
  for (const folder of [places.bases, places.contexts, places.stores, places.out, places.runtime]) {
    fs.mkdirSync(folder, { recursive: true });
  }
  fs.writeFileSync(places.log, "");
  const services: Service[] = [];
  const closing: (() => void)[] = [];
  try {
    const registry = await startRegistry(places);
    services.push(registry);
    tell(`making base images and contexts in ${places.folder}, unless they are there`);
    const setting: Setting = {
      places,
      persons: personsOf(process.env.BENCH_USER ?? "kbuild-bench", places),
      registry: registry.host,
      bases: await makeBases(places, cases, registry),
      patience: options.patience,
      signal,
    };
    makeContexts(places, cases, options.scale, registry.host);
    const books = bookkeeper();
    closing.push(() => books.close());
    return await measureAll(engines, options, setting, { books, services, closing });
  } finally {
    for (const service of services.reverse()) await service.stop();
    for (const close of closing.reverse()) close();
    fs.rmSync(places.out, { recursive: true, force: true });
  }

  async function measureAll(
    taking: readonly Engine[],
    { rounds, scale, output }: Options,
    setting: Setting,
    open: { books: ReturnType<typeof bookkeeper>; services: Service[]; closing: (() => void)[] },
  ): Promise<number> {
    const { runners, missing, about } = await makeField(taking, setting, open.books, open.services, open.closing);
    for (const [name, why] of missing) tell(`\n*** ${name} TAKES NO PART: ${why}\n`);
    const before = stealNow();
    const measured: Measured[] = [];
    for (const each of cases) {
      tell(`${each.name}: ${each.title}`);
      measured.push(await runCase(each, runners, rounds, setting, tell));
      writeResults(places, measured);
    }
    const text = report(measured, {
      subject: SUBJECT,
      peers: taking.filter(({ isPeer }) => isPeer).map(({ name }) => name),
      missing,
      about: [
        describeMachine(),
        `${rounds} rounds; medians; ratios are medians of the ratios of each round; memory is resident memory`,
        `accounts: ${open.books.how}; ${stealBetween(before, stealNow())} % of the processors' time was stolen`,
        ...(scale === 1 ? [] : [`**quick run with ${scale * 100} % of the sizes: the figures mean nothing**`]),
        ...about,
      ],
    });
    const file = path.resolve(output ?? places.report);
    fs.writeFileSync(file, text);
    process.stdout.write(`\n${text}\n`);
    tell(`the table is in ${file}, every run in ${places.results}, what the commands printed in ${places.log}`);
    return measured.some(({ failures }) => failures.size > 0) ? 1 : 0;
  }
}

function writeResults(places: Places, measured: readonly Measured[]): void {
  const plain = measured.map(({ name, runs, failures }) => ({
    name,
    runs: Object.fromEntries(runs),
    failures: Object.fromEntries(failures),
  }));
  fs.writeFileSync(places.results, `${JSON.stringify(plain, null, 1)}\n`);
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

const interruption = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(name, () => {
    tell(`${name}: stopping`);
    interruption.abort();
  });
}
try {
  process.exitCode = await main(process.argv.slice(2), interruption.signal);
} catch (error) {
  if (interruption.signal.aborted) process.exitCode = 130;
  else {
    tell(
      error instanceof UsageError
        ? `error: ${error.message}\n\n${HELP}`
        : `error: ${error instanceof Error ? error.stack : error}`,
    );
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}
