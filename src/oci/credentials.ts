import { spawn } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { KbuildError } from "../errors.ts";

/**
 * What a registry is shown. `identityToken` is an OAuth2 refresh token, to be exchanged at the token realm;
 * `registryToken` is sent as it is. None of these ever becomes part of a message or an error.
 */
export type Credentials =
  | { readonly kind: "basic"; readonly username: string; readonly password: string }
  | { readonly kind: "identityToken"; readonly token: string }
  | { readonly kind: "registryToken"; readonly token: string };

/** The outcome of a search; `searched` and `problems` are for messages and hold no secret. */
export interface FoundCredentials {
  /** Absent: nothing is known for this registry. */
  readonly credentials?: Credentials;
  /** Where the credentials came from: a path, `$DOCKER_AUTH_CONFIG`, or a helper's name with the file naming it. */
  readonly source?: string;
  /** The files and variables that were read, in order. */
  readonly searched: readonly string[];
  /** Sentences on helpers that are missing or failed: a warning for a pull, an error for a push. */
  readonly problems: readonly string[];
}

/** The environment and limits of {@link findCredentials}. */
export interface CredentialOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds that a helper may take. */
  readonly helperTimeout?: number;
  readonly signal?: AbortSignal | undefined;
}

const MAX_FILE_SIZE = 4 * 1024 * 1024;
const MAX_HELPER_OUTPUT = 1024 * 1024;
const HELPER_TIMEOUT = 30_000;
/** The key under which docker keeps what belongs to docker.io. */
const DOCKER_HUB_KEY = "https://index.docker.io/v1/";
const DOCKER_HUB_HOSTS = new Set(["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"]);
/** What docker-credential-helpers print when they have nothing, `credentials.NewErrCredentialsNotFound`. */
const NOT_FOUND = /credentials not found|no credentials|not found in (native )?keychain/i;

/**
 * Looks for credentials of a repository, `docker.io/library/node` or a host alone. The first of these that has any
 * wins: `$DOCKER_AUTH_CONFIG` (the JSON itself), `$REGISTRY_AUTH_FILE`, `config.json` in `$DOCKER_CONFIG` or
 * `~/.docker`, and `$XDG_RUNTIME_DIR/containers/auth.json`. In each: a matching `credHelpers` entry, then `credsStore`,
 * then `auths`; the longest matching path decides (containers-auth.json(5)). A file that is not there is passed over.
 *
 * @throws KbuildError `usage.credentials` naming a file that cannot be read or understood
 */
export async function findCredentials(repository: string, options: CredentialOptions): Promise<FoundCredentials> {
  const searched: string[] = [];
  const problems: string[] = [];
  for (const { name, read } of sources(options.env)) {
    const text = await read();
    if (text === undefined) continue;
    searched.push(name);
    const config = parseConfig(text, name);
    const found = await lookUp(config, repository, name, options, problems);
    if (found) return { ...found, searched, problems };
  }
  return { searched, problems };
}

interface Source {
  readonly name: string;
  /** The text, or nothing when there is none. */
  readonly read: () => Promise<string | undefined>;
}

function sources(env: CredentialOptions["env"]): Source[] {
  const inline = env.DOCKER_AUTH_CONFIG;
  const authFile = env.REGISTRY_AUTH_FILE;
  const dockerFolder = env.DOCKER_CONFIG || join(env.HOME || homedir(), ".docker");
  const runtime = env.XDG_RUNTIME_DIR;
  const files = [
    ...(authFile ? [authFile] : []),
    join(dockerFolder, "config.json"),
    ...(runtime ? [join(runtime, "containers", "auth.json")] : []),
  ];
  return [
    ...(inline ? [{ name: "$DOCKER_AUTH_CONFIG", read: async () => inline }] : []),
    ...[...new Set(files)].map((path) => ({ name: path, read: () => readIfThere(path) })),
  ];
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    const { size, isFile } = await stat(path).then((found) => ({ size: found.size, isFile: found.isFile() }));
    if (!isFile) throw damaged(path, "it is not a regular file");
    if (size > MAX_FILE_SIZE) throw damaged(path, `it has ${size} bytes`);
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof KbuildError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw damaged(path, code === "EACCES" ? "permission denied" : String(code ?? "it cannot be read"), error);
  }
}

function damaged(name: string, reason: string, cause?: unknown): KbuildError {
  return new KbuildError("usage.credentials", `The registry credentials in ${name} cannot be used: ${reason}`, {
    hint: "Mend the file or log in again",
    cause,
  });
}

interface AuthConfig {
  readonly auths: Readonly<Record<string, unknown>>;
  readonly credHelpers: Readonly<Record<string, unknown>>;
  readonly credsStore: string;
}

/** JSON's own error is not kept as the cause: it quotes the text, and so may quote a password. */
function parseConfig(text: string, name: string): AuthConfig {
  if (text.trim() === "") return { auths: {}, credHelpers: {}, credsStore: "" };
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch {
    throw damaged(name, "it is not valid JSON");
  }
  if (!isObject(config)) throw damaged(name, "it is not a JSON object");
  const { auths = {}, credHelpers = {}, credsStore = "" } = config;
  if (auths !== null && !isObject(auths)) throw damaged(name, '"auths" is not an object');
  if (credHelpers !== null && !isObject(credHelpers)) throw damaged(name, '"credHelpers" is not an object');
  if (credsStore !== null && typeof credsStore !== "string") throw damaged(name, '"credsStore" is not a string');
  return { auths: auths ?? {}, credHelpers: credHelpers ?? {}, credsStore: credsStore ?? "" };
}

async function lookUp(
  config: AuthConfig,
  repository: string,
  file: string,
  options: CredentialOptions,
  problems: string[],
): Promise<{ credentials: Credentials; source: string } | undefined> {
  const domain = hostOf(repository);
  for (const key of matchingKeys(Object.keys(config.credHelpers), repository)) {
    const helper = config.credHelpers[key];
    if (typeof helper !== "string") throw damaged(file, `the helper of ${JSON.stringify(key)} is not a string`);
    if (helper === "") continue;
    const server = normalizeKey(key).includes("/") ? key : serverName(domain);
    const credentials = await askHelper(helper, server, file, options, problems);
    if (credentials) return { credentials, source: `docker-credential-${helper} (named in ${file})` };
  }
  if (config.credsStore !== "") {
    const credentials = await askHelper(config.credsStore, serverName(domain), file, options, problems);
    if (credentials) return { credentials, source: `docker-credential-${config.credsStore} (named in ${file})` };
  }
  for (const key of matchingKeys(Object.keys(config.auths), repository)) {
    const credentials = readEntry(config.auths[key], key, file);
    if (credentials) return { credentials, source: file };
  }
  return undefined;
}

/** The keys that speak of a repository, the most special first; of equals, the one spelt as docker spells it. */
function matchingKeys(keys: readonly string[], repository: string): string[] {
  const parts = repository.split("/");
  const prefixes = parts.map((_, index) => parts.slice(0, parts.length - index).join("/"));
  return prefixes.flatMap((prefix) => {
    const own = prefix === "docker.io" ? DOCKER_HUB_KEY : prefix;
    const same = keys.filter((key) => normalizeKey(key) === prefix);
    return [...same.filter((key) => key === own), ...same.filter((key) => key !== own)];
  });
}

/** `https://index.docker.io/v1/` is `docker.io`, `https://host/v2/` is `host`, `host/path` stays. */
function normalizeKey(key: string): string {
  const bare = key.replace(/^https?:\/\//, "").replace(/\/+$/, "");
  const slash = bare.indexOf("/");
  const host = slash < 0 ? bare : bare.slice(0, slash);
  const path = slash < 0 ? "" : bare.slice(slash);
  const domain = DOCKER_HUB_HOSTS.has(host) ? "docker.io" : host;
  return path === "/v1" || path === "/v2" ? domain : domain + path;
}

function hostOf(repository: string): string {
  const slash = repository.indexOf("/");
  return slash < 0 ? repository : repository.slice(0, slash);
}

function serverName(domain: string): string {
  return domain === "docker.io" ? DOCKER_HUB_KEY : domain;
}

/** docker/cli `configfile.AuthConfig`. An empty entry is only a note that a helper has the rest. */
function readEntry(entry: unknown, key: string, file: string): Credentials | undefined {
  const wrong = (reason: string) => damaged(file, `the entry ${JSON.stringify(key)} ${reason}`);
  if (entry === null) return undefined;
  if (!isObject(entry)) throw wrong("is not an object");
  const text = (name: string): string => {
    const value = entry[name] ?? "";
    if (typeof value !== "string") throw wrong(`has a ${JSON.stringify(name)} that is not a string`);
    return value;
  };
  const identityToken = text("identitytoken");
  if (identityToken !== "") return { kind: "identityToken", token: identityToken };
  const registryToken = text("registrytoken");
  if (registryToken !== "") return { kind: "registryToken", token: registryToken };
  const auth = text("auth").trim();
  if (auth !== "") {
    if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(auth)) throw wrong('has an "auth" that is not base64');
    const decoded = Buffer.from(auth, "base64").toString("utf8");
    const colon = decoded.indexOf(":");
    if (colon < 0) throw wrong('has an "auth" that holds no name and password');
    return basic(decoded.slice(0, colon), decoded.slice(colon + 1).replace(/^\0+|\0+$/g, ""));
  }
  const username = text("username");
  const password = text("password");
  return username === "" && password === "" ? undefined : basic(username, password);
}

function basic(username: string, password: string): Credentials {
  return { kind: "basic", username, password };
}

/**
 * docker-credential-helpers: `docker-credential-NAME get`, the server on standard input, JSON on standard output.
 * A helper that is missing, fails or takes too long is a problem for the caller to report, not an error.
 */
async function askHelper(
  helper: string,
  server: string,
  file: string,
  options: CredentialOptions,
  problems: string[],
): Promise<Credentials | undefined> {
  // The name becomes part of a program's name: it must not reach another folder.
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(helper)) {
    throw damaged(file, `${JSON.stringify(helper.slice(0, 100))} is not the name of a credential helper`);
  }
  const program = `docker-credential-${helper}`;
  const problem = (reason: string): undefined => {
    problems.push(`The credential helper ${program}, which ${file} names for ${hostOfServer(server)}, ${reason}`);
    return undefined;
  };
  const outcome = await runHelper(program, server, options);
  switch (outcome.kind) {
    case "missing":
      return problem("is not on PATH");
    case "unusable":
      return problem(`could not be started (${outcome.reason})`);
    case "timeout":
      return problem(`gave no answer within ${outcome.seconds} seconds`);
    case "failed": {
      if (NOT_FOUND.test(outcome.output)) return undefined;
      // Its own words help, unless they look like the answer itself, which has the secret in it.
      const line = outcome.output.includes("{") ? "" : (outcome.output.trim().split(/[\r\n]/)[0] ?? "");
      // biome-ignore lint/suspicious/noControlCharactersInRegex: another program's words, made safe for a terminal
      const said = line.replace(/[\u0000-\u001f\u007f-\u009f]/g, "").slice(0, 200);
      return problem(`failed${said === "" ? "" : `: ${said}`}`);
    }
    case "answered":
      return readAnswer(outcome.output, problem);
  }
}

function readAnswer(output: string, problem: (reason: string) => undefined): Credentials | undefined {
  let answer: unknown;
  try {
    answer = JSON.parse(output);
  } catch {
    return problem("gave an answer that is not JSON");
  }
  const { Username: username, Secret: secret } = isObject(answer) ? answer : {};
  if (typeof username !== "string" || typeof secret !== "string") return problem("gave an answer of another shape");
  if (username === "" && secret === "") return undefined;
  return username === "<token>" ? { kind: "identityToken", token: secret } : basic(username, secret);
}

function hostOfServer(server: string): string {
  return server === DOCKER_HUB_KEY ? "docker.io" : server;
}

type HelperOutcome =
  | { readonly kind: "answered" | "failed"; readonly output: string }
  | { readonly kind: "missing" }
  | { readonly kind: "unusable"; readonly reason: string }
  | { readonly kind: "timeout"; readonly seconds: number };

function runHelper(program: string, server: string, options: CredentialOptions): Promise<HelperOutcome> {
  const timeout = options.helperTimeout ?? HELPER_TIMEOUT;
  return new Promise((resolve, reject) => {
    if (options.signal?.aborted) return reject(interrupted(options.signal));
    // Its own process group, so that what it started goes with it.
    const child = spawn(program, ["get"], {
      env: options.env,
      stdio: ["pipe", "pipe", "ignore"],
      detached: process.platform !== "win32",
      windowsHide: true,
    });
    const chunks: Buffer[] = [];
    let length = 0;
    const kill = (): void => {
      try {
        if (child.pid !== undefined && process.platform !== "win32") process.kill(-child.pid, "SIGKILL");
        else child.kill("SIGKILL");
      } catch {
        // It ended in the meantime.
      }
      child.stdout.destroy();
    };
    const settle = (outcome: HelperOutcome): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", onAbort);
      resolve(outcome);
    };
    const onAbort = (): void => {
      clearTimeout(timer);
      kill();
      reject(interrupted(options.signal));
    };
    const timer = setTimeout(() => {
      kill();
      settle({ kind: "timeout", seconds: timeout / 1000 });
    }, timeout);
    options.signal?.addEventListener("abort", onAbort, { once: true });
    child.stdin.on("error", () => {}); // A helper need not read its input.
    child.stdout.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length > MAX_HELPER_OUTPUT) kill();
      else chunks.push(chunk);
    });
    child.on("error", (error: NodeJS.ErrnoException) => {
      settle(error.code === "ENOENT" ? { kind: "missing" } : { kind: "unusable", reason: error.code ?? "unknown" });
    });
    child.on("close", (status) => {
      const output = Buffer.concat(chunks).toString("utf8");
      settle({ kind: status === 0 ? "answered" : "failed", output });
    });
    child.stdin.end(`${server}\n`);
  });
}

function interrupted(signal: AbortSignal | undefined): KbuildError {
  return new KbuildError("interrupted", "Interrupted while a credential helper was asked", { cause: signal?.reason });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
