import { KbuildError, type Location } from "../../errors.ts";
import type { CopyInstruction, Heredoc, Word } from "../../parser/instructions.ts";
import { showGitAddress } from "../remote/git-url.ts";
import { isRemote, type RemoteSource, remoteSource } from "../remote/source.ts";
import type { Expand } from "./config.ts";
import type { CopySource } from "./copy.ts";

/** A source of ADD that is an address, before anything is fetched. */
export interface AddressSource {
  readonly kind: "remote";
  readonly text: string;
  readonly location: Location;
  readonly source: RemoteSource;
}

/** A source of COPY or ADD with its words expanded. */
export type NamedSource = Exclude<CopySource, { kind: "remote" }> | AddressSource;

/**
 * What a COPY or ADD takes, in the order written. Nothing is looked for and nothing is fetched. Dockerfile reference,
 * "COPY", "ADD".
 * @throws KbuildError `build.copyAddress`, `build.checksum`, `build.keepGitDir`, what `remoteSource` throws, and what
 * `expand` and `expandBody` throw
 */
export function namedSources(
  instruction: CopyInstruction,
  expand: Expand,
  expandBody: (heredoc: Heredoc) => string,
): readonly NamedSource[] {
  const sources = instruction.order.map((item): NamedSource => {
    if ("source" in item) {
      const word = instruction.sources[item.source];
      if (word === undefined) throw new KbuildError("internal.plan", "a source without a word");
      return namedSource(instruction, word, expand);
    }
    const heredoc = instruction.heredocs[item.heredoc];
    if (heredoc === undefined) throw new KbuildError("internal.plan", "a heredoc without a body");
    return { kind: "inline", name: heredoc.name, content: heredoc.expand ? expandBody(heredoc) : heredoc.content };
  });
  checkRemoteFlags(flagText(instruction.checksum, expand), instruction, sources);
  return sources;
}

function namedSource(instruction: CopyInstruction, word: Word, expand: Expand): NamedSource {
  const { location } = word;
  const text = expand(word);
  if (instruction.kind === "COPY") {
    if (!isRemote(text)) return { kind: "path", text, location };
    const message = `COPY takes files and folders, and ${showGitAddress(text)} is an address`;
    throw new KbuildError("build.copyAddress", message, { location, hint: "ADD takes addresses" });
  }
  const { checksum, keepGitDir } = instruction;
  try {
    const source = remoteSource(text, { checksum: flagText(checksum, expand), keepGitDir });
    return source === undefined ? { kind: "path", text, location } : { kind: "remote", text, location, source };
  } catch (error) {
    throw error instanceof KbuildError ? error.with({ location }) : error;
  }
}

/** The value of a flag; undefined when it is not given, or nothing is left of it: as with BuildKit that is the same. */
export function flagText(flag: Word | undefined, expand: Expand): FlagText | undefined {
  const text = flag === undefined ? "" : expand(flag);
  return flag === undefined || text === "" ? undefined : { text, location: flag.location };
}

/** A flag's value after expansion, and its place. */
export interface FlagText {
  readonly text: string;
  readonly location: Location;
}

/** Flags that are only about addresses, and of `--checksum` that it is about one. */
function checkRemoteFlags(
  checksum: FlagText | undefined,
  { keepGitDir, location }: CopyInstruction,
  sources: readonly NamedSource[],
): void {
  const remote = sources.filter((source) => source.kind === "remote");
  if (checksum !== undefined && (sources.length !== 1 || remote.length !== 1)) {
    throw new KbuildError("build.checksum", "--checksum is for an ADD of one address", {
      location: checksum.location,
      hint:
        sources.length > 1
          ? "write an ADD of its own for each address"
          : "files of the context are known by their content anyway: take --checksum out",
    });
  }
  if (keepGitDir !== undefined && !remote.some(({ source }) => source.kind === "git")) {
    throw new KbuildError("build.keepGitDir", "--keep-git-dir is for an ADD of a git repository", {
      location,
      hint: "the address of one ends with .git, or begins with git:// or git@",
    });
  }
}
