import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { nativePath } from "../../src/native/binary.ts";
import { FrameReader } from "../../src/native/frames.ts";
import type { Reply } from "../../src/native/protocol.ts";

/** One frame of the core. */
export interface Frame {
  readonly head: Reply;
  readonly body: Buffer;
}

/** How the core ended. */
export interface CoreEnd {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

export interface RawCoreOptions {
  readonly uid?: number;
  /** Default: the same number as `uid`. */
  readonly gid?: number;
  readonly argv?: readonly string[];
}

/** The bytes of a frame; a head that is no string is sent as JSON. */
export function frame(head: unknown, body: Uint8Array = new Uint8Array(0)): Buffer {
  const bytes = Buffer.from(typeof head === "string" ? head : JSON.stringify(head));
  const lengths = Buffer.alloc(8);
  lengths.writeUInt32LE(bytes.length, 0);
  lengths.writeUInt32LE(body.length, 4);
  return Buffer.concat([lengths, bytes, body]);
}

/** The Rust core without the client: for frames that the client would never send, and other users. */
export class RawCore {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<CoreEnd>;
  readonly #frames: Frame[] = [];
  readonly #waiting: ((frame: Frame | undefined) => void)[] = [];
  #isOver = false;

  constructor(options: RawCoreOptions = {}) {
    const { uid, argv = [] } = options;
    this.child = spawn(nativePath(), argv, uid === undefined ? {} : { uid, gid: options.gid ?? uid });
    let stderr = "";
    const reader = new FrameReader((head, body) => {
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#frames.push({ head, body });
      else waiting({ head, body });
    });
    this.child.stdout.on("data", (chunk: Buffer) => reader.push(chunk));
    this.child.stderr.on("data", (part) => {
      stderr += part;
    });
    // A core that has given up reads no more.
    this.child.stdin.on("error", () => undefined);
    this.ended = new Promise((resolve) => {
      this.child.on("close", (status, signal) => {
        this.#isOver = true;
        for (const waiting of this.#waiting) waiting(undefined);
        resolve({ status, signal, stderr });
      });
    });
  }

  send(head: unknown, body?: Uint8Array): void {
    this.child.stdin.write(frame(head, body));
  }

  /** The next frame; undefined when the core has ended without one. */
  next(): Promise<Frame | undefined> {
    const frame = this.#frames.shift();
    if (frame !== undefined || this.#isOver) return Promise.resolve(frame);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The next frame that is no progress and no hello. */
  async answer(): Promise<Frame> {
    for (;;) {
      const frame = await this.next();
      if (frame === undefined) throw new Error(`the core ended: ${JSON.stringify(await this.ended)}`);
      if (frame.head.reply !== "progress" && frame.head.reply !== "hello") return frame;
    }
  }

  /** Ends the core's input and waits for its end. */
  end(): Promise<CoreEnd> {
    this.child.stdin.end();
    return this.ended;
  }
}

/** Runs `action` with a core that is killed afterwards, whatever happened. */
export async function withCore<T>(options: RawCoreOptions, action: (core: RawCore) => Promise<T>): Promise<T> {
  const core = new RawCore(options);
  try {
    return await action(core);
  } finally {
    core.child.kill("SIGKILL");
    await core.ended;
  }
}
