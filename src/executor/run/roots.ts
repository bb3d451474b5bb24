import { mkdirSync } from "node:fs";
import { EntryType } from "../../layers/entry-table.ts";
import type { NativeClient } from "../../native/client.ts";
import type { ChangedTree, SandboxRoot } from "../../native/sandbox-protocol.ts";
import { storeFault } from "../../oci/layout/faults.ts";
import type { DiffId } from "../../oci/types.ts";
import type { Sandbox } from "../../sandbox/open.ts";
import { ofLayer } from "../layer-pool.ts";
import type { LayerReference, Snapshot } from "../state.ts";
import type { LayerTrees, TreeTools } from "./layer-trees.ts";

/** A root file system for one step, which may change it. Exactly one of its last three is called in the end. */
export interface StepRoot {
  readonly root: SandboxRoot;
  /** Where its changes are found afterwards. */
  readonly tree: ChangedTree;
  /** The step's changes have become this layer; undefined when there are none. */
  keep(layer: LayerReference | undefined): Promise<void>;
  discard(): Promise<void>;
  /** What was changed, or the whole tree, is kept at a path for a look at it. */
  setAside(path: string): Promise<void>;
}

/** Makes root file systems of snapshots. */
export interface Roots {
  /** Does now what `open` would have to do for this snapshot and for those above it. */
  prepare(snapshot: Snapshot): Promise<void>;
  open(snapshot: Snapshot): Promise<StepRoot>;
  /** Removes what is left; no step runs any more. */
  close(): Promise<void>;
}

/** Root file systems by overlayfs: nothing is copied, and what a step wrote becomes the unpacked tree of its layer. */
export class OverlayRoots implements Roots {
  readonly #tools: TreeTools;
  readonly #trees: LayerTrees;
  readonly #client: NativeClient;
  /** Whether what was changed is marked as trees of layers are: fuse-overlayfs has marks of its own. */
  readonly #isKernels: boolean;
  readonly #removals: Promise<void>[] = [];

  constructor(tools: TreeTools, trees: LayerTrees, sandbox: Sandbox) {
    this.#tools = tools;
    this.#trees = trees;
    this.#client = sandbox.client;
    this.#isKernels = sandbox.fuseOverlayfs === undefined;
  }

  async prepare(snapshot: Snapshot): Promise<void> {
    await this.#trees.all(snapshot.layers);
  }

  async open(snapshot: Snapshot): Promise<StepRoot> {
    const lower = await this.#trees.all(snapshot.layers);
    const scratch = makeFolder(this.#tools);
    const upper = `${scratch}/upper`;
    return {
      root: { kind: "overlay", lower, scratch },
      tree: { kind: this.#isKernels ? "overlay" : "fuseOverlay", upper },
      keep: async (layer) => {
        // Times in the tree are not clamped: the next step would see others than one on a layer from the cache.
        const isAsUnpacked = this.#isKernels && this.#tools.clock.epoch === undefined;
        if (layer !== undefined && isAsUnpacked) await this.#trees.adopt(layer.diffId, upper);
        this.#remove(scratch);
      },
      discard: async () => this.#remove(scratch),
      setAside: async (path) => {
        await this.#client.move({ from: upper, to: path });
        this.#remove(scratch);
      },
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#removals);
  }

  /** Nobody waits for it but the end of the build. */
  #remove(path: string): void {
    const removal = this.#client.remove({ paths: [path] });
    removal.catch(() => undefined);
    this.#removals.push(removal);
  }
}

interface WorkTree {
  readonly path: string;
  /** What has been laid into it. */
  layers: readonly DiffId[];
}

/**
 * Root file systems that are private copies, where nothing can be mounted. A tree is used on by the next step of its
 * stage, which lays only what came in between over it.
 */
export class CopyRoots implements Roots {
  readonly #tools: TreeTools;
  readonly #sandbox: Sandbox;
  /** Trees that no step is using. */
  readonly #free: WorkTree[] = [];

  constructor(tools: TreeTools, sandbox: Sandbox) {
    this.#tools = tools;
    this.#sandbox = sandbox;
  }

  /** A copy is the step's own: there is nothing that could be made before. */
  async prepare(): Promise<void> {}

  async open(snapshot: Snapshot): Promise<StepRoot> {
    const wanted = snapshot.layers.map((layer) => layer.diffId);
    const tree = this.#take(wanted) ?? { path: makeFolder(this.#tools), layers: [] };
    const discard = () => this.#sandbox.client.remove({ paths: [tree.path] });
    const mark = this.#tools.store.temporaryPath();
    let raises: boolean;
    try {
      for (const layer of snapshot.layers.slice(tree.layers.length)) await this.#lay(tree, layer);
      const marking = this.#sandbox.client.mark({ root: tree.path, output: mark }, { signal: this.#tools.signal });
      raises = (await marking).raises;
    } catch (error) {
      await discard();
      throw error;
    }
    return {
      root: { kind: "copy", path: tree.path, raises },
      tree: { kind: "copy", root: tree.path, mark },
      keep: async (layer) => {
        await this.#sandbox.client.remove({ paths: [mark] });
        // Where layers are stacked, the names of a lower file change apart from each other. In this tree they would not.
        if (layer !== undefined && (await this.#hasHardLinks(layer))) return discard();
        if (layer !== undefined) tree.layers = [...wanted, layer.diffId];
        this.#free.push(tree);
      },
      discard: async () => {
        await this.#sandbox.client.remove({ paths: [mark] });
        await discard();
      },
      setAside: async (path) => {
        await this.#sandbox.client.remove({ paths: [mark] });
        await this.#sandbox.client.move({ from: tree.path, to: path });
      },
    };
  }

  async close(): Promise<void> {
    const paths = this.#free.splice(0).map((tree) => tree.path);
    if (paths.length > 0) await this.#sandbox.client.remove({ paths });
  }

  async #hasHardLinks(layer: LayerReference): Promise<boolean> {
    const table = await this.#tools.pool.table(layer);
    for (let index = 0; index < table.length; index++) if (table.type(index) === EntryType.hardlink) return true;
    return false;
  }

  /** A free tree that has some of the layers and nothing else, the one with most of them. */
  #take(wanted: readonly DiffId[]): WorkTree | undefined {
    const isBeginning = (tree: WorkTree) => tree.layers.every((diffId, index) => diffId === wanted[index]);
    const [best] = this.#free.filter(isBeginning).sort((left, right) => right.layers.length - left.layers.length);
    if (best !== undefined) this.#free.splice(this.#free.indexOf(best), 1);
    return best;
  }

  async #lay(tree: WorkTree, layer: LayerReference): Promise<void> {
    const { pool, signal } = this.#tools;
    await pool.ready(layer);
    const unpacking = this.#sandbox.client.unpack(
      {
        blob: await pool.source(layer),
        index: pool.indexPath(layer.diffId),
        output: tree.path,
        form: "apply",
        owners: this.#sandbox.owners,
      },
      { signal },
    );
    await ofLayer(layer, unpacking);
    tree.layers = [...tree.layers, layer.diffId];
  }
}

/** An empty folder in the store's temporary one. */
export function makeFolder(tools: TreeTools): string {
  const path = tools.store.temporaryPath();
  try {
    mkdirSync(path, { mode: 0o755 });
  } catch (error) {
    throw storeFault(error, path);
  }
  return path;
}
