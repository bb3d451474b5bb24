import { KbuildError, type Location } from "../../errors.ts";
import { shown, trimSpace } from "../characters.ts";

/** Which checks are run, and whether a finding makes the build fail. */
export interface Configuration {
  readonly skip: NameSet;
  readonly experimental: NameSet;
  readonly error: boolean;
}

/** Names of checks, or all of them. */
export type NameSet = "all" | ReadonlySet<string>;

export const DEFAULT_CONFIGURATION: Configuration = {
  skip: new Set<string>(),
  experimental: new Set<string>(),
  error: false,
};

/** The build argument that takes the place of the directive `check`. */
export const CHECK_ARGUMENT = "BUILDKIT_DOCKERFILE_CHECK";
/** The build argument that asks for experimental checks besides. */
export const EXPERIMENTAL_ARGUMENT = "BUILDKIT_DOCKERFILE_CHECK_EXPERIMENTAL";

/**
 * Reads `skip=A,B;error=true;experimental=all`, in any order. Dockerfile reference, "check".
 * @throws KbuildError `build.directive`, with the place if there is one
 */
export function parseConfiguration(text: string, details: { location?: Location; source?: string }): Configuration {
  const fail = (message: string): KbuildError =>
    new KbuildError("build.directive", message, {
      ...details,
      hint: "it is written like check=skip=RuleA,RuleB;error=true;experimental=all",
    });
  let configuration = DEFAULT_CONFIGURATION;
  for (const part of trimSpace(text) === "" ? [] : text.split(";")) {
    const equals = part.indexOf("=");
    if (equals < 0) throw fail(`"${shown(part)}" is no option of checks: it has no =`);
    const [key, value] = [trimSpace(part.slice(0, equals)), trimSpace(part.slice(equals + 1))];
    switch (key) {
      case "skip":
      case "experimental":
        configuration = { ...configuration, [key]: parseNames(value) };
        break;
      case "error": {
        const error = parseBoolean(value);
        if (error === undefined) throw fail(`error is true or false, not "${shown(value)}"`);
        configuration = { ...configuration, error };
        break;
      }
      default:
        throw fail(`"${shown(key)}" is no option of checks: there are skip, error and experimental`);
    }
  }
  return configuration;
}

/** Names with commas between them, or `all`. */
export function parseNames(text: string): NameSet {
  return text === "all" ? "all" : new Set(text.split(",").map(trimSpace));
}

/** Go's `strconv.ParseBool`; undefined when the text is neither true nor false. */
export function parseBoolean(text: string): boolean | undefined {
  if (/^(?:1|t|T|TRUE|true|True)$/.test(text)) return true;
  return /^(?:0|f|F|FALSE|false|False)$/.test(text) ? false : undefined;
}

export function includes(names: NameSet, name: string): boolean {
  return names === "all" || names.has(name);
}

/** The two together, as far as names go. */
export function union(one: NameSet, other: NameSet): NameSet {
  return one === "all" || other === "all" ? "all" : new Set([...one, ...other]);
}

/**
 * What a comment `check=skip=…` above an instruction says of the checks that look at it; whatever follows the first space
 * is for people. Only the first such comment counts; undefined when there is none.
 * @throws KbuildError `build.directive` when it cannot be read
 */
export function configurationOf(comments: readonly string[]): Configuration | undefined {
  for (const comment of comments) {
    const match = /^check\s*=\s*(\S+)/i.exec(comment);
    if (match?.[1] !== undefined) return parseConfiguration(match[1], {});
  }
  return undefined;
}
