import { mkdirSync, statSync } from "node:fs";
import { KbuildError } from "../../errors.ts";
import { type Entry, EntryType, encodeEntries } from "../../layers/entry-table.ts";
import { showPath } from "../../layers/path-bytes.ts";
import type { Tree } from "../../layers/tree.ts";
import { explainFault } from "../../oci/layout/faults.ts";
import type { StepReporter } from "../emitter.ts";
import type { OutputOptions } from "../options.ts";
import type { Snapshot } from "../state.ts";
import type { Tools } from "../tools.ts";
import { writeDestination } from "./destination.ts";

/** Writes the files of an image, as a tar or into a folder. */
export async function exportFiles(
  tools: Tools,
  snapshot: Snapshot,
  options: Extract<OutputOptions, { readonly type: "tar" | "local" }>,
  reporter: StepReporter,
): Promise<void> {
  const tree = await tools.pool.tree(snapshot);
  const blobs = await Promise.all(snapshot.layers.map((layer) => tools.pool.source(layer)));
  const table = encodeEntries(filesOf(tree));
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

function checkFolder(dest: string): void {
  try {
    mkdirSync(dest, { recursive: true });
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
    if (content.entry.type !== EntryType.file) return { ...content.entry, path };
    const file = `${content.layer}:${content.entry.path}`;
    const first = firstNames.get(file);
    if (first === undefined) {
      firstNames.set(file, path);
      const { source } = content.entry;
      return { ...content.entry, path, source: source.kind === "blob" ? { ...source, blob: content.layer } : source };
    }
    return {
      ...content.entry,
      path,
      type: EntryType.hardlink,
      size: 0,
      link: first,
      digest: undefined,
      source: { kind: "none" },
    };
  });
}
