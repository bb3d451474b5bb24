/** Builds one case, through the API in this process or through the command line, and judges the outcome. */
import * as fs from "node:fs";
import * as path from "node:path";
import { build } from "../../src/api.ts";
import { KbuildError } from "../../src/errors.ts";
import type { CommandOptions, Kbuild, Outcome } from "../support/command.ts";
import { readImage } from "../support/image-reader.ts";
import { type Case, differences, expectedLine, writeContext } from "./harness.ts";

// The cases were recorded on this platform.
const PLATFORM = "linux/amd64";

export interface Place {
  /** The store that all cases share. */
  readonly root: string;
  readonly folder: string;
  /** The OCI layout that is meant by `FROM busybox`. */
  readonly base: string;
}

/** Differences from what BuildKit does with the case; none means that they agree. */
export async function viaApi(place: Place, spec: Case): Promise<string[]> {
  const context = await writeContext(path.join(place.folder, "api", spec.name), spec);
  try {
    const result = await build({
      context,
      root: place.root,
      platform: PLATFORM,
      buildContexts: { busybox: `oci-layout://${place.base}` },
      buildArgs: spec.options.args,
      target: spec.options.target,
      labels: spec.options.labels,
      secrets: Object.fromEntries(Object.entries(spec.options.secrets ?? {}).map(([id, value]) => [id, { value }])),
      env: {},
    });
    return differences(spec, await readImage(place.root, result.digest));
  } catch (error) {
    if (!(error instanceof KbuildError)) throw error;
    return judgeError(spec, error);
  }
}

/** Writes the secrets of a case to files; gives them as they are told. */
function secretFiles(folder: string, spec: Case): string[] {
  return Object.entries(spec.options.secrets ?? {}).map(([id, value]) => {
    const file = path.join(folder, spec.name, id);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, value);
    return `id=${id},src=${file}`;
  });
}

function judgeError(spec: Case, error: KbuildError): string[] {
  const text = `${error.location ? `${error.location.file}:${error.location.line}: ` : ""}${error.message} (${error.code})`;
  if (spec.result.ok) return [`the build failed, but BuildKit's succeeds: ${text}`];
  const found: string[] = [];
  if (error.exitStatus !== 1) found.push(`exit status ${error.exitStatus}, should be 1: ${text}`);
  if (error.code.startsWith("internal.")) found.push(`an internal error: ${text}`);
  const line = expectedLine(spec);
  if (line !== undefined && error.location?.line !== line) {
    found.push(
      `names ${error.location ? `line ${error.location.line}` : "no line"}, should name line ${line}: ${text}`,
    );
  }
  return found;
}

/** What runs the command line: here, or in another situation. */
export interface CommandLine extends Pick<Kbuild, "root"> {
  run(argv: readonly string[], options?: CommandOptions): Promise<Outcome>;
}

export interface Told {
  readonly differences: readonly string[];
  /** Of the image, when there is one. */
  readonly digest?: string;
}

/**
 * The same through the command line. `context` is the case as {@link writeContext} wrote it, `out` a folder that the
 * command line can write to.
 */
export async function viaCommandLine(
  kbuild: CommandLine,
  spec: Case,
  { context, base, out, env }: { context: string; base: string; out: string; env?: Readonly<Record<string, string>> },
): Promise<Told> {
  const metadata = path.join(out, "metadata.json");
  fs.rmSync(metadata, { force: true });
  const argv = ["build", "--progress=plain", `--platform=${PLATFORM}`, `--metadata-file=${metadata}`];
  argv.push(`--build-context=busybox=oci-layout://${base}`);
  for (const [name, value] of Object.entries(spec.options.args ?? {})) argv.push("--build-arg", `${name}=${value}`);
  for (const [name, value] of Object.entries(spec.options.labels ?? {})) argv.push("--label", `${name}=${value}`);
  for (const secret of secretFiles(path.join(context, "../.secrets"), spec)) argv.push("--secret", secret);
  if (spec.options.target !== undefined) argv.push("--target", spec.options.target);
  const done = await kbuild.run([...argv, context], { env: { ...env } });
  if (done.status === 0) {
    const { "containerimage.digest": digest = "" } = JSON.parse(fs.readFileSync(metadata, "utf8"));
    return { digest, differences: differences(spec, await readImage(kbuild.root, digest)) };
  }
  if (spec.result.ok) {
    return { differences: [`the build failed with status ${done.status}, but BuildKit's succeeds: ${done.stderr}`] };
  }
  const found: string[] = [];
  if (done.status !== 1) found.push(`exit status ${done.status}, should be 1: ${done.stderr}`);
  const line = expectedLine(spec);
  if (line !== undefined && !done.stderr.includes(`Dockerfile:${line}`)) {
    found.push(`the error names no line ${line}: ${done.stderr}`);
  }
  return { differences: found };
}
