import { KbuildError } from "../errors.ts";
import { NativeClient } from "../native/client.ts";
import { holdStore } from "../oci/layout/in-use.ts";
import { defaultRoot, openStore, type Store } from "../oci/layout/store.ts";
import { sweepTemporary } from "../oci/layout/sweep.ts";
import { Cache } from "./cache.ts";
import type { BuildInputs } from "./inputs.ts";
import { LayerPool } from "./layer-pool.ts";
import type { BuildOptions } from "./options.ts";
import { Registries } from "./registries.ts";
import { openBuildSandbox } from "./run/sandbox.ts";
import { Worker } from "./run/worker.ts";
import { Clock, type Tools } from "./tools.ts";

/** What one build, or several that run together, are done with. */
export interface Session {
  readonly tools: Tools;
  /** The tools of a build that is held to a time, in seconds since 1970; all that can be shared is. */
  readonly toolsFor: (epoch: number | undefined) => Tools;
  readonly registries: Registries;
  /** Stops all that is under way, as a step has failed. */
  readonly stop: () => void;
}

/** What a session is opened with. */
export interface SessionOptions extends Pick<BuildOptions, "root" | "insecureRegistries" | "signal"> {
  readonly inputs: Pick<BuildInputs, "env" | "epoch" | "isolation">;
  readonly warn: (code: string, message: string) => void;
}

/**
 * Opens the store and works in a session. Whatever happens, what the session started has ended when this returns or throws,
 * and what was made only for it is gone.
 * @throws KbuildError `machine.*`, and what `work` throws
 */
export async function inSession<T>(options: SessionOptions, work: (session: Session) => Promise<T>): Promise<T> {
  const { inputs, warn } = options;
  const stopping = new AbortController();
  const stop = (): void => stopping.abort(new KbuildError("interrupted", "the build was interrupted"));
  options.signal?.addEventListener("abort", stop, { once: true });
  const { signal } = stopping;
  const native = new NativeClient();
  const registries = new Registries({
    env: inputs.env,
    insecureRegistries: options.insecureRegistries ?? [],
    signal,
    warn: (message) => warn("Credentials", message),
  });
  let used: { readonly store: Store; readonly worker: Worker; release(): void } | undefined;
  const toolsOf = new Map<number | undefined, Tools>();
  try {
    const store = openStore(options.root ?? defaultRoot(inputs.env), { create: true });
    const use = holdStore(store);
    const pool = new LayerPool(store, native, signal);
    const shared = { store, cache: new Cache(store), native, pool, texts: new Map(), underWay: new Map(), signal };
    const toolsFor = (epoch: number | undefined): Tools => {
      const known = toolsOf.get(epoch);
      if (known !== undefined) return known;
      const clock = new Clock(epoch);
      const worker = new Worker({ store, pool, clock, signal }, () =>
        openBuildSandbox(store, inputs.isolation, signal, (message) => warn("Sandbox", message)),
      );
      const tools = { ...shared, worker, clock };
      toolsOf.set(epoch, tools);
      return tools;
    };
    const tools = toolsFor(inputs.epoch);
    used = { store, worker: tools.worker, release: use.release };
    const result = await work({ tools, toolsFor, registries, stop });
    await sweep(store, tools.worker);
    return result;
  } catch (error) {
    // What killed builds left behind may be what the disk is full of, also for a process that then failed.
    if (used !== undefined && options.signal?.aborted !== true) await sweep(used.store, used.worker, { force: true });
    throw error;
  } finally {
    options.signal?.removeEventListener("abort", stop);
    stop();
    try {
      const workers = [...toolsOf.values()].map(({ worker }) => worker.close());
      await Promise.all([native.close(), registries.close(), ...workers]);
    } finally {
      used?.release();
    }
  }
}

/** Removes what killed processes left in the store, also what only a sandbox may remove if there is one. */
async function sweep(store: Store, worker: Worker, options: { readonly force?: boolean } = {}): Promise<void> {
  const stuck: string[] = [];
  sweepTemporary(store, { ...options, stuck: (path) => stuck.push(path) });
  await worker.remove(stuck);
}
