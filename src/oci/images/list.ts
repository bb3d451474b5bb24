import { imageFromStore } from "../image.ts";
import type { Store } from "../layout/store.ts";
import { familiarName, familiarRepository, type Reference } from "../reference.ts";
import type { Descriptor, Digest } from "../types.ts";
import { sortReferences } from "./find.ts";
import { pathMatcher } from "./path-match.ts";
import { imageSize, type SizeOptions } from "./size.ts";

/** A line of `image ls`: an image under one of its names. */
export interface ListedImage {
  /** As docker shows it (`node`, `user/tool`); undefined for an image that has no name, docker's `<none>`. */
  readonly repository: string | undefined;
  readonly tag: string | undefined;
  readonly imageId: Digest;
  /** Of the manifest. */
  readonly digest: Digest;
  /** RFC 3339; undefined when the config has none. */
  readonly created: string | undefined;
  /** Bytes of the files in all layers. */
  readonly size: number;
}

export interface ListOptions extends SizeOptions {
  /**
   * Only names that match this pattern, as docker's `image ls PATTERN` does: Go's `path.Match` on the whole name
   * (`web-ping:v*`) or on the repository (`w*`), both as docker shows them.
   */
  readonly reference?: string | undefined;
  /** `true`: only images without a name. `false`: only those with one. Default: both. */
  readonly dangling?: boolean | undefined;
}

/**
 * The images of a store, each under each of its names, newest first. What cannot be read is left out: `kbuild fsck`
 * tells of it, and one damaged image must not hide all others.
 */
export async function listImages(store: Store, options: ListOptions = {}): Promise<ListedImage[]> {
  const matches = options.reference === undefined ? undefined : nameMatcher(options.reference);
  const images = new Map<Digest, { readonly descriptor: Descriptor; readonly references: Reference[] }>();
  for (const { descriptor, reference } of store.list()) {
    let entry = images.get(descriptor.digest);
    if (entry === undefined) {
      entry = { descriptor, references: [] };
      images.set(descriptor.digest, entry);
    }
    if (reference !== undefined) entry.references.push(reference);
  }
  const listed: ListedImage[] = [];
  for (const { descriptor, references } of images.values()) {
    const dangling = references.length === 0;
    if (options.dangling !== undefined && options.dangling !== dangling) continue;
    if (matches !== undefined && !references.some(matches)) continue;
    const common = await describe(store, descriptor, options);
    if (common === undefined) continue;
    if (dangling) listed.push({ repository: undefined, tag: undefined, ...common });
    for (const reference of sortReferences(references)) {
      if (matches !== undefined && !matches(reference)) continue;
      listed.push({ repository: familiarRepository(reference), tag: reference.tag, ...common });
    }
  }
  return listed.sort((left, right) => timeOf(right) - timeOf(left));
}

async function describe(
  store: Store,
  descriptor: Descriptor,
  options: SizeOptions,
): Promise<Pick<ListedImage, "imageId" | "digest" | "created" | "size"> | undefined> {
  try {
    const image = imageFromStore(store, descriptor);
    const size = await imageSize(store, image, options);
    return { imageId: image.id, digest: descriptor.digest, created: image.config.created, size };
  } catch {
    return undefined;
  }
}

/** distribution/reference, `FamiliarMatch`. */
function nameMatcher(pattern: string): (reference: Reference) => boolean {
  const matches = pathMatcher(pattern);
  return (reference) => matches(familiarName(reference)) || matches(familiarRepository(reference));
}

function timeOf({ created }: ListedImage): number {
  const time = created === undefined ? Number.NaN : Date.parse(created);
  return Number.isNaN(time) ? Number.NEGATIVE_INFINITY : time;
}
