import { KbuildError } from "../../errors.ts";

/**
 * Everything that can go wrong between kbuild and a registry, in one sentence each. No message, hint or cause holds a
 * credential, a token or the query of an address (which may be signed).
 *
 * - `registry.notFound` the registry says that it has no such thing
 * - `registry.denied` 401 or 403
 * - `registry.unreachable` no connection: refused, unknown host, no route, proxy
 * - `registry.timeout` a connection that stands still
 * - `registry.tls` a certificate or a protocol that cannot be trusted
 * - `registry.tooManyRequests` 429
 * - `registry.server` 5xx
 * - `registry.mismatch` bytes that do not have the digest they should have
 * - `registry.invalid` answers that make no sense
 */

/** An address for people: neither the user part nor the query, both of which may be secret. */
export function showUrl(url: URL): string {
  return `${url.protocol}//${url.host}${printable(url.pathname, 300)}`;
}

/** Text from elsewhere on one line, without control characters, and not endless. */
export function printable(text: string, maximum = 200): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these must not reach a terminal
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]+/g, " ").trim();
  return clean.length > maximum ? `${clean.slice(0, maximum)}…` : clean;
}

export function interrupted(reason: unknown): KbuildError {
  if (reason instanceof KbuildError) return reason;
  return new KbuildError("interrupted", "Interrupted while talking to a registry", { cause: reason });
}

export function invalid(what: string, reason: string, hint?: string): KbuildError {
  return new KbuildError("registry.invalid", `${what} cannot be used: ${reason}`, { hint });
}

/** What a connection failed of. `proxy` is the host and port of the proxy that was to be used. */
export function networkFault(error: unknown, url: URL, proxy?: string): KbuildError {
  if (error instanceof KbuildError) return error;
  const code = codeOf(error);
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  const where = `${url.hostname}:${port}${proxy === undefined ? "" : ` through the proxy ${proxy}`}`;
  const message = error instanceof Error ? error.message : "";
  const cause = code ?? "unknown";
  if (isTls(code)) return tlsFault(cause, url.host, message, error);
  if (proxy !== undefined && /\b407\b/.test(message)) {
    return unreachable(where, "the proxy wants a login (407)", cause, "Put user:password@ into the proxy's address");
  }
  const refusal = /Proxy response \((\d+)\)/.exec(message)?.[1];
  if (refusal) return unreachable(where, `the proxy answered ${refusal}`, cause);
  switch (code) {
    case "UND_ERR_HEADERS_TIMEOUT":
    case "UND_ERR_BODY_TIMEOUT":
    case "UND_ERR_CONNECT_TIMEOUT":
    case "ETIMEDOUT":
      return new KbuildError("registry.timeout", `${where} did not answer in time (${code})`, { cause: { code } });
    case "ECONNREFUSED":
      return unreachable(where, "the connection was refused", cause, "Is the server running, and the port right?");
    case "ENOTFOUND":
      return unreachable(where, "there is no host of that name", cause, "Check the spelling, the network and its DNS");
    case "EAI_AGAIN":
      return unreachable(where, "the name could not be looked up now", cause, "Check the network and its DNS");
    case "ECONNRESET":
    case "EPIPE":
    case "UND_ERR_SOCKET":
    case "UND_ERR_RES_CONTENT_LENGTH_MISMATCH":
      return unreachable(where, "the connection was cut", cause);
    default:
      return unreachable(where, printable(message) || "the connection failed", cause);
  }
}

function unreachable(where: string, reason: string, code: string, hint?: string): KbuildError {
  const shown = reason.includes(code) || code === "unknown" ? reason : `${reason} (${code})`;
  return new KbuildError("registry.unreachable", `${where} cannot be reached: ${shown}`, { hint, cause: { code } });
}

function isTls(code: string | undefined): boolean {
  if (code === undefined) return false;
  return (
    /^(ERR_TLS_|ERR_SSL_|CERT_|EPROTO$|HOSTNAME_MISMATCH|INVALID_|UNABLE_TO_)/.test(code) ||
    code === "DEPTH_ZERO_SELF_SIGNED_CERT" ||
    code === "SELF_SIGNED_CERT_IN_CHAIN"
  );
}

function tlsFault(code: string, host: string, message: string, error: unknown): KbuildError {
  const plain = /wrong version number|packet length too long|http request/i.test(message);
  const hint = plain
    ? `If it serves plain HTTP on purpose: --insecure-registry ${host}`
    : isUntrustedIssuer(error)
      ? `Give the authority's certificate in SSL_CERT_FILE or NODE_EXTRA_CA_CERTS, or accept the risk by --insecure-registry ${host}`
      : "Check the registry's certificate and this machine's clock";
  const reason = plain ? "it does not speak TLS" : tlsReason(code, message);
  return new KbuildError("registry.tls", `There is no secure connection to ${host}: ${reason} (${code})`, {
    hint,
    cause: { code },
  });
}

function tlsReason(code: string, message: string): string {
  if (code === "CERT_HAS_EXPIRED") return "its certificate has expired";
  if (code === "CERT_NOT_YET_VALID") return "its certificate is not valid yet";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return "its certificate is for another host";
  if (UNTRUSTED.has(code)) return "its certificate is signed by an authority that is not trusted here";
  return printable(message.split("\n")[0] ?? "") || "the TLS handshake failed";
}

const UNTRUSTED = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
]);

/** Whether more authorities could change the outcome. */
export function isUntrustedIssuer(error: unknown): boolean {
  return UNTRUSTED.has(codeOf(error) ?? "");
}

/** The code of an error of the system, of OpenSSL or of undici; also from within its causes. */
export function codeOf(error: unknown): string | undefined {
  for (let current = error, depth = 0; typeof current === "object" && current !== null && depth < 5; depth++) {
    const { code, cause } = current as { code?: unknown; cause?: unknown };
    const wrapper = code === "UND_ERR_ABORTED" || code === "UND_ERR_PRX_TLS";
    if (typeof code === "string" && !(wrapper && cause)) return code;
    current = cause;
  }
  return undefined;
}

/** Errors made of an answer that the server may take back, with the milliseconds that it asks to wait. */
const transientAnswers = new WeakMap<KbuildError, number>();

/** Notes that trying again may help, and returns the error. */
export function asTransient(error: KbuildError, retryAfter = 0): KbuildError {
  transientAnswers.set(error, retryAfter);
  return error;
}

/** Whether trying the same again may help: after how many milliseconds at least, or undefined for no. */
export function retryableAfter(error: unknown): number | undefined {
  if (!(error instanceof KbuildError)) return undefined;
  const known = transientAnswers.get(error);
  if (known !== undefined || error.code === "registry.timeout") return known ?? 0;
  return error.code === "registry.unreachable" && codeOf(error.cause) !== "ENOTFOUND" ? 0 : undefined;
}
