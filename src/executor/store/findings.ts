import { relative } from "node:path";
import type { Store } from "../../oci/layout/store.ts";

/** Something in the store that should not be so. */
export interface StoreFinding {
  readonly kind: "index" | "blob" | "image" | "record" | "layer" | "cacheMount" | "failedStep" | "leftover";
  /** `damage`: data that is not what it should be. `leftover`: what takes space and does no harm. */
  readonly severity: "damage" | "leftover";
  /** Below the store's folder; of an image its name. */
  readonly subject: string;
  /** A clause for a person that tells of the subject. */
  readonly message: string;
  /** Whether it was removed. */
  readonly repaired: boolean;
}

/** Collects findings; when they are to be repaired, each as it is found. */
export class Findings {
  readonly found: StoreFinding[] = [];
  readonly #store: Store;
  readonly #repairs: boolean;

  constructor(store: Store, repairs: boolean) {
    this.#store = store;
    this.#repairs = repairs;
  }

  /** `repair` removes it, and says whether it did. */
  async add(
    finding: Pick<StoreFinding, "kind" | "severity" | "message"> & { readonly path: string },
    repair: () => boolean | Promise<boolean>,
  ): Promise<void> {
    const { path, ...rest } = finding;
    await this.#add({ ...rest, subject: relative(this.#store.root, path) }, repair);
  }

  async addImage(name: string, message: string, repair: () => Promise<boolean>): Promise<void> {
    await this.#add({ kind: "image", severity: "damage", subject: name, message }, repair);
  }

  async #add(finding: Omit<StoreFinding, "repaired">, repair: () => boolean | Promise<boolean>): Promise<void> {
    this.found.push({ ...finding, repaired: this.#repairs && (await repair()) });
  }
}
