import { isAbsolute } from "node:path";
import { KbuildError } from "../errors.ts";
import { identityOf } from "../layers/identity.ts";
import { formatPlatform } from "../oci/platform.ts";
import { canonicalName } from "../oci/reference.ts";
import type { Platform } from "../oci/types.ts";
import type { Dockerfile } from "../parser/instructions.ts";
import { parseDockerfile } from "../parser/parser.ts";
import { descriptorAnnotations } from "./annotations.ts";
import { isProxyArgument, proxyVariables } from "./arguments.ts";
import { BaseFinder } from "./base.ts";
import { cacheDocument, INLINE_MEMBER, recordsOf } from "./cache-transfer/format.ts";
import type { BuildContext } from "./context/build-context.ts";
import { type FoundDockerfile, type FoundIgnore, findDockerfile, findIgnore } from "./context/dockerfile.ts";
import { type ContextTools, downloadText, openContext } from "./context/locate.ts";
import { namedContexts } from "./context/named.ts";
import { reported } from "./context/reported.ts";
import type { Emitter } from "./emitter.ts";
import { checkLevel } from "./export/archive.ts";
import { exportAll, type PlatformImage } from "./export/export.ts";
import { checkFrontend } from "./frontend.ts";
import { writeImage } from "./image.ts";
import { type BuildInputs, readInputs } from "./inputs.ts";
import type { BuildOptions, BuildResult, OutputOptions } from "./options.ts";
import { type Plan, planBuild } from "./plan.ts";
import type { Remotes } from "./remote/remotes.ts";
import { readSecrets } from "./run/secrets.ts";
import { readSsh, type SshAgents } from "./run/ssh.ts";
import { inSession, type Session } from "./session.ts";
import { StageGraph } from "./stage-graph.ts";
import type { ImageState } from "./state.ts";
import type { Tools } from "./tools.ts";

/**
 * A build from its options to its outputs. Whatever happens, what it started has ended when it returns or throws, and
 * what it made only for itself is gone.
 * @throws KbuildError
 */
export async function runBuild(options: BuildOptions, emitter: Emitter): Promise<BuildResult> {
  const inputs = readInputs(options);
  const outputs = checkOutputs(options.outputs ?? [{ type: "image" }], inputs);
  const { root, insecureRegistries, signal } = options;
  return inSession({ inputs, emitter, root, insecureRegistries, signal }, (session) =>
    buildInSession(session, { options, inputs, outputs, emitter }),
  );
}

/** One of the builds of a session. */
interface BuildRequest {
  readonly options: BuildOptions;
  readonly inputs: BuildInputs;
  readonly outputs: readonly OutputOptions[];
  readonly emitter: Emitter;
}

async function buildInSession(session: Session, request: BuildRequest): Promise<BuildResult> {
  const { options, inputs, outputs, emitter } = request;
  const { tools, registries, stop } = session;
  let context: BuildContext | undefined;
  let agents: SshAgents | undefined;
  try {
    const secrets = await readSecrets(options.secrets, inputs.env);
    const ssh = await readSsh(options.ssh, inputs.env);
    agents = ssh;
    const remotes = once(async (): Promise<Remotes> => {
      const { Remotes } = await import("./remote/remotes.ts");
      const { store, native, signal } = tools;
      return new Remotes({ store, native, registries, env: inputs.env, signal, emitter, secrets, agents: ssh });
    });
    const contextTools: ContextTools = {
      store: tools.store,
      native: tools.native,
      signal: tools.signal,
      warn: (code, message) => emitter.warn(code, message),
      rereads: options.noCache === true,
      emitter,
      remotes,
      keepsGit: isOn(inputs.given.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR")),
    };
    const opened = await openContext(options.context, contextTools);
    context = opened.context;
    const found = await loadDockerfile(options, opened, contextTools);
    const ignore = await loadIgnore(found, context, emitter);
    const dockerfile = parseDockerfile(found.text, found.name);
    if (options.ignoreSyntax !== true) checkFrontend(dockerfile, inputs.given);
    for (const { code, message, location } of dockerfile.warnings) emitter.warn(code, message, location);
    const { identity } = context;
    const files = once(async () => reported(await contextOf(context).files(ignore.lines), emitter));
    const namedContext = namedContexts(inputs.buildContexts, contextTools);
    const finder = new BaseFinder(tools, emitter, {
      pull: options.pull === true,
      buildContexts: inputs.buildContexts,
      registry: () => registries.client(),
    });
    const { cacheFrom = [], cacheTo = [] } = options;
    const [firstPlatform = inputs.buildPlatform] = inputs.targetPlatforms;
    if (cacheFrom.length > 0) {
      const { importCaches } = await import("./cache-transfer/import.ts");
      await importCaches(tools, emitter, cacheFrom, firstPlatform, () => registries.client());
    }
    const isInline = cacheTo.some(({ type }) => type === "inline") || isOn(inputs.given.get("BUILDKIT_INLINE_CACHE"));
    const isOneOfMany = inputs.targetPlatforms.length > 1;
    const images = inputs.targetPlatforms.map(async (platform) => {
      const plan = planDockerfile(dockerfile, platform, inputs, options, emitter);
      const graph = new StageGraph({
        tools,
        emitter,
        plan,
        prefix: isOneOfMany ? formatPlatform(platform) : undefined,
        finder,
        given: inputs.given,
        contextNames: new Set(inputs.buildContexts.keys()),
        context: files,
        namedContext,
        remotes,
        ignoreRule: (rule) => `${ignore.name} line ${ignore.lines[rule]?.line ?? "?"}`,
        supplies: {
          settings: inputs.run,
          proxies: proxyVariables(inputs.given),
          secrets,
          agent: (id) => ssh.socket(id),
        },
        noCache: options.noCache === true,
        noCacheFilter: options.noCacheFilter ?? [],
        explain: options.explain === true,
        place: identityOf("place", identity, found.name, options.target, isOneOfMany && formatPlatform(platform)),
      });
      const { state, origin } = await graph.run(stop);
      if (options.squash !== true) return { platform, state };
      const { squash } = await import("./squash.ts");
      const squashed = await squash(tools, state, origin.snapshot, origin.history.length, options.noCache !== true);
      return { platform, state: squashed };
    });
    const states = await allOf(images);
    await tools.pool.settled();
    const built = states.map(({ platform, state }): PlatformImage => {
      const annotations = descriptorAnnotations(inputs.annotations, "manifest", platform);
      const members = isInline ? inlineMember(tools, state) : undefined;
      const image = writeImage(tools, state, { labels: options.labels, annotations, members });
      return { platform, image, snapshot: state.snapshot };
    });
    await finder.keepNames();
    const exported = await exportAll(
      tools,
      emitter,
      { images: built, references: inputs.references, annotations: inputs.annotations },
      outputs,
    );
    if (cacheTo.length > 0) {
      const { exportCaches } = await import("./cache-transfer/export.ts");
      await exportCaches(
        tools,
        emitter,
        cacheTo,
        built.flatMap(({ snapshot }) => snapshot.layers),
      );
    }
    return {
      digest: exported.descriptor.digest,
      imageId: exported.id,
      descriptor: exported.descriptor,
      tags: inputs.allReferences.map(canonicalName),
      layers: exported.layers.map(({ blob: { digest, size, mediaType }, diffId }) => ({
        diffId,
        digest,
        size,
        mediaType,
      })),
      steps: emitter.finished,
      warnings: emitter.warnings,
      duration: emitter.now(),
    };
  } finally {
    await agents?.close();
    context?.dispose();
  }
}

/** Waits for all, so that nothing is under way when one of them fails; then the first that failed says why. */
async function allOf<T>(promises: readonly Promise<T>[]): Promise<readonly T[]> {
  const settled = await Promise.allSettled(promises);
  const failed = settled.filter((one) => one.status === "rejected");
  const reason = failed.find((one) => !isInterruption(one.reason)) ?? failed[0];
  if (reason !== undefined) throw reason.reason;
  return settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
}

function isInterruption(error: unknown): boolean {
  return error instanceof KbuildError && error.code === "interrupted";
}

/** The records of an image's own layers as a member of its config: `--cache-to type=inline`. */
function inlineMember(tools: Tools, { snapshot }: ImageState): Readonly<Record<string, unknown>> {
  return { [INLINE_MEMBER]: cacheDocument(recordsOf(tools, "min", snapshot.layers)) };
}

function isOn(value: string | undefined): boolean {
  return value !== undefined && /^(1|t|true)$/i.test(value);
}

function checkOutputs(outputs: readonly OutputOptions[], inputs: BuildInputs): readonly OutputOptions[] {
  for (const output of outputs) {
    if (
      (output.type === "tar" || output.type === "local") &&
      output.platformSplit === false &&
      inputs.targetPlatforms.length > 1
    ) {
      throw new KbuildError("usage.notSupported", "platform-split=false with several platforms is not supported", {
        hint: "their files would replace each other: leave it out, and each platform has a folder",
      });
    }
    if (output.type === "docker" && inputs.targetPlatforms.length > 1) {
      throw new KbuildError("usage.output", "an archive for docker load has one platform", {
        hint: "type=oci has several; or build one platform at a time",
      });
    }
    if (output.type !== "docker" && output.type !== "oci") continue;
    const { compression, compressionLevel } = output;
    if (compression !== undefined && compression !== "uncompressed") checkLevel(compression, compressionLevel);
    else if (compressionLevel !== undefined) {
      throw new KbuildError("usage.compressionLevel", "a compression level needs a compression, and there is none", {
        hint: "compression=gzip or compression=zstd",
      });
    }
  }
  return outputs;
}

function contextOf(context: BuildContext | undefined): BuildContext {
  if (context === undefined) throw new KbuildError("internal.context", "the context is not open");
  return context;
}

async function loadDockerfile(
  options: BuildOptions,
  { context, dockerfile: fromStream, isLocal }: Awaited<ReturnType<typeof openContext>>,
  tools: ContextTools,
): Promise<FoundDockerfile> {
  const { emitter } = tools;
  const { file } = options;
  const given = options.dockerfile ?? fromStream;
  if (fromStream !== undefined && file !== undefined) {
    throw new KbuildError("usage.stdin", `the context is a Dockerfile itself, and so -f ${file} has no meaning`, {
      hint: "leave out -f, or send a tar that has the file",
    });
  }
  const name = file ?? "Dockerfile";
  return emitter.run({ name: `[internal] load build definition from ${name}`, kind: "internal" }, async (reporter) => {
    const isAddress = file !== undefined && /^https?:\/\//i.test(file) && URL.canParse(file);
    const text = given ?? (isAddress ? await downloadText(new URL(file), tools) : undefined);
    const found: FoundDockerfile =
      text === undefined
        ? await findDockerfile(file, context, isLocal || (file !== undefined && isAbsolute(file)))
        : { name, text, beside: async () => undefined };
    const bytes = Buffer.byteLength(found.text);
    reporter.progress({ part: "transferring dockerfile", done: bytes, unit: "bytes", finished: true });
    return found;
  });
}

async function loadIgnore(dockerfile: FoundDockerfile, context: BuildContext, emitter: Emitter): Promise<FoundIgnore> {
  return emitter.run({ name: "[internal] load .dockerignore", kind: "internal" }, async (reporter) => {
    const found = await findIgnore(dockerfile, context);
    const count = found.lines.length;
    reporter.progress({ part: `${count} ${count === 1 ? "rule" : "rules"}`, done: 0, unit: "none", finished: true });
    return found;
  });
}

function planDockerfile(
  dockerfile: Dockerfile,
  targetPlatform: Platform,
  inputs: BuildInputs,
  options: BuildOptions,
  emitter: Emitter,
): Plan {
  const plan = planBuild(dockerfile, {
    target: options.target,
    given: inputs.given,
    buildPlatform: inputs.buildPlatform,
    targetPlatform,
    contextNames: new Set(inputs.buildContexts.keys()),
  });
  warnOfUnused(plan, inputs, emitter);
  return plan;
}

/** Arguments that are kbuild's to read, whether or not an ARG asks for them. */
const TAKEN: ReadonlySet<string> = new Set([
  "SOURCE_DATE_EPOCH",
  "BUILDKIT_SYNTAX",
  "BUILDKIT_INLINE_CACHE",
  "BUILDKIT_CONTEXT_KEEP_GIT_DIR",
]);

/** Arguments of the build that no ARG asks for: most often misspelt. */
function warnOfUnused(plan: Plan, inputs: BuildInputs, emitter: Emitter): void {
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

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
