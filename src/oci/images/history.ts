import type { Store } from "../layout/store.ts";
import type { Digest } from "../types.ts";
import { findImage } from "./find.ts";
import { layerSize, type SizeOptions } from "./size.ts";

/** A line of `history`: an instruction and what it added. */
export interface HistoryEntry {
  /** Only the newest entry has one: what came before has no image of its own. docker shows `<missing>`. */
  readonly imageId: Digest | undefined;
  /** RFC 3339. */
  readonly created: string | undefined;
  readonly createdBy: string;
  /** Bytes of the files in its layer; 0 when it made none. */
  readonly size: number;
  readonly comment: string;
  readonly emptyLayer: boolean;
}

/**
 * How an image came about, newest first, as `docker history` has it. An image whose config tells no history has none.
 *
 * @throws KbuildError `build.noSuchImage`; `machine.storeDamaged`
 */
export async function imageHistory(store: Store, name: string, options: SizeOptions = {}): Promise<HistoryEntry[]> {
  const { image } = findImage(store, name);
  const entries: HistoryEntry[] = [];
  let layer = 0;
  const history = image.config.history ?? [];
  for (const [number, { created, created_by, comment, empty_layer }] of history.entries()) {
    const emptyLayer = empty_layer === true;
    const made = emptyLayer ? undefined : image.layers[layer++];
    entries.unshift({
      imageId: number === history.length - 1 ? image.id : undefined,
      created,
      createdBy: created_by ?? "",
      size: made === undefined ? 0 : await layerSize(store, made, options),
      comment: comment ?? "",
      emptyLayer,
    });
  }
  return entries;
}
