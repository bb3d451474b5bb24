import { KbuildError } from "../../errors.ts";
import type { Draft, Owner } from "../../layers/draft.ts";
import { type Entry, type EntryTable, EntryType } from "../../layers/entry-table.ts";
import { showPath } from "../../layers/path-bytes.ts";
import { joinPath, nameOf, parentOf } from "../../layers/tree.ts";

/** How an archive is laid out into the image. */
export interface ArchiveTreatment {
  /** Number of the archive's tar among the sources of the pack. */
  readonly blob: number;
  /** `--chown`: for what the archive names, and for the destination; folders in between stay root's, as with docker. */
  readonly owner: Owner | undefined;
  readonly now: Entry["mtime"];
}

/**
 * Unpacks an archive's entries into a draft as ADD does: merged into the tree, what is in the way replaced, modes and
 * owners as the archive has them. Links on the way of a member lead nowhere but below the folder.
 * @throws KbuildError `build.markName`, `build.notDirectory`, `build.brokenLink`
 */
export function unpackInto(draft: Draft, table: EntryTable, folder: string, treatment: ArchiveTreatment): void {
  const root = { uid: 0, gid: 0 };
  const making = { mode: 0o755, mtime: treatment.now };
  const target = draft.makeFolders(folder, { ...making, owner: treatment.owner ?? root });
  for (const found of table) {
    if (found.path === "") continue;
    if (found.type === EntryType.whiteout || found.type === EntryType.opaque) {
      throw new KbuildError(
        "build.markName",
        `the archive has the name "${showPath(found.path)}", which layers use to mark deleted files`,
      );
    }
    const parent = draft.makeFolders(parentOf(found.path), { ...making, owner: root }, target);
    const path = joinPath(parent, nameOf(found.path));
    const content = contentOf(table, found);
    draft.put(
      {
        ...content,
        path,
        uid: treatment.owner?.uid ?? found.uid,
        gid: treatment.owner?.gid ?? found.gid,
        source: rebased(content, treatment.blob),
      },
      content.type === EntryType.file ? { digest: content.digest } : undefined,
      content.type === EntryType.file ? `archive ${treatment.blob} ${content.path}` : undefined,
    );
  }
}

/** The entry itself, or for a hard link the file that it names, which may be a link again in hostile archives. */
function contentOf(table: EntryTable, found: Entry): Entry {
  let current = found;
  for (let hop = 0; current.type === EntryType.hardlink; hop++) {
    const index = table.find(current.link);
    if (index < 0 || hop > 40) {
      throw new KbuildError(
        "build.brokenLink",
        `the archive's "${showPath(found.path)}" is a hard link to "${showPath(current.link)}", which is not in it`,
      );
    }
    current = table.entry(index);
  }
  return current;
}

function rebased(entry: Entry, blob: number): Entry["source"] {
  return entry.source.kind === "blob" ? { ...entry.source, blob } : entry.source;
}
