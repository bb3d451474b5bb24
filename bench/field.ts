import { spawnSync } from "node:child_process";
import type { Bookkeeper } from "./accounting.ts";
import { nodeRunner, rawRunner } from "./bare.ts";
import { type Contender, contender } from "./contender.ts";
import type { Engine } from "./engines.ts";
import type { Runner } from "./runner.ts";
import { type Service, startDaemon } from "./services.ts";
import type { Setting } from "./setting.ts";

/** Everyone who takes part, and who could not. */
export interface Field {
  readonly runners: readonly Runner[];
  /** Names of engines, and why they are not among the runners. */
  readonly missing: ReadonlyMap<string, string>;
  /** A line for each engine: its version, and what is to be said about its daemon. */
  readonly about: readonly string[];
}

/**
 * Starts what the engines need and lets each build the smallest image there is. A peer that cannot is left out; when
 * the program under test cannot, there is nothing to measure, and that is an error.
 *
 * `services` and `closing` get what has to be ended after the bench, at once, so that nothing is left running when a
 * later engine fails.
 */
export async function makeField(
  engines: readonly Engine[],
  setting: Setting,
  books: Bookkeeper,
  services: Service[],
  closing: (() => void)[],
): Promise<Field> {
  const runners: Runner[] = [];
  const missing = new Map<string, string>();
  const about: string[] = [];
  const open = (name: string) => {
    const account = books.open(name);
    closing.push(() => account.remove());
    return account;
  };
  for (const engine of engines) {
    try {
      const { note, taker } = await enter(engine);
      runners.push(taker);
      about.push(`${engine.name}: ${engine.title}; ${taker.version()}${note === "" ? "" : `; ${note}`}`);
    } catch (error) {
      setting.signal.throwIfAborted();
      if (!engine.isPeer) throw error;
      missing.set(engine.name, error instanceof Error ? error.message : String(error));
    }
  }
  return { runners: [...runners, rawRunner(setting, open("raw")), nodeRunner(setting, open("node"))], missing, about };

  async function enter(engine: Engine): Promise<{ taker: Contender; note: string }> {
    const person = setting.persons[engine.account];
    if (!person) throw new Error("it needs root, and the bench does not run as root");
    const lacking = engine.needs.filter((program) => spawnSync("sh", ["-c", `command -v ${program}`]).status !== 0);
    if (lacking.length > 0) throw new Error(`not installed: ${lacking.join(", ")}`);
    const account = open(engine.name);
    const daemon =
      engine.daemon && (await startDaemon(engine.daemon, engine.name, setting.places, account, setting.registry));
    if (daemon) services.push(daemon);
    const taker = contender(engine, person, account, daemon?.socket ?? "", setting);
    closing.push(() => taker.close());
    await taker.tryOut();
    return { taker, note: daemon?.note ?? "" };
  }
}
