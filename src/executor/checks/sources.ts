import { existsSync } from "node:fs";
import { join } from "node:path";
import { KbuildError } from "../../errors.ts";
import { NativeClient } from "../../native/client.ts";
import { defaultRoot, openStore, type Store } from "../../oci/layout/store.ts";
import type { IgnoreLine } from "../../parser/ignore.ts";
import type { BuildContext } from "../context/build-context.ts";
import { findIgnore, readDockerfile } from "../context/dockerfile.ts";
import { openContext } from "../context/open.ts";
import { type BuildInputs, readInputs } from "../inputs.ts";
import type { BuildOptions } from "../options.ts";

/** What may be asked of a Dockerfile without building it. The members mean what they mean to a build. */
export type DockerfileOptions = Pick<
  BuildOptions,
  "context" | "file" | "dockerfile" | "target" | "buildArgs" | "platform" | "buildContexts" | "root" | "env" | "signal"
>;

/** A Dockerfile and what decides its meaning, read. */
export interface DockerfileSources {
  readonly inputs: BuildInputs;
  readonly store: Store;
  /** What messages call the file. */
  readonly name: string;
  /** Where it is, from the working directory; undefined when it is no file of this machine. */
  readonly path: string | undefined;
  readonly text: string;
  readonly ignore: readonly IgnoreLine[];
}

/**
 * Reads a Dockerfile and its ignore file. Nothing is built, no registry is asked, and the store is only looked at, unless
 * the context is an archive, which has to be put somewhere.
 * @throws KbuildError `build.*` when they cannot be found or read, `usage.*`
 */
export async function readSources(options: DockerfileOptions): Promise<DockerfileSources> {
  const inputs = readInputs(options);
  const store = openStore(options.root ?? defaultRoot(inputs.env), { create: typeof options.context !== "string" });
  const native = new NativeClient();
  const stopping = new AbortController();
  const stop = (): void => stopping.abort(new KbuildError("interrupted", "this was interrupted"));
  if (options.signal?.aborted) stop();
  options.signal?.addEventListener("abort", stop, { once: true });
  let context: BuildContext | undefined;
  try {
    const tools = { store, native, signal: stopping.signal, warn: () => {}, rereads: false };
    const opened = await openContext(options.context, tools);
    context = opened.context;
    const found = await readDockerfile(options, opened.dockerfile, context);
    const { lines } = await findIgnore(found, context);
    return { inputs, store, name: found.name, path: pathOf(options, found.name), text: found.text, ignore: lines };
  } finally {
    options.signal?.removeEventListener("abort", stop);
    try {
      await native.close();
    } finally {
      context?.dispose();
    }
  }
}

function pathOf({ context, dockerfile, file }: DockerfileOptions, name: string): string | undefined {
  if (typeof context !== "string" || dockerfile !== undefined) return undefined;
  return file !== undefined && existsSync(file) ? file : join(context, name);
}
