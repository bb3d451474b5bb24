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

/** What may be told with every request. */
export interface NativeOptions {
  /** Stops the request; it has cleaned up when its promise is rejected with `interrupted`, or the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Told ten times a second at most what the request has done. */
  readonly progress?: ((bytes: number, entries: number) => void) | undefined;
}

type Unnumbered<T> = Omit<T, "op" | "id">;
type Work = ScanRequest | PackRequest | IngestRequest | ExtractRequest | RecompressRequest;
type Outcome = Extract<Reply, { readonly reply: "scanned" | "packed" | "ingested" | "extracted" | "recompressed" }>;

interface Pending {
  readonly operation: Work["op"];
  /** Paths that the request is to write. */
  readonly written: readonly string[];
  readonly progress: NativeOptions["progress"];
  readonly resolve: (outcome: { readonly head: Outcome; readonly body: Buffer }) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * The one door to the Rust core. Its process is started with the first request, and serves any number at a time; while
 * there are none it keeps nothing alive. Every request's promise is settled, whatever happens to the core: when it dies,
 * with `internal.native`.
 */
export class NativeClient {
  readonly #pending = new Map<number, Pending>();
  #core: Core | undefined;
  #ended: KbuildError | undefined;
  #lastId = 0;

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

  /** Ends the core, and waits for its end. What still runs is cancelled. Nothing can be asked afterwards. */
  async close(): Promise<void> {
    this.#ended ??= new KbuildError("internal.native", "the core of kbuild was closed already");
    await this.#core?.close();
  }

  #number(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  #run(
    work: Work,
    body: Buffer | undefined,
    written: readonly string[],
    { signal, progress }: NativeOptions,
  ): Promise<{ readonly head: Outcome; readonly body: Buffer }> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) throw interruption(signal);
      if (this.#ended !== undefined) throw this.#ended;
      this.#core ??= new Core({
        reply: (reply, bytes) => this.#take(reply, bytes),
        ended: (reason) => this.#end(reason),
      });
      const core = this.#core;
      const cancel = (): void => core.send({ op: "cancel", id: work.id });
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
      case "failed":
        pending.reject(explainFailure(reply, pending.operation, pending.written));
        return;
      default:
        pending.resolve({ head: reply, body });
    }
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
