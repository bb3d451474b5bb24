import { KbuildError } from "../../errors.ts";
import { type Credentials, type FoundCredentials, findCredentials } from "../credentials.ts";
import { invalid, printable, showUrl } from "./faults.ts";
import type { Environment } from "./proxy.ts";

/** One challenge of a WWW-Authenticate header; scheme and parameter names in lower case. */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** RFC 9110, "WWW-Authenticate": any number of challenges in one header. What cannot be understood is passed over. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  const lexer = /\s*,\s*|([A-Za-z0-9!#$%&'*+.^_`|~-]+)(\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?|[^,]/gsy;
  for (const [, token, value, quoted, plain] of header.slice(0, 16_384).matchAll(lexer)) {
    if (token === undefined) continue;
    const name = token.toLowerCase();
    if (value === undefined) challenges.push({ scheme: name, parameters: Object.create(null) });
    else {
      const parameters = challenges.at(-1)?.parameters;
      if (parameters && !(name in parameters)) parameters[name] = quoted?.replace(/\\(.)/gs, "$1") ?? plain ?? "";
    }
  }
  return challenges;
}

/** The side of a registry that asks for a login. */
export interface Challenger {
  /** As in references: `docker.io`. */
  readonly domain: string;
  /** Scheme, host and port that the challenge came from itself, not by a redirect. */
  readonly origin: URL;
  /** Whether plain HTTP to a host is what the user accepted. */
  readonly acceptsPlain: (host: string) => boolean;
}

/** Sends one request for a token. `redirects`: whether they may be followed; never with credentials. */
export type TokenExchange = (request: {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}) => Promise<{ readonly status: number; readonly text: string }>;

interface Grant {
  /** The whole Authorization header. */
  readonly header: string;
  /** `performance.now()` after which it is not worth trying. */
  readonly expires: number;
}

/** What the distribution spec says when a token endpoint does not. Seconds. */
const DEFAULT_LIFETIME = 60;
/** A token is not used in its last seconds, as the request takes time as well. */
const MARGIN = 5;

export interface AuthorizerOptions {
  readonly env: Environment;
  readonly signal?: AbortSignal | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
}

/**
 * The logins of one build: finds credentials when a registry first asks for them, exchanges them for tokens, and keeps
 * these for as long as they last. A repository's token is fetched once, however many requests wait for it.
 */
export class Authorizer {
  readonly #options: AuthorizerOptions;
  readonly #grants = new Map<string, Promise<Grant>>();
  readonly #ready = new Map<string, Grant>();
  readonly #found = new Map<string, Promise<FoundCredentials>>();
  readonly #warned = new Set<string>();

  constructor(options: AuthorizerOptions) {
    this.#options = options;
  }

  /** The Authorization header that got into this repository before, if it still holds. */
  known(domain: string, path: string): string | undefined {
    const grant = this.#ready.get(`${domain}/${path}`);
    return grant !== undefined && performance.now() < grant.expires ? grant.header : undefined;
  }

  /**
   * The Authorization header that answers a challenge.
   *
   * @param refused the header that was sent and not accepted, if one was
   * @throws KbuildError `registry.denied`, `registry.invalid`, `usage.credentials`
   */
  async answer(
    challenger: Challenger,
    path: string,
    challenges: string,
    refused: string | undefined,
    exchange: TokenExchange,
  ): Promise<string> {
    const repository = `${challenger.domain}/${path}`;
    const current = this.known(challenger.domain, path);
    if (current !== undefined && current !== refused) return current;
    let grant = this.#grants.get(repository);
    if (grant === undefined) {
      grant = this.#grant(challenger, path, challenges, exchange).finally(() => this.#grants.delete(repository));
      this.#grants.set(repository, grant);
    }
    const { header, expires } = await grant;
    this.#ready.set(repository, { header, expires });
    return header;
  }

  /** What a person can do about a refusal: which credentials were used, or where none were found. */
  async hint(domain: string, path: string): Promise<string> {
    const { credentials, source, searched, problems } = await this.find(domain, path);
    const login = `docker login${domain === "docker.io" ? "" : ` ${domain}`}`;
    const trouble = problems.length === 0 ? "" : `${problems.join("; ")}. `;
    if (credentials) return `${trouble}The credentials came from ${source}: check them, or log in again (${login})`;
    const where = searched.length === 0 ? "there is no config.json" : `there are none in ${searched.join(", ")}`;
    return `${trouble}It may be private or not exist; kbuild asked without credentials for ${domain}, as ${where} (${login})`;
  }

  /** The credentials of a repository, looked for once; problems with helpers are told as warnings. */
  find(domain: string, path: string): Promise<FoundCredentials> {
    const repository = `${domain}/${path}`;
    let found = this.#found.get(repository);
    if (found === undefined) {
      found = this.#search(repository);
      this.#found.set(repository, found);
    }
    return found;
  }

  async #search(repository: string): Promise<FoundCredentials> {
    const { env, signal } = this.#options;
    const found = await findCredentials(repository, { env, signal });
    for (const problem of found.problems) {
      if (this.#warned.has(problem)) continue;
      this.#warned.add(problem);
      this.#options.onWarning?.(problem);
    }
    return found;
  }

  async #grant(challenger: Challenger, path: string, header: string, exchange: TokenExchange): Promise<Grant> {
    const { domain } = challenger;
    const challenges = parseChallenges(header);
    const bearer = challenges.find(({ scheme, parameters }) => scheme === "bearer" && parameters.realm);
    const { credentials } = await this.find(domain, path);
    if (bearer) {
      if (credentials?.kind === "registryToken") return lasting(`Bearer ${credentials.token}`);
      return this.#token(challenger, path, bearer, credentials, exchange);
    }
    if (!challenges.some(({ scheme }) => scheme === "basic")) {
      throw invalid(`The login of ${domain}`, "it asks for one, but not by Basic or Bearer");
    }
    if (credentials?.kind === "basic") return lasting(basicHeader(credentials));
    const message =
      credentials === undefined
        ? `${domain} asks for a login`
        : `${domain} asks for a name and a password, and the credentials for it are a token`;
    throw new KbuildError("registry.denied", message, { hint: await this.hint(domain, path) });
  }

  /** Distribution spec, "Token Authentication"; with an identity token, "OAuth2 Token Authentication". */
  async #token(
    challenger: Challenger,
    path: string,
    { parameters }: Challenge,
    credentials: Exclude<Credentials, { kind: "registryToken" }> | undefined,
    exchange: TokenExchange,
  ): Promise<Grant> {
    const { domain } = challenger;
    const realm = checkRealm(parameters.realm ?? "", challenger);
    const scope = parameters.scope || `repository:${path}:pull`;
    const service = parameters.service;
    const started = performance.now();
    const { status, text } =
      credentials?.kind === "identityToken"
        ? await exchange(refreshRequest(realm, service, scope, credentials.token))
        : await exchange(tokenRequest(realm, service, scope, credentials));
    if (status === 200) return readToken(text, started, `The token from ${showUrl(realm)}`);
    const refusal = credentials === undefined ? "gives no token without a login" : "refuses the credentials";
    if (status >= 400 && status < 500) {
      const hint = await this.hint(domain, path);
      throw new KbuildError("registry.denied", `${realm.host}, the login of ${domain}, ${refusal} (${status})`, {
        hint,
      });
    }
    throw invalid(`The token from ${showUrl(realm)}`, `the answer has the status ${status}`);
  }
}

/**
 * Where a registry sends for tokens: over HTTPS to any host that it names, as it names it over HTTPS itself. Only what
 * speaks plain HTTP anyway may use plain HTTP, and only to its own host or one that the user accepted.
 */
function checkRealm(text: string, { domain, origin, acceptsPlain }: Challenger): URL {
  const what = `The login of ${domain}`;
  const realm = URL.canParse(text) ? new URL(text) : undefined;
  if (realm === undefined) throw invalid(what, `its token realm ${JSON.stringify(printable(text))} is no address`);
  realm.username = "";
  realm.password = "";
  realm.hash = "";
  if (realm.protocol === "https:") return realm;
  const own = realm.hostname === origin.hostname || acceptsPlain(realm.host);
  if (realm.protocol === "http:" && origin.protocol === "http:" && own) return realm;
  throw invalid(what, `its token realm ${showUrl(realm)} is not an HTTPS address`);
}

function tokenRequest(
  realm: URL,
  service: string | undefined,
  scope: string,
  credentials: Extract<Credentials, { kind: "basic" }> | undefined,
): Parameters<TokenExchange>[0] {
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set("service", service);
  for (const each of scope.split(" ")) url.searchParams.append("scope", each);
  return { url, headers: credentials === undefined ? {} : { authorization: basicHeader(credentials) } };
}

function refreshRequest(realm: URL, service: string | undefined, scope: string, token: string) {
  const form = new URLSearchParams({ grant_type: "refresh_token", client_id: "kbuild", scope, refresh_token: token });
  if (service !== undefined) form.set("service", service);
  return { url: realm, headers: { "content-type": "application/x-www-form-urlencoded" }, body: form.toString() };
}

function readToken(text: string, started: number, what: string): Grant {
  let answer: Record<string, unknown> = {};
  try {
    answer = Object(JSON.parse(text));
  } catch {
    throw invalid(what, "the answer is not JSON");
  }
  const token = answer.token || answer.access_token;
  // Anything else would not survive as a header.
  if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)) throw invalid(what, "the answer has no token in it");
  const given = answer.expires_in;
  const lifetime = typeof given === "number" && given > 0 ? given : DEFAULT_LIFETIME;
  return { header: `Bearer ${token}`, expires: started + Math.max(lifetime - MARGIN, 1) * 1000 };
}

function basicHeader({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

function lasting(header: string): Grant {
  return { header, expires: Number.POSITIVE_INFINITY };
}
