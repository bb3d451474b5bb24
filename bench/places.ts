import * as path from "node:path";

/** Where everything of the bench lies. */
export interface Places {
  readonly folder: string;
  /** Base images, as OCI layouts. */
  readonly bases: string;
  /** Build contexts, one folder for each workload. */
  readonly contexts: string;
  /** Stores of engines and data of daemons. */
  readonly stores: string;
  /** What the builds write; emptied before each command that is timed. */
  readonly out: string;
  /** Sockets, process ids, homes: what lives as long as the bench. */
  readonly runtime: string;
  /** All that the commands printed. */
  readonly log: string;
  /** The figures of every single run, as JSON. */
  readonly results: string;
  readonly report: string;
}

/** The bases are the same for all scales, the contexts are not. */
export function placesIn(folder: string, scale: number): Places {
  return {
    folder,
    bases: path.join(folder, "bases"),
    contexts: path.join(folder, scale === 1 ? "contexts" : "contexts-quick"),
    stores: path.join(folder, "stores"),
    out: path.join(folder, "out"),
    runtime: path.join(folder, "runtime"),
    log: path.join(folder, "bench.log"),
    results: path.join(folder, "results.json"),
    report: path.join(folder, "report.md"),
  };
}
