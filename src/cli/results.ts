import * as fs from "node:fs";
import { type BuildResult, KbuildError } from "../api.ts";

/** Writes what `--iidfile` and `--metadata-file` ask for. */
export function writeResults(
  result: BuildResult,
  { iidfile, metadataFile }: { readonly iidfile: string | undefined; readonly metadataFile: string | undefined },
): void {
  if (iidfile !== undefined) writeFile(iidfile, result.imageId, "--iidfile");
  if (metadataFile !== undefined) writeFile(metadataFile, metadata(result), "--metadata-file");
}

/** Writes the facts of several images, by the names of their targets. */
export function writeMetadata(results: Readonly<Record<string, BuildResult>>, file: string): void {
  const facts = Object.entries(results).map(([name, result]) => [name, factsOf(result)]);
  writeFile(file, `${JSON.stringify(Object.fromEntries(facts), null, 2)}\n`, "--metadata-file");
}

function metadata(result: BuildResult): string {
  return `${JSON.stringify(factsOf(result), null, 2)}\n`;
}

/** What `docker buildx build --metadata-file` writes, with its keys. */
function factsOf({ digest, imageId, descriptor, tags }: BuildResult): Readonly<Record<string, unknown>> {
  return {
    "containerimage.config.digest": imageId,
    "containerimage.descriptor": descriptor,
    "containerimage.digest": digest,
    ...(tags.length > 0 ? { "image.name": tags.join(",") } : {}),
  };
}

/** Removes what an earlier build wrote. Pipes and devices stay, and what cannot be removed is told when it is written. */
export function removeStale(path: string): void {
  if (isOrdinary(path)) fs.rmSync(path, { force: true });
}

/** All or nothing: to a file beside it, then renamed. A pipe or a device is written to. */
function writeFile(path: string, text: string, option: string): void {
  try {
    if (!isOrdinary(path)) {
      fs.writeFileSync(path, text);
      return;
    }
    const temporary = `${path}.${process.pid}.tmp`;
    try {
      fs.writeFileSync(temporary, text, { flag: "wx" });
      fs.renameSync(temporary, path);
    } catch (error) {
      fs.rmSync(temporary, { force: true });
      throw error;
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new KbuildError("machine.io", `${option} ${path} cannot be written: ${reason}`, { cause: error });
  }
}

function isOrdinary(path: string): boolean {
  try {
    return fs.lstatSync(path).isFile();
  } catch {
    return true;
  }
}
