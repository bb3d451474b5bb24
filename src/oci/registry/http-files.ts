import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { KbuildError } from "../../errors.ts";
import { readPart, statusFault } from "./answers.ts";
import { asTransient, invalid, retryableAfter, showUrl } from "./faults.ts";
import { type Environment, isLoopback, matchesHost } from "./proxy.ts";
import { redirectOf } from "./redirects.ts";
import { DEFAULT_RETRY_POLICY, RetryBudget, type RetryPolicy } from "./retry.ts";
import { type Reply, type Timeouts, Transport } from "./transport.ts";

export interface HttpFilesOptions {
  /** For proxies and certificates; usually `process.env`. */
  readonly env: Environment;
  /** Hosts that may have certificates that nobody vouches for (`--insecure-registry`). */
  readonly insecureHosts?: readonly string[];
  /** Ends whatever is under way, with the error `interrupted`. */
  readonly signal: AbortSignal;
  readonly retry?: Partial<RetryPolicy>;
  readonly timeouts?: Partial<Timeouts>;
}

/** What is asked of a file's server. */
export interface FileRequest {
  readonly url: URL;
  /** Sent to the host of `url` alone: a redirect to another one does not get it. */
  readonly authorization?: string | undefined;
  /** The entity tag of what is here already, as the server gave it. RFC 9110, "If-None-Match". */
  readonly etag?: string | undefined;
  /** When what is here already was last modified, as the server wrote it. RFC 9110, "If-Modified-Since". */
  readonly lastModified?: string | undefined;
}

/** What came of it. */
export type FileReply =
  /** What is here already is what the server has. */
  | { readonly kind: "unchanged" }
  | {
      readonly kind: "content";
      readonly etag: string | undefined;
      readonly lastModified: string | undefined;
      /** Bytes that will come, if the server says so. */
      readonly length: number | undefined;
    };

const DEFAULT_TIMEOUTS: Timeouts = { connect: 20_000, idle: 60_000 };
const MAX_REDIRECTS = 10;

/**
 * Fetches single files by HTTP, with proxies, private authorities, redirects and retries as the registry client has them.
 * Errors are those of `faults.ts`, with `registry.notFound` for 404 and 410, `usage.proxy`, `usage.certificates`, and
 * `interrupted`.
 */
export class HttpFiles {
  readonly #options: HttpFilesOptions;
  readonly #policy: RetryPolicy;
  readonly #transport: Transport;

  constructor(options: HttpFilesOptions) {
    this.#options = options;
    this.#policy = { ...DEFAULT_RETRY_POLICY, ...options.retry };
    this.#transport = new Transport(options.env, { ...DEFAULT_TIMEOUTS, ...options.timeouts });
  }

  /**
   * Asks for a file. When there is something new, `write` gets the reply's head and its bytes as they come; a connection that
   * breaks is tried again from the start, with a new call.
   */
  async fetch(
    request: FileRequest,
    write: (reply: Extract<FileReply, { kind: "content" }>, bytes: AsyncIterable<Uint8Array>) => Promise<void>,
  ): Promise<FileReply> {
    const budget = new RetryBudget(this.#policy);
    for (;;) {
      try {
        return await this.#fetch(request, write);
      } catch (error) {
        const after = retryableAfter(error);
        if (after === undefined || !(error instanceof KbuildError)) throw error;
        await budget.again(error, this.#options.signal, after);
      }
    }
  }

  /** Cuts what is under way. */
  close(): Promise<void> {
    return this.#transport.close();
  }

  async #fetch(
    request: FileRequest,
    write: (reply: Extract<FileReply, { kind: "content" }>, bytes: AsyncIterable<Uint8Array>) => Promise<void>,
  ): Promise<FileReply> {
    const reply = await this.#follow(request);
    const subject = showUrl(request.url);
    if (reply.status === 304 && (request.etag !== undefined || request.lastModified !== undefined)) {
      reply.discard();
      return { kind: "unchanged" };
    }
    if (reply.status !== 200) throw await refusal(reply, subject);
    const said = reply.header("content-length");
    const length = said !== undefined && /^\d{1,15}$/.test(said) ? Number(said) : undefined;
    // Not asked for, but some servers have files only so; what they mean is the file inside, as for docker.
    const isPacked = /^(?:x-)?gzip$/i.test(reply.header("content-encoding") ?? "");
    const head = {
      kind: "content",
      etag: reply.header("etag"),
      lastModified: reply.header("last-modified"),
      length: isPacked ? undefined : length,
    } as const;
    const bytes = whole(reply.body, length, subject);
    try {
      await write(head, isPacked ? unpacked(bytes, subject) : bytes);
    } finally {
      reply.discard();
    }
    return head;
  }

  /** The login goes to the first host only, and not even there once a redirect has led away from it. */
  async #follow({ url: start, authorization, etag, lastModified }: FileRequest): Promise<Reply> {
    const headers = {
      accept: "*/*",
      ...(etag === undefined ? {} : { "if-none-match": etag }),
      ...(lastModified === undefined ? {} : { "if-modified-since": lastModified }),
    };
    let url = start;
    let isDirect = true;
    for (let hops = 0; ; hops++) {
      const reply = await this.#transport.send({
        url,
        headers: { ...headers, ...(isDirect && authorization !== undefined ? { authorization } : {}) },
        insecure: isLoopback(url.host) || this.#isInsecure(url.host),
        signal: this.#options.signal,
      });
      const next = redirectOf(reply, url, hops, {
        most: MAX_REDIRECTS,
        isInsecure: (host) => this.#isInsecure(host),
      });
      if (next === undefined) return reply;
      isDirect &&= next.origin === start.origin;
      url = next;
    }
  }

  #isInsecure(host: string): boolean {
    return (this.#options.insecureHosts ?? []).some((entry) => matchesHost(host, entry));
  }
}

/** The bytes of a body, which is an error when it ends before it should. */
async function* whole(
  body: AsyncIterable<Uint8Array>,
  length: number | undefined,
  subject: string,
): AsyncIterable<Uint8Array> {
  let got = 0;
  for await (const bytes of body) {
    got += bytes.length;
    yield bytes;
  }
  if (length !== undefined && got !== length) {
    throw asTransient(invalid(subject, `it ends after ${got} of ${length} bytes`));
  }
}

/** What is inside of a body that came by `Content-Encoding: gzip`. RFC 9110, "Content-Encoding". */
async function* unpacked(bytes: AsyncIterable<Uint8Array>, subject: string): AsyncIterable<Uint8Array> {
  const inside = createGunzip();
  // What fails on the way ends the stream that is read below.
  pipeline(Readable.from(bytes), inside, () => {});
  try {
    yield* inside;
  } catch (error) {
    if (error instanceof KbuildError) throw error;
    throw invalid(subject, "what the server calls gzip is none, or not whole");
  }
}

async function refusal(reply: Reply, subject: string): Promise<KbuildError> {
  const text = await readPart(reply);
  const known = statusFault(reply, reply.url.host, subject, text);
  if (known !== undefined) return known;
  switch (reply.status) {
    case 404:
    case 410:
      return new KbuildError("registry.notFound", `${subject} was not found (${reply.status})`, {
        hint: "check the spelling of the address",
      });
    case 401:
    case 403:
      return new KbuildError("registry.denied", `${subject} may not be read (${reply.status})`, {
        hint: `a token for it: --secret id=HTTP_AUTH_TOKEN_${reply.url.host},env=NAME`,
      });
    default:
      return invalid(subject, `the answer has the status ${reply.status}`);
  }
}
