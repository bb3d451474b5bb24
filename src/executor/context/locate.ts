import { createReadStream, existsSync } from "node:fs";
import { join } from "node:path";
import { KbuildError } from "../../errors.ts";
import { showUrl } from "../../oci/registry/faults.ts";
import type { Emitter } from "../emitter.ts";
import { type GitAddress, parseGitAddress, showGitAddress } from "../remote/git-url.ts";
import type { Remotes } from "../remote/remotes.ts";
import { FolderContext, type FolderTools } from "./folder.ts";
import { type OpenedContext, openStream } from "./open.ts";
import { readTextFile } from "./text-file.ts";

/** What a text that stands for a context is. */
export type ContextPlace =
  | { readonly kind: "folder"; readonly path: string }
  | { readonly kind: "git"; readonly address: GitAddress }
  | { readonly kind: "http"; readonly url: URL };

/**
 * Says what a context is: a folder that is there is one whatever it is called; else an address of a repository, of a file,
 * or a folder that is missing.
 * @throws KbuildError `usage.gitAddress`, `usage.address`
 */
export function contextPlace(text: string): ContextPlace {
  if (existsSync(text)) return { kind: "folder", path: text };
  const address = parseGitAddress(text, "usage.gitAddress", "bareGitHub");
  if (address !== undefined) return { kind: "git", address };
  if (!/^https?:\/\//i.test(text)) return { kind: "folder", path: text };
  if (!isHttpAddress(text)) throw new KbuildError("usage.address", `${text} is no address`);
  return { kind: "http", url: new URL(text) };
}

/** Whether a text is the address of something by HTTP. */
export function isHttpAddress(text: string): boolean {
  return /^https?:\/\//i.test(text) && URL.canParse(text);
}

/** What contexts are opened with. */
export interface ContextTools extends FolderTools {
  readonly emitter: Emitter;
  readonly remotes: () => Promise<Remotes>;
  /** Whether the `.git` of a repository stays: the build argument `BUILDKIT_CONTEXT_KEEP_GIT_DIR`. */
  readonly keepsGit: boolean;
}

/** A context that was opened, and whether its files are of this machine, so that `-f` may be a path of it. */
export interface LocatedContext extends OpenedContext {
  readonly isLocal: boolean;
}

/**
 * Opens what a build was given as its context: a folder, an address, or a stream with a tar or with a Dockerfile.
 * docker build, "Build context".
 * @throws KbuildError `build.context`, `build.git`, `registry.*`, `usage.*`
 */
export async function openContext(
  context: string | AsyncIterable<Uint8Array>,
  tools: ContextTools,
): Promise<LocatedContext> {
  if (typeof context !== "string") return { ...(await openStream(context, "standard input", tools)), isLocal: false };
  const place = contextPlace(context);
  switch (place.kind) {
    case "folder":
      return {
        context: new FolderContext(place.path, "the build context", tools),
        dockerfile: undefined,
        isLocal: true,
      };
    case "git":
      return {
        context: await openGit(place.address, "the build context", tools),
        dockerfile: undefined,
        isLocal: false,
      };
    case "http": {
      const path = await download(place.url, "[internal] load remote build context", tools);
      return { ...(await openStream(createReadStream(path), showUrl(place.url), tools)), isLocal: false };
    }
  }
}

/** The files of a repository as a context. */
export async function openGit(address: GitAddress, label: string, tools: ContextTools): Promise<FolderContext> {
  const remotes = await tools.remotes();
  const keepGitDir = address.keepGitDir === true || tools.keepsGit;
  const { root } = await remotes.checkout({ ...address, keepGitDir });
  return new FolderContext(root, label, tools, `${showGitAddress(address.remote)} ${address.subdir}`);
}

/** Downloads a file, shown as a step of its own; gives its path. */
export async function download(url: URL, name: string, tools: ContextTools): Promise<string> {
  const remotes = await tools.remotes();
  return tools.emitter.run({ name, kind: "internal" }, async (reporter) => {
    const { folder, file } = await remotes.download(url, undefined, reporter);
    return join(folder, file);
  });
}

/**
 * The text of a Dockerfile that an address names.
 * @throws KbuildError `build.tooLarge`, `registry.*`
 */
export async function downloadText(url: URL, tools: ContextTools): Promise<string> {
  const text = readTextFile(await download(url, "[internal] load remote Dockerfile", tools), showUrl(url));
  if (text === undefined) throw new KbuildError("internal.download", `${showUrl(url)} is not where it was put`);
  return text;
}
