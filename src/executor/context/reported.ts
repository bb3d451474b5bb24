import type { SelectResult, SourcePattern, SourceTree } from "../copy/sources.ts";
import type { Emitter } from "../emitter.ts";

/** The files of the build context, whose first reading is shown as a step, as docker shows its transfer. */
export function reported(tree: SourceTree, emitter: Emitter): SourceTree {
  let isTold = false;
  const select = async (patterns: readonly SourcePattern[], digest: boolean): Promise<readonly SelectResult[]> => {
    if (isTold) return tree.select(patterns, digest);
    isTold = true;
    return emitter.run({ name: "[internal] load build context", kind: "internal" }, async (reporter) => {
      const results = await tree.select(patterns, digest);
      reporter.progress({ part: "reading context", done: countOf(results), unit: "files", finished: true });
      return results;
    });
  };
  return {
    label: tree.label,
    roots: tree.roots,
    blobs: tree.blobs,
    statCache: tree.statCache,
    neighbours: (path) => tree.neighbours(path),
    select,
  };
}

function countOf(results: readonly SelectResult[]): number {
  let count = 0;
  for (const result of results) {
    if (result.kind === "found") for (const match of result.matches) count += 1 + match.below.length;
  }
  return count;
}
