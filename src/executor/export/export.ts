import { imageFromStore } from "../../oci/image.ts";
import { canonicalName, type Reference } from "../../oci/reference.ts";
import type { Emitter, StepReporter } from "../emitter.ts";
import type { WrittenImage } from "../image.ts";
import { outputReferences } from "../inputs.ts";
import type { OutputOptions } from "../options.ts";
import type { Snapshot } from "../state.ts";
import type { Tools } from "../tools.ts";
import { exportArchive } from "./archive.ts";
import { exportFiles } from "./files.ts";

/** What is to go out. */
export interface Export {
  readonly image: WrittenImage;
  readonly snapshot: Snapshot;
  readonly references: readonly Reference[];
}

const NAMES = {
  image: "exporting to image",
  docker: "exporting to docker image format",
  oci: "exporting to oci image format",
  tar: "exporting to client tarball",
  local: "exporting to client directory",
} as const satisfies Record<OutputOptions["type"], string>;

/** Writes an image to its outputs, one after the other. Gives the image as the last output that compresses wrote it. */
export async function exportAll(
  tools: Tools,
  emitter: Emitter,
  what: Export,
  outputs: readonly OutputOptions[],
): Promise<WrittenImage> {
  let { image } = what;
  for (const output of outputs) {
    image = await emitter.run({ name: NAMES[output.type], kind: "export" }, (reporter) =>
      exportOne(tools, what, output, reporter),
    );
  }
  return image;
}

async function exportOne(
  tools: Tools,
  what: Export,
  output: OutputOptions,
  reporter: StepReporter,
): Promise<WrittenImage> {
  const { image, snapshot } = what;
  const references = outputReferences(output, what.references);
  switch (output.type) {
    case "image":
      say(reporter, `writing image ${image.id}`);
      await tools.store.tag(references, image.descriptor);
      for (const reference of references) say(reporter, `naming to ${canonicalName(reference)}`);
      return image;
    case "docker":
    case "oci": {
      const stored = imageFromStore(tools.store, image.descriptor);
      const { descriptor, id, layers } = await exportArchive(tools, stored, references, output, reporter);
      say(reporter, `exporting manifest ${descriptor.digest}`);
      say(reporter, `exporting config ${id}`);
      return { descriptor, id, layers: layers.map(({ descriptor: blob, diffId }) => ({ blob, diffId })) };
    }
    case "tar":
    case "local":
      await exportFiles(tools, snapshot, output, reporter);
      return image;
  }
}

function say(reporter: StepReporter, part: string): void {
  reporter.progress({ part, done: 0, unit: "none", finished: true });
}
