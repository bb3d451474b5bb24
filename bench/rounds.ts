import * as path from "node:path";
import type { Case } from "./cases.ts";
import type { Run, Runner } from "./runner.ts";
import { contextOf, type Setting } from "./setting.ts";
import { editFile, restoreFile } from "./workloads.ts";

/** What was measured for one case. The runs of a runner are in the order of the rounds, none left out. */
export interface Measured {
  readonly name: string;
  readonly title: string;
  readonly runs: ReadonlyMap<string, readonly Run[]>;
  readonly failures: ReadonlyMap<string, string>;
}

/** One line for each run, while it goes on. */
export type Tell = (line: string) => void;

/**
 * Runs every runner once in each round, so that a slow minute of the machine hits all of them; each round begins with
 * another one. A runner that fails is out for the rest of the case, and its runs do not count.
 */
export async function runCase(
  each: Case,
  runners: readonly Runner[],
  rounds: number,
  setting: Setting,
  tell: Tell,
): Promise<Measured> {
  const runs = new Map<string, Run[]>();
  const failures = new Map<string, string>();
  const attempt = async (runner: Runner, what: () => Promise<void>): Promise<void> => {
    if (failures.has(runner.name)) return;
    try {
      await what();
    } catch (error) {
      setting.signal.throwIfAborted();
      const message = error instanceof Error ? error.message : String(error);
      failures.set(runner.name, message);
      tell(`  ${each.name}  ${runner.name}  FAILED: ${message}`);
    }
  };
  const file = each.edit === undefined ? undefined : path.join(contextOf(setting.places, each), each.edit);
  if (file !== undefined) restoreFile(file);
  try {
    const taking = runners.filter((runner) => runner.takes(each));
    for (const runner of taking) await attempt(runner, () => runner.prepare(each));
    for (let round = 0; round < rounds; round++) {
      if (file !== undefined) editFile(file, `round ${round + 1}`);
      for (let turn = 0; turn < taking.length; turn++) {
        const runner = taking[(round + turn) % taking.length];
        if (!runner) continue;
        await attempt(runner, async () => {
          await runner.ready(each);
          const run = await runner.run(each);
          await runner.check(each, round);
          runs.set(runner.name, [...(runs.get(runner.name) ?? []), run]);
          tell(`  ${each.name}  round ${round + 1}  ${runner.name}  ${run.wall.toFixed(3)} s`);
        });
      }
    }
  } finally {
    if (file !== undefined) restoreFile(file);
  }
  for (const name of failures.keys()) runs.delete(name);
  return { name: each.name, title: each.title, runs, failures };
}
