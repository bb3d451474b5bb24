import { KbuildError } from "../../errors.ts";
import { type ArchivedImage, type ArchivedIndex, type ArchiveMember, planArchive } from "../archive/plan.ts";
import { imageFromStore, imageOf } from "../image.ts";
import type { NamedImage } from "../layout/names.ts";
import type { Store } from "../layout/store.ts";
import { parseReference, type Reference, repositoryName } from "../reference.ts";
import { isIndexType, parseIndex } from "../shape.ts";
import type { Descriptor, Digest } from "../types.ts";
import { findImage, sortReferences } from "./find.ts";

/**
 * The archive of several images, for `kbuild save`, with the names that docker would give them: the one that was asked
 * for; all tags of a repository when it was asked for without a tag; none when an ID was asked for. Of an image of several
 * platforms all are in it if all are here, else this machine's. Whether all layers are there is found out here, and not in
 * the middle of the archive.
 *
 * @throws KbuildError `build.noSuchImage`; `usage.*`; `machine.storeDamaged`
 */
export function planSave(store: Store, names: readonly string[]): ArchiveMember[] {
  const named = store.list().flatMap(({ reference, descriptor }) => (reference ? [{ reference, descriptor }] : []));
  const images = new Map<Digest, { readonly descriptor: Descriptor; readonly references: Set<Reference> }>();
  for (const name of names) {
    for (const { descriptor, reference } of meant(store, named, name)) {
      const entry = images.get(descriptor.digest) ?? { descriptor, references: new Set() };
      images.set(descriptor.digest, entry);
      if (reference !== undefined) entry.references.add(reference);
    }
  }
  const planned = [...images.values()].map(({ descriptor, references }): ArchivedImage | ArchivedIndex => {
    const whole = wholeIndex(store, descriptor);
    if (whole !== undefined) return { ...whole, references: sortReferences([...references]) };
    const image = imageFromStore(store, descriptor);
    const missing = image.layers.find((layer) => !store.hasBlob(layer.descriptor));
    if (missing !== undefined) {
      throw new KbuildError(
        "machine.storeDamaged",
        `the layer ${missing.descriptor.digest} of ${image.id} is not whole`,
        { hint: "Build or pull the image again" },
      );
    }
    return { image, references: sortReferences([...references]) };
  });
  return planArchive(planned);
}

/** An index whose images are all here; undefined for what is none, and for one that was pulled for one platform. */
function wholeIndex(store: Store, descriptor: Descriptor): Pick<ArchivedIndex, "index" | "images"> | undefined {
  if (!isIndexType(descriptor.mediaType)) return undefined;
  const { blobs } = store;
  const { digest } = descriptor;
  const bytes = blobs.read(digest);
  const { manifests } = parseIndex(bytes, (reason) => blobs.complain(`the index ${digest}: ${reason}`));
  if (!manifests.every((entry) => !isIndexType(entry.mediaType) && blobs.has(entry))) return undefined;
  const images = manifests.map((entry) => imageOf(blobs, entry));
  const parts = images.flatMap(({ manifest }) => [manifest.config, ...manifest.layers]);
  if (!parts.every((part) => blobs.has(part))) return undefined;
  return { index: { descriptor, bytes }, images };
}

/** What a name asks for: one image, or all that have a tag of a repository. */
function meant(store: Store, named: readonly NamedImage[], name: string): readonly NamedImage[] {
  const asked = asReference(name);
  if (asked !== undefined) {
    const anyTag = isBareRepository(name);
    const found = named.filter(
      ({ reference }) =>
        reference !== undefined &&
        repositoryName(reference) === repositoryName(asked) &&
        (anyTag || (asked.digest === undefined && reference.tag === asked.tag)),
    );
    if (found.length > 0) return found;
  }
  return [{ descriptor: findImage(store, name).descriptor, reference: undefined }];
}

/** Undefined for what can only be an ID. */
function asReference(name: string): Reference | undefined {
  try {
    return parseReference(name);
  } catch {
    return undefined;
  }
}

/** Without tag and digest: a colon before the last slash is a port. */
function isBareRepository(name: string): boolean {
  return !name.includes("@") && !name.slice(name.lastIndexOf("/") + 1).includes(":");
}
