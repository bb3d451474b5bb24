import { imageFromStore } from "../../oci/image.ts";
import { formatPlatform } from "../../oci/platform.ts";
import { canonicalName, type Reference } from "../../oci/reference.ts";
import type { Platform } from "../../oci/types.ts";
import { type Annotations, descriptorAnnotations } from "../annotations.ts";
import type { Emitter, StepReporter } from "../emitter.ts";
import { type WrittenImage, writeIndex } from "../image.ts";
import { outputReferences } from "../inputs.ts";
import type { OutputOptions } from "../options.ts";
import type { Snapshot } from "../state.ts";
import type { Tools } from "../tools.ts";
import { exportArchive } from "./archive.ts";
import { exportFiles } from "./files.ts";

/** What a build made for one platform. */
export interface PlatformImage {
  readonly platform: Platform;
  readonly image: WrittenImage;
  readonly snapshot: Snapshot;
}

/** What is to go out. */
export interface Export {
  /** At least one; of several an index is made. */
  readonly images: readonly PlatformImage[];
  readonly references: readonly Reference[];
  readonly annotations: Annotations;
}

/** An image as it went out, or an index of several. */
export type ExportedImage = Pick<WrittenImage, "descriptor" | "id" | "layers">;

const NAMES = {
  image: "exporting to image",
  docker: "exporting to docker image format",
  oci: "exporting to oci image format",
  tar: "exporting to client tarball",
  local: "exporting to client directory",
} as const satisfies Record<OutputOptions["type"], string>;

/** Writes an image to its outputs, one after the other. Gives it as the last output that compresses wrote it. */
export async function exportAll(
  tools: Tools,
  emitter: Emitter,
  what: Export,
  outputs: readonly OutputOptions[],
): Promise<ExportedImage> {
  let exported = described(tools, what.images, what.annotations);
  for (const output of outputs) {
    exported = await emitter.run({ name: NAMES[output.type], kind: "export" }, (reporter) =>
      exportOne(tools, what, exported, output, reporter),
    );
  }
  return exported;
}

/** The image itself, or the index of several, with what its descriptor is to have. An index has no config: its ID is its own. */
function described(tools: Tools, images: readonly PlatformImage[], annotations: Annotations): ExportedImage {
  const [first] = images;
  if (first === undefined) throw new TypeError("a build without an image");
  if (images.length > 1) {
    const index = writeIndex(tools.store, images, annotations);
    return { descriptor: index.descriptor, id: index.descriptor.digest, layers: first.image.layers };
  }
  const { image, platform } = first;
  const own = descriptorAnnotations(annotations, "manifest-descriptor", platform);
  return own === undefined ? image : { ...image, descriptor: { ...image.descriptor, annotations: own } };
}

async function exportOne(
  tools: Tools,
  what: Export,
  exported: ExportedImage,
  output: OutputOptions,
  reporter: StepReporter,
): Promise<ExportedImage> {
  const { images, annotations } = what;
  const references = outputReferences(output, what.references);
  switch (output.type) {
    case "image": {
      const image = described(tools, images, annotations);
      say(reporter, `writing image ${image.id}`);
      await tools.store.tag(references, image.descriptor);
      for (const reference of references) say(reporter, `naming to ${canonicalName(reference)}`);
      return exported;
    }
    case "docker":
    case "oci": {
      const stored = images.map(({ image, platform }) => ({
        platform,
        image: imageFromStore(tools.store, image.descriptor),
      }));
      const written = await exportArchive(tools, stored, references, annotations, output, reporter);
      for (const { image } of written.images) {
        say(reporter, `exporting manifest ${image.descriptor.digest}`);
        say(reporter, `exporting config ${image.id}`);
      }
      const [first] = written.images;
      const layers = (first?.image.layers ?? []).map(({ descriptor: blob, diffId }) => ({ blob, diffId }));
      const { descriptor } = written;
      return { descriptor, layers, id: images.length > 1 ? descriptor.digest : (first?.image.id ?? exported.id) };
    }
    case "tar":
    case "local": {
      const trees = images.map(({ platform, snapshot }) => ({
        folder: (output.platformSplit ?? images.length > 1) ? formatPlatform(platform).replaceAll("/", "_") : "",
        snapshot,
      }));
      await exportFiles(tools, trees, output, reporter);
      return exported;
    }
  }
}

function say(reporter: StepReporter, part: string): void {
  reporter.progress({ part, done: 0, unit: "none", finished: true });
}
