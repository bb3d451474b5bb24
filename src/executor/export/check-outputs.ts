import { KbuildError } from "../../errors.ts";
import type { BuildInputs } from "../inputs.ts";
import type { OutputOptions } from "../options.ts";
import { checkLevel } from "./archive.ts";

/**
 * Finds what outputs ask for that cannot be.
 * @throws KbuildError `usage.*`
 */
export function checkOutputs(outputs: readonly OutputOptions[], inputs: BuildInputs): readonly OutputOptions[] {
  for (const output of outputs) {
    if (
      (output.type === "tar" || output.type === "local") &&
      output.platformSplit === false &&
      inputs.targetPlatforms.length > 1
    ) {
      throw new KbuildError("usage.notSupported", "platform-split=false with several platforms is not supported", {
        hint: "their files would replace each other: leave it out, and each platform has a folder",
      });
    }
    if (output.type === "docker" && inputs.targetPlatforms.length > 1) {
      throw new KbuildError("usage.output", "an archive for docker load has one platform", {
        hint: "type=oci has several; or build one platform at a time",
      });
    }
    if (output.type !== "docker" && output.type !== "oci") continue;
    const { compression, compressionLevel } = output;
    if (compression !== undefined && compression !== "uncompressed") checkLevel(compression, compressionLevel);
    else if (compressionLevel !== undefined) {
      throw new KbuildError("usage.compressionLevel", "a compression level needs a compression, and there is none", {
        hint: "compression=gzip or compression=zstd",
      });
    }
  }
  return outputs;
}
