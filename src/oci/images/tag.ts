import { KbuildError } from "../../errors.ts";
import type { Store } from "../layout/store.ts";
import { parseReference } from "../reference.ts";
import { findImage } from "./find.ts";

/**
 * Gives an image a further name, as `docker tag SOURCE TARGET` does; whoever had the name loses it.
 *
 * @throws KbuildError `build.noSuchImage`; `usage.reference` when the new name is none, or has a digest
 */
export async function tagImage(store: Store, source: string, target: string): Promise<void> {
  const reference = parseReference(target);
  if (reference.digest !== undefined) {
    throw new KbuildError("usage.reference", `${target} has a digest, which is not given but computed`, {
      hint: "Leave out the @ and what follows",
    });
  }
  const { descriptor } = findImage(store, source);
  await store.tag([reference], descriptor);
}
