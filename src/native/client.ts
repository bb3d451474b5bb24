import { KbuildError } from "../errors.ts";
import { Core } from "./core.ts";
import { explainFailure } from "./failures.ts";
import { feed } from "./feed.ts";
import type {
  Extracted,
  ExtractRequest,
  Ingested,
  IngestRequest,
  Packed,
  PackRequest,
  Recompressed,
  RecompressRequest,
  Reply,
  Scanned,
  ScanRequest,
} from "./protocol.ts";
import type {
  Diffed,
  DiffRequest,
  Exited,
  Marked,
  MarkRequest,
  MoveRequest,
  Printed,
  Probed,
  ProbeRequest,
  RemoveRequest,
  RunRequest,
  SandboxEntry,
  Unpacked,
  UnpackRequest,
} from "./sandbox-protocol.ts";

/** What may be told with every request. */
export interface NativeOptions {
  /** Stops the request; it has cleaned up when its promise is rejected with `interrupted`, or the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Told ten times a second at most what the request has done. */
  readonly progress?: ((bytes: number, entries: number) => void) | undefined;
}

/** What may be told with `run`. */
export interface RunOptions extends Pick<NativeOptions, "signal"> {
  /**
   * Gets what the process prints, in the order in which it was read. The bytes may be kept. While a promise that it gives
   * is not settled, nothing more is read from the core, so that in the end the process waits.
   */
  readonly onOutput?: ((stream: Printed["stream"], bytes: Buffer) => Promise<void> | undefined) | undefined;
}

type Signalled = Pick<NativeOptions, "signal">;
type Unnumbered<T> = Omit<T, "op" | "id">;
type SandboxWork = ProbeRequest | UnpackRequest | MarkRequest | DiffRequest | RemoveRequest | MoveRequest | RunRequest;
type Work = ScanRequest | PackRequest | IngestRequest | ExtractRequest | RecompressRequest | SandboxWork;
type Outcome = Exclude<Reply, { readonly reply: "hello" | "progress" | "failed" | "output" }>;

interface Pending {
  readonly operation: Work["op"];
  /** Paths that the request is to write. */
  readonly written: readonly string[];
  readonly progress: NativeOptions["progress"];
  readonly onOutput: RunOptions["onOutput"];
  readonly signal: AbortSignal | undefined;
  readonly resolve: (outcome: { readonly head: Outcome; readonly body: Buffer }) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * The one door to the Rust core. Its process is started with the first request, and serves any number at a time; while
 * there are none it keeps nothing alive. Every request's promise is settled, whatever happens to the core: when it dies,
 * with `internal.native`.
 */
export class NativeClient {
  readonly #argv: readonly string[];
  readonly #pending = new Map<number, Pending>();
  #core: Core | undefined;
  #ended: KbuildError | undefined;
  #lastId = 0;

  /** `entry`: the sandbox that the core goes into before it serves its first request; without one, none. */
  constructor(entry?: SandboxEntry) {
    this.#argv = entry === undefined ? [] : ["sandbox", JSON.stringify(entry)];
  }

  /**
   * Starts the core if it does not run yet, and waits until it serves requests. That need not be waited for.
   * @throws KbuildError `machine.sandbox` when it cannot go into its sandbox; `machine.noNative`, `internal.native`
   */
  async ready(): Promise<void> {
    if (this.#ended !== undefined) throw this.#ended;
    const core = this.#start();
    core.hold(true);
    try {
      await core.ready();
    } finally {
      if (this.#pending.size === 0) core.hold(false);
    }
  }

  /** Reads a folder; `table` is an entry table. */
  async scan(request: Unnumbered<ScanRequest>, signal?: AbortSignal): Promise<{ head: Scanned; table: Buffer }> {
    const id = this.#number();
    const { head, body } = await this.#run({ op: "scan", id, ...request }, undefined, [], { signal });
    return { head: expect(head, "scanned"), table: body };
  }

  /** Writes a tar of what the entry table says. */
  async pack(request: Unnumbered<PackRequest>, table: Buffer, options: NativeOptions = {}): Promise<Packed> {
    const output = "path" in request.output ? [request.output.path] : [];
    const written = [...output, ...(request.index === undefined ? [] : [request.index]), request.temporary];
    const work = { op: "pack", id: this.#number(), ...request } as const;
    return expect((await this.#run(work, table, written, options)).head, "packed");
  }

  /**
   * Takes a layer in. `bytes` are its compressed bytes unless the request names an input. An error that they throw is
   * the request's; when the request fails they are no longer asked for.
   */
  async ingest(
    request: Unnumbered<IngestRequest>,
    bytes: AsyncIterable<Uint8Array> | undefined,
    options: NativeOptions = {},
  ): Promise<Ingested> {
    const written = [request.output, request.index, request.tar].filter((path) => path !== undefined);
    const work = { op: "ingest", id: this.#number(), ...request } as const;
    if (bytes === undefined) return expect((await this.#run(work, undefined, written, options)).head, "ingested");
    const running = this.#run(work, undefined, written, options);
    // Awaited below; but it may fail while the next piece is still on its way.
    running.catch(() => undefined);
    try {
      if (this.#core !== undefined) await feed(this.#core, work.id, bytes, running);
    } catch (error) {
      this.#core?.send({ op: "cancel", id: work.id });
      await running.catch(() => undefined);
      throw error;
    }
    return expect((await running).head, "ingested");
  }

  /** Writes the files of an entry table into a folder. */
  async extract(request: Unnumbered<ExtractRequest>, table: Buffer, options: NativeOptions = {}): Promise<Extracted> {
    const work = { op: "extract", id: this.#number(), ...request } as const;
    return expect((await this.#run(work, table, [request.output, request.temporary], options)).head, "extracted");
  }

  /** Copies a blob into another compression. */
  async recompress(request: Unnumbered<RecompressRequest>, options: NativeOptions = {}): Promise<Recompressed> {
    const work = { op: "recompress", id: this.#number(), ...request } as const;
    return expect((await this.#run(work, undefined, [request.output], options)).head, "recompressed");
  }

  /** Asks a core in a sandbox what it may do there. */
  async probe(request: Unnumbered<ProbeRequest>, { signal }: Signalled = {}): Promise<Probed> {
    const work = { op: "probe", id: this.#number(), ...request } as const;
    return expect((await this.#run(work, undefined, [request.temporary], { signal })).head, "probed");
  }

  /** Writes a layer's files into a folder. */
  async unpack(request: Unnumbered<UnpackRequest>, options: NativeOptions = {}): Promise<Unpacked> {
    const work = { op: "unpack", id: this.#number(), ...request } as const;
    return expect((await this.#run(work, undefined, [request.output], options)).head, "unpacked");
  }

  /** Remembers the state of a tree, for `diff`. */
  async mark(request: Unnumbered<MarkRequest>, { signal }: Signalled = {}): Promise<Marked> {
    const work = { op: "mark", id: this.#number(), ...request } as const;
    return expect((await this.#run(work, undefined, [request.output], { signal })).head, "marked");
  }

  /** Makes the layer of what was changed in a tree. */
  async diff(request: Unnumbered<DiffRequest>, options: NativeOptions = {}): Promise<Diffed> {
    const work = { op: "diff", id: this.#number(), ...request } as const;
    const written = [request.output, request.index, request.temporary];
    return expect((await this.#run(work, undefined, written, options)).head, "diffed");
  }

  /** Removes trees, whoever owns what is in them. */
  async remove(request: Unnumbered<RemoveRequest>, { signal }: Signalled = {}): Promise<void> {
    const work = { op: "remove", id: this.#number(), ...request } as const;
    expect((await this.#run(work, undefined, request.paths, { signal })).head, "removed");
  }

  /** Renames a folder, whoever owns it. A target that is there already stays, and the folder is removed. */
  async move(request: Unnumbered<MoveRequest>, { signal }: Signalled = {}): Promise<void> {
    const work = { op: "move", id: this.#number(), ...request } as const;
    expect((await this.#run(work, undefined, [request.from, request.to], { signal })).head, "moved");
  }

  /**
   * Runs a process in the sandbox, to its end and that of all processes that it left behind.
   * @throws KbuildError `build.command` when it cannot be started; `machine.sandbox` when its surroundings cannot be made
   */
  async run(request: Unnumbered<RunRequest>, options: RunOptions = {}): Promise<Exited> {
    const work = { op: "run", id: this.#number(), ...request } as const;
    return expect((await this.#run(work, undefined, [], options)).head, "exited");
  }

  /** Ends the core, and waits for its end. What still runs is cancelled. Nothing can be asked afterwards. */
  async close(): Promise<void> {
    this.#ended ??= new KbuildError("internal.native", "the core of kbuild was closed already");
    await this.#core?.close();
  }

  #start(): Core {
    this.#core ??= new Core(
      {
        reply: (reply, bytes) => this.#take(reply, bytes),
        ended: (reason) => this.#end(reason),
      },
      this.#argv,
    );
    return this.#core;
  }

  #number(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  #run(
    work: Work,
    body: Buffer | undefined,
    written: readonly string[],
    { signal, progress, onOutput }: NativeOptions & RunOptions,
  ): Promise<{ readonly head: Outcome; readonly body: Buffer }> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) throw interruption(signal);
      if (this.#ended !== undefined) throw this.#ended;
      const core = this.#start();
      const cancel = (): void => {
        core.send({ op: "cancel", id: work.id });
        core.resume();
      };
      const settle = (): void => {
        signal?.removeEventListener("abort", cancel);
        this.#pending.delete(work.id);
        if (this.#pending.size === 0) core.hold(false);
      };
      core.send(work, body);
      core.hold(true);
      signal?.addEventListener("abort", cancel, { once: true });
      this.#pending.set(work.id, {
        operation: work.op,
        written,
        progress,
        onOutput,
        signal,
        resolve: (outcome) => {
          settle();
          resolve(outcome);
        },
        reject: (reason) => {
          settle();
          reject(signal?.aborted ? interruption(signal) : reason);
        },
      });
    });
  }

  #take(reply: Exclude<Reply, { readonly reply: "hello" }>, body: Buffer): void {
    const pending = this.#pending.get(reply.id);
    if (pending === undefined) return;
    switch (reply.reply) {
      case "progress":
        pending.progress?.(reply.bytes, reply.entries);
        return;
      case "output":
        this.#pass(pending, reply.stream, body);
        return;
      case "failed":
        pending.reject(explainFailure(reply, pending.operation, pending.written));
        return;
      default:
        pending.resolve({ head: reply, body });
    }
  }

  /** Passes on what a process printed. The end of a cancelled request is not to wait behind what nobody reads. */
  #pass({ onOutput, signal }: Pending, stream: Printed["stream"], bytes: Buffer): void {
    const taken = onOutput?.(stream, bytes);
    if (taken !== undefined && signal?.aborted !== true) this.#core?.pauseUntil(taken);
  }

  #end(reason: KbuildError): void {
    this.#ended ??= reason;
    for (const pending of [...this.#pending.values()]) pending.reject(reason);
  }
}

function expect<Name extends Outcome["reply"]>(head: Outcome, name: Name): Extract<Outcome, { readonly reply: Name }> {
  if (head.reply === name) return head as Extract<Outcome, { readonly reply: Name }>;
  throw new KbuildError("internal.native", `the core of kbuild answered with "${head.reply}" where "${name}" is due`);
}

function interruption(signal: AbortSignal): unknown {
  const reason: unknown = signal.reason;
  if (reason instanceof KbuildError) return reason;
  return new KbuildError("interrupted", "the build was interrupted", { cause: reason });
}
