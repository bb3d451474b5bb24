import { type ErrorCode, KbuildError } from "../errors.ts";
import type { Digest } from "./types.ts";

/** The name of an image, in full: docker's defaults are filled in. Made by {@link parseReference} only. */
export interface Reference {
  /** Host of the registry, with its port if it has one: `docker.io`, `localhost:5000`, `[::1]:5000`. */
  readonly domain: string;
  /** The repository within it: `library/node`. */
  readonly path: string;
  /** Absent only when there is a digest. */
  readonly tag?: string;
  /** When both are there, the digest decides what is meant and the tag is only a note for people. */
  readonly digest?: Digest;
}

const DEFAULT_DOMAIN = "docker.io";
const LEGACY_DEFAULT_DOMAIN = "index.docker.io";
const OFFICIAL_PREFIX = "library/";
const DEFAULT_TAG = "latest";
/** distribution/reference counts the path only since v0.6; the domain has its own limits in DNS. */
const MAX_PATH_LENGTH = 255;
const MAX_TAG_LENGTH = 128;
/** Longer than any valid reference; what is longer is not worth a regular expression. */
const MAX_LENGTH = 1024;

const DOMAIN_COMPONENT = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const DOMAIN = new RegExp(
  `^(?:${DOMAIN_COMPONENT}(?:\\.${DOMAIN_COMPONENT})*|\\[(?:[a-fA-F0-9:]+)\\])(?::(?<port>[0-9]+))?$`,
);
const PATH = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;
const SHA256 = /^sha256:[a-f0-9]{64}$/;
const DIGEST_LIKE = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;
const IDENTIFIER = /^[a-f0-9]{64}$/;

/**
 * Reads the name of an image as docker does: `node` is `docker.io/library/node:latest`. The grammar is that of
 * distribution/reference, and so are the defaults.
 *
 * @param code what the error is called: a reference in a Dockerfile is the Dockerfile's fault, one on the command line
 *   the caller's.
 * @throws KbuildError `code`, naming what is wrong with the text
 */
export function parseReference(text: string, code: ErrorCode = "usage.reference"): Reference {
  const shown = quote(text);
  const fail = (reason: string, hint?: string): KbuildError =>
    new KbuildError(code, `${shown} is not the name of an image: ${reason}`, { hint });

  if (text === "") throw fail("it is empty");
  if (text.length > MAX_LENGTH) throw fail(`it is ${text.length} characters long`);
  const forbidden = /[^A-Za-z0-9_.:/@+[\]-]/u.exec(text);
  if (forbidden) {
    const hint = text.includes("://") ? schemeHint(text) : undefined;
    throw fail(`the character ${quote(forbidden[0])} is not allowed in it`, hint);
  }
  if (text.includes("://")) throw fail("it is an address with a scheme", schemeHint(text));
  if (IDENTIFIER.test(text)) {
    throw fail("64 hexadecimal digits are read as an ID", `To name an image by its digest, write name@sha256:${text}`);
  }

  const at = text.indexOf("@");
  const named = at < 0 ? text : text.slice(0, at);
  const digest = at < 0 ? undefined : parseDigest(text.slice(at + 1), fail);

  const { domain, rest } = splitDomain(named);
  const colon = rest.indexOf(":");
  const path = colon < 0 ? rest : rest.slice(0, colon);
  const tag = colon < 0 ? undefined : rest.slice(colon + 1);

  const port = DOMAIN.exec(domain)?.groups?.port;
  if (!DOMAIN.test(domain)) throw fail(`${quote(domain)} is not a host`);
  if (port !== undefined && Number(port) > 65535) throw fail(`${port} is not a port`);
  checkPath(path, domain, named, fail);
  if (tag !== undefined) checkTag(tag, fail);

  return withoutUndefined({ domain, path, tag: tag ?? (digest ? undefined : DEFAULT_TAG), digest });
}

/** The name of the repository in full, without tag and digest: `docker.io/library/node`. */
export function repositoryName(reference: Reference): string {
  return `${reference.domain}/${reference.path}`;
}

/** The name in full: `docker.io/library/node:20`, with `@sha256:…` after it if there is a digest. */
export function canonicalName(reference: Reference): string {
  return repositoryName(reference) + suffix(reference);
}

/** The name as docker shows it, defaults left out: `node:20`, `user/tool:latest`, `ghcr.io/user/tool:1`. */
export function familiarName(reference: Reference): string {
  return familiarRepository(reference) + suffix(reference);
}

/** The repository as docker shows it in the REPOSITORY column: `node`, `user/tool`, `ghcr.io/user/tool`. */
export function familiarRepository(reference: Reference): string {
  const { domain, path } = reference;
  if (domain !== DEFAULT_DOMAIN) return `${domain}/${path}`;
  const official = path.startsWith(OFFICIAL_PREFIX) && path.indexOf("/", OFFICIAL_PREFIX.length) < 0;
  return official ? path.slice(OFFICIAL_PREFIX.length) : path;
}

/** The same image pinned to a digest; a tag is kept as a note. */
export function withDigest(reference: Reference, digest: Digest): Reference {
  return { ...reference, digest };
}

/** Whether the text is a digest that kbuild can verify: `sha256:` and 64 lowercase hexadecimal digits. */
export function isDigest(text: unknown): text is Digest {
  return typeof text === "string" && SHA256.test(text);
}

function suffix({ tag, digest }: Reference): string {
  return (tag === undefined ? "" : `:${tag}`) + (digest === undefined ? "" : `@${digest}`);
}

/** distribution/reference, `splitDockerDomain`: the first part is a host if it looks like nothing else. */
function splitDomain(name: string): { domain: string; rest: string } {
  const slash = name.indexOf("/");
  const first = name.slice(0, Math.max(slash, 0));
  if (slash >= 0 && first !== LEGACY_DEFAULT_DOMAIN && first !== DEFAULT_DOMAIN) {
    const host = first === "localhost" || /[.:]/.test(first) || first.toLowerCase() !== first;
    if (host) return { domain: first, rest: name.slice(slash + 1) };
  }
  const explicit = slash >= 0 && (first === LEGACY_DEFAULT_DOMAIN || first === DEFAULT_DOMAIN);
  const rest = explicit ? name.slice(slash + 1) : name;
  return { domain: DEFAULT_DOMAIN, rest: rest.includes("/") ? rest : OFFICIAL_PREFIX + rest };
}

type Fail = (reason: string, hint?: string) => KbuildError;

function parseDigest(text: string, fail: Fail): Digest {
  if (isDigest(text)) return text;
  if (/^sha(384|512):/.test(text)) {
    throw fail(`kbuild verifies sha256 digests only, not ${text.slice(0, text.indexOf(":"))}`);
  }
  if (SHA256.test(text.toLowerCase())) throw fail("a digest is written in lowercase", `Write ${text.toLowerCase()}`);
  if (DIGEST_LIKE.test(text) || text.startsWith("sha256:")) {
    throw fail(`${quote(text)} is not a digest`, "A digest is sha256: and 64 hexadecimal digits");
  }
  throw fail(`what follows the @ is not a digest`, "A digest is sha256: and 64 hexadecimal digits");
}

function checkPath(path: string, domain: string, named: string, fail: Fail): void {
  if (path === "" || path === OFFICIAL_PREFIX) throw fail("the repository is missing");
  if (path.toLowerCase() !== path) {
    throw fail("a repository is written in lowercase", `Try ${lowerPath(named, domain)}`);
  }
  if (path.length > MAX_PATH_LENGTH) {
    throw fail(`the repository has ${path.length} characters, at most ${MAX_PATH_LENGTH} are allowed`);
  }
  if (PATH.test(path)) return;
  const part = path.split("/").find((each) => !PATH.test(each)) ?? path;
  if (part === "") throw fail("it has an empty part between two slashes, or at an end");
  throw fail(
    `${quote(part)} is not a part of a repository's name`,
    "A part has lowercase letters and digits, with one of . _ __ or dashes between them",
  );
}

function checkTag(tag: string, fail: Fail): void {
  if (tag === "") throw fail("the tag after the colon is missing");
  if (tag.length > MAX_TAG_LENGTH) {
    throw fail(`the tag has ${tag.length} characters, at most ${MAX_TAG_LENGTH} are allowed`);
  }
  if (!TAG.test(tag)) {
    throw fail(
      `${quote(tag)} is not a tag`,
      "A tag has letters, digits, _ . and -, and starts with a letter, digit or _",
    );
  }
}

/** What the user wrote with its repository in lowercase; host and tag as they are. */
function lowerPath(named: string, domain: string): string {
  const start = named.startsWith(`${domain}/`) ? domain.length + 1 : 0;
  const colon = named.indexOf(":", start);
  const end = colon < 0 ? named.length : colon;
  return named.slice(0, start) + named.slice(start, end).toLowerCase() + named.slice(end);
}

function schemeHint(text: string): string {
  return `Leave the scheme out: ${text.slice(text.indexOf("://") + 3).slice(0, 200)}`;
}

/** Safe to print: no control characters, and not endless. */
function quote(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}

function withoutUndefined(parts: {
  domain: string;
  path: string;
  tag: string | undefined;
  digest: Digest | undefined;
}): Reference {
  return {
    domain: parts.domain,
    path: parts.path,
    ...(parts.tag === undefined ? {} : { tag: parts.tag }),
    ...(parts.digest === undefined ? {} : { digest: parts.digest }),
  };
}
