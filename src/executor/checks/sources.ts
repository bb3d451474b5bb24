import { existsSync } from "node:fs";
import { join } from "node:path";
import { NativeClient } from "../../native/client.ts";
import { defaultRoot, openStore, type Store } from "../../oci/layout/store.ts";
import type { IgnoreLine } from "../../parser/ignore.ts";
import { findIgnore, readDockerfile } from "../context/dockerfile.ts";
import { FolderContext } from "../context/folder.ts";
import { contextPlace, isHttpAddress } from "../context/locate.ts";
import { Emitter } from "../emitter.ts";
import { type BuildInputs, readInputs } from "../inputs.ts";
import { loadTexts } from "../load-build.ts";
import type { BuildOptions } from "../options.ts";
import { inSession } from "../session.ts";

/** What may be asked of a Dockerfile without building it. The members mean what they mean to a build. */
export type DockerfileOptions = Pick<
  BuildOptions,
  | "context"
  | "file"
  | "dockerfile"
  | "ignoreSyntax"
  | "target"
  | "buildArgs"
  | "platform"
  | "buildContexts"
  | "root"
  | "env"
  | "signal"
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
 * Reads a Dockerfile and its ignore file. Nothing is built and no registry is asked; what is a folder of this machine is
 * only looked at, anything else is fetched into the store first.
 * @throws KbuildError `build.*` when they cannot be found or read, `usage.*`, `registry.*`
 */
export async function readSources(options: DockerfileOptions): Promise<DockerfileSources> {
  const inputs = readInputs(options);
  const { context: place } = options;
  const isHere = typeof place === "string" && contextPlace(place).kind === "folder";
  if (isHere && !isHttpAddress(options.file ?? "")) return readLocal(options, inputs, place);
  const emitter = new Emitter(() => {});
  const { root, signal } = options;
  return inSession({ inputs, warn: () => {}, root, signal }, async (session) => {
    const { found, ignore, close } = await loadTexts(session, { options, inputs, emitter });
    await close();
    const { name, text } = found;
    return { inputs, store: session.tools.store, name, path: undefined, text, ignore: ignore.lines };
  });
}

async function readLocal(options: DockerfileOptions, inputs: BuildInputs, place: string): Promise<DockerfileSources> {
  const store = openStore(options.root ?? defaultRoot(inputs.env), { create: false });
  // Nothing of the folder but texts is read, and for that no core is started.
  const native = new NativeClient();
  const { signal } = new AbortController();
  const context = new FolderContext(place, "the build context", {
    store,
    native,
    signal,
    warn: () => {},
    rereads: false,
  });
  const found = await readDockerfile(options, { context, dockerfile: undefined, isLocal: true });
  const { lines } = await findIgnore(found, context);
  return { inputs, store, name: found.name, path: pathOf(options, found.name), text: found.text, ignore: lines };
}

function pathOf({ context, dockerfile, file }: DockerfileOptions, name: string): string | undefined {
  if (typeof context !== "string" || dockerfile !== undefined) return undefined;
  return file !== undefined && existsSync(file) ? file : join(context, name);
}
