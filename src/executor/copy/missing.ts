import { KbuildError } from "../../errors.ts";
import { showPath } from "../../layers/path-bytes.ts";
import { suggest } from "../../parser/suggest.ts";
import type { CopySource, CopyStep } from "../steps/copy.ts";
import type { SourcePattern } from "./sources.ts";

/** The error for a source that is not there: says whether it is ignored, clipped, or perhaps only misspelt. */
export async function missingSource(
  step: CopyStep,
  source: Extract<CopySource, { kind: "path" }>,
  pattern: SourcePattern,
  rule: number | undefined,
): Promise<KbuildError> {
  const names = pattern.segments.map((segment) => (segment.kind === "any" ? "**" : segment.text));
  const path = names.join("/");
  const isClipped = /(^|\/)\.\.(\/|$)/.test(source.text);
  const shown = showPath(source.text);
  const located = { location: source.location };
  if (rule !== undefined) {
    return new KbuildError(
      "build.ignoredSource",
      `${step.kind} source "${shown}" is excluded by ${(step.tree.ignoreRule ?? step.ignoreRule)(rule)}`,
      {
        ...located,
        hint: "change that line, or add a line with ! in front that lets it in",
      },
    );
  }
  if (isClipped) {
    return new KbuildError("build.missingSource", `${step.kind} source "${shown}" is not in ${step.tree.label}`, {
      ...located,
      hint: `a source cannot leave the context: ".." stops at its root, so this looks for "${showPath(path)}" there`,
    });
  }
  const near = await nearest(step, names);
  return new KbuildError("build.missingSource", `${step.kind} source "${shown}" is not in ${step.tree.label}`, {
    ...located,
    hint: near === undefined ? undefined : `did you mean ${near}?`,
  });
}

/** The nearest name in the deepest folder of the path that is there. */
async function nearest(step: CopyStep, names: readonly string[]): Promise<string | undefined> {
  for (let depth = names.length - 1; depth >= 0; depth--) {
    const folder = names.slice(0, depth);
    const present = await step.tree.neighbours(folder.join("/"));
    if (present.length === 0) continue;
    const near = suggest(names[depth] ?? "", present);
    return near === undefined ? undefined : showPath([...folder, near, ...names.slice(depth + 1)].join("/"));
  }
  return undefined;
}
