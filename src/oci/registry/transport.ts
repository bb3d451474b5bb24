import type { Dispatcher } from "undici";
import type { KbuildError } from "../../errors.ts";
import { interrupted, isUntrustedIssuer, networkFault } from "./faults.ts";
import { type Environment, proxyFor } from "./proxy.ts";
import { trustedAuthorities } from "./trust.ts";

/** Milliseconds. */
export interface Timeouts {
  /** Until a connection stands. */
  readonly connect: number;
  /** Without an answer, or between two pieces of one. */
  readonly idle: number;
}

export interface Request {
  readonly url: URL;
  readonly method?: "GET" | "HEAD" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Whether a certificate that nobody vouches for is good enough: `--insecure-registry`. */
  readonly insecure: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** An answer. Its body must be read to the end or discarded, or the connection stays taken. */
export interface Reply {
  readonly url: URL;
  readonly status: number;
  header(name: string): string | undefined;
  /** The body in pieces, none of them empty. Throws KbuildErrors, `registry.timeout` also when it merely trickles. */
  readonly body: AsyncIterable<Uint8Array>;
  discard(): void;
}

/** A body is called stalled when fewer bytes than this come within the idle time. */
const TRICKLE = 1024;

/**
 * One HTTP exchange at a time over pools of connections, with the proxies and authorities of the environment. It follows
 * no redirect, tries nothing again and knows nothing of credentials. undici is loaded by the first request.
 */
export class Transport {
  readonly #env: Environment;
  readonly #timeouts: Timeouts;
  readonly #dispatchers = new Map<string, Promise<Dispatcher>>();
  /** Whether the system's authorities have been added to node's. */
  #system = false;
  #closed = false;

  constructor(env: Environment, timeouts: Timeouts) {
    this.#env = env;
    this.#timeouts = timeouts;
  }

  /**
   * @throws KbuildError of the network's codes in `faults.ts`, `interrupted`, `usage.proxy`, `usage.certificates`
   */
  async send(request: Request): Promise<Reply> {
    const { url, signal } = request;
    const proxy = proxyFor(url, this.#env);
    const fault = (error: unknown): KbuildError =>
      signal?.aborted || this.#closed ? interrupted(signal?.reason) : networkFault(error, url, proxy?.host);
    if (signal?.aborted || this.#closed) throw interrupted(signal?.reason);
    for (;;) {
      const system = this.#system;
      try {
        const dispatcher = await this.#dispatcher(proxy, request.insecure);
        const answer = await dispatcher.request({
          origin: url.origin,
          path: url.pathname + url.search,
          method: request.method ?? "GET",
          headers: { "user-agent": "kbuild", "accept-encoding": "identity", ...request.headers },
          body: request.body ?? null,
          signal: signal ?? null,
          headersTimeout: this.#timeouts.idle,
          bodyTimeout: this.#timeouts.idle,
        });
        return replyOf(url, answer, this.#timeouts.idle, fault);
      } catch (error) {
        // Private authorities are often known to the system only, which node does not ask.
        if (!isUntrustedIssuer(error) || system || request.insecure || signal?.aborted) throw fault(error);
        this.#system = true;
      }
    }
  }

  /** Cuts all connections at once. */
  async close(): Promise<void> {
    this.#closed = true;
    const dispatchers = [...this.#dispatchers.values()];
    this.#dispatchers.clear();
    await Promise.allSettled(dispatchers.map(async (dispatcher) => (await dispatcher).destroy()));
  }

  #dispatcher(proxy: URL | undefined, insecure: boolean): Promise<Dispatcher> {
    const key = `${insecure} ${this.#system} ${proxy?.href ?? ""}`;
    let made = this.#dispatchers.get(key);
    if (made === undefined) {
      made = this.#makeDispatcher(proxy, insecure);
      this.#dispatchers.set(key, made);
    }
    return made;
  }

  async #makeDispatcher(proxy: URL | undefined, insecure: boolean): Promise<Dispatcher> {
    const { Agent, Pool, ProxyAgent } = await import("undici");
    const authorities = insecure ? undefined : trustedAuthorities(this.#env, this.#system);
    const tls = {
      ...(insecure ? { rejectUnauthorized: false } : {}),
      ...(authorities === undefined ? {} : { secureContext: authorities }),
    };
    const { connect: timeout } = this.#timeouts;
    if (proxy === undefined) return new Agent({ connect: { ...tls, timeout }, keepAliveTimeout: 30_000 });
    const { username, password } = proxy;
    const login = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString("base64");
    const http = proxy.protocol === "http:" || proxy.protocol === "https:";
    // Whoever hangs up on CONNECT is asked again by undici at once and for ever, as its code stands for a connection of
    // which it expects that; any other code is taken for the failure that it is.
    class ProxyPool extends Pool {
      override connect(options: Parameters<InstanceType<typeof Pool>["connect"]>[0]) {
        return super.connect(options).catch((cause: unknown) => {
          if (!hasCode(cause, "UND_ERR_SOCKET")) throw cause;
          throw Object.assign(new Error("the proxy closed the connection", { cause }), { code: "ECONNRESET" });
        });
      }
    }
    return new ProxyAgent({
      uri: proxy.href,
      clientFactory: (origin, options) => new ProxyPool(origin, options),
      ...(http && username !== "" ? { token: `Basic ${login}` } : {}),
      requestTls: { ...tls, timeout },
      proxyTls: { ...(authorities === undefined ? {} : { secureContext: authorities }), timeout },
      // Many proxies let nobody tunnel to ports other than 443.
      proxyTunnel: false,
      keepAliveTimeout: 30_000,
    });
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

function replyOf(
  url: URL,
  answer: Dispatcher.ResponseData,
  idle: number,
  fault: (error: unknown) => KbuildError,
): Reply {
  const { statusCode, headers, body } = answer;
  // A body that is discarded or cut while nobody reads it must not bring the process down.
  body.on("error", () => {});
  return {
    url,
    status: statusCode,
    header(name) {
      const value = headers[name];
      return Array.isArray(value) ? value.join(", ") : value;
    },
    body: pieces(body, idle, fault),
    discard: () => body.destroy(),
  };
}

async function* pieces(
  body: AsyncIterable<Uint8Array>,
  idle: number,
  fault: (error: unknown) => KbuildError,
): AsyncGenerator<Uint8Array> {
  // Time that the reader takes for himself does not count.
  let waited = 0;
  let got = 0;
  const iterator = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const start = performance.now();
      const next = await iterator.next().catch((error: unknown) => {
        throw fault(error);
      });
      if (next.done) return;
      waited += performance.now() - start;
      got += next.value.length;
      if (got >= TRICKLE) {
        waited = 0;
        got = 0;
      } else if (waited > idle) {
        throw fault(Object.assign(new Error("the answer only trickles"), { code: "UND_ERR_BODY_TIMEOUT" }));
      }
      if (next.value.length > 0) yield next.value;
    }
  } finally {
    await iterator.return?.();
  }
}
