import { showUrl } from "../../oci/registry/faults.ts";
import { contextName } from "../context-names.ts";
import type { SourceTree } from "../copy/sources.ts";
import type { BuildContext } from "./build-context.ts";
import { readIgnore } from "./dockerfile.ts";
import { FolderContext } from "./folder.ts";
import { type ContextTools, contextPlace, openGit } from "./locate.ts";

/**
 * The files of the named contexts that are no images: folders, repositories, and files by HTTP, each opened when it is first
 * asked for. docker buildx build, "--build-context".
 */
export function namedContexts(
  contexts: ReadonlyMap<string, string>,
  tools: ContextTools,
): (name: string) => Promise<SourceTree | undefined> {
  const opened = new Map<string, Promise<SourceTree>>();
  return async (asked) => {
    const name = contextName(asked);
    const source = contexts.get(name);
    if (source === undefined || isImageContext(source)) return undefined;
    let tree = opened.get(name);
    if (tree === undefined) {
      tree = openNamed(name, source, tools);
      opened.set(name, tree);
    }
    return tree;
  };
}

/** Whether a named context is an image: those are found by `base.ts`. */
export function isImageContext(source: string): boolean {
  return /^(?:docker-image|oci-layout):\/\//.test(source);
}

async function openNamed(name: string, source: string, tools: ContextTools): Promise<SourceTree> {
  const label = `the context "${name}"`;
  const place = contextPlace(source);
  switch (place.kind) {
    case "folder":
      return filesOf(name, new FolderContext(place.path, label, tools));
    case "git":
      return filesOf(name, (await openGit(place.address, label, tools)).context);
    case "http": {
      const remotes = await tools.remotes();
      const { url } = place;
      return tools.emitter.run({ name: `[context ${name}] ${showUrl(url)}`, kind: "internal" }, async (reporter) =>
        remotes.fileTree(url, label, reporter),
      );
    }
  }
}

/** What the context's own ignore file leaves. */
async function filesOf(name: string, context: BuildContext): Promise<SourceTree> {
  const text = await context.readText(".dockerignore");
  const { lines } = readIgnore(".dockerignore", text ?? "");
  const tree = await context.files(lines);
  return {
    label: tree.label,
    roots: tree.roots,
    blobs: tree.blobs,
    statCache: tree.statCache,
    select: (patterns, digest) => tree.select(patterns, digest),
    neighbours: (path) => tree.neighbours(path),
    ignoreRule: (rule) => `.dockerignore line ${lines[rule]?.line ?? "?"} of the context "${name}"`,
  };
}
