import { KbuildError } from "../errors.ts";
import { familiarName, parseReference } from "../oci/reference.ts";

/**
 * The name that a named context is kept by: `docker.io/library/node:latest`, `node:latest` and `node` are one, as names
 * of an image are, and so are `deps` and `Deps`, as names of a stage are. docker build, `--build-context`.
 */
export function contextName(name: string): string {
  return imageName(name) ?? imageName(name.toLowerCase()) ?? name.toLowerCase();
}

/** Whether a name is that of a named context, of which most builds have none. */
export function isContextName(contexts: ReadonlySet<string>, name: string): boolean {
  return contexts.size > 0 && contexts.has(contextName(name));
}

/** An image's name without what docker fills in; undefined for what cannot be one. */
function imageName(name: string): string | undefined {
  try {
    return familiarName(parseReference(name)).replace(/:latest$/, "");
  } catch (error) {
    if (error instanceof KbuildError) return undefined;
    throw error;
  }
}
