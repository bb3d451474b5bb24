import { join } from "node:path";
import { KbuildError } from "../../errors.ts";
import { EntryTable, EntryType, encodeEntries } from "../../layers/entry-table.ts";
import { identityOf } from "../../layers/identity.ts";
import { Tree } from "../../layers/tree.ts";
import type { NativeClient } from "../../native/client.ts";
import type { Store } from "../../oci/layout/store.ts";
import { showUrl } from "../../oci/registry/faults.ts";
import { ContextSource } from "../copy/context-source.ts";
import { NO_ENTRIES } from "../copy/entries.ts";
import { SnapshotSource } from "../copy/snapshot-source.ts";
import type { SourceTree } from "../copy/sources.ts";
import type { Emitter, StepReporter } from "../emitter.ts";
import type { Registries } from "../registries.ts";
import type { Secrets } from "../run/secrets.ts";
import type { SshAgents } from "../run/ssh.ts";
import { type Download, Downloads } from "./download.ts";
import { type GitCheckout, GitSources } from "./git.ts";
import type { GitAccess } from "./git-command.ts";
import { type GitAddress, showGitAddress } from "./git-url.ts";
import type { RemoteFiles, RemoteSource } from "./source.ts";

/** What remote files are fetched with. */
export interface RemotesOptions {
  readonly store: Store;
  readonly native: NativeClient;
  readonly registries: Registries;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  readonly emitter: Emitter;
  readonly secrets: Secrets;
  readonly agents: SshAgents;
}

/** Files and repositories of other machines, each fetched once in a build. */
export class Remotes {
  readonly #options: RemotesOptions;
  readonly #downloads: Downloads;
  readonly #git: GitSources;

  constructor(options: RemotesOptions) {
    const { store, registries, env, signal, secrets } = options;
    this.#options = options;
    this.#downloads = new Downloads({
      store,
      files: () => registries.files(),
      authorization: (url) => httpAuthorization(secrets, url),
    });
    this.#git = new GitSources({ store, env, signal, access: (host) => this.#gitAccess(host) });
  }

  /** A file by HTTP, whose progress is shown under `reporter`. */
  async download(url: URL, checksum: string | undefined, reporter: StepReporter): Promise<Download> {
    const part = showUrl(url);
    const download = await this.#downloads.get(url, checksum, (done, total) =>
      reporter.progress({ part, done, total, unit: "bytes", finished: false }),
    );
    reporter.progress({ part, done: download.size, total: download.size, unit: "bytes", finished: true });
    return download;
  }

  /** A commit of a repository, fetched as a step of its own. */
  checkout(address: GitAddress): Promise<GitCheckout> {
    const name = `[internal] load git source ${showGitAddress(address.remote)}${address.ref ? `#${address.ref}` : ""}`;
    return this.#options.emitter.run({ name, kind: "internal" }, async (reporter) => {
      const checkout = await this.#git.checkout(address);
      reporter.progress({ part: checkout.commit, done: 0, unit: "none", finished: true });
      return checkout;
    });
  }

  /** What an ADD takes of an address. */
  async files(source: RemoteSource, reporter: StepReporter): Promise<RemoteFiles> {
    if (source.kind === "http") {
      const { url, checksum } = source;
      return fileOf(await this.download(url, checksum, reporter), nameInUrl(url));
    }
    const { root } = await this.checkout(source.address);
    const { store, native, signal } = this.#options;
    const label = showGitAddress(source.address.remote);
    const statCache = join(store.root, "contexts", identityOf("git", source.address.remote));
    const tree = new ContextSource({ label, root, ignore: [], statCache }, native, signal, () => {});
    const [result] = await tree.select([{ segments: [], text: "." }], true);
    const match = result?.kind === "found" ? result.matches[0] : undefined;
    if (match === undefined) throw new KbuildError("internal.git", `${label} has no files`);
    return { root, match, kind: "folder" };
  }

  /** A file by HTTP as the one file of a tree, with the name that docker gives it there. */
  async fileTree(url: URL, label: string, reporter: StepReporter): Promise<SourceTree> {
    const { root, match } = fileOf(await this.download(url, undefined, reporter), "context");
    const files = new SnapshotSource(label, new Tree([new EntryTable(encodeEntries([match.entry]))]), []);
    return {
      label,
      roots: [root],
      blobs: [],
      select: (patterns) => files.select(patterns),
      neighbours: (path) => files.neighbours(path),
    };
  }

  async #gitAccess(host: string): Promise<GitAccess> {
    const { secrets, agents } = this.#options;
    return { authorization: gitAuthorization(secrets, host), agent: await agents.socket("default") };
  }
}

/** The name that a downloaded file has where its folder is the destination: the last of the address's path. */
function nameInUrl(url: URL): string {
  const name = url.pathname
    .split("/")
    .filter((part) => part !== "")
    .at(-1);
  if (name === undefined) return "__unnamed__";
  try {
    const decoded = decodeURIComponent(name);
    return decoded === "." || decoded === ".." || /[/\0]/.test(decoded) ? name : decoded;
  } catch {
    return name;
  }
}

/** A downloaded file as ADD takes it: root's, and nobody else's to read. */
function fileOf({ folder, file, size, modified, digest }: Download, name: string): RemoteFiles {
  return {
    root: folder,
    kind: "file",
    match: {
      asked: name,
      below: NO_ENTRIES,
      origin: { digest },
      group: undefined,
      entry: {
        path: name,
        type: EntryType.file,
        mode: 0o600,
        uid: 0,
        gid: 0,
        size,
        mtime: { seconds: modified, nanoseconds: 0 },
        link: "",
        xattrs: [],
        digest,
        inodeGroup: 0,
        source: { kind: "file", root: 0, path: file },
      },
    },
  };
}

/** The secrets that docker looks at, a whole header or a token; else what stands in the address. */
function httpAuthorization(secrets: Secrets, url: URL): string | undefined {
  const header = secretText(secrets, `HTTP_AUTH_HEADER_${url.host}`);
  if (header !== undefined) return header;
  const token = secretText(secrets, `HTTP_AUTH_TOKEN_${url.host}`);
  return token === undefined ? userOf(url) : `Bearer ${token}`;
}

/** RFC 7617: name and password of an address, whose percent signs count. */
function userOf({ username, password }: URL): string | undefined {
  if (username === "" && password === "") return undefined;
  try {
    const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return `Basic ${Buffer.from(user).toString("base64")}`;
  } catch {
    return undefined;
  }
}

/** As with docker: the host's own come first, and of a token and a header the header. */
function gitAuthorization(secrets: Secrets, host: string): string | undefined {
  for (const suffix of [`.${host}`, ""]) {
    const header = secretText(secrets, `GIT_AUTH_HEADER${suffix}`);
    if (header !== undefined) return header;
    const token = secretText(secrets, `GIT_AUTH_TOKEN${suffix}`);
    if (token !== undefined) return `basic ${Buffer.from(`x-access-token:${token}`).toString("base64")}`;
  }
  return undefined;
}

/** A secret as it goes into a header: on one line. */
function secretText(secrets: Secrets, id: string): string | undefined {
  const value = secrets.get(id);
  if (value === undefined) return undefined;
  const text = Buffer.from(value).toString("utf8").trim();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they would begin another header
  if (!/[\u0000-\u001f\u007f]/.test(text)) return text;
  throw new KbuildError("usage.secret", `the secret ${id} has a line break or a control character in it`, {
    hint: "what goes into a header is one line",
  });
}
