import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { identityOf } from "../../layers/identity.ts";
import { storeFault } from "../../oci/layout/faults.ts";
import type { DiffId } from "../../oci/types.ts";
import type { Sandbox } from "../../sandbox/open.ts";
import { type LayerUnpacker, ofLayer } from "../layer-pool.ts";
import type { LayerReference } from "../state.ts";
import type { Tools } from "../tools.ts";

/** What of a build's tools trees are made with. */
export type TreeTools = Pick<Tools, "store" | "pool" | "clock" | "signal">;

/**
 * The unpacked layers of the store, `layers/<diffid>/tree-…`: each is unpacked once and then serves every build as a lower
 * directory of overlayfs. The owners on disk are those of a sandbox's id map, so sandboxes with other maps have trees of
 * their own.
 */
export class LayerTrees {
  readonly #tools: TreeTools;
  readonly #sandbox: Sandbox;
  readonly #name: string;
  readonly #trees = new Map<DiffId, Promise<string>>();

  constructor(tools: TreeTools, sandbox: Sandbox) {
    this.#tools = tools;
    this.#sandbox = sandbox;
    this.#name = treeName(sandbox);
  }

  /**
   * Paths of the trees of these layers; those that are not there are made, side by side. A layer that comes several times
   * is given once, where it is highest: it says there again all that it said below, and overlayfs takes no folder twice.
   */
  all(layers: readonly LayerReference[]): Promise<string[]> {
    const highest = new Map(layers.map(({ diffId }, index) => [diffId, index]));
    const each = layers.filter(({ diffId }, index) => highest.get(diffId) === index);
    return Promise.all(each.map((layer) => this.#tree(layer)));
  }

  /** Makes a folder that has a layer's files in the form of a tree the layer's tree, unless it has one. */
  async adopt(diffId: DiffId, folder: string): Promise<void> {
    const path = this.#path(diffId);
    if (this.#trees.has(diffId) || existsSync(path)) return;
    makeParent(path);
    await this.#sandbox.client.move({ from: folder, to: path });
    this.#trees.set(diffId, Promise.resolve(path));
  }

  /** What unpacks a layer while it comes in; undefined when it is unpacked already. */
  unpackerOf(diffId: DiffId): LayerUnpacker | undefined {
    const path = this.#path(diffId);
    if (existsSync(path)) return undefined;
    const { client, owners } = this.#sandbox;
    const output = this.#tools.store.temporaryPath();
    return {
      native: client,
      tree: { output, owners },
      keep: async () => {
        makeParent(path);
        await client.move({ from: output, to: path });
      },
    };
  }

  #tree(layer: LayerReference): Promise<string> {
    let tree = this.#trees.get(layer.diffId);
    if (tree === undefined) {
      tree = this.#make(layer);
      tree.catch(() => this.#trees.delete(layer.diffId));
      this.#trees.set(layer.diffId, tree);
    }
    return tree;
  }

  async #make(layer: LayerReference): Promise<string> {
    const { pool, store, signal } = this.#tools;
    const path = this.#path(layer.diffId);
    // A layer that is on its way may be unpacked with that.
    await pool.ready(layer);
    if (existsSync(path)) return path;
    const output = store.temporaryPath();
    const { client, owners } = this.#sandbox;
    const blob = await pool.source(layer);
    const index = pool.indexPath(layer.diffId);
    await ofLayer(layer, client.unpack({ blob, index, output, form: "layer", owners }, { signal }));
    makeParent(path);
    await client.move({ from: output, to: path });
    return path;
  }

  #path(diffId: DiffId): string {
    return join(this.#tools.store.layerPath(diffId), this.#name);
  }
}

/** The name of a layer's tree with the owners of this sandbox. */
function treeName({ mode, entry }: Sandbox): string {
  if (mode !== "userns") return `tree-${mode}`;
  const ranges = (rows: Sandbox["entry"]["uids"]) => rows.map(({ inside, outside, count }) => [inside, outside, count]);
  return `tree-userns-${identityOf(ranges(entry.uids), ranges(entry.gids)).slice(0, 8)}`;
}

function makeParent(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
  } catch (error) {
    throw storeFault(error, path);
  }
}
