import { rmSync } from "node:fs";
import type { DraftItem } from "../layers/draft.ts";
import { type Entry, EntryType, encodeEntries } from "../layers/entry-table.ts";
import { entryParts, identityOf } from "../layers/identity.ts";
import { readDigests } from "../layers/index-file.ts";
import { holdsForAll, mapped, type Sequence } from "../layers/sequence.ts";
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
  items: Sequence<DraftItem>,
  sources: LayerSources,
  useCache: boolean,
): Promise<MadeLayer> {
  const isAllKnown = holdsForAll(items, isKnown);
  if (useCache && isAllKnown) {
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
    encodeEntries(mapped(items, packable)),
    { signal: tools.signal },
  );
  const content = contentAfter(parent, isAllKnown ? items : learning(items, index));
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
export function contentKey(content: string, tools: Tools): string {
  return identityOf("layer of content", content, tools.clock.epoch);
}

function contentAfter(parent: Snapshot, items: Sequence<DraftItem>): string {
  const layer = identityOf(mapped(items, ({ entry, origin }) => entryParts(entry, entry.path, origin?.digest)));
  return identityOf("snapshot", parent.content, layer);
}

/** Whether there is no content still to be read. A hard link has an origin as well, that of the file it is a name of. */
function isKnown(item: DraftItem): boolean {
  return item.origin === undefined
    ? item.entry.type !== EntryType.file || item.entry.digest !== undefined
    : item.origin.digest !== undefined;
}

function digestOf(item: DraftItem): Uint8Array | undefined {
  return item.origin === undefined ? item.entry.digest : item.origin.digest;
}

function packable(item: DraftItem): Entry {
  return item.entry.type === EntryType.file ? { ...item.entry, digest: digestOf(item) } : item.entry;
}

/**
 * The items, of which those whose content was read for the first time learn its digest while they are gone through, from
 * the index of the written layer. Its entries are those of the items. Names of one file have one digest, at the first.
 */
function learning(items: Sequence<DraftItem>, index: string): Sequence<DraftItem> {
  function* all(): IterableIterator<DraftItem> {
    const ofGroups = new Map<string, Uint8Array>();
    const digests = readDigests(index);
    try {
      for (const item of items) {
        const own = digests.next().value;
        const { origin, group, entry } = item;
        const digest = entry.type === EntryType.file ? own : group === undefined ? undefined : ofGroups.get(group);
        if (origin !== undefined && digest !== undefined) {
          origin.digest = digest;
          if (group !== undefined) ofGroups.set(group, digest);
        }
        yield item;
      }
    } finally {
      digests.return(undefined);
    }
  }
  return { length: items.length, [Symbol.iterator]: all };
}
