import * as fs from "node:fs";
import * as os from "node:os";

/** Share of processor time, since the machine came up, that others on its host took from it, and all time. */
export interface Steal {
  readonly stolen: number;
  readonly all: number;
}

export function stealNow(): Steal {
  const line = fs.readFileSync("/proc/stat", "latin1").split("\n", 1)[0] ?? "";
  const fields = line.split(/ +/).slice(1, 9).map(Number);
  return { stolen: fields[7] ?? 0, all: fields.reduce((sum, field) => sum + field, 0) };
}

/** Percent between two readings. */
export function stealBetween(before: Steal, after: Steal): string {
  return ((100 * (after.stolen - before.stolen)) / Math.max(1, after.all - before.all)).toFixed(1);
}

/** The machine in one line. */
export function describeMachine(): string {
  const gibibytes = (os.totalmem() / 2 ** 30).toFixed(0);
  const model = os.cpus()[0]?.model.trim() ?? "unknown processor";
  return `${os.availableParallelism()} processors (${model}), ${gibibytes} GiB, Linux ${os.release()}, node ${process.version}`;
}
