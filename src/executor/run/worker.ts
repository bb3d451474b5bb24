import { rmSync } from "node:fs";
import type { NativeClient } from "../../native/client.ts";
import type { Exited, SandboxMount, SandboxPlan } from "../../native/sandbox-protocol.ts";
import { readyDigests } from "../../oci/digest.ts";
import { type DiffId, type Digest, MediaType } from "../../oci/types.ts";
import type { Sandbox } from "../../sandbox/open.ts";
import type { LayerUnpacker } from "../layer-pool.ts";
import type { LayerReference, Snapshot } from "../state.ts";
import { keepFailedStep } from "./failed-step.ts";
import { LayerTrees, type TreeTools } from "./layer-trees.ts";
import { CopyRoots, OverlayRoots, type Roots, type StepRoot } from "./roots.ts";

/** A process to run on a snapshot. */
export interface Process {
  readonly snapshot: Snapshot;
  readonly plan: Omit<SandboxPlan, "root" | "owners" | "mounts" | "fuseOverlayfs">;
  /** Makes what the process needs of mounts; they are its own until it has ended. */
  readonly mounts: (workshop: Workshop) => Promise<readonly SandboxMount[]>;
  /** What it gives is waited for before more is read. */
  readonly onOutput: (stream: "stdout" | "stderr", bytes: Buffer) => Promise<void> | undefined;
  /** How it is kept when it fails; absent: it is not. */
  readonly keepFailed?: Process["plan"] | undefined;
}

/** What mounts are made with. */
export interface Workshop {
  readonly sandbox: Sandbox;
  /** Absent where nothing can be mounted. */
  readonly trees: LayerTrees | undefined;
}

/** What a process came to. */
export interface Ran {
  readonly exited: Exited;
  /** What it changed; undefined when it failed. */
  readonly changes: Changes | undefined;
  /** The name under which a failed one is kept. */
  readonly kept?: string | undefined;
}

/** The files that a process changed, as a layer that is not in the store yet. Exactly one of its methods is called. */
export interface Changes {
  /** Undefined when nothing was changed. */
  readonly packed: PackedChanges | undefined;
  /** The layer that they have become, be it one that was there already. */
  keep(layer: LayerReference | undefined): Promise<void>;
  discard(): Promise<void>;
}

export interface PackedChanges {
  readonly layer: LayerReference;
  /** Path of the layer's tar and of its index, both to be moved to their place or removed. */
  readonly output: string;
  readonly index: string;
  readonly tarSize: number;
  /** Identity of the layer's entries, times aside. */
  readonly content: string;
}

/**
 * Runs the processes of a build in its sandbox, which is opened when the first of them has to run. Any number run side
 * by side.
 */
export class Worker {
  readonly #tools: TreeTools;
  readonly #open: () => Promise<Sandbox>;
  #opened: Promise<Workshop & { readonly roots: Roots }> | undefined;

  constructor(tools: TreeTools, open: () => Promise<Sandbox>) {
    this.#tools = tools;
    this.#open = open;
  }

  /**
   * Runs a process, and finds what it changed if it ended well.
   * @throws KbuildError `machine.noSandbox`, `machine.sandbox`, `build.command` when it could not be started
   */
  async run(process: Process): Promise<Ran> {
    const workshop = await this.#workshop();
    const { sandbox, roots } = workshop;
    const { signal, pool } = this.#tools;
    const [root, mounts] = await together(roots.open(process.snapshot), process.mounts(workshop));
    try {
      const plan = { ...process.plan, root: root.root, mounts, ...surroundings(sandbox) };
      const running = sandbox.client.run({ plan }, { signal, onOutput: process.onOutput });
      readyDigests();
      const exited = await running;
      if (exited.status !== 0) return { exited, changes: undefined, kept: await this.#putAway(process, root, sandbox) };
      const parents = process.snapshot.layers.map((layer) => pool.indexPath(layer.diffId));
      await Promise.all(process.snapshot.layers.map((layer) => pool.ready(layer)));
      return { exited, changes: await this.#diff(sandbox, root, parents) };
    } catch (error) {
      await root.discard();
      throw error;
    }
  }

  /**
   * Opens the sandbox for a process that is likely to follow, and unpacks what is there of its snapshot by now. Whoever
   * runs one is told if that fails.
   */
  openAhead(snapshot: Snapshot): void {
    this.#workshop()
      .then(({ roots }) => roots.prepare(snapshot))
      .catch(() => undefined);
  }

  /** The core in the sandbox if there is or will be one: what has to be asked of some core need not start another. */
  async core(): Promise<NativeClient | undefined> {
    const workshop = await this.#opened?.catch(() => undefined);
    return workshop?.sandbox.client;
  }

  /**
   * What takes a layer in and unpacks it at once. Undefined where trees are not shared, for a layer that is unpacked, and
   * when there is no sandbox: who has to run a process is told why.
   */
  async unpackerOf(diffId: DiffId): Promise<LayerUnpacker | undefined> {
    const workshop = await this.#workshop().catch(() => undefined);
    return workshop?.trees?.unpackerOf(diffId);
  }

  /** Removes trees that other builds left behind, if there is a sandbox by now; else a later build will. */
  async remove(paths: readonly string[]): Promise<void> {
    const workshop = paths.length === 0 ? undefined : await this.#opened?.catch(() => undefined);
    // They are in nobody's way: what cannot be removed stays.
    await workshop?.sandbox.client.remove({ paths }).catch(() => undefined);
  }

  /** Ends the sandbox and removes what was only made for it. */
  async close(): Promise<void> {
    const workshop = await this.#opened?.catch(() => undefined);
    if (workshop === undefined) return;
    await workshop.roots.close().catch(() => undefined);
    await workshop.sandbox.client.close();
  }

  /** Removes what a failed process worked on, or keeps it if that was asked for. */
  async #putAway(process: Process, root: StepRoot, sandbox: Sandbox): Promise<string | undefined> {
    if (process.keepFailed === undefined) {
      await root.discard();
      return undefined;
    }
    const { layers } = process.snapshot;
    const step = { kind: root.root.kind, mode: sandbox.mode, layers, plan: process.keepFailed };
    return keepFailedStep(this.#tools.store, step, (path) => root.setAside(path));
  }

  async #diff(sandbox: Sandbox, root: StepRoot, parents: readonly string[]): Promise<Changes> {
    const { store, clock, signal } = this.#tools;
    const output = store.temporaryPath();
    const index = store.temporaryPath();
    const { epoch } = clock;
    const reply = await sandbox.client.diff(
      {
        tree: root.tree,
        parents,
        owners: sandbox.owners,
        output,
        index,
        temporary: store.temporaryFolder,
        ...(epoch === undefined ? {} : { epoch }),
      },
      { signal },
    );
    const discard = async (): Promise<void> => {
      for (const path of [output, index]) rmSync(path, { force: true });
      await root.discard();
    };
    if (reply.entries === 0) return { packed: undefined, keep: root.keep, discard };
    const blob = { mediaType: MediaType.ociLayer, digest: reply.digest as Digest, size: reply.size };
    const layer = { diffId: reply.diffId as DiffId, blob };
    const { tarSize, content } = reply;
    return { packed: { layer, output, index, tarSize, content }, keep: root.keep, discard };
  }

  #workshop(): Promise<Workshop & { readonly roots: Roots }> {
    this.#opened ??= this.#prepare();
    return this.#opened;
  }

  async #prepare(): Promise<Workshop & { readonly roots: Roots }> {
    const sandbox = await this.#open();
    if (sandbox.strategy === "copy") return { sandbox, trees: undefined, roots: new CopyRoots(this.#tools, sandbox) };
    const trees = new LayerTrees(this.#tools, sandbox);
    return { sandbox, trees, roots: new OverlayRoots(this.#tools, trees, sandbox) };
  }
}

/** What of a plan is the sandbox's. */
export function surroundings({ owners, fuseOverlayfs }: Sandbox): Pick<SandboxPlan, "owners" | "fuseOverlayfs"> {
  return { owners, ...(fuseOverlayfs === undefined ? {} : { fuseOverlayfs }) };
}

/** Waits for both. When the mounts fail the root is of no use any more. */
async function together(
  root: Promise<StepRoot>,
  mounts: Promise<readonly SandboxMount[]>,
): Promise<[StepRoot, readonly SandboxMount[]]> {
  const [rootResult, mountsResult] = await Promise.allSettled([root, mounts]);
  if (rootResult.status === "fulfilled" && mountsResult.status === "fulfilled") {
    return [rootResult.value, mountsResult.value];
  }
  if (rootResult.status === "rejected") throw rootResult.reason;
  await rootResult.value.discard();
  throw mountsResult.status === "rejected" ? mountsResult.reason : undefined;
}
