import { KbuildError } from "../errors.ts";
import { parseReference } from "../oci/reference.ts";
import type { Dockerfile } from "../parser/instructions.ts";

/** Repositories of the frontend that kbuild has built in, in every version of it. */
const BUILT_IN = ["docker/dockerfile", "docker/dockerfile-upstream"];

/**
 * Checks that the language of a Dockerfile is the one that kbuild reads: what `# syntax=` names, or the build argument
 * BUILDKIT_SYNTAX, which goes before it. Dockerfile reference, "syntax".
 * @throws KbuildError `build.frontend`
 */
export function checkFrontend({ directives, source }: Dockerfile, given: ReadonlyMap<string, string>): void {
  const argument = given.get("BUILDKIT_SYNTAX");
  const name = argument ?? directives.syntax?.text;
  if (name === undefined || isBuiltIn(name)) return;
  const location = argument === undefined ? directives.syntax?.location : undefined;
  const where = argument === undefined ? "# syntax=" : "the build argument BUILDKIT_SYNTAX=";
  throw new KbuildError(
    "build.frontend",
    `${where}${name} asks for another language than docker/dockerfile, which is the one that kbuild reads`,
    { location, source: location === undefined ? undefined : source, hint: "--ignore-syntax reads it all the same" },
  );
}

function isBuiltIn(name: string): boolean {
  const [image = ""] = name.trim().split(/\s/);
  try {
    const { domain, path } = parseReference(image, "build.frontend");
    return domain === "docker.io" && BUILT_IN.includes(path);
  } catch {
    return false;
  }
}
