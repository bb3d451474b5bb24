import { KbuildError } from "../../errors.ts";
import { parsePlatform } from "../../oci/platform.ts";
import { parseReference } from "../../oci/reference.ts";
import type { ImageConfig } from "../../oci/types.ts";
import type { FileFacts, StageBase, StageFacts } from "../../parser/checks/rule.ts";
import type { IgnoreLine } from "../../parser/ignore.ts";
import type { Dockerfile, Instruction } from "../../parser/instructions.ts";
import { parseDockerfile } from "../../parser/parser.ts";
import { platformArguments } from "../arguments.ts";
import type { BuildInputs } from "../inputs.ts";
import { evaluateGlobals, type Plan, type PlannedStage } from "../plan.ts";
import { environmentOf } from "../state.ts";

type Inputs = Pick<BuildInputs, "given" | "buildPlatform" | "targetPlatforms">;

/** What the checks of a file as a whole are told of a build; of several platforms, of the first. */
export function fileFacts(dockerfile: Dockerfile, inputs: Inputs, target: string | undefined): FileFacts {
  const [platform = inputs.buildPlatform] = inputs.targetPlatforms;
  const automatic = platformArguments(inputs.buildPlatform, platform, target || "default");
  const globals = (given: ReadonlyMap<string, string>) => attempt(() => evaluateGlobals(dockerfile, given, automatic));
  return {
    automatic,
    globals: globals(inputs.given),
    defaults: globals(new Map()),
    isImageName: (name) => attempt(() => parseReference(name.toLowerCase(), "build.reference")) !== undefined,
    readPlatform: (text) => attempt(() => parsePlatform(text, "build.platform")),
  };
}

/** What the checks of stages are told of a build. */
export function stageFacts(
  plan: Plan,
  { given }: Inputs,
  ignore: readonly IgnoreLine[],
  stages: ReadonlySet<number>,
  bases: readonly StageBase[],
): StageFacts {
  return {
    automatic: platformArguments(plan.buildPlatform, plan.targetPlatform, plan.targetName),
    globals: plan.globals,
    given,
    escapeCharacter: plan.dockerfile.directives.escape,
    stages,
    bases,
    ignore,
  };
}

/** What a stage begins with, as far as the checks go; `config` is that of its image, where it is known. */
export function stageBase({ origin }: PlannedStage, config: ImageConfig | undefined): StageBase {
  if (origin.kind === "stage") return { kind: "stage", index: origin.index };
  if (origin.kind === "scratch") return { kind: "known", environment: new Map(), hasShell: false, triggers: [] };
  if (config === undefined) return { kind: "unknown" };
  const { Shell = [], OnBuild = [] } = config.config ?? {};
  return {
    kind: "known",
    environment: environmentOf(config.config ?? {}),
    hasShell: Shell.length > 0,
    triggers: OnBuild.flatMap(parseTrigger),
  };
}

function parseTrigger(trigger: string): readonly Instruction[] {
  const parsed = attempt(() => parseDockerfile(`FROM scratch\n${trigger}\n`, "ONBUILD"));
  return parsed?.stages[0]?.instructions ?? [];
}

/** What is wrong is told by the build, where it matters. */
function attempt<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof KbuildError) return undefined;
    throw error;
  }
}
