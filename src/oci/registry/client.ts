import { KbuildError } from "../../errors.ts";
import { digestOf } from "../digest.ts";
import { choosePlatform, formatPlatform, listPlatforms, runsOn } from "../platform.ts";
import { canonicalName, type Reference, repositoryName, withDigest } from "../reference.ts";
import { isIndexType, MAX_JSON } from "../shape.ts";
import { type Descriptor, type ImageConfig, type Manifest, MediaType, type Platform } from "../types.ts";
import { checkDigest, checkDigestHeader, readBounded, readPart, saidBy, startOf, statusFault } from "./answers.ts";
import { Authorizer, type TokenExchange } from "./auth.ts";
import { type Document, readConfig, readDocument } from "./documents.ts";
import { asTransient, codeOf, invalid, retryableAfter, showUrl } from "./faults.ts";
import { type RegistryHost, registryHost } from "./host.ts";
import { type Environment, isLoopback, matchesHost } from "./proxy.ts";
import { redirectOf } from "./redirects.ts";
import { DEFAULT_RETRY_POLICY, RetryBudget, type RetryEvent, type RetryPolicy } from "./retry.ts";
import { type Reply, type Timeouts, Transport } from "./transport.ts";

export interface RegistryClientOptions {
  /** For credentials, proxies and certificates; usually `process.env`. */
  readonly env: Environment;
  /** Hosts, hosts with ports, or networks that may have bad certificates or none (`--insecure-registry`). */
  readonly insecureRegistries?: readonly string[];
  /** Ends whatever the client does, with the error `interrupted`. */
  readonly signal?: AbortSignal | undefined;
  /** Told before each wait. */
  readonly onRetry?: (event: RetryEvent) => void;
  /** A sentence for the user: a credential helper that is missing or failed. */
  readonly onWarning?: (message: string) => void;
  readonly retry?: Partial<RetryPolicy>;
  readonly timeouts?: Partial<Timeouts>;
}

/** What a name means for a platform. All bytes are verified: what `descriptor` says holds for all that follows from it. */
export interface ResolvedImage {
  /** What was asked for, pinned to the digest that the name leads to: of the index, if there is one. */
  readonly reference: Reference;
  /** The index that the name leads to, if it is one, with its bytes. */
  readonly indexDescriptor?: Descriptor;
  readonly indexBytes?: Buffer;
  /** Of the manifest for the platform. */
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  readonly manifestBytes: Buffer;
  readonly config: ImageConfig;
  readonly configBytes: Buffer;
}

const ACCEPT_MANIFEST = [
  MediaType.ociIndex,
  MediaType.dockerIndex,
  MediaType.ociManifest,
  MediaType.dockerManifest,
  "*/*;q=0.1",
].join(", ");
const DEFAULT_TIMEOUTS: Timeouts = { connect: 20_000, idle: 60_000 };
const MAX_REDIRECTS = 5;
const MAX_TOKEN_BODY = 1024 * 1024;
/** New bytes since the last failure that make the next failure count as the first again. */
const PROGRESS = 1024 * 1024;

/** What is asked of a registry. */
interface Query {
  readonly reference: Reference;
  /** Below `/v2/<repository>/`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** What it is, for messages: an image's name, or "the layer … of" one. */
  readonly subject: string;
  readonly signal: AbortSignal | undefined;
}

/**
 * Pulls from registries by the OCI distribution-spec. One for each build: it holds the connections and the tokens, and
 * remembers what it resolved. Errors are those of `faults.ts`, `usage.credentials`, `usage.proxy`,
 * `usage.certificates`, and `interrupted`.
 */
export class RegistryClient {
  readonly #options: RegistryClientOptions;
  readonly #policy: RetryPolicy;
  readonly #transport: Transport;
  readonly #authorizer: Authorizer;
  readonly #closing = new AbortController();
  /** The scheme that a host turned out to speak. */
  readonly #schemes = new Map<string, string>();
  readonly #resolved = new Map<string, Promise<ResolvedImage>>();

  constructor(options: RegistryClientOptions) {
    this.#options = options;
    this.#policy = { ...DEFAULT_RETRY_POLICY, ...options.retry };
    this.#transport = new Transport(options.env, { ...DEFAULT_TIMEOUTS, ...options.timeouts });
    this.#authorizer = new Authorizer({
      env: options.env,
      signal: this.#signal(undefined),
      onWarning: options.onWarning,
    });
  }

  /**
   * Finds out what a name means, for a platform. The manifest and the config are fetched and verified; layers are not.
   * Asking again for the same gives the same, so that a build sees one image even if its tag moves meanwhile.
   */
  resolve(reference: Reference, platform: Platform): Promise<ResolvedImage> {
    const key = `${canonicalName(reference)} ${formatPlatform(platform)}`;
    let resolved = this.#resolved.get(key);
    if (resolved === undefined) {
      resolved = this.#resolve(reference, platform);
      this.#resolved.set(key, resolved);
      resolved.catch(() => this.#resolved.delete(key));
    }
    return resolved;
  }

  /**
   * The bytes of a layer, as they come. A broken connection is taken up again where it broke. It gives exactly
   * `descriptor.size` bytes or throws, but does not compute their digest: whoever writes them does.
   */
  async *blob(
    reference: Reference,
    descriptor: Descriptor,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { digest, size } = descriptor;
    const signal = this.#signal(options.signal);
    const subject = `The layer ${digest} of ${repositoryName(reference)}`;
    const budget = new RetryBudget(this.#policy, this.#options.onRetry);
    let delivered = 0;
    let atLastFailure = 0;
    let mayResume = true;
    for (;;) {
      const resume: boolean = mayResume && delivered > 0 && delivered < size;
      try {
        const headers: Record<string, string> = resume ? { range: `bytes=${delivered}-` } : {};
        const reply = await this.#send({ reference, path: `blobs/${digest}`, headers, subject, signal });
        const start = resume ? startOf(reply, delivered, size) : 0;
        if (start === undefined || (!resume && reply.status === 206)) {
          reply.discard();
          throw asTransient(invalid(subject, `the bytes from ${delivered} on were asked for, and others came`));
        }
        yield* this.#rest(reply, start, delivered, size, subject, (count) => {
          delivered += count;
        });
        return;
      } catch (error) {
        const after = retryableAfter(error);
        if (after === undefined) throw error;
        if (delivered === size && size > 0) return;
        // A server that makes a mess of a Range is asked for everything again, and the known part is passed over.
        if (resume && (error as KbuildError).code === "registry.invalid") mayResume = false;
        if (delivered - atLastFailure >= PROGRESS) budget.progressed();
        atLastFailure = delivered;
        await budget.again(error as KbuildError, signal, after);
      }
    }
  }

  /** Ends all that is under way, with `interrupted`, and closes the connections. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#transport.close();
  }

  // ---------------------------------------------------------------- resolving

  async #resolve(reference: Reference, platform: Platform): Promise<ResolvedImage> {
    const subject = canonicalName(reference);
    const top = await this.#document(reference, reference.digest ?? reference.tag ?? "latest", undefined, subject);
    const pinned = withDigest(reference, top.descriptor.digest);
    let found = top;
    for (let depth = 0; found.document.kind === "index"; depth++) {
      if (depth === 2) throw invalid(subject, "it is an index in an index in an index");
      const { manifests } = found.document.index;
      const chosen = choosePlatform(manifests, platform) ?? manifests.find(({ mediaType }) => isIndexType(mediaType));
      if (chosen === undefined) throw noPlatform(subject, platform, listPlatforms(manifests));
      found = await this.#document(reference, chosen.digest, chosen, subject);
    }
    const { descriptor, bytes, document } = found;
    if (document.kind !== "manifest") throw invalid(subject, "it leads to no manifest");
    const { manifest } = document;
    const configBytes = await this.#config(reference, manifest.config, subject);
    const config = readConfig(configBytes, manifest, (reason) => invalid(`The config of ${subject}`, reason));
    if (found !== top && descriptor.platform === undefined && !runsOn(config, platform)) {
      throw noPlatform(subject, platform, [formatPlatform(config)]);
    }
    return {
      reference: pinned,
      ...(found === top ? {} : { indexDescriptor: top.descriptor, indexBytes: top.bytes }),
      descriptor,
      manifest,
      manifestBytes: bytes,
      config,
      configBytes,
    };
  }

  /** Fetches a manifest or an index by tag or digest, and verifies it by all that is known of it. */
  #document(
    reference: Reference,
    name: string,
    expected: Descriptor | undefined,
    subject: string,
  ): Promise<{ descriptor: Descriptor; bytes: Buffer; document: Document }> {
    const signal = this.#signal(undefined);
    const headers = { accept: ACCEPT_MANIFEST };
    const what = `The manifest of ${subject}`;
    return this.#retrying(signal, async () => {
      const reply = await this.#send({ reference, path: `manifests/${name}`, headers, subject, signal });
      const bytes = await readBounded(reply, MAX_JSON, what);
      const digest = digestOf(bytes);
      const asked = expected?.digest ?? (reference.digest === name ? reference.digest : undefined);
      if (asked !== undefined) checkDigest(digest, asked, what);
      checkDigestHeader(bytes, reply.header("docker-content-digest"), what);
      if (expected !== undefined && expected.size !== bytes.length) {
        throw invalid(what, `it has ${bytes.length} bytes, and its index says ${expected.size}`);
      }
      const complain = (reason: string): KbuildError => invalid(what, reason);
      const contentType = reply.header("content-type");
      const document = readDocument(bytes, contentType, expected?.mediaType, subject, complain);
      const { mediaType } = document;
      const descriptor = expected ?? { mediaType, digest, size: bytes.length };
      return { descriptor, bytes, document };
    });
  }

  #config(reference: Reference, descriptor: Descriptor, subject: string): Promise<Buffer> {
    const signal = this.#signal(undefined);
    const what = `The config of ${subject}`;
    const { digest, size } = descriptor;
    if (size > MAX_JSON) throw invalid(what, `it has ${size} bytes, at most ${MAX_JSON} are read`);
    return this.#retrying(signal, async () => {
      const reply = await this.#send({ reference, path: `blobs/${digest}`, headers: {}, subject: what, signal });
      const bytes = await readBounded(reply, size, what);
      if (bytes.length !== size) throw invalid(what, `it has ${bytes.length} bytes, and its manifest says ${size}`);
      checkDigest(digestOf(bytes), digest, what);
      return bytes;
    });
  }

  /** What of an answer that begins at byte `start` is still to be delivered. */
  async *#rest(
    reply: Reply,
    start: number,
    delivered: number,
    size: number,
    subject: string,
    deliver: (count: number) => void,
  ): AsyncGenerator<Uint8Array> {
    const length = reply.header("content-length");
    let position = start;
    try {
      if (length !== undefined && Number(length) !== size - start) {
        throw invalid(subject, `${length} bytes are sent where ${size - start} should be`);
      }
      for await (const chunk of reply.body) {
        const end = position + chunk.length;
        if (end > size) throw invalid(subject, `more bytes are sent than the ${size} that its manifest says`);
        const news = end <= delivered ? 0 : Math.min(chunk.length, end - delivered);
        position = end;
        if (news === 0) continue;
        deliver(news);
        yield news === chunk.length ? chunk : chunk.subarray(chunk.length - news);
      }
    } finally {
      reply.discard();
    }
    if (position < size) throw asTransient(invalid(subject, `it ends after ${position} of ${size} bytes`));
  }

  // ---------------------------------------------------------------- exchanges

  /** One request with all that belongs to it: scheme, login, redirects. Only a reply of the 200s comes back. */
  async #send(query: Query): Promise<Reply> {
    const host = registryHost(query.reference.domain, this.#options.insecureRegistries ?? []);
    const decided = this.#schemes.get(host.domain);
    const schemes = decided === undefined ? host.schemes : [decided];
    let first: unknown;
    for (const [number, scheme] of schemes.entries()) {
      const last = number === schemes.length - 1;
      try {
        const reply = await this.#login(host, new URL(`${scheme}//${host.host}`), query);
        if (scheme === "http:" && !last && reply.status === 400) {
          const text = await readPart(reply);
          if (/HTTP request (was sent|to an HTTPS)|plain HTTP request/i.test(text)) continue;
          throw await this.#refusal(host, reply, text, query);
        }
        this.#schemes.set(host.domain, scheme);
        if (reply.status >= 200 && reply.status < 300) return reply;
        throw await this.#refusal(host, reply, await readPart(reply), query);
      } catch (error) {
        if (!last && meansOtherScheme(error, scheme)) {
          first = error;
          continue;
        }
        // A server that merely cut the connection has not asked for TLS.
        throw scheme === "https:" && first !== undefined ? first : error;
      }
    }
    throw first;
  }

  /** Answers a challenge, once with what is known and once with something new. */
  async #login(host: RegistryHost, origin: URL, query: Query): Promise<Reply> {
    const { domain, path } = query.reference;
    const challenger = { domain, origin, acceptsPlain: (other: string) => this.#isInsecure(other) };
    let header = this.#authorizer.known(domain, path);
    for (let round = 0; ; round++) {
      const { reply, direct } = await this.#follow(
        new URL(`/v2/${path}/${query.path}`, origin),
        query.headers,
        header,
        query.signal,
      );
      const challenges = reply.header("www-authenticate");
      // What another host asks for is none of our business: it gets no login.
      if (reply.status !== 401 || !direct || challenges === undefined || round === 2) return reply;
      const sent: string | undefined = header;
      header = await this.#authorizer.answer(challenger, path, challenges, sent, this.#exchange(host, query.signal));
      if (header === sent) return reply;
      reply.discard();
    }
  }

  #exchange(host: RegistryHost, signal: AbortSignal | undefined): TokenExchange {
    return async ({ url, headers: { authorization, ...headers }, body }) => {
      const { reply } = await this.#follow(url, headers, authorization, signal, body);
      const what = `The token of ${host.domain}`;
      if (reply.status === 429 || reply.status >= 500) {
        throw statusFault(reply, url.host, what, await readPart(reply)) ?? invalid(what, `status ${reply.status}`);
      }
      return { status: reply.status, text: (await readBounded(reply, MAX_TOKEN_BODY, what)).toString("utf8") };
    };
  }

  /**
   * Sends a request and follows redirects. The login goes to the first host only, and not even there once a redirect
   * has led away from it.
   */
  async #follow(
    start: URL,
    headers: Readonly<Record<string, string>>,
    authorization: string | undefined,
    signal: AbortSignal | undefined,
    body?: string,
  ): Promise<{ reply: Reply; direct: boolean }> {
    let url = start;
    let direct = true;
    for (let hops = 0; ; hops++) {
      const reply = await this.#transport.send({
        url,
        headers: { ...headers, ...(direct && authorization !== undefined ? { authorization } : {}) },
        insecure: isLoopback(url.host) || this.#isInsecure(url.host),
        signal,
        ...(body === undefined ? {} : { method: "POST", body }),
      });
      const next = redirectOf(reply, url, hops, {
        most: MAX_REDIRECTS,
        isInsecure: (host) => this.#isInsecure(host),
      });
      if (next === undefined) return { reply, direct };
      if (body !== undefined) throw invalid(`The answer of ${showUrl(url)}`, "it redirects a login");
      direct &&= next.origin === start.origin;
      url = next;
    }
  }

  /** The error for an answer that is not what was asked for. */
  async #refusal(host: RegistryHost, reply: Reply, text: string, query: Query): Promise<KbuildError> {
    const { subject, reference } = query;
    const known = statusFault(reply, reply.url.host, subject, text);
    if (known) return known;
    const said = saidBy(text);
    if (reply.status === 404) {
      return new KbuildError("registry.notFound", `${subject} was not found: ${said || `${reply.url.host} has none`}`, {
        hint: "Check the spelling of the name and the tag",
      });
    }
    const detail = said || `status ${reply.status}`;
    if (reply.status === 401 || reply.status === 403) {
      return new KbuildError("registry.denied", `${subject} may not be read: ${detail}`, {
        hint: await this.#authorizer.hint(host.domain, reference.path),
      });
    }
    const fault = invalid(
      `The answer of ${showUrl(reply.url)}`,
      `it has the status ${reply.status}${said && `: ${said}`}`,
    );
    return reply.status === 416 ? asTransient(fault) : fault;
  }

  async #retrying<T>(signal: AbortSignal | undefined, action: () => Promise<T>): Promise<T> {
    const budget = new RetryBudget(this.#policy, this.#options.onRetry);
    for (;;) {
      try {
        return await action();
      } catch (error) {
        const after = retryableAfter(error);
        if (after === undefined) throw error;
        await budget.again(error as KbuildError, signal, after);
      }
    }
  }

  #isInsecure(host: string): boolean {
    return (this.#options.insecureRegistries ?? []).some((entry) => matchesHost(host, entry));
  }

  #signal(own: AbortSignal | undefined): AbortSignal {
    const signals = [this.#closing.signal, this.#options.signal, own].filter((signal) => signal !== undefined);
    return AbortSignal.any(signals);
  }
}

/** Whether a failure says that a server speaks the other of HTTP and HTTPS. */
function meansOtherScheme(error: unknown, scheme: string): boolean {
  if (!(error instanceof KbuildError)) return false;
  const code = codeOf(error.cause) ?? "";
  if (scheme === "http:") return code.startsWith("HPE_") || code === "UND_ERR_SOCKET" || code === "ECONNRESET";
  return error.code === "registry.tls" || error.code === "registry.unreachable";
}

function noPlatform(subject: string, platform: Platform, available: readonly string[]): KbuildError {
  const list = available.length === 0 ? "it has none that name one" : `it has ${available.slice(0, 20).join(", ")}`;
  return new KbuildError("registry.notFound", `${subject} has no image for ${formatPlatform(platform)}: ${list}`, {
    hint: "Choose one of them by --platform",
  });
}
