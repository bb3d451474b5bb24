import { type BuildOptions, type DockerfileOptions, KbuildError, type OutputOptions } from "../api.ts";
import { type buildOptions, PROGRESS } from "./build-options.ts";
import { type Call, callOf } from "./call-option.ts";
import type { Values } from "./option-table.ts";
import { type GivenResources, secretSource } from "./run-options.ts";
import type { Shell } from "./shell.ts";
import { oneOf } from "./values.ts";

export type Style = "tty" | "plain" | "json" | "rawjson" | "quiet" | "none";

/** What a command line means: the engine's options, and what the command line itself does with the outcome. */
export interface BuildRequest {
  readonly options: BuildOptions;
  /** What is asked for; most often a build. */
  readonly call: Call;
  readonly style: Style;
  readonly iidfile: string | undefined;
  readonly metadataFile: string | undefined;
  /** Whether standard output is one of the outputs. */
  readonly isStdoutTaken: boolean;
}

type Typed = Values<typeof buildOptions>;
type BuildShell = Pick<Shell, "env" | "stdin" | "stdout" | "stderr">;

/** @throws KbuildError `usage.*` */
export async function buildRequest(
  values: Typed,
  operands: readonly string[],
  shell: BuildShell,
): Promise<BuildRequest> {
  const place = contextOf(operands);
  const call = callOf(values);
  const style = styleOf(values, shell);
  const outputs = outputsOf(values);
  const toStdout = outputs.filter((output) => output.type !== "image" && output.dest === "-");
  checkStdout(toStdout.length, shell);
  return {
    call,
    style,
    iidfile: values.iidfile,
    metadataFile: values.metadataFile,
    isStdoutTaken: toStdout.length > 0,
    options: {
      ...(await dockerfileOptionsOf(values, place, shell)),
      tags: values.tag,
      labels: values.label && Object.fromEntries(values.label.map(([name, value]) => [name, value ?? ""])),
      annotations: values.annotation,
      squash: values.squash,
      noCache: values.noCache,
      noCacheFilter: values.noCacheFilter?.flat(),
      pull: values.pull,
      outputs: outputs.length === 0 ? undefined : outputs,
      insecureRegistries: values.insecureRegistry,
      explain: values.explain,
      cacheFrom: values.cacheFrom,
      cacheTo: values.cacheTo,
      ...runOptionsOf(values, shell),
      // The variable goes before it.
      sourceDateEpoch: values.reproducible && !shell.env.SOURCE_DATE_EPOCH ? "context" : undefined,
    },
  };
}

/** What says which Dockerfile is meant, and what it means. */
export async function dockerfileOptionsOf(
  values: Pick<Typed, "file" | "target" | "platform" | "ignoreSyntax" | "buildArg" | "buildContext" | "root">,
  place: string,
  shell: BuildShell,
): Promise<DockerfileOptions> {
  const isDockerfileFromStdin = values.file === "-";
  if (isDockerfileFromStdin && place === "-") {
    throw new KbuildError("usage.stdin", "standard input cannot be both the Dockerfile and the context", {
      hint: "kbuild - < Dockerfile builds without a context",
    });
  }
  return {
    context: place === "-" ? shell.stdin : place,
    ...(isDockerfileFromStdin ? { dockerfile: await readAll(shell.stdin) } : { file: values.file }),
    buildArgs: values.buildArg && Object.fromEntries(values.buildArg.map(([name, value]) => [name, value ?? null])),
    target: values.target,
    platform: values.platform?.flat(),
    ignoreSyntax: values.ignoreSyntax,
    buildContexts: values.buildContext && Object.fromEntries(values.buildContext),
    root: values.root,
    env: shell.env,
  };
}

/** What is about RUN. */
function runOptionsOf(values: Typed, { env }: BuildShell): Partial<BuildOptions> {
  const resources: GivenResources = Object.assign({}, ...(values.resource ?? []));
  return {
    isolation: values.isolation,
    network: values.network,
    secrets: values.secret && Object.fromEntries(values.secret.map((given) => [given.id, secretSource(given, env)])),
    ssh: values.ssh && agentsOf(values.ssh),
    allow: values.allow,
    addHosts: values.addHost,
    ulimits: values.ulimit && Object.fromEntries(values.ulimit),
    shmSize: values.shmSize,
    memory: values.memory ?? resources.memory,
    memorySwap: values.memorySwap ?? resources.memorySwap,
    cpuShares: values.cpuShares ?? resources.cpuShares,
    cpuPeriod: values.cpuPeriod ?? resources.cpuPeriod,
    cpuQuota: values.cpuQuota ?? resources.cpuQuota,
    cpusetCpus: values.cpusetCpus ?? resources.cpusetCpus,
    cpusetMems: values.cpusetMems ?? resources.cpusetMems,
    cgroupParent: values.cgroupParent,
    keepFailed: values.keepFailed,
  };
}

function agentsOf(given: NonNullable<Typed["ssh"]>): Readonly<Record<string, readonly string[]>> {
  const agents = new Map<string, readonly string[]>();
  for (const [id, paths] of given) {
    if (agents.has(id)) {
      throw new KbuildError("usage.option", `--ssh ${id} is given twice`, {
        hint: `name all keys in one: --ssh ${id}=KEY,KEY`,
      });
    }
    agents.set(id, paths);
  }
  return Object.fromEntries(agents);
}

function contextOf(operands: readonly string[]): string {
  const [place, extra] = operands;
  if (place === undefined) {
    throw new KbuildError("usage.context", "a build needs a context, the folder that COPY and ADD take files from", {
      hint: "for the folder you are in: kbuild -t NAME .",
    });
  }
  if (extra !== undefined) {
    throw new KbuildError("usage.operands", `a build has one context, but two are given: ${place} and ${extra}`, {
      hint: "does an option before it lack its value, or a value its quotes?",
    });
  }
  return place;
}

/** How progress is shown, by the options, the environment and the terminal. */
export function styleOf(values: Pick<Typed, "quiet" | "progress">, shell: Pick<Shell, "env" | "stderr">): Style {
  if (values.quiet) return "quiet";
  const { env } = shell;
  const chosen =
    values.progress ?? (env.BUILDKIT_PROGRESS ? oneOf(PROGRESS)(env.BUILDKIT_PROGRESS, "BUILDKIT_PROGRESS") : "auto");
  if (chosen !== "auto") return chosen;
  return shell.stderr.isTTY === true && env.TERM !== "dumb" ? "tty" : "plain";
}

function outputsOf(values: Typed): readonly OutputOptions[] {
  const outputs: OutputOptions[] = [...(values.output ?? [])];
  if (values.load && outputs.length > 0 && !outputs.some(({ type }) => type === "image"))
    outputs.push({ type: "image" });
  const { compression, compressionLevel } = values;
  if (compression === undefined && compressionLevel === undefined) return outputs;
  if (!outputs.some(({ type }) => type === "docker" || type === "oci")) {
    throw new KbuildError("usage.option", "--compression is for outputs of type docker or oci, and there is none", {
      hint: "-o type=docker,dest=image.tar; the store keeps layers uncompressed",
    });
  }
  return outputs.map((output) =>
    output.type === "docker" || output.type === "oci"
      ? { ...(compression && { compression }), ...(compressionLevel !== undefined && { compressionLevel }), ...output }
      : output,
  );
}

function checkStdout(count: number, shell: BuildShell): void {
  if (count === 0) return;
  if (count > 1) throw new KbuildError("usage.option", "only one output can go to standard output");
  if (shell.stdout.isTTY) {
    throw new KbuildError("usage.terminal", "an archive is not written to a terminal", {
      hint: "name a file with dest=FILE, or redirect standard output",
    });
  }
}

/** A stream's text. */
export async function readAll(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}
