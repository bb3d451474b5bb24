import { fileFacts, stageBase, stageFacts } from "../../src/executor/checks/facts.ts";
import { planBuild } from "../../src/executor/plan.ts";
import type { ImageConfig } from "../../src/oci/types.ts";
import { Checker } from "../../src/parser/checks/checker.ts";
import { parseIgnoreFile } from "../../src/parser/ignore.ts";
import { parseDockerfile } from "../../src/parser/parser.ts";

const PLATFORM = { os: "linux", architecture: "amd64" };

export interface CheckSetting {
  readonly args?: Readonly<Record<string, string>>;
  readonly target?: string;
  readonly ignore?: string;
  /** The configuration of base images; none: nothing is known of them. */
  readonly base?: ImageConfig["config"];
}

/** Checks a text as `kbuild check` does, without anything on disk. */
export function checked(source: string, { args = {}, target, ignore = "", base }: CheckSetting = {}): Checker {
  const dockerfile = parseDockerfile(source, "Dockerfile");
  const given = new Map(Object.entries(args));
  const inputs = { given, buildPlatform: PLATFORM, targetPlatform: PLATFORM, targetPlatforms: [PLATFORM] };
  const checker = new Checker(dockerfile, given);
  checker.checkFile(fileFacts(dockerfile, inputs, target));
  const plan = planBuild(dockerfile, { ...inputs, target, contextNames: new Set() });
  const config: ImageConfig | undefined = base && {
    ...PLATFORM,
    config: base,
    rootfs: { type: "layers", diff_ids: [] },
  };
  const bases = plan.stages.map((stage) => stageBase(stage, config));
  const stages = target === undefined ? new Set(plan.stages.keys()) : plan.needed;
  checker.checkStages(stageFacts(plan, inputs, parseIgnoreFile(ignore), stages, bases));
  return checker;
}

/** What is found, each as `RULE LINE`. */
export function found(source: string, setting?: CheckSetting): string[] {
  return checked(source, setting).findings.map(({ rule, location }) => `${rule} ${location.line}`);
}
