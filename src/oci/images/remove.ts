import { KbuildError } from "../../errors.ts";
import type { Store } from "../layout/store.ts";
import { canonicalName, familiarName, parseReference } from "../reference.ts";
import type { Digest } from "../types.ts";
import { findImage } from "./find.ts";

/** A line of `docker image rm`. */
export type Removal =
  | { readonly kind: "untagged"; readonly name: string }
  | { readonly kind: "deleted"; readonly imageId: Digest };

/**
 * Removes an image as `docker image rm` does: a name is taken away, and with the last one the image. By its ID it is
 * removed with its only name; when it has several, `force` is needed. The bytes stay until they are pruned.
 *
 * @returns what was done, in docker's order
 * @throws KbuildError `build.noSuchImage`; `build.imageInUse` when an ID has several names
 */
export async function removeImage(
  store: Store,
  name: string,
  options: { readonly force?: boolean } = {},
): Promise<Removal[]> {
  const { image, descriptor, references } = findImage(store, name);
  const asked = references.find((reference) => isName(name, canonicalName(reference)));
  if (asked === undefined && references.length > 1 && !options.force) {
    const names = references.map(familiarName).join(", ");
    throw new KbuildError("build.imageInUse", `the image ${name} has several names: ${names}`, {
      hint: "Remove it by its names, or all at once with --force",
    });
  }
  const taken = asked === undefined ? references : [asked];
  const gone = await store.remove(descriptor.digest, taken);
  return [
    ...taken.map((reference): Removal => ({ kind: "untagged", name: familiarName(reference) })),
    ...(gone ? [{ kind: "deleted", imageId: image.id } satisfies Removal] : []),
  ];
}

function isName(text: string, canonical: string): boolean {
  try {
    return canonicalName(parseReference(text)) === canonical;
  } catch {
    return false;
  }
}
