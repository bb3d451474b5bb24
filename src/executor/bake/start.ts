import { KbuildError } from "../../errors.ts";
import { CommonEvents } from "./events.ts";
import type { Bake, BakeOptions, BakeResult } from "./options.ts";

/** Starts a bake; see `bake` in `api.ts`. */
export function startBake(options: BakeOptions): Bake {
  const events = new CommonEvents();
  const result = run(options, events);
  // Whoever only follows the events need not look at the promise: that it fails is no unhandled rejection then.
  result.catch(() => undefined);
  return {
    events: events.stream,
    // biome-ignore lint/suspicious/noThenProperty: a bake can be awaited
    then: (fulfilled, rejected) => result.then(fulfilled, rejected),
    catch: (handler) => result.catch(handler),
    finally: (handler) => result.finally(handler),
  };
}

async function run(options: BakeOptions, events: CommonEvents): Promise<BakeResult> {
  events.started();
  try {
    // Loaded when it runs: whoever only builds has no use for the readers of such files.
    const { buildTargets } = await import("./bake.ts");
    const targets = await buildTargets(options, events);
    events.finished("done");
    return { targets: Object.fromEntries(targets), duration: events.now() };
  } catch (error) {
    const isInterruption = error instanceof KbuildError && error.code === "interrupted";
    events.finished(isInterruption ? "cancelled" : "failed");
    throw error;
  }
}
