import type { Dockerfile } from "../parser/instructions.ts";
import { parseDockerfile } from "../parser/parser.ts";
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

/** What a build has read before it does anything. To be closed when the build is over. */
export interface LoadedBuild {
  readonly context: BuildContext;
  readonly contextTools: ContextTools;
  readonly namedContext: (name: string) => Promise<SourceTree | undefined>;
  readonly found: FoundDockerfile;
  readonly dockerfile: Dockerfile;
  readonly ignore: FoundIgnore;
  readonly secrets: Secrets;
  readonly agents: SshAgents;
  close(): Promise<void>;
}

/**
 * Opens a build's context, reads its Dockerfile and its secrets, and looks at the caches that it may use.
 * @throws KbuildError `build.*`, `usage.*`, `registry.*`
 */
export async function loadBuild(
  { tools, registries }: Session,
  { options, inputs, emitter }: BuildRequest,
): Promise<LoadedBuild> {
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
    const dockerfile = parseDockerfile(found.text, found.name);
    if (options.ignoreSyntax !== true) checkFrontend(dockerfile, inputs.given);
    const { cacheFrom = [] } = options;
    const [platform = inputs.buildPlatform] = inputs.targetPlatforms;
    if (cacheFrom.length > 0) {
      const { importCaches } = await import("./cache-transfer/import.ts");
      await importCaches(tools, emitter, cacheFrom, platform, () => registries.client());
    }
    const namedContext = namedContexts(inputs.buildContexts, contextTools);
    return { context, contextTools, namedContext, found, dockerfile, ignore, secrets, agents, close };
  } catch (error) {
    await close();
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
