import { canonicalName } from "../oci/reference.ts";
import type { Platform } from "../oci/types.ts";
import { descriptorAnnotations } from "./annotations.ts";
import { cacheDocument, INLINE_MEMBER, recordsOf } from "./cache-transfer/format.ts";
import { exportAll, type PlatformImage } from "./export/export.ts";
import { writeImage } from "./image.ts";
import { isOn } from "./inputs.ts";
import type { BuildResult } from "./options.ts";
import type { BuildRequest } from "./run-build.ts";
import type { ImageState } from "./state.ts";
import type { Tools } from "./tools.ts";

/** What a platform's stages came to. */
export interface FinishedPlatform {
  readonly platform: Platform;
  readonly state: ImageState;
  /** The image that the target began with. */
  readonly origin: ImageState;
}

/**
 * Makes images of what the stages came to, and sends them where they are asked for, with the cache.
 * @throws KbuildError `build.output`, `machine.*`
 */
export async function deliver(
  tools: Tools,
  request: BuildRequest,
  finished: readonly FinishedPlatform[],
): Promise<BuildResult> {
  const { inputs, outputs, emitter } = request;
  const { cacheTo = [] } = request.options;
  const images: PlatformImage[] = [];
  for (const one of finished) images.push(await imageOf(tools, request, one));
  const { references, annotations } = inputs;
  const exported = await exportAll(tools, emitter, { images, references, annotations }, outputs);
  if (cacheTo.length > 0) {
    const { exportCaches } = await import("./cache-transfer/export.ts");
    const layers = images.flatMap(({ snapshot }) => snapshot.layers);
    await exportCaches(tools, emitter, cacheTo, layers);
  }
  return {
    digest: exported.descriptor.digest,
    imageId: exported.id,
    descriptor: exported.descriptor,
    tags: inputs.allReferences.map(canonicalName),
    layers: exported.layers.map(({ blob: { digest, size, mediaType }, diffId }) => ({
      diffId,
      digest,
      size,
      mediaType,
    })),
    steps: emitter.finished,
    warnings: emitter.warnings,
    duration: emitter.now(),
  };
}

async function imageOf(
  tools: Tools,
  { options, inputs }: BuildRequest,
  { platform, state, origin }: FinishedPlatform,
): Promise<PlatformImage> {
  const { labels, cacheTo = [] } = options;
  const final = options.squash === true ? await squashed(tools, state, origin, options.noCache !== true) : state;
  const { snapshot } = final;
  const isInline = cacheTo.some(({ type }) => type === "inline") || isOn(inputs.given.get("BUILDKIT_INLINE_CACHE"));
  const members = isInline ? { [INLINE_MEMBER]: cacheDocument(recordsOf(tools, "min", snapshot.layers)) } : undefined;
  const annotations = descriptorAnnotations(inputs.annotations, "manifest", platform);
  return { platform, image: writeImage(tools, final, { labels, annotations, members }), snapshot };
}

async function squashed(tools: Tools, state: ImageState, origin: ImageState, useCache: boolean): Promise<ImageState> {
  const { squash } = await import("./squash.ts");
  return squash(tools, state, origin.snapshot, origin.history.length, useCache);
}
