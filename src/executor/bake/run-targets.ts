import { KbuildError } from "../../errors.ts";
import type { Build, BuildOptions, BuildResult } from "../options.ts";
import type { TargetBuild } from "./build-options.ts";
import type { CommonEvents } from "./events.ts";

export interface RunSettings {
  /** Where the results of targets are found by others. */
  readonly root: string;
  /** How many are built at the same time. */
  readonly jobs: number;
  readonly signal: AbortSignal | undefined;
  readonly build: (options: BuildOptions) => Build;
}

/**
 * Builds targets: those that need others after them, all else at the same time. When one fails the others are stopped,
 * and its error is the error of all, with its name. The one place that knows how targets are run together.
 *
 * @throws KbuildError
 */
export async function runTargets(
  targets: ReadonlyMap<string, TargetBuild>,
  events: CommonEvents,
  settings: RunSettings,
): Promise<ReadonlyMap<string, BuildResult>> {
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  settings.signal?.addEventListener("abort", stop, { once: true });
  if (settings.signal?.aborted) stop();
  const places = new Places(settings.jobs);
  const results = new Map<string, Promise<BuildResult>>();
  let failure: { readonly error: unknown; readonly isInterruption: boolean } | undefined;
  const start = async (name: string, target: TargetBuild): Promise<BuildResult> => {
    // Only looked at below, once all are known: a target may need one that stands behind it.
    await Promise.resolve();
    const needed = new Map<string, BuildResult>();
    for (const other of new Set(target.needs)) {
      const result = await results.get(other);
      if (result === undefined)
        throw new KbuildError("internal.bake", `the target ${other} is not among those that run`);
      needed.set(other, result);
    }
    const leave = await places.enter();
    try {
      if (stopping.signal.aborted) throw new KbuildError("interrupted", "the build was interrupted");
      const running = settings.build({ ...linked(target, needed, settings.root), signal: stopping.signal });
      await events.take(running.events, targets.size > 1 ? name : undefined);
      return await running;
    } catch (error) {
      const isInterruption = error instanceof KbuildError && error.code === "interrupted";
      // One that fails stops the others, which may have ended before it has told so.
      if (failure === undefined || (failure.isInterruption && !isInterruption)) {
        const told = targets.size > 1 && error instanceof KbuildError ? error.about(`target ${name}`) : error;
        failure = { error: told, isInterruption };
      }
      stop();
      throw error;
    } finally {
      leave();
    }
  };
  for (const [name, target] of targets) results.set(name, start(name, target));
  try {
    const settled = await Promise.allSettled(results.values());
    if (settings.signal?.aborted) throw new KbuildError("interrupted", "the build was interrupted");
    if (failure !== undefined) throw failure.error;
    const names = [...results.keys()];
    return new Map(
      settled.flatMap((one, number) => (one.status === "fulfilled" ? [[names[number] ?? "", one.value] as const] : [])),
    );
  } finally {
    settings.signal?.removeEventListener("abort", stop);
  }
}

/** The options of a target whose contexts are results of others that are there now. */
function linked(
  { options, links }: TargetBuild,
  results: ReadonlyMap<string, BuildResult>,
  root: string,
): BuildOptions {
  const contexts = Object.entries(links).map(([name, target]) => [
    name,
    `oci-layout://${root}@${results.get(target)?.digest ?? ""}`,
  ]);
  return { ...options, buildContexts: { ...options.buildContexts, ...Object.fromEntries(contexts) } };
}

/** So many may be inside at a time; the others wait in line. */
class Places {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** Gives what to call when leaving. */
  async enter(): Promise<() => void> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return () => {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    };
  }
}
