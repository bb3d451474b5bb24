import { KbuildError, type Location } from "../../errors.ts";
import type { SourceMatch } from "../copy/sources.ts";
import { type GitAddress, isCommit, parseGitAddress } from "./git-url.ts";

/** What an ADD takes from elsewhere: one match, whose files are below `root`. */
export interface RemoteFiles {
  readonly root: string;
  readonly match: SourceMatch;
  /** A downloaded file may be an archive; what git gives is a folder. */
  readonly kind: "file" | "folder";
}

/** What a source of ADD that is an address asks for. */
export type RemoteSource =
  | { readonly kind: "http"; readonly url: URL; readonly checksum: string | undefined }
  | { readonly kind: "git"; readonly address: GitAddress };

/** Flags of an ADD that are about addresses. */
export interface RemoteFlags {
  readonly checksum: { readonly text: string; readonly location: Location } | undefined;
  /** Undefined: nothing is said. */
  readonly keepGitDir: boolean | undefined;
}

/**
 * Reads a source of ADD; undefined when it is a path. Dockerfile reference, "ADD".
 * @throws KbuildError `build.gitAddress`, `build.checksum`, `build.address`
 */
export function remoteSource(text: string, flags: RemoteFlags): RemoteSource | undefined {
  const { checksum, keepGitDir } = flags;
  // Who asks for the .git of something says that it is a repository, whatever its address ends with.
  const address = parseGitAddress(text, "build.gitAddress", keepGitDir === undefined ? "no" : "anyHttp");
  if (address !== undefined) {
    if (checksum !== undefined && !isCommit(checksum.text)) {
      throw new KbuildError("build.checksum", `--checksum=${checksum.text} is no commit`, {
        location: checksum.location,
        hint: "of a git repository it is the commit, or its first seven digits or more",
      });
    }
    agree("--keep-git-dir", keepGitDir, address.keepGitDir);
    agree("--checksum", checksum?.text, address.checksum);
    return {
      kind: "git",
      address: {
        ...address,
        checksum: checksum?.text ?? address.checksum,
        keepGitDir: keepGitDir ?? address.keepGitDir,
      },
    };
  }
  if (!/^https?:\/\//i.test(text)) return undefined;
  if (!URL.canParse(text)) throw new KbuildError("build.address", `${text} is no address`);
  if (checksum !== undefined && !/^sha256:[0-9a-f]{64}$/.test(checksum.text)) {
    throw new KbuildError("build.checksum", `--checksum=${checksum.text} is no SHA-256 checksum`, {
      location: checksum.location,
      hint: "write --checksum=sha256: and 64 hexadecimal digits, as sha256sum prints them",
    });
  }
  return { kind: "http", url: new URL(text), checksum: checksum?.text };
}

/** Whether a text is the address of something elsewhere. */
export function isRemote(text: string): boolean {
  return /^(https?|git|ssh):\/\//i.test(text) || parseGitAddress(text, "build.gitAddress", "no") !== undefined;
}

/** Of a flag and a query that say the same one is enough, and both have to say it alike. */
function agree(flag: string, given: string | boolean | undefined, query: string | boolean | undefined): void {
  if (given === undefined || query === undefined || given === query) return;
  throw new KbuildError("build.gitAddress", `${flag} says ${given}, and the address ${query}`, {
    hint: "leave one of them out",
  });
}
