import { type Entry, EntryType } from "./entry-table.ts";
import type { Located } from "./tree.ts";

/**
 * An entry of a merged tree as it stands in a table of the whole tree, whose blobs are numbered as the tree's layers are.
 * Of the names of one file the first has the content, and the others are links to it, which say of the file what it says
 * of itself: docker and containerd take that from whichever comes last. OCI image-spec layer.md, "Hardlinks".
 *
 * @param content what is at `path`, hard links followed
 * @param firstNames the first name of each file so far, kept by the caller
 */
export function flatEntry({ entry, layer }: Located, path: string, firstNames: Map<string, string>): Entry {
  if (entry.type !== EntryType.file) return { ...entry, path };
  const file = `${layer}:${entry.path}`;
  const first = firstNames.get(file);
  if (first === undefined) {
    firstNames.set(file, path);
    const { source } = entry;
    return { ...entry, path, source: source.kind === "blob" ? { ...source, blob: layer } : source };
  }
  return {
    ...entry,
    path,
    type: EntryType.hardlink,
    size: 0,
    link: first,
    digest: undefined,
    source: { kind: "none" },
  };
}
