import { KbuildError } from "../../errors.ts";
import { type Image, imageFromStore } from "../image.ts";
import type { Store } from "../layout/store.ts";
import { canonicalName, type Reference } from "../reference.ts";
import type { Descriptor } from "../types.ts";

/** An image of the store with all its names. */
export interface FoundImage {
  readonly image: Image;
  /** As index.json has it: of an index, if the image is one of several platforms. */
  readonly descriptor: Descriptor;
  /** Sorted by their full name, as docker sorts them. */
  readonly references: readonly Reference[];
}

/**
 * The image that a name or an ID means; see `Store.resolve`.
 *
 * @throws KbuildError `build.noSuchImage` when there is none; `usage.*` when the name is none
 */
export function findImage(store: Store, name: string): FoundImage {
  const descriptor = store.resolve(name);
  if (descriptor === undefined) {
    throw new KbuildError("build.noSuchImage", `no such image: ${name}`, {
      hint: "kbuild image ls shows what is there",
    });
  }
  return { image: imageFromStore(store, descriptor), descriptor, references: referencesOf(store, descriptor) };
}

/** All names of an image, sorted by their full name. */
export function referencesOf(store: Store, descriptor: Pick<Descriptor, "digest">): Reference[] {
  const found = store
    .list()
    .filter((entry) => entry.descriptor.digest === descriptor.digest)
    .flatMap(({ reference }) => (reference === undefined ? [] : [reference]));
  return sortReferences(found);
}

export function sortReferences(references: readonly Reference[]): Reference[] {
  return [...references].sort((left, right) => (canonicalName(left) < canonicalName(right) ? -1 : 1));
}
