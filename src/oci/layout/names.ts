import { canonicalName, familiarName, parseReference, type Reference } from "../reference.ts";
import type { Descriptor, Digest, ImageIndex } from "../types.ts";

/**
 * How an index.json gives names to images, as plain functions on its value. Two annotations on each entry:
 *
 * - `org.opencontainers.image.ref.name`, the name as people type it (`web-ping:v2`): what `skopeo … oci:STORE:web-ping:v2`
 *   and `umoci --image STORE:web-ping:v2` look for, character by character;
 * - `io.containerd.image.name`, the name in full (`docker.io/library/web-ping:v2`): what containerd, docker and podman
 *   take when they import. It is the one that decides here; where another tool wrote only the first, that is read.
 *
 * An entry without a name is an image that lost it, or never had one: docker shows it as `<none>`.
 */
export const RefNameAnnotation = "org.opencontainers.image.ref.name";
export const ContainerdNameAnnotation = "io.containerd.image.name";

/** An image of an index.json, and one of its names if it has any. */
export interface NamedImage {
  readonly reference: Reference | undefined;
  /** Without the annotations that make the name. */
  readonly descriptor: Descriptor;
}

/** The annotations that give a name to an index entry. */
export function nameAnnotations(reference: Reference): Record<string, string> {
  return { [ContainerdNameAnnotation]: canonicalName(reference), [RefNameAnnotation]: familiarName(reference) };
}

/** All entries in the index's order; an image with three names is there three times. */
export function namedImages(index: ImageIndex): NamedImage[] {
  return index.manifests.map((entry) => ({ reference: referenceOf(entry), descriptor: withoutName(entry) }));
}

/**
 * Gives names to an image. Each name is taken from whoever has it; an image that loses its last name so stays listed
 * without one. With no references, the image is listed without a name unless it is listed already.
 *
 * @returns the same value if nothing changes
 */
export function withNames(index: ImageIndex, references: readonly Reference[], descriptor: Descriptor): ImageIndex {
  const bare = withoutName(descriptor);
  const wanted = new Map(references.map((reference) => [canonicalName(reference), reference]));
  const present = (name: string): boolean =>
    index.manifests.some((entry) => nameOf(entry) === name && entry.digest === bare.digest);
  const listed = index.manifests.some((entry) => entry.digest === bare.digest);
  if (wanted.size === 0 ? listed : [...wanted.keys()].every(present)) return index;

  const removed = index.manifests.filter((entry) => wanted.has(nameOf(entry) ?? "") && entry.digest !== bare.digest);
  const kept = index.manifests.filter((entry) => {
    const name = nameOf(entry);
    if (name === undefined) return wanted.size === 0 || entry.digest !== bare.digest;
    return !removed.includes(entry);
  });
  const added = [...wanted].filter(([name]) => !present(name)).map(([, reference]) => named(bare, reference));
  const manifests = [...kept, ...orphans(removed, kept), ...(wanted.size === 0 ? [bare] : added)];
  return { ...index, manifests };
}

/**
 * Takes names away. An image that loses its last name so stays listed without one.
 *
 * @returns the same value if none of the names is there
 */
export function withoutNames(index: ImageIndex, references: readonly Reference[]): ImageIndex {
  const unwanted = new Set(references.map(canonicalName));
  const removed = index.manifests.filter((entry) => unwanted.has(nameOf(entry) ?? ""));
  if (removed.length === 0) return index;
  const kept = index.manifests.filter((entry) => !removed.includes(entry));
  return { ...index, manifests: [...kept, ...orphans(removed, kept)] };
}

/** Takes names away from one image, and takes it out of the list when it has no other left. */
export function withoutImage(index: ImageIndex, digest: Digest, references: readonly Reference[]): ImageIndex {
  const unwanted = new Set(references.map(canonicalName));
  const stays = (entry: Descriptor): boolean => entry.digest !== digest || !unwanted.has(nameOf(entry) ?? "");
  const kept = index.manifests.filter(stays);
  const named = kept.some((entry) => entry.digest === digest && nameOf(entry) !== undefined);
  const manifests = named ? kept : kept.filter((entry) => entry.digest !== digest);
  return manifests.length === index.manifests.length ? index : { ...index, manifests };
}

/** Images that lost a name and are not among the kept ones, once each and without a name. */
function orphans(removed: readonly Descriptor[], kept: readonly Descriptor[]): Descriptor[] {
  const seen = new Set(kept.map((entry) => entry.digest));
  const found: Descriptor[] = [];
  for (const entry of removed) {
    if (seen.has(entry.digest)) continue;
    seen.add(entry.digest);
    found.push(withoutName(entry));
  }
  return found;
}

function named(bare: Descriptor, reference: Reference): Descriptor {
  return { ...bare, annotations: { ...bare.annotations, ...nameAnnotations(reference) } };
}

function referenceOf(entry: Descriptor): Reference | undefined {
  for (const annotation of [ContainerdNameAnnotation, RefNameAnnotation]) {
    const text = entry.annotations?.[annotation];
    if (text === undefined) continue;
    try {
      return parseReference(text);
    } catch {
      // Another tool's name that is none in docker's grammar: the image is there, nobody can ask for it by that.
    }
  }
  return undefined;
}

function nameOf(entry: Descriptor): string | undefined {
  const reference = referenceOf(entry);
  return reference === undefined ? undefined : canonicalName(reference);
}

function withoutName(entry: Descriptor): Descriptor {
  if (entry.annotations === undefined) return entry;
  const { [ContainerdNameAnnotation]: _full, [RefNameAnnotation]: _short, ...others } = entry.annotations;
  const { annotations: _annotations, ...rest } = entry;
  return Object.keys(others).length === 0 ? rest : { ...rest, annotations: others };
}
