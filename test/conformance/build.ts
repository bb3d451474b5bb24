/** Builds one case, through the API in this process or through the command line, and judges the outcome. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { build } from "../../src/api.ts";
import { KbuildError } from "../../src/errors.ts";
import { readImage } from "../support/image-reader.ts";
import { HOME } from "../support/workspace.ts";
import { type Bases, differences, expectedLine, type Runnable, writeContext } from "./harness.ts";

// The cases were recorded on this platform.
const PLATFORM = "linux/amd64";

export interface Place {
  /** The store that all cases share. */
  readonly root: string;
  readonly folder: string;
  readonly bases: Bases;
}

/** Differences from what BuildKit does with the case; none means that they agree. */
export async function viaApi(place: Place, runnable: Runnable): Promise<string[]> {
  const { spec } = runnable;
  const context = await writeContext(path.join(place.folder, "api", spec.name), runnable);
  try {
    const result = await build({
      context,
      root: place.root,
      platform: PLATFORM,
      buildContexts: { busybox: `oci-layout://${await place.bases.layout(runnable.base)}` },
      buildArgs: spec.options.args,
      target: spec.options.target,
      labels: spec.options.labels,
      env: {},
    });
    return differences(runnable, await readImage(place.root, result.digest));
  } catch (error) {
    if (!(error instanceof KbuildError)) throw error;
    return judgeError(runnable, error);
  }
}

function judgeError(runnable: Runnable, error: KbuildError): string[] {
  const text = `${error.location ? `${error.location.file}:${error.location.line}: ` : ""}${error.message} (${error.code})`;
  if (runnable.spec.result.ok) return [`the build failed, but BuildKit's succeeds: ${text}`];
  const found: string[] = [];
  if (error.exitStatus !== 1) found.push(`exit status ${error.exitStatus}, should be 1: ${text}`);
  if (error.code.startsWith("internal.")) found.push(`an internal error: ${text}`);
  const line = expectedLine(runnable.spec);
  if (line !== undefined && error.location?.line !== line) {
    found.push(
      `names ${error.location ? `line ${error.location.line}` : "no line"}, should name line ${line}: ${text}`,
    );
  }
  return found;
}

/** The same through the command line. */
export async function viaCommandLine(place: Place, runnable: Runnable): Promise<string[]> {
  const { spec } = runnable;
  const context = await writeContext(path.join(place.folder, "cli", spec.name), runnable);
  const iidfile = path.join(place.folder, "iid");
  const metadata = path.join(place.folder, "metadata.json");
  fs.rmSync(metadata, { force: true });
  const argv = [
    "build",
    "--progress=plain",
    `--platform=${PLATFORM}`,
    `--iidfile=${iidfile}`,
    `--metadata-file=${metadata}`,
  ];
  argv.push(`--build-context=busybox=oci-layout://${await place.bases.layout(runnable.base)}`);
  for (const [name, value] of Object.entries(spec.options.args ?? {})) argv.push("--build-arg", `${name}=${value}`);
  for (const [name, value] of Object.entries(spec.options.labels ?? {})) argv.push("--label", `${name}=${value}`);
  if (spec.options.target !== undefined) argv.push("--target", spec.options.target);
  const done = spawnSync(process.execPath, [path.join(HOME, "dist/kbuild.cjs"), ...argv, context], {
    encoding: "utf8",
    env: { PATH: process.env.PATH, HOME: place.folder, KBUILD_ROOT: place.root },
  });
  if (done.status === 0) {
    const { "containerimage.digest": digest } = JSON.parse(fs.readFileSync(metadata, "utf8")) as Record<string, string>;
    return differences(runnable, await readImage(place.root, digest ?? ""));
  }
  if (spec.result.ok) return [`the build failed with status ${done.status}, but BuildKit's succeeds: ${done.stderr}`];
  const found: string[] = [];
  if (done.status !== 1) found.push(`exit status ${done.status}, should be 1: ${done.stderr}`);
  const line = expectedLine(spec);
  if (line !== undefined && !done.stderr.includes(`Dockerfile:${line}`)) {
    found.push(`the error names no line ${line}: ${done.stderr}`);
  }
  return found;
}
