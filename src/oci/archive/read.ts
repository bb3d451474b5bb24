import * as fs from "node:fs";
import { join, resolve } from "node:path";
import { KbuildError } from "../../errors.ts";
import { chooseManifest, type Image, imageOf } from "../image.ts";
import { Blobs } from "../layout/blobs.ts";
import { errnoOf, explainFault } from "../layout/faults.ts";
import { ContainerdNameAnnotation, RefNameAnnotation } from "../layout/names.ts";
import { isDigest } from "../reference.ts";
import { isIndexType, isManifestType, MAX_JSON, parseIndex } from "../shape.ts";
import type { Descriptor, Digest, ImageIndex, Platform } from "../types.ts";

/** Which image of which folder. */
export interface LayoutAddress {
  readonly folder: string;
  readonly tag?: string;
  /** Of a manifest or index. When it is there, it decides. */
  readonly digest?: Digest;
}

const SCHEME = "oci-layout://";

/**
 * Reads `oci-layout://DIR[:TAG][@DIGEST]`; the scheme may be missing. A colon before a slash belongs to the folder.
 *
 * @throws KbuildError `usage.layout`
 */
export function parseLayoutAddress(text: string): LayoutAddress {
  let rest = text.startsWith(SCHEME) ? text.slice(SCHEME.length) : text;
  let digest: Digest | undefined;
  const at = rest.lastIndexOf("@sha256:");
  if (at >= 0) {
    const after = rest.slice(at + 1);
    if (!isDigest(after)) {
      throw new KbuildError("usage.layout", `${JSON.stringify(text)} has no valid digest after the @`, {
        hint: "A digest is sha256: and 64 hexadecimal digits",
      });
    }
    digest = after;
    rest = rest.slice(0, at);
  }
  const colon = rest.indexOf(":", rest.lastIndexOf("/") + 1);
  const tag = colon < 0 ? undefined : rest.slice(colon + 1);
  const folder = colon < 0 ? rest : rest.slice(0, colon);
  if (folder === "" || tag === "") {
    throw new KbuildError("usage.layout", `${JSON.stringify(text)} is not the address of an OCI layout`, {
      hint: "Write oci-layout://FOLDER, oci-layout://FOLDER:TAG or oci-layout://FOLDER@sha256:…",
    });
  }
  return { folder, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) };
}

/**
 * An image of an OCI image layout on disk, as another tool made it. Without a tag or digest: the only image there, else
 * the one with the tag `latest`. Every byte is hostile: JSON is bounded and checked for its shape, digests are verified
 * when a manifest or config is read; those of layers are for whoever reads them.
 *
 * @param address `oci-layout://DIR[:TAG][@DIGEST]`, or its parts; the folder may be relative to the working directory
 * @param platform which image of a nested index; default this machine's
 * @throws KbuildError `build.layout` when there is no such layout or image, or when it is damaged; `usage.layout`
 */
export function imageFromLayout(address: string | LayoutAddress, platform?: Platform): Image {
  const { folder, tag, digest } = typeof address === "string" ? parseLayoutAddress(address) : address;
  const root = resolve(folder);
  const blobs = new Blobs(root, "build.layout");
  checkLayout(blobs);
  const index = readIndex(blobs);
  const descriptor = digest === undefined ? choose(blobs, index, tag) : descriptorOf(blobs, index, digest);
  if (!isIndexType(descriptor.mediaType) && !isManifestType(descriptor.mediaType)) {
    throw blobs.complain(`${descriptor.digest} in ${root} is no image, but ${JSON.stringify(descriptor.mediaType)}`);
  }
  return imageOf(blobs, chooseManifest(blobs, descriptor, platform));
}

function checkLayout(blobs: Blobs): void {
  let version: unknown;
  try {
    version = JSON.parse(readSmall(join(blobs.root, "oci-layout")).toString())?.imageLayoutVersion;
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) {
      const there = fs.existsSync(blobs.root);
      throw blobs
        .complain(there ? `${blobs.root} is not an OCI layout` : `the OCI layout ${blobs.root} does not exist`)
        .with({ hint: there ? "An OCI layout is a folder with a file named oci-layout" : undefined });
    }
    if (errnoOf(error) !== undefined || error instanceof KbuildError) {
      throw explainFault(error, { doing: `reading ${blobs.root}` });
    }
    version = undefined;
  }
  if (typeof version !== "string" || !/^1\./.test(version)) {
    throw blobs.complain(`${join(blobs.root, "oci-layout")} does not name version 1 of the OCI image layout`);
  }
}

/**
 * The index.json of a layout.
 * @throws KbuildError `build.layout`, `machine.*`
 */
export function readIndex(blobs: Blobs): ImageIndex {
  const path = join(blobs.root, "index.json");
  try {
    return parseIndex(readSmall(path), (reason) => blobs.complain(`${path} is damaged: ${reason}`));
  } catch (error) {
    throw errnoOf(error) === "ENOENT"
      ? blobs.complain(`${path} is missing`)
      : explainFault(error, { doing: `reading ${path}` });
  }
}

/** At most a byte more than {@link MAX_JSON}, so that the reader of the JSON sees that it is too much. */
function readSmall(path: string): Buffer {
  const file = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  try {
    if (!fs.fstatSync(file).isFile()) throw new KbuildError("build.layout", `${path} is not a file`);
    const bytes = Buffer.alloc(Math.min(fs.fstatSync(file).size, MAX_JSON + 1));
    return bytes.subarray(0, fs.readSync(file, bytes, 0, bytes.length, 0));
  } finally {
    fs.closeSync(file);
  }
}

function choose(blobs: Blobs, index: ImageIndex, tag: string | undefined): Descriptor {
  const entries = index.manifests;
  if (entries.length === 0) throw blobs.complain(`the OCI layout ${blobs.root} has no image`);
  const named = entries.find((entry) => hasTag(entry, tag ?? "latest"));
  if (named !== undefined) return named;
  const [first] = entries;
  if (tag === undefined && first !== undefined && entries.every(({ digest }) => digest === first.digest)) return first;
  const tags = entries.map((entry) => entry.annotations?.[RefNameAnnotation]).filter((name) => name !== undefined);
  const there = tags.length === 0 ? "its images have none" : `it has ${tags.slice(0, 20).join(", ")}`;
  const what = tag === undefined ? "several images and none with the tag latest" : `no image with the tag ${tag}`;
  throw blobs.complain(`the OCI layout ${blobs.root} has ${what}; ${there}`).with({
    hint: `Write oci-layout://${blobs.root}:TAG or oci-layout://${blobs.root}@sha256:…`,
  });
}

/** Tools write the tag alone, the name as people type it, or the name in full. */
function hasTag({ annotations }: Descriptor, tag: string): boolean {
  const names = [annotations?.[RefNameAnnotation], annotations?.[ContainerdNameAnnotation]];
  return names.some((name) => name === tag || name?.endsWith(`:${tag}`) === true);
}

/** An entry of index.json; or a blob that only a nested index lists, whose media type it tells itself. */
function descriptorOf(blobs: Blobs, index: ImageIndex, digest: Digest): Descriptor {
  const listed = index.manifests.find((entry) => entry.digest === digest);
  if (listed !== undefined) return listed;
  const bytes = blobs.read(digest);
  let mediaType: unknown;
  try {
    mediaType = JSON.parse(bytes.toString())?.mediaType;
  } catch {
    // Not JSON: no image, and the caller says so.
  }
  return { mediaType: typeof mediaType === "string" ? mediaType : "", digest, size: bytes.length };
}
