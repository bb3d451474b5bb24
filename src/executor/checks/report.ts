import { KbuildError } from "../../errors.ts";
import { imageFromLayout } from "../../oci/archive/read.ts";
import { parseReference } from "../../oci/reference.ts";
import type { ImageConfig } from "../../oci/types.ts";
import { Checker } from "../../parser/checks/checker.ts";
import type { Finding } from "../../parser/checks/rule.ts";
import { parseDockerfile, parseLeading } from "../../parser/parser.ts";
import { storedImage } from "../base.ts";
import { contextName } from "../context-names.ts";
import { checkFrontend } from "../frontend.ts";
import { type Plan, type PlannedStage, planBuild } from "../plan.ts";
import { fileFacts, stageBase, stageFacts } from "./facts.ts";
import { refuseStages } from "./refusals.ts";
import { type DockerfileOptions, type DockerfileSources, readSources } from "./sources.ts";

/** What checks say of a Dockerfile. */
export interface CheckReport {
  /** What messages call the file. */
  readonly file: string;
  /** Where it is, from the working directory; undefined when it is no file of this machine. */
  readonly path: string | undefined;
  readonly source: string;
  /** In the order of the file. */
  readonly findings: readonly Finding[];
  /** Why a build would fail before it runs anything: what is wrong with the file, or findings with `error=true`. */
  readonly error: KbuildError | undefined;
  /** Whether findings make a build fail (`error=true`). */
  readonly failsOnFindings: boolean;
}

/**
 * Checks a Dockerfile. Without a target all stages are looked into. Nothing is run and no registry is asked: of base images
 * only those in the store and in contexts are known.
 * @throws KbuildError when there is no Dockerfile to check, or the options make no sense
 */
export async function checkDockerfile(options: DockerfileOptions): Promise<CheckReport> {
  const sources = await readSources(options);
  const { name: file, path, text: source } = sources;
  let checker: Checker | undefined;
  let error: KbuildError | undefined;
  try {
    const leading = parseLeading(source, file);
    if (leading !== undefined) {
      if (options.ignoreSyntax !== true) checkFrontend(leading, sources.inputs.given);
      checker = new Checker(leading, sources.inputs.given);
      checker.checkFile(fileFacts(leading, sources.inputs, options.target));
    }
    const plan = planOf(options, sources);
    const configs = await Promise.all(plan.stages.map((stage) => knownConfig(stage, sources)));
    const bases = plan.stages.map((stage, index) => stageBase(stage, configs[index]));
    const stages = options.target ? plan.needed : new Set(plan.stages.keys());
    const facts = stageFacts(plan, sources.inputs, sources.ignore, stages, bases);
    checker?.checkStages(facts);
    refuseStages(plan, facts, new Set(sources.inputs.buildContexts.keys()));
    error = checker?.failure();
  } catch (thrown) {
    if (!(thrown instanceof KbuildError) || !thrown.code.startsWith("build.")) throw thrown;
    error = thrown;
  }
  const failsOnFindings = checker?.failsOnFindings === true;
  return { file, path, source, findings: checker?.findings ?? [], error, failsOnFindings };
}

/** @throws KbuildError `build.*` what a build would say of the file before it runs anything */
export function planOf({ target }: DockerfileOptions, { inputs, name, text }: DockerfileSources): Plan {
  const { given, buildPlatform, targetPlatforms, buildContexts } = inputs;
  const [targetPlatform = buildPlatform] = targetPlatforms;
  return planBuild(parseDockerfile(text, name), {
    target,
    given,
    buildPlatform,
    targetPlatform,
    contextNames: new Set(buildContexts.keys()),
  });
}

/** The configuration of a stage's image if it is on this machine; undefined when it is not, or cannot be read. */
async function knownConfig(
  { origin, platform }: PlannedStage,
  { inputs, store }: DockerfileSources,
): Promise<ImageConfig | undefined> {
  if (origin.kind !== "image" && origin.kind !== "context") return undefined;
  const context = inputs.buildContexts.get(contextName(origin.name));
  try {
    if (context?.startsWith("oci-layout://")) return (await imageFromLayout(context, platform)).config;
    if (context !== undefined && !context.startsWith("docker-image://")) return undefined;
    const name = context?.slice("docker-image://".length) ?? origin.name;
    const descriptor = store.find(parseReference(name, "build.reference"));
    return descriptor === undefined ? undefined : storedImage(store, descriptor, platform)?.config;
  } catch (error) {
    if (error instanceof KbuildError) return undefined;
    throw error;
  }
}
