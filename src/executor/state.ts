import type { ContainerConfig, Descriptor, DiffId, History, Platform } from "../oci/types.ts";

/** A layer of a snapshot: what it is, and the blob that has it. */
export interface LayerReference {
  readonly diffId: DiffId;
  readonly blob: Descriptor;
}

/** The files of a stage after a step: a stack of layers and the identity of what they come to. */
export interface Snapshot {
  /** Lowest first. */
  readonly layers: readonly LayerReference[];
  /** Hexadecimal; equal for equal content, whatever instructions gave it (design section 2, "Identity is content"). */
  readonly content: string;
}

/** An image in the making. A step takes one and gives the next; nothing is changed in place. */
export interface ImageState {
  readonly platform: Platform;
  readonly snapshot: Snapshot;
  readonly config: ContainerConfig;
  readonly author: string | undefined;
  readonly history: readonly History[];
}

/** What a stage's words are expanded with. */
export interface Scope {
  /** Build arguments that have been declared in this stage or one that it builds on, by name. */
  readonly arguments: ReadonlyMap<string, string | undefined>;
  /** Names whose last declaration was an ENV: it wins over an argument of that name until the next ARG. */
  readonly environment: ReadonlyMap<string, string>;
}

/** The value of a variable in a stage. Of an ENV and an ARG with one name the later declaration counts. */
export function lookupVariable(scope: Scope, name: string): string | undefined {
  return scope.arguments.get(name) ?? scope.environment.get(name);
}

/** The variables of a config's `Env` list. */
export function environmentOf(config: ContainerConfig): Map<string, string> {
  const environment = new Map<string, string>();
  for (const pair of config.Env ?? []) {
    const equals = pair.indexOf("=");
    if (equals >= 0) environment.set(pair.slice(0, equals), pair.slice(equals + 1));
    else environment.set(pair, "");
  }
  return environment;
}

/** The config with one variable set: in its place when it is there, else at the end, as docker does. */
export function withEnvironment(config: ContainerConfig, name: string, value: string): ContainerConfig {
  const pairs = [...(config.Env ?? [])];
  const at = pairs.findIndex((pair) => pair === name || pair.startsWith(`${name}=`));
  if (at >= 0) pairs[at] = `${name}=${value}`;
  else pairs.push(`${name}=${value}`);
  return { ...config, Env: pairs };
}

/** What `FROM scratch` begins with: BuildKit gives such an image the usual search path. */
export const SCRATCH_CONFIG: ContainerConfig = {
  Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
  WorkingDir: "/",
};
