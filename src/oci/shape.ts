import type { KbuildError } from "../errors.ts";
import { isDigest } from "./reference.ts";
import { type Descriptor, type ImageConfig, type ImageIndex, type Manifest, MediaType } from "./types.ts";

/**
 * Whether JSON that came from elsewhere has the shape of what it says it is. All of it is hostile until it was here:
 * the types of `types.ts` hold for what these functions return, and for nothing else.
 */

/** Bytes of the largest manifest, index or config that is read. As large as what a registry must take. */
export const MAX_JSON = 4 * 1024 * 1024;

/** More layers than any file system stacks, or history than anybody reads. */
const MAX_LAYERS = 10_000;

/** Makes the error for a reason like `its "layers" is not a list`. */
export type Complain = (reason: string) => KbuildError;

/** OCI image-spec manifest.md; also Docker's schema 2. Members that are not in {@link Manifest} are kept. */
export function parseManifest(bytes: Uint8Array, complain: Complain): Manifest {
  const value = parseObject(bytes, complain);
  if ("manifests" in value) throw complain("it is an index, not a manifest");
  checkSchema(value, complain);
  const config = checkDescriptor(value.config, "config", complain);
  const layers = checkList(value.layers, "layers", MAX_LAYERS, complain).map((layer, number) =>
    checkDescriptor(layer, `layers[${number}]`, complain),
  );
  checkStrings(value.annotations, "annotations", complain);
  return { ...value, schemaVersion: 2, config, layers };
}

/** OCI image-spec image-index.md; also Docker's manifest list. Members that are not in {@link ImageIndex} are kept. */
export function parseIndex(bytes: Uint8Array, complain: Complain, maximum = MAX_JSON): ImageIndex {
  const value = parseObject(bytes, complain, maximum);
  checkSchema(value, complain);
  const manifests = checkList(value.manifests, "manifests", 1_000_000, complain).map((entry, number) =>
    checkDescriptor(entry, `manifests[${number}]`, complain),
  );
  checkStrings(value.annotations, "annotations", complain);
  return { ...value, schemaVersion: 2, manifests };
}

/** OCI image-spec config.md. Members that are not in {@link ImageConfig} are kept, as is what Docker adds. */
export function parseConfig(bytes: Uint8Array, complain: Complain): ImageConfig {
  const value = parseObject(bytes, complain);
  for (const member of ["architecture", "os"]) {
    if (typeof value[member] !== "string" || value[member] === "") throw complain(`its "${member}" is missing`);
  }
  for (const member of ["created", "author", "variant", "os.version"]) checkText(value[member], member, complain);
  const rootfs = value.rootfs;
  if (!isObject(rootfs) || rootfs.type !== "layers") throw complain('its "rootfs" is not of type "layers"');
  // Go writes an empty list as null in places.
  const diffIds = checkList(rootfs.diff_ids ?? [], "rootfs.diff_ids", MAX_LAYERS, complain);
  for (const diffId of diffIds) if (!isDigest(diffId)) throw complain('its "rootfs.diff_ids" has what is no digest');
  checkContainerConfig(value.config, complain);
  const history = checkList(value.history ?? [], "history", MAX_LAYERS * 10, complain);
  for (const entry of history) {
    if (!isObject(entry)) throw complain('its "history" has what is no object');
    for (const member of ["created", "created_by", "author", "comment"]) {
      checkText(entry[member], `history.${member}`, complain);
    }
    const empty = entry.empty_layer;
    if (empty !== undefined && typeof empty !== "boolean") throw complain('its "history.empty_layer" is no boolean');
  }
  const normal: Record<string, unknown> = { ...value, rootfs: { ...rootfs, diff_ids: diffIds } };
  for (const member of ["config", "history"]) if (normal[member] === null) delete normal[member];
  return normal as unknown as ImageConfig;
}

/** OCI image-spec descriptor.md. */
export function checkDescriptor(value: unknown, where: string, complain: Complain): Descriptor {
  if (!isObject(value)) throw complain(`its "${where}" is no descriptor`);
  const { mediaType, digest, size, platform } = value;
  if (typeof mediaType !== "string" || mediaType.length > 255) throw complain(`its "${where}" has no media type`);
  if (!isDigest(digest)) throw complain(`its "${where}" has no SHA-256 digest`);
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) throw complain(`its "${where}" has no size`);
  if (platform !== undefined) {
    if (!isObject(platform)) throw complain(`its "${where}.platform" is no object`);
    for (const member of ["os", "architecture"]) {
      if (typeof platform[member] !== "string") throw complain(`its "${where}.platform" has no "${member}"`);
    }
    for (const member of ["variant", "os.version"]) {
      checkText(platform[member], `${where}.platform.${member}`, complain);
    }
  }
  checkStrings(value.annotations, `${where}.annotations`, complain);
  return value as unknown as Descriptor;
}

/** Whether a descriptor of this type leads to further manifests. */
export function isIndexType(mediaType: string): boolean {
  return mediaType === MediaType.ociIndex || mediaType === MediaType.dockerIndex;
}

/** Whether a descriptor of this type is an image's manifest. */
export function isManifestType(mediaType: string): boolean {
  return mediaType === MediaType.ociManifest || mediaType === MediaType.dockerManifest;
}

function checkContainerConfig(value: unknown, complain: Complain): void {
  if (value === undefined || value === null) return;
  if (!isObject(value)) throw complain('its "config" is no object');
  for (const member of ["User", "WorkingDir", "StopSignal"]) checkText(value[member], `config.${member}`, complain);
  for (const member of ["Env", "Entrypoint", "Cmd", "OnBuild", "Shell"]) {
    const list = value[member];
    if (list === undefined || list === null) continue;
    if (!Array.isArray(list) || !list.every((item) => typeof item === "string")) {
      throw complain(`its "config.${member}" is no list of texts`);
    }
  }
  for (const member of ["ExposedPorts", "Volumes"]) {
    const set = value[member];
    if (set !== undefined && set !== null && !isObject(set)) throw complain(`its "config.${member}" is no object`);
  }
  checkStrings(value.Labels, "config.Labels", complain);
  const check = value.Healthcheck;
  if (check !== undefined && check !== null) {
    const test = isObject(check) ? (check.Test ?? []) : undefined;
    if (!Array.isArray(test) || !test.every((item) => typeof item === "string")) {
      throw complain('its "config.Healthcheck" is no health check');
    }
  }
}

function parseObject(bytes: Uint8Array, complain: Complain, maximum = MAX_JSON): Record<string, unknown> {
  if (bytes.length > maximum) throw complain(`it has ${bytes.length} bytes, at most ${maximum} are read`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw complain("it is not JSON");
  }
  if (!isObject(value)) throw complain("it is no JSON object");
  return value;
}

function checkSchema(value: Record<string, unknown>, complain: Complain): void {
  if (value.schemaVersion !== 2) throw complain(`its "schemaVersion" is ${JSON.stringify(value.schemaVersion)}, not 2`);
  checkText(value.mediaType, "mediaType", complain);
}

function checkList(value: unknown, where: string, maximum: number, complain: Complain): unknown[] {
  if (!Array.isArray(value)) throw complain(`its "${where}" is no list`);
  if (value.length > maximum) throw complain(`its "${where}" has ${value.length} entries, at most ${maximum} are read`);
  return value;
}

function checkText(value: unknown, where: string, complain: Complain): void {
  if (value !== undefined && value !== null && typeof value !== "string") throw complain(`its "${where}" is no text`);
}

function checkStrings(value: unknown, where: string, complain: Complain): void {
  if (value === undefined || value === null) return;
  if (!isObject(value) || !Object.values(value).every((item) => typeof item === "string")) {
    throw complain(`its "${where}" is no object of texts`);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
