import { isAbsolute } from "node:path";
import { KbuildError } from "../../errors.ts";
import { type IgnoreLine, parseIgnoreFile } from "../../parser/ignore.ts";
import { suggest } from "../../parser/suggest.ts";
import type { BuildOptions } from "../options.ts";
import type { BuildContext } from "./build-context.ts";
import { readTextFile } from "./text-file.ts";

/** A Dockerfile that was found. */
export interface FoundDockerfile {
  /** As the user gave it; `Dockerfile` when nothing was said. */
  readonly name: string;
  readonly text: string;
  /** Reads a file that lies beside it, by a suffix to its own name; undefined when there is none. */
  readonly beside: (suffix: string) => Promise<{ readonly name: string; readonly text: string } | undefined>;
}

/** The rules of an ignore file and how messages name it. */
export interface FoundIgnore {
  readonly name: string;
  readonly lines: readonly IgnoreLine[];
}

const DEFAULT_NAME = "Dockerfile";

/**
 * The Dockerfile that a build was given, came as the context, or names.
 * @throws KbuildError `build.noDockerfile`, `usage.stdin`
 */
export async function readDockerfile(
  { dockerfile, file }: Pick<BuildOptions, "dockerfile" | "file">,
  opened: { readonly context: BuildContext; readonly dockerfile: string | undefined; readonly isLocal: boolean },
): Promise<FoundDockerfile> {
  if (opened.dockerfile !== undefined && file !== undefined) {
    throw new KbuildError("usage.stdin", `the context is a Dockerfile itself, and so -f ${file} has no meaning`, {
      hint: "leave out -f, or send a tar that has the file",
    });
  }
  const text = dockerfile ?? opened.dockerfile;
  const isOfMachine = opened.isLocal || (file !== undefined && isAbsolute(file));
  if (text === undefined) return findDockerfile(file, opened.context, isOfMachine);
  return { name: file ?? DEFAULT_NAME, text, beside: async () => undefined };
}

/**
 * Finds the Dockerfile: the one that was named (from the working directory, else from the context), or `Dockerfile` in
 * the context, or as BuildKit has it also `dockerfile`.
 * @throws KbuildError `build.noDockerfile`
 */
export async function findDockerfile(
  file: string | undefined,
  context: BuildContext,
  isFolder: boolean,
): Promise<FoundDockerfile> {
  if (file === undefined) {
    for (const name of [DEFAULT_NAME, DEFAULT_NAME.toLowerCase()]) {
      const text = await context.readText(name);
      if (text !== undefined) return { name, text, beside: inContext(context, name) };
    }
    const near = suggest(DEFAULT_NAME, await context.names()) ?? (await context.names()).find(isLikelyDockerfile);
    throw new KbuildError("build.noDockerfile", "there is no Dockerfile in the build context", {
      hint: near === undefined ? "name one with -f, for instance -f docker/Dockerfile" : `did you mean -f ${near}?`,
    });
  }
  const own = isFolder ? readTextFile(file, file, true) : undefined;
  if (own !== undefined) {
    return {
      name: file,
      text: own,
      beside: async (suffix) => {
        const text = readTextFile(`${file}${suffix}`, `${file}${suffix}`);
        return text === undefined ? undefined : { name: `${file}${suffix}`, text };
      },
    };
  }
  const text = isAbsolute(file) ? undefined : await context.readText(file);
  if (text !== undefined) return { name: file, text, beside: inContext(context, file) };
  const near = suggest(file, await context.names());
  throw new KbuildError("build.noDockerfile", `the Dockerfile ${file} does not exist`, {
    hint:
      near === undefined
        ? "-f is a path from the folder that you are in, or from the context"
        : `did you mean -f ${near}?`,
  });
}

function isLikelyDockerfile(name: string): boolean {
  return /dockerfile|containerfile/i.test(name) && !name.endsWith(".dockerignore");
}

function inContext(context: BuildContext, name: string): FoundDockerfile["beside"] {
  return async (suffix) => {
    const text = await context.readText(`${name}${suffix}`);
    return text === undefined ? undefined : { name: `${name}${suffix}`, text };
  };
}

/** The rules that go with a Dockerfile: those of its own ignore file, else of the context's. */
export async function findIgnore(dockerfile: FoundDockerfile, context: BuildContext): Promise<FoundIgnore> {
  const own = await dockerfile.beside(".dockerignore");
  if (own !== undefined) return readIgnore(own.name, own.text);
  return readIgnore(".dockerignore", (await context.readText(".dockerignore")) ?? "");
}

/** @throws KbuildError `build.pattern`, naming the file */
export function readIgnore(name: string, text: string): FoundIgnore {
  try {
    return { name, lines: parseIgnoreFile(text) };
  } catch (error) {
    if (!(error instanceof KbuildError)) throw error;
    throw new KbuildError(error.code, `${name}, ${error.message}`, { hint: error.hint, cause: error });
  }
}
