import type { ChildProcess } from "node:child_process";
import type { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { KbuildError } from "../errors.ts";
import { lazyBuiltin } from "../lazy-builtin.ts";
import { nativePath } from "./binary.ts";
import { explainFailure } from "./failures.ts";
import { encodeHead, FrameReader } from "./frames.ts";
import { PROTOCOL_VERSION, type Reply, type Request } from "./protocol.ts";

const childProcess = lazyBuiltin<typeof import("node:child_process")>("node:child_process");

/** What is kept of what the core prints to its standard error. */
const STDERR_KEPT = 4096;
/** Milliseconds that the core has to end after it was told so; it needs them only to remove unfinished files. */
const PATIENCE = 10_000;

/** Gets every reply of the core, and its end: `undefined` when that was asked for. */
export interface CoreListener {
  reply(reply: Exclude<Reply, { readonly reply: "hello" }>, body: Buffer): void;
  ended(reason: KbuildError): void;
}

/**
 * The process of the Rust core, from its start to its end. It keeps the event loop alive only while `hold` says so, and
 * ends by itself when this process does, whatever the way: its standard input ends then.
 */
export class Core {
  readonly #listener: CoreListener;
  readonly #child: ChildProcess;
  readonly #input: Writable;
  readonly #outputs: readonly Readable[];
  readonly #gone: Promise<void>;
  readonly #ready: Promise<void>;
  readonly #settleReady: { readonly resolve: () => void; readonly reject: (reason: KbuildError) => void };
  #failure: KbuildError | undefined;
  #stderr = "";
  #greeted = false;
  #closing = false;
  #drained: Promise<void> | undefined;

  /**
   * `argv`: none for the core that reads and writes; `["sandbox", JSON]` for one in a sandbox, see `SandboxEntry`.
   * @throws KbuildError `machine.noNative` when there is no core; one that cannot be started ends at once
   */
  constructor(listener: CoreListener, argv: readonly string[] = []) {
    this.#listener = listener;
    const path = nativePath();
    const { promise, ...settle } = withResolvers();
    this.#ready = promise;
    this.#settleReady = settle;
    // Whoever asks is told; who does not ask hears of it by his requests.
    promise.catch(() => undefined);
    // The core's descriptor 3 is our standard output, for an archive that goes there. In a sandbox nobody writes there.
    // A terminal sends Ctrl-C to a whole process group. Out of it, the core hears of the end from us alone, and removes
    // what it has not finished.
    const child = childProcess().spawn(path, argv, {
      stdio: ["pipe", "pipe", "pipe", ...(argv.length === 0 ? [1] : [])],
      windowsHide: true,
      detached: true,
    });
    const { stdin, stdout, stderr } = child;
    if (stdin === null || stdout === null || stderr === null) {
      throw new KbuildError("machine.noNative", `the core of kbuild at ${path} cannot be started: no pipes are left`);
    }
    this.#child = child;
    this.#input = stdin;
    this.#outputs = [stdout, stderr];
    const reader = new FrameReader((reply, body) => this.#take(reply, body));
    stdout.on("data", (chunk: Buffer) => {
      try {
        reader.push(chunk);
      } catch (error) {
        this.#fail(
          error instanceof KbuildError ? error : new KbuildError("internal.native", `${error}`, { cause: error }),
        );
      }
    });
    stderr.setEncoding("utf8");
    stderr.on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT);
    });
    // That the core no longer reads is found out by its end, which says more.
    stdin.on("error", () => undefined);
    child.on("error", (cause) => {
      if (this.#child.pid === undefined) this.#fail(cannotStart(path, cause));
    });
    this.#gone = new Promise((resolve) => {
      child.on("close", (status, signal) => {
        const reason = this.#failure ?? this.#unexpectedEnd(status, signal);
        this.#settleReady.reject(reason);
        this.#listener.ended(reason);
        resolve();
      });
    });
    this.hold(false);
  }

  /** Resolves when the core has said hello; rejects when it ends before, with the reason that it gave if it did. */
  ready(): Promise<void> {
    return this.#ready;
  }

  /** Whether there is something to wait for. */
  hold(isNeeded: boolean): void {
    for (const each of [this.#child, this.#input as Socket, ...(this.#outputs as Socket[])]) {
      if (isNeeded) each.ref();
      else each.unref();
    }
  }

  /** Sends a frame. Bytes of the body must not be changed afterwards. */
  send(request: Request, body?: Uint8Array): void {
    const head = encodeHead(request, body?.length ?? 0);
    if (!this.#input.writable) return;
    this.#input.cork();
    this.#input.write(head);
    if (body !== undefined && body.length > 0) this.#input.write(body);
    this.#input.uncork();
  }

  /** Waits while more is on its way to the core than it takes; when it takes nothing any more, for its end. */
  drained(): Promise<void> {
    if (!this.#input.writable) return this.#gone;
    if (!this.#input.writableNeedDrain) return Promise.resolve();
    this.#drained ??= new Promise<void>((resolve) => {
      const done = (): void => {
        this.#input.off("drain", done);
        this.#input.off("close", done);
        this.#drained = undefined;
        resolve();
      };
      this.#input.on("drain", done);
      this.#input.on("close", done);
    });
    return this.#drained;
  }

  /** Takes no replies until something is settled: the core waits with what it has to say. */
  pauseUntil(settled: Promise<void>): void {
    const [replies] = this.#outputs;
    replies?.pause();
    const resume = (): void => this.resume();
    settled.then(resume, resume);
  }

  /** Takes replies again. */
  resume(): void {
    this.#outputs[0]?.resume();
  }

  /** Ends the core's input and waits for its end; kills it when that takes more than 10 s. */
  async close(): Promise<void> {
    if (!this.#closing) {
      this.#closing = true;
      this.#input.end();
      this.resume();
    }
    this.hold(true);
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), PATIENCE);
    await this.#gone;
    clearTimeout(timer);
  }

  #take(reply: Reply, body: Buffer): void {
    if (this.#failure !== undefined) return;
    if (reply.reply === "hello") {
      this.#greeted = true;
      if (reply.protocol !== PROTOCOL_VERSION) {
        throw new KbuildError(
          "internal.native",
          `the core of kbuild (version ${reply.version}) speaks version ${reply.protocol} of the protocol, and not ${PROTOCOL_VERSION}`,
          { hint: "install kbuild again, or mend KBUILD_NATIVE_PATH: the two must be of one release" },
        );
      }
      this.#settleReady.resolve();
      return;
    }
    if (!this.#greeted && reply.reply === "failed" && reply.id === 0) {
      this.#fail(explainFailure(reply, "enter", []));
      return;
    }
    if (!this.#greeted)
      throw new KbuildError("internal.native", "the core of kbuild did not say which protocol it speaks");
    this.#listener.reply(reply, body);
  }

  #fail(reason: KbuildError): void {
    this.#failure ??= reason;
    this.#child.kill("SIGKILL");
  }

  #unexpectedEnd(status: number | null, signal: NodeJS.Signals | null): KbuildError {
    if (this.#closing) return new KbuildError("interrupted", "the build was interrupted");
    const how = signal === null ? `with status ${status}` : `by ${signal}`;
    const said = this.#stderr.trim();
    return new KbuildError("internal.native", `the core of kbuild ended ${how}${said === "" ? "" : `: ${said}`}`);
  }
}

/** What `Promise.withResolvers` is in later versions of Node. */
function withResolvers(): {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (reason: KbuildError) => void;
} {
  let resolve = (): void => undefined;
  let reject = (_reason: KbuildError): void => undefined;
  const promise = new Promise<void>((whenDone, whenFailed) => {
    resolve = whenDone;
    reject = whenFailed;
  });
  return { promise, resolve, reject };
}

function cannotStart(path: string, cause: Error): KbuildError {
  const reason = "code" in cause && typeof cause.code === "string" ? cause.code : cause.message;
  return new KbuildError("machine.noNative", `the core of kbuild at ${path} cannot be started: ${reason}`, { cause });
}
