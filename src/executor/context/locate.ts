import { createReadStream, existsSync } from "node:fs";
import { join } from "node:path";
import { KbuildError } from "../../errors.ts";
import { showUrl } from "../../oci/registry/faults.ts";
import type { Emitter } from "../emitter.ts";
import { type GitAddress, parseGitAddress, showGitAddress } from "../remote/git-url.ts";
import type { Remotes } from "../remote/remotes.ts";
import { commitTime } from "./commit-time.ts";
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
  readonly env: Readonly<Record<string, string | undefined>>;
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
        time: () => commitTime(place.path, tools.env, tools.signal),
        isLocal: true,
      };
    case "git": {
      const { context, time } = await openGit(place.address, "the build context", tools);
      return { context, dockerfile: undefined, time: async () => time, isLocal: false };
    }
    case "http": {
      const { path, lastModified } = await download(place.url, "[internal] load remote build context", tools);
      const opened = await openStream(createReadStream(path), showUrl(place.url), tools);
      return { ...opened, time: async () => lastModified ?? (await opened.time()), isLocal: false };
    }
  }
}

/** The files of a repository as a context, and the time of the commit in seconds since 1970. */
export async function openGit(
  address: GitAddress,
  label: string,
  tools: ContextTools,
): Promise<{ readonly context: FolderContext; readonly time: number }> {
  const remotes = await tools.remotes();
  const keepGitDir = address.keepGitDir === true || tools.keepsGit;
  const { root, time } = await remotes.checkout({ ...address, keepGitDir });
  const identity = `${showGitAddress(address.remote)} ${address.subdir}`;
  return { context: new FolderContext(root, label, tools, identity), time };
}

/** Downloads a file, shown as a step of its own; gives its path, and its `Last-Modified` in seconds since 1970. */
export async function download(
  url: URL,
  name: string,
  tools: ContextTools,
): Promise<{ readonly path: string; readonly lastModified: number | undefined }> {
  const remotes = await tools.remotes();
  return tools.emitter.run({ name, kind: "internal" }, async (reporter) => {
    const { folder, file, lastModified } = await remotes.download(url, undefined, reporter);
    return { path: join(folder, file), lastModified };
  });
}

/**
 * The text of a Dockerfile that an address names.
 * @throws KbuildError `build.tooLarge`, `registry.*`
 */
export async function downloadText(url: URL, tools: ContextTools): Promise<string> {
  const { path } = await download(url, "[internal] load remote Dockerfile", tools);
  const text = readTextFile(path, showUrl(url));
  if (text === undefined) throw new KbuildError("internal.download", `${showUrl(url)} is not where it was put`);
  return text;
}
