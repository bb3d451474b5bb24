import * as fs from "node:fs";
import { type BakeFile, DEFAULT_FILES } from "../../bake/plan.ts";
import { KbuildError } from "../../errors.ts";

/** Larger files are no definitions. */
const LARGEST = 16 * 1024 * 1024;

/**
 * The files of definitions that are named, or those of the working directory.
 *
 * @throws KbuildError `build.bake`, `machine.io`
 */
export function readBakeFiles(named: readonly (string | BakeFile)[] | undefined): BakeFile[] {
  if (named !== undefined && named.length > 0) {
    return named.map((file) => (typeof file === "string" ? namedFile(file) : file));
  }
  const found = DEFAULT_FILES.flatMap((name) => readIfThere(name) ?? []);
  if (found.length > 0) return found;
  throw new KbuildError("build.bake", "there is no file of definitions in this folder", {
    hint: `-f names one; looked for are ${DEFAULT_FILES.join(", ")}`,
  });
}

/** The text of `.env` in the working directory. */
export function readDotenv(): string | undefined {
  if (fs.statSync(".env", { throwIfNoEntry: false })?.isFile() !== true) return undefined;
  return readIfThere(".env")?.text;
}

/**
 * The text of a file that a compose file names; undefined when it is not there.
 *
 * @throws KbuildError `build.bake`, `machine.io`
 */
export function readNamedFile(path: string): string | undefined {
  return readIfThere(path)?.text;
}

function namedFile(name: string): BakeFile {
  const path = name.startsWith("cwd://") ? name.slice("cwd://".length) : name;
  const file = readIfThere(path);
  if (file !== undefined) return file;
  throw new KbuildError("build.bake", `there is no file ${path}`);
}

function readIfThere(name: string): BakeFile | undefined {
  try {
    if (fs.statSync(name).size > LARGEST)
      throw new KbuildError("build.bake", `${name} is too large for a file of definitions`);
    return { name, text: fs.readFileSync(name, "utf8") };
  } catch (error) {
    if (error instanceof KbuildError) throw error;
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    const reason = error instanceof Error ? error.message : String(error);
    throw new KbuildError("machine.io", `${name} cannot be read: ${reason}`, { cause: error });
  }
}
