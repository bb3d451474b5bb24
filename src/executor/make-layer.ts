import { readFileSync, rmSync } from "node:fs";
import type { DraftItem } from "../layers/draft.ts";
import { type Entry, EntryTable, EntryType, encodeEntries } from "../layers/entry-table.ts";
import { entryParts, identityOf } from "../layers/identity.ts";
import type { BlobSource } from "../native/protocol.ts";
import { type DiffId, type Digest, MediaType } from "../oci/types.ts";
import type { LayerReference, Snapshot } from "./state.ts";
import type { Tools } from "./tools.ts";

/** Where the source numbers of a draft's entries lead. */
export interface LayerSources {
  readonly roots: readonly string[];
  readonly blobs: readonly BlobSource[];
  readonly statCache?: string | undefined;
  /** Files that are of no use once the layer is packed. */
  readonly temporary?: readonly string[] | undefined;
}

/** A layer on top of a snapshot, whether it was made now or had been there. */
export interface MadeLayer {
  readonly layer: LayerReference;
  readonly snapshot: Snapshot;
  /** Whether a layer of the same content on the same parent was kept instead: early cut-off. */
  readonly kept: boolean;
}

/**
 * Packs a draft's items into a layer in the store, unless one with the same content on this parent is there already:
 * then that one is kept, times and all, so that what follows stays a hit. Digests of contents that were not known
 * before are known afterwards. With `useCache` false it is packed whatever is there.
 */
export async function makeLayer(
  tools: Tools,
  parent: Snapshot,
  items: readonly DraftItem[],
  sources: LayerSources,
  useCache: boolean,
): Promise<MadeLayer> {
  if (useCache && items.every(isKnown)) {
    const content = contentAfter(parent, items);
    const kept = tools.cache.layerOfContent(contentKey(content, tools));
    if (kept !== undefined) return { layer: kept, snapshot: stack(parent, kept, content), kept: true };
  }
  const output = tools.store.temporaryPath();
  const index = tools.store.temporaryPath();
  const { epoch } = tools.clock;
  const reply = await tools.native.pack(
    {
      output: { path: output },
      index,
      compression: { kind: "none", level: 0 },
      roots: sources.roots,
      blobs: sources.blobs,
      purpose: "layer",
      temporary: tools.store.temporaryFolder,
      ...(sources.statCache === undefined ? {} : { statCache: sources.statCache }),
      ...(epoch === undefined ? {} : { epoch }),
    },
    encodeEntries(items.map(packable)),
    { signal: tools.signal },
  );
  learnDigests(items, index);
  const content = contentAfter(parent, items);
  const key = contentKey(content, tools);
  const kept = useCache ? tools.cache.layerOfContent(key) : undefined;
  if (kept !== undefined) {
    for (const path of [output, index]) rmSync(path, { force: true });
    return { layer: kept, snapshot: stack(parent, kept, content), kept: true };
  }
  const diffId = reply.diffId as DiffId;
  const blob = { mediaType: MediaType.ociLayer, digest: reply.digest as Digest, size: reply.size };
  tools.store.adoptBlob(output, blob.digest, blob.size);
  tools.pool.keepIndex(diffId, index, reply.tarSize);
  const layer = { diffId, blob };
  tools.cache.putLayerOfContent(key, layer);
  return { layer, snapshot: stack(parent, layer, content), kept: false };
}

/** A snapshot with a layer on top. */
export function stack(parent: Snapshot, layer: LayerReference, content: string): Snapshot {
  return { layers: [...parent.layers, layer], content };
}

/** Layers made with times clamped differ in bytes from those made without, though not in content. */
function contentKey(content: string, tools: Tools): string {
  return identityOf("layer of content", content, tools.clock.epoch);
}

function contentAfter(parent: Snapshot, items: readonly DraftItem[]): string {
  const layer = identityOf(items.map(({ entry, origin }) => entryParts(entry, entry.path, origin?.digest)));
  return identityOf("snapshot", parent.content, layer);
}

function isKnown(item: DraftItem): boolean {
  return item.entry.type !== EntryType.file || digestOf(item) !== undefined;
}

function digestOf(item: DraftItem): Uint8Array | undefined {
  return item.origin === undefined ? item.entry.digest : item.origin.digest;
}

function packable(item: DraftItem): Entry {
  return item.entry.type === EntryType.file ? { ...item.entry, digest: digestOf(item) } : item.entry;
}

/** Takes the digests of contents that were read for the first time from the index of the written layer. */
function learnDigests(items: readonly DraftItem[], index: string): void {
  if (items.every(isKnown)) return;
  const table = new EntryTable(readFileSync(index));
  for (const [number, { origin, entry }] of items.entries()) {
    if (origin !== undefined && entry.type === EntryType.file) origin.digest = table.digest(number);
  }
}
