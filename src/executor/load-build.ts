import type { Dockerfile } from "../parser/instructions.ts";
import { parseDockerfile, parseLeading } from "../parser/parser.ts";
import { BuildChecks } from "./checks/build-checks.ts";
import type { BuildContext } from "./context/build-context.ts";
import { type FoundDockerfile, type FoundIgnore, findIgnore, readDockerfile } from "./context/dockerfile.ts";
import { type ContextTools, downloadText, isHttpAddress, openContext } from "./context/locate.ts";
import { namedContexts } from "./context/named.ts";
import type { SourceTree } from "./copy/sources.ts";
import type { Emitter } from "./emitter.ts";
import { checkFrontend } from "./frontend.ts";
import { isOn } from "./inputs.ts";
import { once } from "./once.ts";
import type { BuildOptions } from "./options.ts";
import type { Remotes } from "./remote/remotes.ts";
import { readSecrets, type Secrets } from "./run/secrets.ts";
import { readSsh, type SshAgents } from "./run/ssh.ts";
import type { BuildRequest } from "./run-build.ts";
import type { Session } from "./session.ts";

/** The texts that a build begins with, and where they are from. To be closed when the build is over. */
export interface LoadedTexts {
  readonly context: BuildContext;
  /** The context's own time, in seconds since 1970, if it has one. */
  readonly contextTime: () => Promise<number | undefined>;
  readonly contextTools: ContextTools;
  readonly found: FoundDockerfile;
  readonly ignore: FoundIgnore;
  readonly secrets: Secrets;
  readonly agents: SshAgents;
  close(): Promise<void>;
}

/** What a build has read before it does anything. To be closed when the build is over. */
export interface LoadedBuild extends LoadedTexts {
  readonly namedContext: (name: string) => Promise<SourceTree | undefined>;
  readonly dockerfile: Dockerfile;
}

/**
 * Opens a build's context, reads its Dockerfile and its secrets, and looks at the caches that it may use.
 * @throws KbuildError `build.*`, `usage.*`, `registry.*`
 */
export async function loadBuild({ tools, registries }: Session, request: BuildRequest): Promise<LoadedBuild> {
  const { options, inputs, emitter } = request;
  const texts = await loadTexts({ tools, registries }, request);
  try {
    const dockerfile = parse(texts.found, request);
    if (options.ignoreSyntax !== true) checkFrontend(dockerfile, inputs.given);
    const { cacheFrom = [] } = options;
    if (cacheFrom.length > 0) {
      const { importCaches } = await import("./cache-transfer/import.ts");
      await importCaches(tools, emitter, cacheFrom, inputs.targetPlatforms, () => registries.client());
    }
    return { ...texts, dockerfile, namedContext: namedContexts(inputs.buildContexts, texts.contextTools) };
  } catch (error) {
    await texts.close();
    throw error;
  }
}

/**
 * Opens a build's context, and finds its Dockerfile and its ignore file.
 * @throws KbuildError `build.*`, `usage.*`, `registry.*`
 */
export async function loadTexts(
  { tools, registries }: Pick<Session, "tools" | "registries">,
  { options, inputs, emitter }: Omit<BuildRequest, "outputs">,
): Promise<LoadedTexts> {
  const secrets = await readSecrets(options.secrets, inputs.env);
  const agents = await readSsh(options.ssh, inputs.env);
  const { store, native, signal } = tools;
  const remotes = once(async (): Promise<Remotes> => {
    const { Remotes } = await import("./remote/remotes.ts");
    return new Remotes({ store, native, registries, env: inputs.env, signal, emitter, secrets, agents });
  });
  const contextTools: ContextTools = {
    store,
    native,
    signal,
    warn: (code, message) => emitter.warn(code, message),
    rereads: options.noCache === true,
    emitter,
    env: inputs.env,
    remotes,
    keepsGit: isOn(inputs.given.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR")),
  };
  let context: BuildContext | undefined;
  const close = async (): Promise<void> => {
    context?.dispose();
    await agents.close();
  };
  try {
    const opened = await openContext(options.context, contextTools);
    context = opened.context;
    const found = await loadDockerfile(options, opened, contextTools);
    const ignore = await loadIgnore(found, context, emitter);
    return { context, contextTime: opened.time, contextTools, found, ignore, secrets, agents, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Parses; of a file that cannot be, what checks find in front of the fault is told. */
function parse({ text, name }: FoundDockerfile, { options, inputs, emitter }: BuildRequest): Dockerfile {
  try {
    return parseDockerfile(text, name);
  } catch (error) {
    const leading = parseLeading(text, name);
    if (leading !== undefined) new BuildChecks(leading, inputs, options.target, emitter).tell();
    throw error;
  }
}

async function loadDockerfile(
  options: BuildOptions,
  opened: Awaited<ReturnType<typeof openContext>>,
  tools: ContextTools,
): Promise<FoundDockerfile> {
  const { file, dockerfile } = options;
  const name = `[internal] load build definition from ${file ?? "Dockerfile"}`;
  const address = dockerfile === undefined && file !== undefined && isHttpAddress(file) ? new URL(file) : undefined;
  const text = address === undefined ? dockerfile : await downloadText(address, tools);
  return tools.emitter.run({ name, kind: "internal" }, async (reporter) => {
    const found = await readDockerfile({ dockerfile: text, file }, opened);
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
