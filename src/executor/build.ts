import { KbuildError } from "../errors.ts";
import { Emitter } from "./emitter.ts";
import { EventStream } from "./event-stream.ts";
import type { Build, BuildOptions, BuildResult } from "./options.ts";
import { runBuild } from "./run-build.ts";
import type { Session } from "./session.ts";

/** Starts a build; see `build` in `api.ts`. `session`: that of several builds that share their work. */
export function startBuild(options: BuildOptions, session?: Session): Build {
  const events = new EventStream();
  const emitter = new Emitter(
    (event) => events.push(event),
    () => events.room(),
  );
  const result = run(options, emitter, session).finally(() => events.end());
  // Whoever only follows the events need not look at the promise: that it fails is no unhandled rejection then.
  result.catch(() => undefined);
  return {
    events,
    // biome-ignore lint/suspicious/noThenProperty: a build can be awaited
    then: (fulfilled, rejected) => result.then(fulfilled, rejected),
    catch: (handler) => result.catch(handler),
    finally: (handler) => result.finally(handler),
  };
}

async function run(options: BuildOptions, emitter: Emitter, session: Session | undefined): Promise<BuildResult> {
  emitter.buildStarted();
  try {
    if (options.signal?.aborted) throw interrupted();
    const result = await runBuild(options, emitter, session);
    emitter.buildFinished("done");
    return result;
  } catch (error) {
    // Whatever breaks while things are being stopped breaks because of it.
    const reason = options.signal?.aborted ? interrupted(error) : error;
    const isInterruption = reason instanceof KbuildError && reason.code === "interrupted";
    emitter.finishAll(isInterruption ? "cancelled" : "failed");
    emitter.buildFinished(isInterruption ? "cancelled" : "failed");
    throw reason;
  }
}

function interrupted(cause?: unknown): KbuildError {
  return new KbuildError("interrupted", "the build was interrupted", { cause });
}
