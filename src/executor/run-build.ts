import { KbuildError } from "../errors.ts";
import { identityOf } from "../layers/identity.ts";
import { NativeClient } from "../native/client.ts";
import { holdStore, type StoreUse } from "../oci/layout/in-use.ts";
import { defaultRoot, openStore, type Store } from "../oci/layout/store.ts";
import { sweepTemporary } from "../oci/layout/sweep.ts";
import { canonicalName } from "../oci/reference.ts";
import { parseDockerfile } from "../parser/parser.ts";
import { isProxyArgument, proxyVariables } from "./arguments.ts";
import { BaseFinder } from "./base.ts";
import { Cache } from "./cache.ts";
import type { BuildContext } from "./context/build-context.ts";
import {
  type FoundDockerfile,
  type FoundIgnore,
  findDockerfile,
  findIgnore,
  readIgnore,
} from "./context/dockerfile.ts";
import { FolderContext, type FolderTools } from "./context/folder.ts";
import { openContext } from "./context/open.ts";
import { reported } from "./context/reported.ts";
import type { SourceTree } from "./copy/sources.ts";
import type { Emitter } from "./emitter.ts";
import { checkLevel } from "./export/archive.ts";
import { exportAll } from "./export/export.ts";
import { writeImage } from "./image.ts";
import { type BuildInputs, readInputs } from "./inputs.ts";
import { LayerPool } from "./layer-pool.ts";
import type { BuildOptions, BuildResult, OutputOptions } from "./options.ts";
import { type Plan, planBuild } from "./plan.ts";
import { Registries } from "./registries.ts";
import { openBuildSandbox } from "./run/sandbox.ts";
import { readSecrets } from "./run/secrets.ts";
import { readSsh, type SshAgents } from "./run/ssh.ts";
import { Worker } from "./run/worker.ts";
import { StageGraph } from "./stage-graph.ts";
import { Clock, type Tools } from "./tools.ts";

/**
 * A build from its options to its outputs. Whatever happens, what it started has ended when it returns or throws, and
 * what it made only for itself is gone.
 * @throws KbuildError
 */
export async function runBuild(options: BuildOptions, emitter: Emitter): Promise<BuildResult> {
  const inputs = readInputs(options);
  const outputs = checkOutputs(options.outputs ?? [{ type: "image" }]);
  const stopping = new AbortController();
  const stop = (): void => stopping.abort(new KbuildError("interrupted", "the build was interrupted"));
  options.signal?.addEventListener("abort", stop, { once: true });
  const { signal } = stopping;
  const native = new NativeClient();
  const registries = new Registries({
    env: inputs.env,
    insecureRegistries: options.insecureRegistries ?? [],
    signal,
    warn: (message) => emitter.warn("Credentials", message),
  });
  let context: BuildContext | undefined;
  let used: Store | undefined;
  let worker: Worker | undefined;
  let use: StoreUse | undefined;
  let agents: SshAgents | undefined;
  try {
    const store = openStore(options.root ?? defaultRoot(inputs.env), { create: true });
    used = store;
    use = holdStore(store);
    const secrets = await readSecrets(options.secrets, inputs.env);
    agents = await readSsh(options.ssh, inputs.env);
    const pool = new LayerPool(store, native, signal);
    const clock = new Clock(inputs.epoch);
    worker = new Worker({ store, pool, clock, signal }, () =>
      openBuildSandbox(store, inputs.isolation, signal, (message) => emitter.warn("Sandbox", message)),
    );
    const tools: Tools = { store, cache: new Cache(store), native, pool, worker, texts: new Map(), clock, signal };
    const folderTools: FolderTools = {
      store,
      native,
      signal,
      warn: (code, message) => emitter.warn(code, message),
      rereads: options.noCache === true,
    };
    const opened = await openContext(options.context, folderTools);
    context = opened.context;
    const found = await loadDockerfile(options, opened.dockerfile, context, emitter);
    const ignore = await loadIgnore(found, context, emitter);
    const plan = planDockerfile(found, inputs, options, emitter);
    const graph = new StageGraph({
      tools,
      emitter,
      plan,
      finder: new BaseFinder(tools, emitter, {
        pull: options.pull === true,
        buildContexts: inputs.buildContexts,
        registry: () => registries.client(),
      }),
      given: inputs.given,
      contextNames: new Set(inputs.buildContexts.keys()),
      context: once(async () => reported(await contextOf(context).files(ignore.lines), emitter)),
      namedContext: (name) => namedContext(name, inputs, folderTools),
      ignoreRule: (rule) => `${ignore.name} line ${ignore.lines[rule]?.line ?? "?"}`,
      supplies: {
        settings: inputs.run,
        proxies: proxyVariables(inputs.given),
        secrets,
        agent: async (id) => agents?.socket(id),
      },
      noCache: options.noCache === true,
      noCacheFilter: options.noCacheFilter ?? [],
      explain: options.explain === true,
      place: identityOf(
        "place",
        context.identity,
        found.name,
        options.target,
        ...(options.name === undefined ? [] : [options.name]),
      ),
    });
    const { state } = await graph.run(stop);
    await tools.pool.settled();
    await graph.keepNames();
    const image = writeImage(tools, state, options.labels ?? {});
    const exported = await exportAll(
      tools,
      emitter,
      { image, snapshot: state.snapshot, references: inputs.references },
      outputs,
    );
    await sweep(store, worker);
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
  } catch (error) {
    // What killed builds left behind may be what the disk is full of, also for a process that then failed.
    if (used !== undefined && options.signal?.aborted !== true) await sweep(used, worker, { force: true });
    throw error;
  } finally {
    options.signal?.removeEventListener("abort", stop);
    stop();
    try {
      await Promise.all([native.close(), registries.close(), worker?.close(), agents?.close()]);
    } finally {
      context?.dispose();
      use?.release();
    }
  }
}

/** Removes what killed processes left in the store, also what only a sandbox may remove if there is one. */
async function sweep(
  store: Store,
  worker: Worker | undefined,
  options: { readonly force?: boolean } = {},
): Promise<void> {
  const stuck: string[] = [];
  sweepTemporary(store, { ...options, stuck: (path) => stuck.push(path) });
  await worker?.remove(stuck);
}

function checkOutputs(outputs: readonly OutputOptions[]): readonly OutputOptions[] {
  for (const output of outputs) {
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
  fromStream: string | undefined,
  context: BuildContext,
  emitter: Emitter,
): Promise<FoundDockerfile> {
  const given = options.dockerfile ?? fromStream;
  if (fromStream !== undefined && options.file !== undefined) {
    throw new KbuildError("usage.stdin", `standard input is a Dockerfile, and so -f ${options.file} has no meaning`, {
      hint: "leave out -f, or send a tar that has the file",
    });
  }
  const name = options.file ?? "Dockerfile";
  return emitter.run({ name: `[internal] load build definition from ${name}`, kind: "internal" }, async (reporter) => {
    const found: FoundDockerfile =
      given === undefined
        ? await findDockerfile(options.file, context, typeof options.context === "string")
        : { name, text: given, beside: async () => undefined };
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

function planDockerfile(found: FoundDockerfile, inputs: BuildInputs, options: BuildOptions, emitter: Emitter): Plan {
  const dockerfile = parseDockerfile(found.text, found.name);
  for (const { code, message, location } of dockerfile.warnings) emitter.warn(code, message, location);
  const plan = planBuild(dockerfile, {
    target: options.target,
    given: inputs.given,
    buildPlatform: inputs.buildPlatform,
    targetPlatform: inputs.targetPlatform,
    contextNames: new Set(inputs.buildContexts.keys()),
  });
  warnOfUnused(plan, inputs, emitter);
  return plan;
}

/** Arguments of the build that no ARG asks for: most often misspelt. */
function warnOfUnused(plan: Plan, inputs: BuildInputs, emitter: Emitter): void {
  const declared = new Set(plan.globals.keys());
  for (const { instructions } of plan.stages) {
    for (const instruction of instructions) {
      if (instruction.kind === "ARG") for (const { name } of instruction.items) declared.add(name);
    }
  }
  for (const name of inputs.given.keys()) {
    if (declared.has(name) || isProxyArgument(name) || name === "SOURCE_DATE_EPOCH") continue;
    const isForBuildKit = name.startsWith("BUILDKIT_");
    const why = isForBuildKit
      ? "is for BuildKit and has no effect in kbuild"
      : "is not declared by any ARG and has no effect";
    emitter.warn("UnusedBuildArg", `the build argument ${name} ${why}`);
  }
}

async function namedContext(name: string, inputs: BuildInputs, tools: FolderTools): Promise<SourceTree | undefined> {
  const source = inputs.buildContexts.get(name);
  if (source === undefined || /^(?:docker-image|oci-layout):\/\//.test(source)) return undefined;
  const context = new FolderContext(source, `the context "${name}"`, tools);
  const text = await context.readText(".dockerignore");
  const { lines } = readIgnore(".dockerignore", text ?? "");
  const tree = await context.files(lines);
  return {
    label: tree.label,
    roots: tree.roots,
    blobs: tree.blobs,
    statCache: tree.statCache,
    select: (patterns, digest) => tree.select(patterns, digest),
    neighbours: (path) => tree.neighbours(path),
    ignoreRule: (rule) => `.dockerignore line ${lines[rule]?.line ?? "?"} of the context "${name}"`,
  };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
