import { KbuildError } from "../../errors.ts";

/** What an address of a git repository says. */
export interface GitAddress {
  /** What git is given: without the fragment and the query that are kbuild's own. */
  readonly remote: string;
  /** Host, with the port if there is one; secrets are chosen by it. */
  readonly host: string;
  /** A branch, a tag, a whole reference or a commit; undefined: the remote's default branch. */
  readonly ref: string | undefined;
  /** Path below the repository's root; "" is the root. */
  readonly subdir: string;
  /** The commit that `ref` has to lead to, or its beginning. */
  readonly checksum: string | undefined;
  /** Whether the `.git` folder stays; undefined: nothing was said. */
  readonly keepGitDir: boolean | undefined;
  /** Whether submodules are checked out; undefined: nothing was said. */
  readonly submodules: boolean | undefined;
}

const SCHEMES = /^(https?|ssh|git):\/\//i;
/** `user@host:path`, as scp has it. */
const SCP_STYLE = /^([\w.~-]+@)([\w.-]+|\[[\da-fA-F:]+\]):(?!\/\/)([^\s].*)$/;

/**
 * Reads the address of a git repository; undefined when the text is none: a path, or the address of a file.
 * An address by HTTP is one of a repository if its path ends with `.git`. `accepts` takes more for one: `github.com/…`
 * without a scheme, which may be a path as well; or any address by HTTP. docker build, "Git repositories".
 * @throws KbuildError `code`, when it is one and makes no sense
 */
export function parseGitAddress(
  text: string,
  code: "build.gitAddress" | "usage.gitAddress",
  accepts: "no" | "bareGitHub" | "anyHttp",
): GitAddress | undefined {
  const isBare = text.startsWith("github.com/");
  if (isBare && accepts !== "bareGitHub") return undefined;
  const hash = text.indexOf("#");
  const [head, fragment] = hash < 0 ? [text, ""] : [text.slice(0, hash), text.slice(hash + 1)];
  const scp = SCHEMES.test(head) || isBare ? undefined : SCP_STYLE.exec(head);
  if (scp !== undefined) {
    if (scp === null) return undefined;
    return { ...withFragment(NOTHING, fragment, text, code), remote: head, host: scp[2] ?? "" };
  }
  const url = URL.canParse(isBare ? `https://${head}` : head) ? new URL(isBare ? `https://${head}` : head) : undefined;
  if (url === undefined) {
    if (!/\.git([?#]|$)|^(git|ssh):/i.test(text)) return undefined;
    throw wrong(text, code, "it is no address");
  }
  if (/^https?:$/.test(url.protocol) && !isBare && accepts !== "anyHttp" && !url.pathname.endsWith(".git"))
    return undefined;
  if (url.host === "") throw wrong(text, code, "it names no host");
  const address = withFragment(withQuery(url, text, code), fragment, text, code);
  const remote = head.split("?")[0] ?? head;
  return { ...address, remote: isBare ? `https://${remote}` : remote, host: url.host };
}

/** An address for people and for the history: without a password. */
export function showGitAddress(text: string): string {
  return text.replace(/^([a-z]+:\/\/)[^/?#]*@/i, (whole, scheme: string) =>
    whole.includes(":", scheme.length) || /^https?:/i.test(scheme) ? `${scheme}xxxxx@` : whole,
  );
}

/** A text without the logins of the addresses in it. */
export function withoutLogins(text: string): string {
  return text.replace(/\b(?:https?|ssh|git):\/\/[^\s"'[\],]+/gi, showGitAddress);
}

type Options = Omit<GitAddress, "remote" | "host">;

const NOTHING: Options = {
  ref: undefined,
  subdir: "",
  checksum: undefined,
  keepGitDir: undefined,
  submodules: undefined,
};

function wrong(text: string, code: "build.gitAddress" | "usage.gitAddress", reason: string): KbuildError {
  return new KbuildError(code, `${showGitAddress(text)} is no address of a git repository: ${reason}`, {
    hint: "write HOST/PATH.git#REF:FOLDER, or HOST/PATH.git?ref=REF&subdir=FOLDER",
  });
}

/** `#ref:subdir`; what the query says of the same has to be the same. */
function withFragment(
  options: Options,
  fragment: string,
  text: string,
  code: "build.gitAddress" | "usage.gitAddress",
): Options {
  const colon = fragment.indexOf(":");
  const ref = colon < 0 ? fragment : fragment.slice(0, colon);
  const subdir = colon < 0 ? "" : fragment.slice(colon + 1);
  if (ref !== "" && options.ref !== undefined && options.ref !== ref) {
    throw wrong(text, code, `its references are ${options.ref} and ${ref}`);
  }
  if (subdir !== "" && options.subdir !== "" && options.subdir !== subdir) {
    throw wrong(text, code, `its folders are ${options.subdir} and ${subdir}`);
  }
  const merged = { ...options, ref: ref === "" ? options.ref : ref, subdir: subdir === "" ? options.subdir : subdir };
  if (merged.ref !== undefined && !isReference(merged.ref)) {
    throw wrong(text, code, `${JSON.stringify(merged.ref)} is no name of a branch, a tag or a commit`);
  }
  return merged.ref === undefined ? { ...merged, ref: merged.checksum } : merged;
}

/** git-check-ref-format(1), as far as a name could be taken for something else. */
function isReference(ref: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: git forbids exactly these
  return !/^-|\.\.|@\{|[\u0000- ~^:?*[\\\u007f]|\/$|\.lock$|^\/|\/\//.test(ref);
}

function withQuery(url: URL, text: string, code: "build.gitAddress" | "usage.gitAddress"): Options {
  const values = new Map<string, string>();
  for (const [key, value] of url.searchParams) {
    if (values.has(key)) throw wrong(text, code, `it has several values for ${key}`);
    const isSwitch = key === "submodules" || key === "keep-git-dir";
    if (value === "" && !isSwitch) throw wrong(text, code, `it has no value for ${key}`);
    values.set(key, value);
  }
  const names = new Set<string>();
  const take = (key: string): string | undefined => {
    names.add(key);
    return values.get(key);
  };
  const tag = prefixed("refs/tags/", take("tag"));
  const branch = prefixed("refs/heads/", take("branch"));
  const refs = [...new Set([take("ref"), tag, branch].filter((ref) => ref !== undefined))];
  if (refs.length > 1) throw wrong(text, code, `its references are ${refs.join(" and ")}`);
  const sums = [take("checksum"), take("commit")].filter((sum) => sum !== undefined);
  const options: Options = {
    ref: refs[0],
    subdir: take("subdir") ?? "",
    checksum: sums[0],
    keepGitDir: switchOf("keep-git-dir", take("keep-git-dir"), text, code),
    submodules: switchOf("submodules", take("submodules"), text, code),
  };
  const unknown = [...values.keys()].find((key) => !names.has(key));
  if (unknown !== undefined) {
    throw new KbuildError(code, `${showGitAddress(text)} has a query that is not known: ${unknown}`, {
      hint: `known are ${[...names].join(", ")}`,
    });
  }
  if (options.checksum !== undefined && !isCommit(options.checksum)) {
    throw wrong(text, code, `${JSON.stringify(options.checksum)} is no commit`);
  }
  return options;
}

function prefixed(prefix: string, name: string | undefined): string | undefined {
  return name === undefined || name.startsWith(prefix) ? name : prefix + name;
}

function switchOf(
  key: string,
  value: string | undefined,
  text: string,
  code: "build.gitAddress" | "usage.gitAddress",
): boolean | undefined {
  if (value === undefined) return undefined;
  if (/^(|1|t|T|true|TRUE|True)$/.test(value)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(value)) return false;
  throw wrong(text, code, `${key} is ${JSON.stringify(value)}, which is neither true nor false`);
}

/** Whether a text can be a commit's digest, or the beginning of one that git would take. */
export function isCommit(text: string): boolean {
  return /^[0-9a-f]{7,64}$/.test(text);
}
