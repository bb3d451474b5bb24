import * as fs from "node:fs";
import { type BuildResult, type BuildWarning, KbuildError } from "../api.ts";
import { lineRanges } from "./render/line-ranges.ts";

/** Writes what `--iidfile` and `--metadata-file` ask for. */
export function writeResults(
  result: BuildResult,
  { iidfile, metadataFile }: { readonly iidfile: string | undefined; readonly metadataFile: string | undefined },
  env: Readonly<Record<string, string | undefined>>,
): void {
  if (iidfile !== undefined) writeFile(iidfile, result.imageId, "--iidfile");
  if (metadataFile !== undefined) writeFile(metadataFile, metadata(result, env), "--metadata-file");
}

/** What `docker buildx build --metadata-file` writes, with its keys. */
function metadata(
  { digest, imageId, descriptor, tags, warnings }: BuildResult,
  env: Readonly<Record<string, string | undefined>>,
): string {
  const wantsWarnings = /^(?:1|t|true)$/i.test(env.BUILDX_METADATA_WARNINGS ?? "");
  const facts = {
    ...(wantsWarnings && warnings.length > 0 ? { "buildx.build.warnings": warnings.map(vertexWarning) } : {}),
    // An index has no config.
    ...(imageId === digest ? {} : { "containerimage.config.digest": imageId }),
    "containerimage.descriptor": descriptor,
    "containerimage.digest": digest,
    ...(tags.length > 0 ? { "image.name": tags.join(",") } : {}),
  };
  return `${JSON.stringify(facts, null, 2)}\n`;
}

/** BuildKit's `client.VertexWarning`, whose texts are in base64; without the text of the file. */
function vertexWarning({ code, message, location, description }: BuildWarning): object {
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  return {
    level: 1,
    short: base64(`${code}: ${message}${location === undefined ? "" : ` (line ${location.line})`}`),
    ...(description === undefined ? {} : { detail: [base64(description)] }),
    ...(location === undefined
      ? {}
      : { sourceInfo: { filename: location.file, language: "Dockerfile" }, range: lineRanges(location) }),
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
