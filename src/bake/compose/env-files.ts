import { faultAt, Source } from "../source.ts";
import { parseDotenv } from "./dotenv.ts";
import type { Reader } from "./reader.ts";
import type { Tree } from "./yaml.ts";

/** The text of a file that a compose file names, by its path from the working folder; undefined when it is not there. */
export type ReadNamedFile = (path: string) => string | undefined;

/**
 * The variables of the files that `env_file` names, later files before earlier ones. Compose specification, "env_file".
 *
 * @throws KbuildError `build.bake`
 */
export function variablesOfFiles(tree: Tree, reader: Reader, readFile: ReadNamedFile): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const items = tree.kind === "map" ? [tree] : reader.items(tree, "env_file");
  for (const item of items) {
    const { path, isRequired } = namedFile(item, reader);
    const text = readFile(path);
    if (text === undefined) {
      if (isRequired) throw faultAt(item.place, `there is no file ${path}`, "required: false lets it be absent");
      continue;
    }
    for (const [name, value] of parseDotenv(new Source(path, text), reader.lookup)) found.set(name, value);
  }
  return found;
}

function namedFile(item: Tree, reader: Reader): { readonly path: string; readonly isRequired: boolean } {
  const members = item.kind === "map" ? item.members : undefined;
  const named = members === undefined ? item : members.get("path")?.value;
  const path = named && reader.text(named, "env_file");
  if (path === undefined) throw faultAt(item.place, "an env_file needs a path");
  const format = members?.get("format");
  if (format !== undefined) {
    const hint = "without format it is read as .env is";
    throw faultAt(format.place, `the format ${reader.text(format.value, "format")} is not supported`, hint);
  }
  const required = members?.get("required");
  return { path, isRequired: required === undefined || reader.boolean(required.value, "required") !== false };
}
