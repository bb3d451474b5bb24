import { NativeClient } from "../../native/client.ts";
import type { SandboxRoot } from "../../native/sandbox-protocol.ts";
import { holdStore } from "../../oci/layout/in-use.ts";
import { defaultRoot, openStore, type Store } from "../../oci/layout/store.ts";
import { LayerPool } from "../layer-pool.ts";
import { Clock } from "../tools.ts";
import { type FailedStep, findFailedStep } from "./failed-step.ts";
import { LayerTrees } from "./layer-trees.ts";
import { makeFolder } from "./roots.ts";
import { openBuildSandbox } from "./sandbox.ts";
import { surroundings } from "./worker.ts";

export interface FailedStepOptions {
  /** The store; default `$KBUILD_ROOT`, `$XDG_DATA_HOME/kbuild`, `~/.local/share/kbuild`. */
  readonly root?: string | undefined;
  /** What it gives is waited for before more is read. */
  readonly onOutput?: ((stream: "stdout" | "stderr", bytes: Buffer) => Promise<void> | undefined) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a command in the files of a step that failed and was kept (`--keep-failed`), with the step's environment, user and
 * working directory, without its mounts and secrets; the step's own when `command` is empty. What the command changes is lost where layers are stacked.
 * @returns the command's status; 128 and the signal's number when one ended it
 * @throws KbuildError `build.noSuchStep`, `machine.noSandbox`, `build.command`
 */
export async function runInFailedStep(
  name: string,
  command: readonly string[],
  options: FailedStepOptions = {},
): Promise<number> {
  const store = openStore(options.root ?? defaultRoot(process.env), { create: false });
  const use = holdStore(store);
  try {
    return await runHeld(store, findFailedStep(store, name), command, options);
  } finally {
    use.release();
  }
}

async function runHeld(
  store: Store,
  step: FailedStep,
  command: readonly string[],
  options: FailedStepOptions,
): Promise<number> {
  const signal = options.signal ?? new AbortController().signal;
  const sandbox = await openBuildSandbox(store, step.mode, signal, () => undefined);
  const { client } = sandbox;
  const native = new NativeClient();
  try {
    const tools = { store, pool: new LayerPool(store, native, signal), clock: new Clock(undefined), signal };
    let root: SandboxRoot = { kind: "copy", path: step.tree };
    if (step.kind === "overlay") {
      const trees = await new LayerTrees(tools, sandbox).all(step.layers);
      root = { kind: "overlay", lower: [...trees, step.tree], scratch: makeFolder(tools) };
    }
    const words = command.length === 0 ? step.plan.command : command;
    const plan = { ...step.plan, command: words, root, mounts: [], ...surroundings(sandbox) };
    try {
      const exited = await client.run({ plan }, { signal, onOutput: options.onOutput });
      return exited.status ?? 128 + (exited.signal ?? 0);
    } finally {
      if (root.kind === "overlay") await client.remove({ paths: [root.scratch] });
    }
  } finally {
    await Promise.all([client.close(), native.close()]);
  }
}
