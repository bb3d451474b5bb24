import type { Stats } from "node:fs";
import { open, stat } from "node:fs/promises";
import { KbuildError } from "../../errors.ts";
import type { MountRequest } from "./mount-requests.ts";
import type { StepMount } from "./mounts.ts";
import type { AgentBackend, RunningAgent } from "./ssh-agent.ts";
import type { SshKey } from "./ssh-keys.ts";

/** As docker has it. */
const LARGEST_KEY = 100 * 1024;

export type SshRequest = Extract<MountRequest, { kind: "ssh" }>;

/** The agents of a build. Each is started when a step asks for it first. */
export class SshAgents {
  readonly #backends: ReadonlyMap<string, AgentBackend>;
  readonly #running = new Map<string, Promise<RunningAgent>>();

  constructor(backends: ReadonlyMap<string, AgentBackend>) {
    this.#backends = backends;
  }

  /**
   * Path of an agent's socket; undefined when the build was given none of that id.
   * @throws KbuildError `machine.ssh`
   */
  async socket(id: string): Promise<string | undefined> {
    const backend = this.#backends.get(id);
    if (backend === undefined) return undefined;
    let agent = this.#running.get(id);
    if (agent === undefined) {
      agent = import("./ssh-agent.ts").then(({ startAgent }) => startAgent(backend));
      this.#running.set(id, agent);
    }
    return (await agent).path;
  }

  async close(): Promise<void> {
    const running = [...this.#running.values()];
    this.#running.clear();
    for (const agent of await Promise.allSettled(running)) {
      if (agent.status === "fulfilled") await agent.value.close();
    }
  }
}

/**
 * Gives a step an agent that a mount asks for. One that the build was not given (`socket` is undefined) is left out,
 * unless it is required.
 * @throws KbuildError `build.ssh`, with the place
 */
export function stepAgent(
  { id, required, location, target, mode, uid, gid }: SshRequest,
  socket: string | undefined,
): Extract<StepMount, { kind: "socket" }> | undefined {
  if (socket !== undefined) return { kind: "socket", source: socket, target, mode, uid, gid };
  if (!required) return undefined;
  throw new KbuildError("build.ssh", `ssh ${id}: not found, and RUN says that it is required`, {
    location,
    hint: `give it to the build with --ssh ${id === "default" ? id : `${id}=SOCKET or --ssh ${id}=KEY`}`,
  });
}

/**
 * Reads what a build's `ssh` names, so that what cannot be used is told before anything runs.
 * @throws KbuildError `usage.ssh`
 */
export async function readSsh(
  ssh: Readonly<Record<string, readonly string[]>> | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Promise<SshAgents> {
  const backends = new Map<string, AgentBackend>();
  for (const [id, paths] of Object.entries(ssh ?? {})) backends.set(id, await readBackend(id, paths, env));
  return new SshAgents(backends);
}

async function readBackend(
  id: string,
  paths: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<AgentBackend> {
  const given = paths.filter((path) => path !== "");
  if (given.length === 0) {
    const socket = env.SSH_AUTH_SOCK;
    if (socket === undefined || socket === "") {
      throw new KbuildError("usage.ssh", `--ssh ${id} is the agent at $SSH_AUTH_SOCK, which is not set`, {
        hint: `start one (eval "$(ssh-agent)"; ssh-add), or name a key: --ssh ${id}=~/.ssh/id_ed25519`,
      });
    }
    given.push(socket);
  }
  const keys: SshKey[] = [];
  for (const path of given) {
    const found = await statOf(path, id);
    if (!found.isSocket()) {
      const { readPrivateKey } = await import("./ssh-keys.ts");
      keys.push(readPrivateKey(await readKeyFile(path, id), path));
    } else if (given.length === 1) return { socket: path };
    else {
      throw new KbuildError("usage.ssh", `--ssh ${id}: ${path} is an agent's socket, which has to stand alone`, {
        hint: "name one socket, or files of keys",
      });
    }
  }
  return { keys };
}

async function statOf(path: string, id: string): Promise<Stats> {
  try {
    return await stat(path);
  } catch (cause) {
    throw unreadable(path, id, cause);
  }
}

async function readKeyFile(path: string, id: string): Promise<string> {
  try {
    const file = await open(path, "r");
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(LARGEST_KEY), 0, LARGEST_KEY);
      return buffer.toString("utf8", 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw unreadable(path, id, cause);
  }
}

function unreadable(path: string, id: string, cause: unknown): KbuildError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new KbuildError("usage.ssh", `--ssh ${id}: ${path} cannot be read: ${reason}`, { cause });
}
