import type { DraftItem } from "../layers/draft.ts";
import { EntryType, NO_FACTS } from "../layers/entry-table.ts";
import { flatEntry } from "../layers/flat-entry.ts";
import { joinPath, nameOf, parentOf, type Tree } from "../layers/tree.ts";
import { sortInTreeOrder } from "../layers/tree-order.ts";
import type { History } from "../oci/types.ts";
import { makeLayer } from "./make-layer.ts";
import type { ImageState, Snapshot } from "./state.ts";
import type { Tools } from "./tools.ts";

/**
 * The image with all layers that its build made as one: `--squash`. The base's layers stay as they are, and so does the
 * cache of the steps. OCI image-spec layer.md, "Changesets".
 *
 * @param base the layers that the build began with
 * @param baseHistory how many entries of the history are the base's
 */
export async function squash(
  tools: Tools,
  state: ImageState,
  base: Snapshot,
  baseHistory: number,
  useCache: boolean,
): Promise<ImageState> {
  const { snapshot } = state;
  const made = snapshot.layers.length - base.layers.length;
  if (made < 2) return state;
  const [whole, below] = await Promise.all([tools.pool.tree(snapshot), tools.pool.tree(base)]);
  const items = squashedItems(whole, below, base.layers.length);
  const blobs = await Promise.all(snapshot.layers.map((layer) => tools.pool.source(layer)));
  const layer = await makeLayer(tools, base, items, { roots: [], blobs }, useCache);
  const newest = state.history.at(-1)?.created;
  const entry: History = {
    ...(newest === undefined ? {} : { created: newest }),
    comment: `${made} layers as one (--squash)`,
  };
  const history = state.history.map(
    (one, number): History => (number < baseHistory ? one : { ...one, empty_layer: true }),
  );
  return { ...state, snapshot: layer.snapshot, history: [...history, entry] };
}

/** What the upper layers come to: their entries, and marks for what of the base is not there any more. */
function squashedItems(whole: Tree, below: Tree, first: number): DraftItem[] {
  const firstNames = new Map<string, string>();
  const items: DraftItem[] = [];
  for (const located of whole.below("")) {
    if (located.layer < first) continue;
    const entry = flatEntry(whole.content(located), located.entry.path, firstNames);
    items.push({
      entry,
      origin: entry.type === EntryType.file ? { digest: entry.digest } : undefined,
      group: undefined,
    });
  }
  for (const { entry } of below.below("")) {
    const { path } = entry;
    if (whole.lookup(path) !== undefined) continue;
    const parent = parentOf(path);
    // What is below a folder that is gone, or is none any more, is gone with it.
    if (whole.lookup(parent)?.entry.type !== EntryType.directory) continue;
    const mark = joinPath(parent, `.wh.${nameOf(path)}`);
    items.push({ entry: { ...NO_FACTS, path: mark, type: EntryType.whiteout }, origin: undefined, group: undefined });
  }
  return sortInTreeOrder(items, ({ entry }) => entry.path);
}
