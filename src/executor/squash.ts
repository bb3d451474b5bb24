import type { DraftItem } from "../layers/draft.ts";
import { type Entry, EntryType } from "../layers/entry-table.ts";
import { joinPath, type Located, nameOf, parentOf, type Tree } from "../layers/tree.ts";
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
    const entry = contentOf(whole, located, firstNames);
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
    items.push({ entry: { ...EMPTY, path: mark, type: EntryType.whiteout }, origin: undefined, group: undefined });
  }
  return sortInTreeOrder(items, ({ entry }) => entry.path);
}

/** What marks have of an entry: nothing. */
const EMPTY = {
  mode: 0,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  link: "",
  xattrs: [],
  digest: undefined,
  inodeGroup: 0,
  source: { kind: "none" },
} as const;

/** Of the names of one file that are copied here the first has the content, and the others are links to it. */
function contentOf(tree: Tree, located: Located, firstNames: Map<string, string>): Entry {
  const content = tree.content(located);
  const { path } = located.entry;
  if (content.entry.type !== EntryType.file) return { ...content.entry, path };
  const file = `${content.layer}:${content.entry.path}`;
  const first = firstNames.get(file);
  if (first !== undefined) {
    // What a link says of the file counts for docker and containerd as much as what its first name says.
    return {
      ...content.entry,
      path,
      type: EntryType.hardlink,
      size: 0,
      link: first,
      digest: undefined,
      source: { kind: "none" },
    };
  }
  firstNames.set(file, path);
  const { source } = content.entry;
  return { ...content.entry, path, source: source.kind === "blob" ? { ...source, blob: content.layer } : source };
}
