import { KbuildError } from "../../errors.ts";
import { type Complain, isIndexType, isManifestType, parseConfig, parseIndex, parseManifest } from "../shape.ts";
import { type ImageConfig, type ImageIndex, type Manifest, MediaType } from "../types.ts";

/** What a registry gives for the name of an image. */
export type Document =
  | { readonly kind: "index"; readonly mediaType: string; readonly index: ImageIndex }
  | { readonly kind: "manifest"; readonly mediaType: string; readonly manifest: Manifest };

/** More than overlayfs stacks or any builder makes; each costs a request. */
const MAX_LAYERS = 1000;

const CONFIG_TYPES = new Set<string>([MediaType.ociConfig, MediaType.dockerConfig]);
const LAYER_TYPES = new Set<string>([
  MediaType.ociLayer,
  MediaType.ociLayerGzip,
  MediaType.ociLayerZstd,
  MediaType.dockerLayer,
  MediaType.dockerLayerGzip,
  "application/vnd.docker.image.rootfs.diff.tar.zstd",
]);

/**
 * Reads a manifest or an index. Its kind is what its own `mediaType`, the `Content-Type` and the descriptor that led to
 * it say; when two of these disagree it is refused, as one document could then be two images (CVE-2021-41190).
 *
 * @param expected the media type of the descriptor that led here, if one did
 */
export function readDocument(
  bytes: Uint8Array,
  contentType: string | undefined,
  expected: string | undefined,
  subject: string,
  complain: Complain,
): Document {
  const members = peek(bytes);
  const sent = contentType?.split(";")[0]?.trim().toLowerCase();
  if (sent?.startsWith("application/vnd.docker.distribution.manifest.v1") || members?.schemaVersion === 1) {
    throw new KbuildError("registry.invalid", `${subject} has Docker's old manifest schema 1, which is not supported`, {
      hint: "Pull it with docker and push it again, which writes the current schema",
    });
  }
  const own = typeof members?.mediaType === "string" ? members.mediaType : undefined;
  const said = [expected, sent, own].filter(
    (type) => type !== undefined && (isIndexType(type) || isManifestType(type)),
  );
  if (new Set(said).size > 1) throw complain(`it is said to be ${[...new Set(said)].join(" and also ")}`);
  if (own !== undefined && !isIndexType(own) && !isManifestType(own)) {
    throw complain(`it is no image but ${JSON.stringify(own.slice(0, 200))}`);
  }
  const isIndex = members !== undefined && "manifests" in members;
  if (isIndex && ("layers" in members || "config" in members)) throw complain("it is an index and a manifest at once");
  const mediaType = said[0] ?? (isIndex ? MediaType.ociIndex : MediaType.ociManifest);
  if (isIndexType(mediaType)) return { kind: "index", mediaType, index: parseIndex(bytes, complain) };
  const manifest = parseManifest(bytes, complain);
  checkImage(manifest, complain);
  return { kind: "manifest", mediaType, manifest };
}

/** Reads a config, and holds it against its manifest. */
export function readConfig(bytes: Uint8Array, manifest: Manifest, complain: Complain): ImageConfig {
  const config = parseConfig(bytes, complain);
  const diffIds = config.rootfs.diff_ids.length;
  const layers = manifest.layers.length;
  if (diffIds !== layers) throw complain(`it has ${diffIds} diff_ids for the ${layers} layers of its manifest`);
  return config;
}

/** That it is an image, not a chart, a signature or another artifact, and one whose layers can be read. */
function checkImage(manifest: Manifest, complain: Complain): void {
  const { config, layers } = manifest;
  const show = (mediaType: string): string => JSON.stringify(mediaType.slice(0, 200));
  if (!CONFIG_TYPES.has(config.mediaType)) throw complain(`it is no image, its config is ${show(config.mediaType)}`);
  if (layers.length > MAX_LAYERS) throw complain(`it has ${layers.length} layers, at most ${MAX_LAYERS} are read`);
  for (const [number, { mediaType }] of layers.entries()) {
    if (LAYER_TYPES.has(mediaType)) continue;
    const foreign = /foreign|nondistributable/.test(mediaType);
    throw complain(
      `its layer ${number + 1} is ${show(mediaType)}, ${foreign ? "which registries do not hold" : "which is not known"}`,
    );
  }
}

/** The members that decide what the document is, before anything is checked. */
function peek(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
