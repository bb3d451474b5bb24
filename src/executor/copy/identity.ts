import { EntryType } from "../../layers/entry-table.ts";
import { entryParts, identityOf, type Part } from "../../layers/identity.ts";
import { holdsForAll, mapped } from "../../layers/sequence.ts";
import { nameOf } from "../../layers/tree.ts";
import { isRead } from "./entries.ts";
import { type Exclusion, includedOf, scopedGroup } from "./into.ts";
import type { SourceEntry, SourceMatch } from "./sources.ts";

/** Identity of what is copied; undefined while some content has not been read. */
export function filesIdentity(matches: readonly SourceMatch[], exclusion: Exclusion): string | undefined {
  const parts: Part[] = [];
  const inodes = new Map<string, number>();
  /** Whether two names are one file decides between a file and a hard link in the layer. */
  const partsOf = ({ entry, origin, group }: SourceEntry, path: string, scope: number | undefined): Part => {
    const own = entryParts(entry, path, origin?.digest);
    if (group === undefined) return own;
    const name = scopedGroup(group, scope);
    const inode = inodes.get(name) ?? inodes.size;
    inodes.set(name, inode);
    return [own, inode];
  };
  for (const match of matches) {
    const { entry, asked } = match;
    const below = includedOf(match, exclusion);
    if (below === undefined) continue;
    const areRead = below === match.below ? match.below.hasAllDigests() : holdsForAll(below, isRead);
    if (!areRead || !isRead(match)) return undefined;
    const skip = entry.path === "" ? 0 : entry.path.length + 1;
    const name = exclusion.parents ? asked : entry.type === EntryType.directory ? "" : nameOf(asked);
    parts.push(name, partsOf(match, "", match.linkScope));
    if (match.folders !== undefined) {
      parts.push(match.folders.map((folder) => folder && entryParts(folder, "", undefined)));
    }
    parts.push(mapped(below, (source) => partsOf(source, source.entry.path.slice(skip), match.linkScope)));
  }
  return identityOf(parts);
}
