import { statSync } from "node:fs";
import { KbuildError } from "../../errors.ts";
import { type Entry, EntryType, encodeEntries } from "../../layers/entry-table.ts";
import { flatEntry } from "../../layers/flat-entry.ts";
import { showPath } from "../../layers/path-bytes.ts";
import { joinPath, type Tree } from "../../layers/tree.ts";
import { sortInTreeOrder } from "../../layers/tree-order.ts";
import type { BlobSource } from "../../native/protocol.ts";
import { explainFault } from "../../oci/layout/faults.ts";
import { makeFolder } from "../../oci/layout/make-folder.ts";
import type { StepReporter } from "../emitter.ts";
import type { OutputOptions } from "../options.ts";
import type { Snapshot } from "../state.ts";
import type { Tools } from "../tools.ts";
import { writeDestination } from "./destination.ts";

/** Files of one platform's image, and the folder of the output that they go into; "" is its root. */
export interface ExportedTree {
  readonly folder: string;
  readonly snapshot: Snapshot;
}

/** Writes the files of images, as a tar or into a folder. */
export async function exportFiles(
  tools: Tools,
  trees: readonly ExportedTree[],
  options: Extract<OutputOptions, { readonly type: "tar" | "local" }>,
  reporter: StepReporter,
): Promise<void> {
  const blobs: BlobSource[] = [];
  const entries: Entry[] = [];
  for (const { folder, snapshot } of sortInTreeOrder([...trees], (tree) => tree.folder)) {
    const files = filesOf(await tools.pool.tree(snapshot));
    entries.push(...(folder === "" ? files : inFolder(folder, files, blobs.length, tools.clock.mtime())));
    blobs.push(...(await Promise.all(snapshot.layers.map((layer) => tools.pool.source(layer)))));
  }
  const table = encodeEntries(entries);
  const common = { roots: [], blobs, temporary: tools.store.temporaryFolder };
  const part = "copying files";
  const progress = (bytes: number) => reporter.progress({ part, done: bytes, unit: "bytes", finished: false });
  const settings = { signal: tools.signal, progress };
  if (options.type === "local") {
    checkFolder(options.dest);
    const { bytes } = await tools.native.extract({ ...common, output: options.dest }, table, settings);
    reporter.progress({ part, done: bytes, unit: "bytes", finished: true });
    return;
  }
  await writeDestination(tools, options.dest, async (output) => {
    const uncompressed = { kind: "none", level: 0 } as const;
    const { epoch } = tools.clock;
    const { size } = await tools.native.pack(
      { ...common, output, compression: uncompressed, purpose: "archive", ...(epoch === undefined ? {} : { epoch }) },
      table,
      settings,
    );
    reporter.progress({ part, done: size, unit: "bytes", finished: true });
  });
}

/** The entries below a folder of their own, their blobs numbered from `first` on. */
function* inFolder(
  folder: string,
  files: readonly Entry[],
  first: number,
  now: Entry["mtime"],
): IterableIterator<Entry> {
  yield {
    path: folder,
    type: EntryType.directory,
    mode: 0o755,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: now,
    link: "",
    xattrs: [],
    digest: undefined,
    inodeGroup: 0,
    source: { kind: "none" },
  };
  for (const entry of files) {
    yield {
      ...entry,
      path: joinPath(folder, entry.path),
      link: entry.type === EntryType.hardlink ? joinPath(folder, entry.link) : entry.link,
      source: entry.source.kind === "blob" ? { ...entry.source, blob: entry.source.blob + first } : entry.source,
    };
  }
}

function checkFolder(dest: string): void {
  try {
    makeFolder(dest);
    if (statSync(dest).isDirectory()) return;
  } catch (error) {
    throw explainFault(error, { doing: `making the folder ${dest}` });
  }
  throw new KbuildError("build.output", `the output ${dest} is not a folder`);
}

/**
 * The files of a tree as one layer would have them: of the names of one file the first has the content, the others are
 * hard links to it, whichever layers they are from.
 */
export function filesOf(tree: Tree): Entry[] {
  const firstNames = new Map<string, string>();
  return tree.below("").map((located): Entry => {
    const content = tree.content(located);
    const { path } = located.entry;
    if (content.entry.type === EntryType.hardlink) {
      throw new KbuildError(
        "build.brokenLink",
        `/${showPath(path)} is a hard link to /${showPath(content.entry.link)}, which is not there`,
      );
    }
    return flatEntry(content, path, firstNames);
  });
}
