import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KbuildError } from "../../errors.ts";
import type { SshKey } from "./ssh-keys.ts";
import { WireReader, wireByte, wireString, wireUint32 } from "./ssh-wire.ts";

/** Messages of draft-ietf-sshm-ssh-agent, section 6.1. */
const FAILURE = 5;
const REQUEST_IDENTITIES = 11;
const IDENTITIES_ANSWER = 12;
const SIGN_REQUEST = 13;
const SIGN_RESPONSE = 14;
const EXTENSION = 27;
/** Tells an agent which connection it signs for, so that it can hold a key to its destination. */
const SESSION_BIND = "session-bind@openssh.com";

/** OpenSSH's own limit. */
const LONGEST_MESSAGE = 256 * 1024;
const MOST_CONNECTIONS = 64;
/** Paths of sockets are at most so long: unix(7). */
const LONGEST_PATH = 107;

/** Where an agent's answers come from: private keys, or the socket of another agent. */
export type AgentBackend = { readonly keys: readonly SshKey[] } | { readonly socket: string };

export interface RunningAgent {
  /** Path of its socket, in a folder that only this user can enter. */
  readonly path: string;
  close(): Promise<void>;
}

/**
 * Starts an agent for steps. It lists keys and signs, and does nothing else, be it another agent's keys: a step cannot
 * add, remove or lock any.
 * @throws KbuildError `machine.ssh` when no socket can be made
 */
export async function startAgent(backend: AgentBackend): Promise<RunningAgent> {
  const connections = new Set<Socket>();
  const server = createServer((socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
    // The other side hangs up when it has what it wants, or is killed: there is nobody left to be told.
    socket.on("error", () => socket.destroy());
    serve(socket, backend).catch(() => socket.destroy());
  });
  server.maxConnections = MOST_CONNECTIONS;
  const { folder, path } = makeFolder();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, resolve);
    });
  } catch (cause) {
    rmSync(folder, { recursive: true, force: true });
    throw noSocket(path, cause);
  }
  return {
    path,
    close: async () => {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      for (const socket of connections) socket.destroy();
      await closed;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function makeFolder(): { readonly folder: string; readonly path: string } {
  const wanted = join(tmpdir(), "kbuild-ssh-");
  const isShort = Buffer.byteLength(wanted) + "XXXXXX/agent".length <= LONGEST_PATH;
  try {
    const folder = mkdtempSync(isShort ? wanted : "/tmp/kbuild-ssh-");
    return { folder, path: join(folder, "agent") };
  } catch (cause) {
    throw noSocket(wanted, cause);
  }
}

function noSocket(path: string, cause: unknown): KbuildError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new KbuildError("machine.ssh", `no socket for --ssh can be made at ${path}: ${reason}`, { cause });
}

/** Answers one connection, message after message. */
async function serve(socket: Socket, backend: AgentBackend): Promise<void> {
  const other = "socket" in backend ? new OtherAgent(backend.socket) : undefined;
  try {
    for await (const message of messages(socket)) {
      const answer = other === undefined ? answerOf(message, backend) : await relay(message, other);
      // Whoever asks and does not listen is not asked for more questions.
      if (!socket.write(wireString(answer))) await drained(socket);
    }
  } finally {
    other?.close();
    socket.end();
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off("drain", done).off("close", done);
      resolve();
    };
    socket.on("drain", done).on("close", done);
  });
}

function answerOf(message: Buffer, backend: AgentBackend): Buffer {
  const keys = "keys" in backend ? backend.keys : [];
  try {
    const reader = new WireReader(message);
    switch (reader.byte()) {
      case REQUEST_IDENTITIES: {
        const entries = keys.flatMap(({ blob, comment }) => [wireString(blob), wireString(comment)]);
        return Buffer.concat([wireByte(IDENTITIES_ANSWER), wireUint32(keys.length), ...entries]);
      }
      case SIGN_REQUEST: {
        const blob = reader.string();
        const data = reader.string();
        const key = keys.find((candidate) => candidate.blob.equals(blob));
        if (key === undefined) return wireByte(FAILURE);
        return Buffer.concat([wireByte(SIGN_RESPONSE), wireString(key.sign(data, reader.uint32()))]);
      }
      default:
        return wireByte(FAILURE);
    }
  } catch {
    // Whatever is wrong with a message, the protocol has one answer.
    return wireByte(FAILURE);
  }
}

async function relay(message: Buffer, other: OtherAgent): Promise<Buffer> {
  if (!mayBeRelayed(message)) return wireByte(FAILURE);
  return other.ask(message).catch(() => wireByte(FAILURE));
}

function mayBeRelayed(message: Buffer): boolean {
  const type = message[0];
  if (type === REQUEST_IDENTITIES || type === SIGN_REQUEST) return true;
  if (type !== EXTENSION) return false;
  return message.subarray(1, 5 + SESSION_BIND.length).equals(wireString(SESSION_BIND));
}

/** A connection to another agent, made at the first question. */
class OtherAgent {
  readonly #path: string;
  #open: { readonly socket: Socket; readonly answers: AsyncIterator<Buffer> } | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async ask(message: Buffer): Promise<Buffer> {
    if (this.#open === undefined) {
      const socket = connect(this.#path);
      // The answer that is waited for fails with it.
      socket.on("error", () => socket.destroy());
      this.#open = { socket, answers: messages(socket)[Symbol.asyncIterator]() };
    }
    this.#open.socket.write(wireString(message));
    const answer = await this.#open.answers.next();
    if (answer.done === true) throw new RangeError("the agent hung up");
    return answer.value;
  }

  close(): void {
    this.#open?.socket.destroy();
  }
}

/** The messages that come in at a socket; one that is too long ends them. */
async function* messages(socket: Socket): AsyncGenerator<Buffer, void> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const part of socket as AsyncIterable<Buffer>) {
    parts.push(part);
    length += part.length;
    while (length >= 4) {
      const head = parts[0] !== undefined && parts[0].length >= 4 ? parts[0] : Buffer.concat(parts);
      if (head !== parts[0]) parts = [head];
      const size = head.readUInt32BE(0);
      if (size === 0 || size > LONGEST_MESSAGE) throw new RangeError(`a message of ${size} bytes`);
      if (length < 4 + size) break;
      const whole = Buffer.concat(parts);
      yield whole.subarray(4, 4 + size);
      parts = [whole.subarray(4 + size)];
      length -= 4 + size;
    }
  }
}
