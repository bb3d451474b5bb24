import { encodeJson, hexOf } from "../digest.ts";
import type { Image } from "../image.ts";
import { nameAnnotations } from "../layout/names.ts";
import { hostPlatform, runsOn } from "../platform.ts";
import { familiarName, type Reference } from "../reference.ts";
import { type Descriptor, type Digest, MediaType } from "../types.ts";

/** An image of an archive, with the names that it gets there. */
export interface ArchivedImage {
  readonly image: Image;
  readonly references: readonly Reference[];
  /** Further annotations of its descriptor. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** An index of an archive with its images, of one for each platform. */
export interface ArchivedIndex {
  readonly index: { readonly descriptor: Descriptor; readonly bytes: Uint8Array };
  readonly images: readonly Image[];
  readonly references: readonly Reference[];
}

/**
 * A file of an archive. Its bytes are here, or in a file of exactly `size` bytes. Every member is a regular file of mode
 * 0644 and owner 0:0 with the time 0: none of these is ever looked at, and so the same images give the same bytes.
 */
export type ArchiveMember = {
  /** Relative, in ASCII, at most 100 bytes: it fits a ustar header. */
  readonly name: string;
  readonly size: number;
} & ({ readonly bytes: Uint8Array } | { readonly path: string });

/**
 * What goes into a tarball that serves every tool: an OCI image layout (OCI image-spec image-layout.md) and, over the
 * same blobs, the `manifest.json` of `docker save`. Each blob is there once, however many images have it.
 *
 * `docker load` of every version and the `docker-archive:` of skopeo and podman read manifest.json; containerd, the
 * `oci-archive:` of skopeo and podman, and umoci read index.json. The file `repositories` of docker before 1.10 is left
 * out: nobody reads it when there is a manifest.json.
 *
 * The members are sorted by name, bytewise with `/` lowest, which is the order of `layers/entry-table.ts`.
 */
export function planArchive(content: readonly (ArchivedImage | ArchivedIndex)[]): ArchiveMember[] {
  const members = new Map<string, ArchiveMember>();
  const add = (member: ArchiveMember): void => {
    members.set(member.name, member);
  };
  for (const one of content) if ("index" in one) add(inline(blobName(one.index.descriptor.digest), one.index.bytes));
  for (const image of content.flatMap((one) => ("index" in one ? one.images : [one.image]))) {
    add(inline(blobName(image.descriptor.digest), image.manifestBytes));
    add(inline(blobName(image.id), image.configBytes));
    for (const { descriptor, path } of image.layers) {
      add({ name: blobName(descriptor.digest), size: descriptor.size, path });
    }
  }
  add(inline("oci-layout", encodeJson({ imageLayoutVersion: "1.0.0" })));
  add(inline("index.json", encodeJson(indexOf(content))));
  add(inline("manifest.json", encodeJson(content.flatMap(dockerEntry))));
  return [...members.values()].sort((left, right) => (sortKey(left) < sortKey(right) ? -1 : 1));
}

function indexOf(content: readonly (ArchivedImage | ArchivedIndex)[]): object {
  const manifests = content.flatMap((one) => {
    const bare = "index" in one ? one.index.descriptor : { ...platformed(one.image), ...marked(one.annotations) };
    if (one.references.length === 0) return [bare];
    return one.references.map((reference) => ({
      ...bare,
      annotations: { ...bare.annotations, ...nameAnnotations(reference) },
    }));
  });
  return { schemaVersion: 2, mediaType: MediaType.ociIndex, manifests };
}

function marked(annotations: Readonly<Record<string, string>> | undefined): Pick<Descriptor, "annotations"> {
  return annotations === undefined ? {} : { annotations };
}

/** With the platform, so that a reader with several images of one name could choose. */
function platformed({ descriptor, config }: Image): Descriptor {
  const { mediaType, digest, size } = descriptor;
  const { architecture, os, variant } = config;
  const platform = { architecture, os, ...(variant === undefined ? {} : { variant }) };
  return { mediaType, digest, size, platform };
}

/**
 * moby/moby image/spec/v1.2.md, "Combined Image JSON + Filesystem Changeset Format": manifest.json. docker knows no index
 * there: it gets the image for this machine, if there is one.
 */
function dockerEntry(one: ArchivedImage | ArchivedIndex): object[] {
  const image = "index" in one ? one.images.find(({ config }) => runsOn(config, hostPlatform())) : one.image;
  if (image === undefined) return [];
  return [
    {
      Config: blobName(image.id),
      // A name with a digest alone is none that docker could give on loading.
      RepoTags: one.references
        .filter(({ tag }) => tag !== undefined)
        .map(({ domain, path, tag }) => tagName(domain, path, tag)),
      Layers: image.layers.map(({ descriptor }) => blobName(descriptor.digest)),
    },
  ];
}

function tagName(domain: string, path: string, tag: string | undefined): string {
  return familiarName({ domain, path, ...(tag === undefined ? {} : { tag }) });
}

function blobName(digest: Digest): string {
  return `blobs/sha256/${hexOf(digest)}`;
}

function inline(name: string, bytes: Uint8Array): ArchiveMember {
  return { name, size: bytes.length, bytes };
}

function sortKey({ name }: ArchiveMember): string {
  return name.replaceAll("/", "\0");
}
