import * as fs from "node:fs";
import { join } from "node:path";
import { KbuildError } from "../../errors.ts";
import { identityOf } from "../../layers/identity.ts";
import { storeFault } from "../../oci/layout/faults.ts";
import { markUsed } from "../../oci/layout/last-use.ts";
import { withLock } from "../../oci/layout/lock.ts";
import type { Store } from "../../oci/layout/store.ts";
import { printable } from "../../oci/registry/faults.ts";
import { type GitAccess, type GitCommand, type GitOutcome, reasonOf, runGit, SAME_EVERYWHERE } from "./git-command.ts";
import { type FoundReference, findReference } from "./git-reference.ts";
import { folderWithin, gitFolders, removeLeftovers, tidyGitFolder, tidyTree } from "./git-tree.ts";
import { type GitAddress, isCommit, showGitAddress } from "./git-url.ts";

/** What repositories are fetched with. */
export interface GitSourcesOptions {
  readonly store: Store;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  /** The rights that a build was given for a host. */
  readonly access: (host: string) => Promise<GitAccess>;
}

/** A commit's files on disk. They are as git has them: root's in an image, 0644 or 0755, all with the commit's time. */
export interface GitCheckout {
  /** Absolute path of the folder that the address names. */
  readonly root: string;
  readonly commit: string;
  /** Seconds since 1970. */
  readonly time: number;
}

/** Waiting for another process that fetches the same repository may take as long as a fetch. */
const PATIENCE = 15 * 60_000;

/** Reasons of git for which asking in another way may help. */
const NEEDS_MORE =
  /unadvertised object|not our ref|shallow|dumb http|couldn't find remote ref|does not support|unable to parse|bad object/i;

/**
 * Commits of git repositories, fetched with this machine's git. What was fetched stays in the store below `git/`, by
 * repository, so that a commit is fetched once: `repository/` has the objects, `commits/` the files.
 */
export class GitSources {
  readonly #options: GitSourcesOptions;
  readonly #found = new Map<string, Promise<FoundReference>>();
  readonly #checkouts = new Map<string, Promise<string>>();

  constructor(options: GitSourcesOptions) {
    this.#options = options;
  }

  /**
   * The files of what an address names. Asking again in one build gives the same commit.
   * @throws KbuildError `build.git` when the repository has no such thing; `build.checksum`; `registry.git` when it cannot be
   *   reached; `machine.noGit`
   */
  async checkout(address: GitAddress): Promise<GitCheckout> {
    const found = await this.#find(address);
    const { commit, object } = found;
    const { checksum } = address;
    if (checksum !== undefined && !commit.startsWith(checksum) && !object.startsWith(checksum)) {
      throw new KbuildError(
        "build.checksum",
        `${showGitAddress(address.remote)} has the commit ${commit}, and ${checksum} was to be expected`,
      );
    }
    const key = identityOf(address.remote, commit, address.keepGitDir === true, address.submodules !== false);
    let checkout = this.#checkouts.get(key);
    if (checkout === undefined) {
      checkout = this.#checkOut(address, found);
      this.#checkouts.set(key, checkout);
    }
    const whole = await checkout;
    // All that is in it has the commit's time, and so has the folder.
    const time = Math.floor(fs.statSync(whole).mtimeMs / 1000);
    return { root: folderWithin(whole, address), commit, time };
  }

  #find(address: GitAddress): Promise<FoundReference> {
    const key = identityOf(address.remote, address.ref);
    let found = this.#found.get(key);
    if (found === undefined) {
      found = this.#resolve(address);
      this.#found.set(key, found);
    }
    return found;
  }

  async #resolve(address: GitAddress): Promise<FoundReference> {
    const { ref } = address;
    if (ref !== undefined && /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(ref)) {
      return { commit: ref, object: ref, name: undefined };
    }
    const { store } = this.#options;
    const listed = await this.#network(address, { arguments: ["ls-remote", "--", address.remote], cwd: store.root });
    if (listed.status !== 0) throw unreachable(address, listed);
    const found = findReference(listed.stdout, ref);
    if (found !== undefined) return found;
    const isSha256 = /^[0-9a-f]{64}\t/.test(listed.stdout);
    if (ref !== undefined && isCommit(ref)) return this.#expand(address, ref, isSha256);
    throw new KbuildError(
      "build.git",
      ref === undefined
        ? `${showGitAddress(address.remote)} has no default branch: it is empty`
        : `${showGitAddress(address.remote)} has no branch, tag or commit ${ref}`,
      { hint: ref === undefined ? "name a branch: #BRANCH" : "check the spelling of what follows #" },
    );
  }

  /** A commit by the beginning of its name, which only those who have all commits can tell. */
  async #expand(address: GitAddress, beginning: string, isSha256: boolean): Promise<FoundReference> {
    return this.#locked(address, isSha256, async (repository) => {
      await this.#fetchAll(address, repository);
      const told = await this.#local(["rev-parse", "--verify", "--quiet", `${beginning}^{commit}`], repository);
      const commit = told.stdout.trim();
      if (told.status === 0 && /^[0-9a-f]{40,64}$/.test(commit)) return { commit, object: commit, name: undefined };
      throw new KbuildError("build.git", `${showGitAddress(address.remote)} has no commit ${beginning}`, {
        hint: "check the spelling of what follows #; a commit has to be named by at least seven digits",
      });
    });
  }

  async #checkOut(address: GitAddress, found: FoundReference): Promise<string> {
    const withGit = address.keepGitDir === true;
    const withSubmodules = address.submodules !== false;
    const name = `${found.commit}${withGit ? ".git" : ""}${withSubmodules ? "" : ".plain"}`;
    const path = join(this.#folder(address), "commits", name);
    if (this.#isThere(address, path)) return path;
    return this.#locked(address, hasSha256(found), async (repository) => {
      if (this.#isThere(address, path)) return path;
      await this.#fetch(address, found, repository);
      const draft = this.#options.store.temporaryPath();
      try {
        await this.#layOut(address, found, repository, draft);
        fs.mkdirSync(join(path, ".."), { recursive: true });
        fs.renameSync(draft, path);
      } catch (error) {
        fs.rmSync(draft, { recursive: true, force: true });
        throw error instanceof KbuildError ? error : storeFault(error, path);
      }
      return path;
    });
  }

  #isThere(address: GitAddress, path: string): boolean {
    // The repository's folder is what `kbuild prune` looks at.
    return fs.existsSync(path) && markUsed(this.#folder(address));
  }

  #folder(address: GitAddress): string {
    return join(this.#options.store.root, "git", identityOf("git repository", address.remote));
  }

  /** Works on a repository's objects while no other process does. */
  async #locked<T>(address: GitAddress, isSha256: boolean, work: (repository: string) => Promise<T>): Promise<T> {
    const { store, signal } = this.#options;
    const lock = store.lockPath(`git-${identityOf(address.remote).slice(0, 32)}`);
    return withLock(
      lock,
      async () => {
        const repository = join(this.#folder(address), isSha256 ? "repository-sha256" : "repository");
        try {
          fs.mkdirSync(repository, { recursive: true });
          markUsed(this.#folder(address));
        } catch (error) {
          throw storeFault(error, repository);
        }
        await this.#must(
          ["init", "--quiet", "--bare", "--template=", ...formatOf(isSha256), "."],
          repository,
          "the repository cannot be made",
        );
        removeLeftovers(repository);
        return work(repository);
      },
      { patience: PATIENCE, signal },
    );
  }

  /** Brings the objects of a commit in: only those if the server gives them by name, else all that it has. */
  async #fetch(address: GitAddress, { commit, object, name }: FoundReference, repository: string): Promise<void> {
    const wanted = [...new Set([object, commit, name].filter((one) => one !== undefined))];
    for (const source of wanted) {
      if (await this.#has(repository, commit, object)) break;
      const reference = `+${source}:refs/kbuild/${object}`;
      const fetched = await this.#network(address, {
        arguments: [
          "fetch",
          "--quiet",
          "--depth=1",
          "--no-tags",
          "--no-write-fetch-head",
          "--",
          address.remote,
          reference,
        ],
        cwd: repository,
      });
      if (fetched.status !== 0 && !NEEDS_MORE.test(fetched.stderr)) throw unreachable(address, fetched);
    }
    if (!(await this.#has(repository, commit, object))) await this.#fetchAll(address, repository);
    if (!(await this.#has(repository, commit, object))) {
      throw new KbuildError("build.git", `${showGitAddress(address.remote)} has no commit ${commit}`, {
        hint: "check the spelling of what follows #",
      });
    }
    await this.#must(["update-ref", `refs/kbuild/${object}`, object], repository, `the commit ${commit} is not whole`);
  }

  async #has(repository: string, commit: string, object: string): Promise<boolean> {
    for (const one of [`${commit}^{tree}`, object]) {
      if ((await this.#local(["cat-file", "-e", one], repository)).status !== 0) return false;
    }
    return true;
  }

  async #fetchAll(address: GitAddress, repository: string): Promise<void> {
    const isShallow = fs.existsSync(join(repository, "shallow"));
    const fetched = await this.#network(address, {
      arguments: [
        ...["fetch", "--quiet", "--no-write-fetch-head", ...(isShallow ? ["--unshallow"] : []), "--", address.remote],
        ...["+refs/heads/*:refs/kbuild-all/heads/*", "+refs/tags/*:refs/kbuild-all/tags/*"],
      ],
      cwd: repository,
    });
    if (fetched.status !== 0) throw unreachable(address, fetched);
  }

  /** Makes a folder of the commit's files. */
  async #layOut(address: GitAddress, found: FoundReference, repository: string, draft: string): Promise<void> {
    const { commit, object, name } = found;
    const failed = `the files of ${showGitAddress(address.remote)} cannot be laid out`;
    fs.mkdirSync(draft);
    await this.#must(["init", "--quiet", "--template=", ...formatOf(hasSha256(found)), "."], draft, failed);
    const kept = name?.startsWith("refs/tags/") ? name : "refs/kbuild/checkout";
    await this.#must(
      ["fetch", "--quiet", "--depth=1", "--no-tags", `file://${repository}`, `+refs/kbuild/${object}:${kept}`],
      draft,
      failed,
      "file",
    );
    await this.#must(["checkout", "--quiet", "--force", "--detach", commit], draft, failed);
    if (kept === "refs/kbuild/checkout") await this.#must(["update-ref", "-d", kept], draft, failed);
    const told = await this.#must(["show", "--no-patch", "--format=%ct", commit], draft, failed);
    if (address.submodules !== false && fs.existsSync(join(draft, ".gitmodules")))
      await this.#submodules(address, draft);
    if (address.keepGitDir === true) {
      const shown = showGitAddress(address.remote);
      await this.#must(["config", "remote.origin.url", shown], draft, failed);
      await this.#must(["config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"], draft, failed);
      // An index that knows no times of files is the same on every machine.
      fs.rmSync(join(draft, ".git", "index"), { force: true });
      await this.#must(["read-tree", "HEAD"], draft, failed);
      for (const folder of gitFolders(join(draft, ".git"))) tidyGitFolder(folder);
    }
    tidyTree(draft, Number(told.stdout.trim()), address.keepGitDir === true);
  }

  async #submodules(address: GitAddress, draft: string): Promise<void> {
    await this.#must(["config", "remote.origin.url", address.remote], draft, "the repository cannot be set up");
    const updated = await this.#network(address, {
      arguments: ["submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"],
      cwd: draft,
    });
    const shown = showGitAddress(address.remote);
    if (updated.status !== 0) {
      const name = /^Failed to clone '(.+?)'/m.exec(updated.stderr)?.[1];
      throw new KbuildError(
        "registry.git",
        `the ${name === undefined ? "submodules" : `submodule ${printable(name)}`} of ${shown} cannot be fetched: ` +
          reasonOf(updated),
        { hint: "without them: ?submodules=false" },
      );
    }
    // They were laid out with the user's own settings, and their indexes know times of files.
    await this.#must(
      ["submodule", "--quiet", "foreach", "--quiet", "--recursive", LAY_OUT_AGAIN],
      draft,
      `the submodules of ${shown} cannot be laid out`,
    );
  }

  async #network(address: GitAddress, command: Pick<GitCommand, "arguments" | "cwd">): Promise<GitOutcome> {
    const { env, signal, access } = this.#options;
    const { authorization, agent } = await access(address.host);
    const scheme = /^https?:\/\//i.exec(address.remote)?.[0];
    return runGit(
      {
        ...command,
        protocols: "network",
        ...(agent === undefined ? {} : { env: { SSH_AUTH_SOCK: agent } }),
        settings: [
          ...SAME_EVERYWHERE,
          // A server that says nothing for a minute has gone.
          ["http.lowSpeedLimit", "1"],
          ["http.lowSpeedTime", "60"],
          ...(authorization === undefined || scheme === undefined
            ? []
            : [[`http.${scheme}${address.host}/.extraheader`, `Authorization: ${authorization}`] as const]),
        ],
      },
      env,
      signal,
    );
  }

  #local(given: readonly string[], cwd: string, protocols: "file" | "none" = "none"): Promise<GitOutcome> {
    const { env, signal } = this.#options;
    return runGit({ arguments: given, cwd, protocols, settings: SAME_EVERYWHERE }, env, signal);
  }

  async #must(
    given: readonly string[],
    cwd: string,
    failed: string,
    protocols: "file" | "none" = "none",
  ): Promise<GitOutcome> {
    const outcome = await this.#local(given, cwd, protocols);
    if (outcome.status === 0) return outcome;
    throw new KbuildError("machine.git", `${failed}: ${reasonOf(outcome)}`);
  }
}

/** What a shell does in each submodule. */
const LAY_OUT_AGAIN =
  'rm -f "$(git rev-parse --git-dir)/index" && git read-tree HEAD && git checkout-index --quiet --force --all';

function hasSha256({ object }: FoundReference): boolean {
  return object.length === 64;
}

/** Only for the repositories that need it: git before 2.29 does not know the option. */
function formatOf(isSha256: boolean): readonly string[] {
  return isSha256 ? ["--object-format=sha256"] : [];
}

function unreachable(address: GitAddress, outcome: GitOutcome): KbuildError {
  const reason = reasonOf(outcome);
  const isDenied = /authentication|could not read (username|password)|permission denied|access denied|403|401/i.test(
    outcome.stderr,
  );
  const isSsh = !/^(https?|git):/i.test(address.remote);
  return new KbuildError("registry.git", `${showGitAddress(address.remote)} cannot be fetched: ${reason}`, {
    hint:
      !isDenied || /^git:/i.test(address.remote)
        ? undefined
        : isSsh
          ? "an agent or a key for it: --ssh default, --ssh default=KEY"
          : `a token for it: --secret id=GIT_AUTH_TOKEN.${address.host},env=NAME`,
  });
}
