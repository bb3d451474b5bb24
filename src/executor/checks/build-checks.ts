import { formatPlatform, normalizePlatform } from "../../oci/platform.ts";
import type { ImageConfig } from "../../oci/types.ts";
import { Checker } from "../../parser/checks/checker.ts";
import { invalidBaseImagePlatform } from "../../parser/checks/from.ts";
import type { Finding } from "../../parser/checks/rule.ts";
import type { IgnoreLine } from "../../parser/ignore.ts";
import type { Dockerfile } from "../../parser/instructions.ts";
import type { BaseFinder } from "../base.ts";
import { isImageContext } from "../context/named.ts";
import { contextName } from "../context-names.ts";
import type { Emitter } from "../emitter.ts";
import type { BuildInputs } from "../inputs.ts";
import type { Plan, PlannedStage } from "../plan.ts";
import { fileFacts, stageBase, stageFacts } from "./facts.ts";

/** The checks of a build: they are told as warnings, or make it fail before anything runs. */
export class BuildChecks {
  readonly #checker: Checker;
  readonly #inputs: BuildInputs;
  readonly #emitter: Emitter;
  readonly #told = new Set<Finding>();

  /**
   * Checks the file as a whole.
   * @throws KbuildError `build.directive`, `usage.checks` when what is said of checks cannot be read
   */
  constructor(dockerfile: Dockerfile, inputs: BuildInputs, target: string | undefined, emitter: Emitter) {
    this.#checker = new Checker(dockerfile, inputs.given);
    this.#inputs = inputs;
    this.#emitter = emitter;
    this.#checker.checkFile(fileFacts(dockerfile, inputs, target));
  }

  /** Whether nothing may run before all checks have. */
  get failsOnFindings(): boolean {
    return this.#checker.failsOnFindings;
  }

  /**
   * Checks the stages that are built, once the images that they begin with are known. An image that cannot be had is the
   * build's to tell.
   */
  async checkStages(plan: Plan, ignore: readonly IgnoreLine[], finder: Pick<BaseFinder, "image">): Promise<void> {
    const configs = await Promise.all(plan.stages.map((stage) => this.#configOf(stage, plan, finder)));
    const bases = plan.stages.map((stage, index) => stageBase(stage, configs[index]));
    this.#checker.checkStages(stageFacts(plan, this.#inputs, ignore, plan.needed, bases));
    for (const [index, stage] of plan.stages.entries()) this.#checkPlatform(stage, configs[index]);
  }

  /** Checks of the stages what is different for another platform: whether their images are for it. */
  async checkPlatform(plan: Plan, finder: Pick<BaseFinder, "image">): Promise<void> {
    await Promise.all(
      plan.stages.map(async (stage) => this.#checkPlatform(stage, await this.#configOf(stage, plan, finder))),
    );
  }

  /** Tells what has been found and is not told yet. */
  tell(): void {
    for (const finding of this.#checker.findings) {
      if (this.#told.has(finding)) continue;
      this.#told.add(finding);
      const { rule, message, location, ...details } = finding;
      this.#emitter.warn(rule, message, location, details);
    }
  }

  /** @throws KbuildError `build.checks` when there are findings and `error=true` */
  failOnFindings(): void {
    const failure = this.#checker.failure();
    if (failure !== undefined) throw failure;
  }

  async #configOf(
    stage: PlannedStage,
    plan: Plan,
    finder: Pick<BaseFinder, "image">,
  ): Promise<ImageConfig | undefined> {
    const { origin, platform } = stage;
    if (!plan.needed.has(stage.stage.index)) return undefined;
    if (origin.kind !== "image" && origin.kind !== "context") return undefined;
    const context = origin.kind === "context" ? this.#inputs.buildContexts.get(contextName(origin.name)) : undefined;
    if (context !== undefined && !isImageContext(context)) return undefined;
    return finder.image(origin.name, platform).then(
      ({ config }) => config,
      () => undefined,
    );
  }

  #checkPlatform({ origin, platform, stage }: PlannedStage, config: ImageConfig | undefined): void {
    // A named context is what the caller chose.
    if (origin.kind !== "image" || config === undefined) return;
    const [wanted, found] = [normalizePlatform(platform), normalizePlatform(config)];
    if (wanted.os === found.os && wanted.architecture === found.architecture) return;
    this.#checker.add(invalidBaseImagePlatform, {
      about: [stage.from],
      message: `the base image ${origin.name} is for "${formatPlatform(found)}", but "${formatPlatform(wanted)}" is built`,
      hint: `name an image that is for ${formatPlatform(wanted)}, or build with --platform ${formatPlatform(found)}`,
    });
  }
}
