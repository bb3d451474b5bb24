/** Builds a golden case with kbuild, through the API or the command line. */
import * as fs from "node:fs";
import * as path from "node:path";
import { build } from "../../src/api.ts";
import { KbuildError } from "../../src/errors.ts";
import type { Kbuild } from "../support/command.ts";
import { readImage } from "../support/image-reader.ts";
import { writeFiles } from "./files.ts";
import type { Golden, NamedContext } from "./golden.ts";
import { builtOf, failedOf, type Outcome } from "./outcome.ts";

// The golden results are those of this platform.
export const PLATFORM = "linux/amd64";

export interface Place {
  /** The store that all cases share; it has the base by the name of `busybox`. */
  readonly root: string;
  /** Where contexts are written. */
  readonly folder: string;
}

/** A case that is ready to be built: its context written, its images and named contexts made. */
interface Prepared {
  readonly context: string;
  readonly contexts: Readonly<Record<string, string>>;
}

async function prepare(place: Place, golden: Golden, key: string): Promise<Prepared> {
  const folder = path.join(place.folder, key);
  const context = path.join(folder, "context");
  await writeFiles(context, { ...golden.files, Dockerfile: golden.dockerfile });
  for (const [name, dockerfile] of Object.entries(golden.parents ?? {})) {
    await build({ context, dockerfile, tags: [name], root: place.root, platform: PLATFORM, env: {} });
  }
  const contexts: Record<string, string> = {};
  for (const [number, [name, named]] of Object.entries(golden.options?.contexts ?? {}).entries()) {
    contexts[name] = await namedContext(path.join(folder, "contexts", String(number)), named);
  }
  return { context, contexts };

  async function namedContext(dest: string, named: NamedContext): Promise<string> {
    if ("image" in named) return `docker-image://${named.image}`;
    if ("folder" in named) return writeFiles(dest, named.folder);
    await build({
      context,
      dockerfile: named.layout,
      root: place.root,
      platform: PLATFORM,
      outputs: [{ type: "oci", dest, tar: false, name: "named:latest" }],
      env: {},
    });
    return `oci-layout://${dest}:latest`;
  }
}

/** Builds through the API, in this process. */
export async function viaApi(place: Place, golden: Golden, key: string): Promise<Outcome> {
  const { context, contexts } = await prepare(place, golden, key);
  const { options = {} } = golden;
  try {
    const result = await build({
      context,
      root: place.root,
      platform: PLATFORM,
      buildContexts: contexts,
      buildArgs: options.args,
      target: options.target,
      labels: options.labels,
      secrets: Object.fromEntries(Object.entries(options.secrets ?? {}).map(([id, value]) => [id, { value }])),
      env: {},
    });
    return builtOf(await readImage(place.root, result.digest));
  } catch (error) {
    if (error instanceof KbuildError && !error.code.startsWith("internal.")) return failedOf(error);
    throw error;
  }
}

/** What the command line gave: as {@link Outcome}, but an error's code is not printed. */
export async function viaCommandLine(kbuild: Kbuild, place: Place, golden: Golden, key: string): Promise<Outcome> {
  const { context, contexts } = await prepare(place, golden, key);
  const metadata = path.join(path.dirname(context), "metadata.json");
  const argv = ["build", "--progress=plain", `--platform=${PLATFORM}`, `--metadata-file=${metadata}`];
  for (const [name, where] of Object.entries(contexts)) argv.push(`--build-context=${name}=${where}`);
  argv.push(...commonOptions(golden, path.dirname(context)));
  const done = await kbuild.run([...argv, context], { env: { HOME: place.folder } });
  if (done.status === 1) {
    const fails = /\bDockerfile:\d+(:\d+)?/.exec(done.stderr)?.[0] ?? "-";
    return { fails, code: "" };
  }
  if (done.status !== 0) throw new Error(`kbuild ${argv.join(" ")}: status ${done.status}\n${done.stderr}`);
  const { "containerimage.digest": digest = "" } = JSON.parse(fs.readFileSync(metadata, "utf8"));
  return builtOf(await readImage(kbuild.root, digest));
}

/** The options of a case that docker, buildah and kbuild write alike; files of secrets are put into `folder`. */
export function commonOptions({ options = {} }: Golden, folder: string): string[] {
  const argv: string[] = [];
  for (const [name, value] of Object.entries(options.args ?? {})) argv.push("--build-arg", `${name}=${value}`);
  for (const [name, value] of Object.entries(options.labels ?? {})) argv.push("--label", `${name}=${value}`);
  for (const [id, value] of Object.entries(options.secrets ?? {})) {
    const file = path.join(folder, `secret-${id}`);
    fs.writeFileSync(file, value);
    argv.push("--secret", `id=${id},src=${file}`);
  }
  if (options.target !== undefined) argv.push("--target", options.target);
  return argv;
}
