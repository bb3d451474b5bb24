import { lookupVariable, type Scope } from "../state.ts";

/** Where programs are looked for when nothing sets PATH. */
const USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** What a step's variables are made of. */
export interface EnvironmentInput {
  /** The image's environment and the build arguments of the stage. */
  readonly scope: Scope;
  /** HOME of the user, unless something sets it. */
  readonly home: string;
  /** Build arguments as they were given: proxies need no ARG. */
  readonly proxies: ReadonlyMap<string, string>;
  /** Path of the first agent's socket. */
  readonly agent: string | undefined;
  /** Variables that have a secret's value. */
  readonly secrets: ReadonlyMap<string, string>;
}

/** The environment of a step, each variable `NAME=value`. */
export interface RunEnvironment {
  /** All that the process sees. */
  readonly variables: readonly string[];
  /** Those of them that the step's key has: neither proxies nor secrets, and not what follows from other parts of the key. */
  readonly keyed: readonly string[];
}

/**
 * The environment of a RUN. Dockerfile reference, "ARG", "ENV" and "Predefined ARGs". An argument and an ENV of one name
 * are told apart by the scope: the later one counts. A proxy gives way to both; a secret to nothing.
 */
export function runEnvironment({ scope, home, proxies, agent, secrets }: EnvironmentInput): RunEnvironment {
  const keyed = new Map<string, string>();
  for (const name of [...scope.environment.keys(), ...scope.arguments.keys()]) {
    const value = lookupVariable(scope, name);
    if (value !== undefined) keyed.set(name, value);
  }
  const all = new Map(keyed);
  const add = (name: string, value: string) => {
    if (!all.has(name)) all.set(name, value);
  };
  add("PATH", USUAL_PATH);
  add("HOME", home);
  if (agent !== undefined) add("SSH_AUTH_SOCK", agent);
  for (const [name, value] of proxies) add(name, value);
  for (const [name, value] of secrets) all.set(name, value);
  return { variables: pairs(all), keyed: pairs(keyed) };
}

function pairs(variables: ReadonlyMap<string, string>): string[] {
  return [...variables].map(([name, value]) => `${name}=${value}`);
}
