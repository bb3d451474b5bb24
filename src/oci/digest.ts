import { lazyBuiltin } from "../lazy-builtin.ts";
import type { Digest } from "./types.ts";

const crypto = lazyBuiltin<typeof import("node:crypto")>("node:crypto");

/** Loads what computes digests, while there is nothing else to do. */
export function readyDigests(): void {
  crypto();
}

/** The SHA-256 digest of bytes, as descriptors have it. */
export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${crypto().createHash("sha256").update(bytes).digest("hex")}`;
}

/** The 64 hexadecimal digits of a digest: the name of its file below `blobs/sha256/`. */
export function hexOf(digest: Digest): string {
  return digest.slice("sha256:".length);
}

/**
 * The bytes of a manifest, an index or a config: JSON without spaces, members in the order in which the object has them,
 * members that are `undefined` left out. The same value always gives the same bytes, and so the same digest.
 */
export function encodeJson(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}
