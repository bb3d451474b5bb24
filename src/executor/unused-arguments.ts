import { CHECK_ARGUMENT, EXPERIMENTAL_ARGUMENT } from "../parser/checks/configuration.ts";
import { isProxyArgument } from "./arguments.ts";
import type { Emitter } from "./emitter.ts";
import type { BuildInputs } from "./inputs.ts";
import type { Plan } from "./plan.ts";

/** Arguments that are kbuild's to read, whether or not an ARG asks for them. */
const TAKEN: ReadonlySet<string> = new Set([
  "SOURCE_DATE_EPOCH",
  "BUILDKIT_SYNTAX",
  "BUILDKIT_INLINE_CACHE",
  "BUILDKIT_CACHE_MOUNT_NS",
  "BUILDKIT_SANDBOX_HOSTNAME",
  "BUILDKIT_CONTEXT_KEEP_GIT_DIR",
  CHECK_ARGUMENT,
  EXPERIMENTAL_ARGUMENT,
]);

/** Arguments of the build that no ARG asks for: most often misspelt. */
export function warnOfUnused(plan: Plan, inputs: BuildInputs, emitter: Emitter): void {
  const declared = new Set(plan.globals.keys());
  for (const { instructions } of plan.stages) {
    for (const instruction of instructions) {
      if (instruction.kind === "ARG") for (const { name } of instruction.items) declared.add(name);
    }
  }
  for (const name of inputs.given.keys()) {
    if (declared.has(name) || isProxyArgument(name) || TAKEN.has(name)) continue;
    const isForBuildKit = name.startsWith("BUILDKIT_");
    const why = isForBuildKit
      ? "is for BuildKit and has no effect in kbuild"
      : "is not declared by any ARG and has no effect";
    emitter.warn("UnusedBuildArg", `the build argument ${name} ${why}`);
  }
}
