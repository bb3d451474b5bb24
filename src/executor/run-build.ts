import { KbuildError } from "../errors.ts";
import { identityOf } from "../layers/identity.ts";
import { formatPlatform } from "../oci/platform.ts";
import { proxyVariables } from "./arguments.ts";
import { BaseFinder } from "./base.ts";
import { BuildChecks } from "./checks/build-checks.ts";
import { reported } from "./context/reported.ts";
import { deliver, type FinishedPlatform } from "./deliver.ts";
import type { Emitter } from "./emitter.ts";
import { checkOutputs } from "./export/check-outputs.ts";
import { type BuildInputs, readInputs } from "./inputs.ts";
import { type LoadedBuild, loadBuild } from "./load-build.ts";
import { once } from "./once.ts";
import type { BuildOptions, BuildResult, OutputOptions } from "./options.ts";
import { type Plan, planBuild } from "./plan.ts";
import { inSession, type Session } from "./session.ts";
import { settleEpoch } from "./settle-epoch.ts";
import { StageGraph } from "./stage-graph.ts";
import { warnOfUnused } from "./unused-arguments.ts";

/** A build whose options have been read. */
export interface BuildRequest {
  readonly options: BuildOptions;
  readonly inputs: BuildInputs;
  readonly outputs: readonly OutputOptions[];
  readonly emitter: Emitter;
}

/**
 * A build from its options to its outputs. Whatever happens, what it started has ended when it returns or throws, and
 * what it made only for itself is gone.
 *
 * @param shared the session of several builds that run together, if it is one of them
 * @throws KbuildError
 */
export async function runBuild(options: BuildOptions, emitter: Emitter, shared?: Session): Promise<BuildResult> {
  const request = readRequest(options, emitter);
  const { inputs } = request;
  if (shared !== undefined) return buildInSession(shared, request);
  const { root, insecureRegistries, signal } = options;
  const warn = (code: string, message: string): void => emitter.warn(code, message);
  return inSession({ inputs, warn, root, insecureRegistries, signal }, (session) => buildInSession(session, request));
}

/** @throws KbuildError `usage.*` */
function readRequest(options: BuildOptions, emitter: Emitter): BuildRequest {
  const inputs = readInputs(options);
  return { options, inputs, outputs: checkOutputs(options.outputs ?? [{ type: "image" }], inputs), emitter };
}

/** One of the builds of a session. */
async function buildInSession(session: Session, request: BuildRequest): Promise<BuildResult> {
  const loaded = await loadBuild(session, request);
  try {
    const settled = { ...request, inputs: await settleEpoch(loaded, request.inputs) };
    const tools = session.toolsFor(settled.inputs.epoch);
    const finished = await runStages({ ...session, tools }, settled, loaded);
    return await deliver(tools, settled, finished);
  } finally {
    await loaded.close();
  }
}

/** Plans and runs the stages for each platform. */
async function runStages(
  { tools, registries, stop }: Session,
  { options, inputs, emitter }: BuildRequest,
  loaded: LoadedBuild,
): Promise<readonly FinishedPlatform[]> {
  const { context, contextTools, dockerfile, ignore, secrets, agents } = loaded;
  const { plans, checks } = planPlatforms(loaded, options, inputs, emitter);
  const finder = new BaseFinder(tools, emitter, {
    pull: options.pull === true,
    buildContexts: inputs.buildContexts,
    registry: () => registries.client(),
  });
  const files = once(async () => reported(await context.files(ignore.lines), emitter));
  const isOneOfMany = plans.length > 1;
  const run = async (plan: Plan): Promise<FinishedPlatform> => {
    const platform = plan.targetPlatform;
    const graph = new StageGraph({
      tools,
      emitter,
      plan,
      prefix: isOneOfMany ? formatPlatform(platform) : undefined,
      finder,
      given: inputs.given,
      contextNames: new Set(inputs.buildContexts.keys()),
      context: files,
      namedContext: loaded.namedContext,
      remotes: contextTools.remotes,
      ignoreRule: (rule) => `${ignore.name} line ${ignore.lines[rule]?.line ?? "?"}`,
      supplies: {
        settings: inputs.run,
        proxies: proxyVariables(inputs.given),
        secrets,
        agent: (id) => agents.socket(id),
        cacheNamespace: inputs.given.get("BUILDKIT_CACHE_MOUNT_NS"),
      },
      noCache: options.noCache === true,
      noCacheFilter: options.noCacheFilter ?? [],
      explain: options.explain === true,
      place: identityOf(
        "place",
        context.identity,
        dockerfile.file,
        options.target,
        isOneOfMany && formatPlatform(platform),
        ...(options.name === undefined ? [] : [options.name]),
      ),
    });
    const { state, origin } = await graph.run(stop);
    return { platform, state, origin };
  };
  const [first, ...others] = plans;
  if (first === undefined) throw new KbuildError("internal.plan", "a build without a platform");
  const check = async (): Promise<void> => {
    try {
      await checks.checkStages(first, ignore.lines, finder);
      for (const plan of others) await checks.checkPlatform(plan, finder);
    } finally {
      checks.tell();
    }
  };
  if (checks.failsOnFindings) {
    await check();
    checks.failOnFindings();
  }
  // The images that the checks wait for are waited for by the stages, too.
  const checking = checks.failsOnFindings ? undefined : check();
  const [finished] = await allOf([allOf(plans.map(run)), checking]);
  await tools.pool.settled();
  await finder.keepNames();
  return finished;
}

/** The plan for each platform. What is wrong with the file often tells why it cannot be planned, and so is told first. */
function planPlatforms(
  { dockerfile }: LoadedBuild,
  options: BuildOptions,
  inputs: BuildInputs,
  emitter: Emitter,
): { readonly plans: readonly Plan[]; readonly checks: BuildChecks } {
  const checks = new BuildChecks(dockerfile, inputs, options.target, emitter);
  try {
    const plans = inputs.targetPlatforms.map((targetPlatform) =>
      planBuild(dockerfile, {
        target: options.target,
        given: inputs.given,
        buildPlatform: inputs.buildPlatform,
        targetPlatform,
        contextNames: new Set(inputs.buildContexts.keys()),
      }),
    );
    for (const plan of plans) warnOfUnused(plan, inputs, emitter);
    return { plans, checks };
  } catch (error) {
    checks.tell();
    throw error;
  }
}

/** Waits for all, so that nothing is under way when one of them fails; then the first that failed says why. */
async function allOf<const T extends readonly unknown[]>(
  promises: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const settled = await Promise.allSettled(promises);
  const failed = settled.filter((one) => one.status === "rejected");
  const reason = failed.find((one) => !isInterruption(one.reason)) ?? failed[0];
  if (reason !== undefined) throw reason.reason;
  return Promise.all(promises);
}

function isInterruption(error: unknown): boolean {
  return error instanceof KbuildError && error.code === "interrupted";
}
