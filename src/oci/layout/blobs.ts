import * as fs from "node:fs";
import { join } from "node:path";
import { KbuildError } from "../../errors.ts";
import { digestOf, hexOf } from "../digest.ts";
import { MAX_JSON } from "../shape.ts";
import type { Descriptor, Digest } from "../types.ts";
import { errnoOf, explainFault } from "./faults.ts";

/** Reading the blobs of an OCI image layout: OCI image-spec image-layout.md, "Blobs". Knows nothing of names. */
export class Blobs {
  /** The layout's folder, with `blobs/` in it. */
  readonly root: string;
  /** What an error is called when a blob is not what it should be: a fault of this machine, or of the input. */
  readonly #damage: "machine.storeDamaged" | "build.layout";

  constructor(root: string, damage: "machine.storeDamaged" | "build.layout") {
    this.root = root;
    this.#damage = damage;
  }

  /** Where the blob is, or would be. */
  path(digest: Digest): string {
    return join(this.root, "blobs", "sha256", hexOf(digest));
  }

  /**
   * Whether the blob is there with exactly its size. Its bytes are not read: a blob that a crash cut short has another
   * size and counts as missing; one that was changed on purpose is found by `validate`, and by whoever reads it.
   */
  has({ digest, size }: Pick<Descriptor, "digest" | "size">): boolean {
    const stat = fs.statSync(this.path(digest), { throwIfNoEntry: false });
    return stat?.isFile() === true && stat.size === size;
  }

  /**
   * The blob's bytes, verified. For manifests and configs; layers are read as streams.
   *
   * @throws KbuildError `machine.storeDamaged` or `build.layout` when it is missing, too large or not what its digest says
   */
  read(digest: Digest, limit: number = MAX_JSON): Buffer {
    const path = this.path(digest);
    let bytes: Buffer;
    try {
      // A pipe in a blob's place would be waited for without end.
      const file = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
      try {
        const stat = fs.fstatSync(file);
        if (!stat.isFile()) throw this.complain(`${path} is not a file`);
        if (stat.size > limit) throw this.complain(`${path} has ${stat.size} bytes, at most ${limit} are read`);
        bytes = fs.readFileSync(file);
      } finally {
        fs.closeSync(file);
      }
    } catch (error) {
      if (errnoOf(error) === "ENOENT") throw this.complain(`the blob ${digest} is missing in ${this.root}`);
      throw explainFault(error, { doing: `reading ${path}`, store: this.#damage === "machine.storeDamaged" });
    }
    if (digestOf(bytes) !== digest) throw this.complain(`${path} has other bytes than its name says`);
    return bytes;
  }

  complain(message: string): KbuildError {
    return new KbuildError(this.#damage, message);
  }
}
