import { formatPlatform } from "../oci/platform.ts";
import type { Platform } from "../oci/types.ts";

/**
 * Build arguments that need no ARG: the proxies. They take part in nothing that is kept.
 * Dockerfile reference, "Predefined ARGs".
 */
const PROXY_NAMES = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

export function isProxyArgument(name: string): boolean {
  return PROXY_NAMES.includes(name.toUpperCase()) && (name === name.toUpperCase() || name === name.toLowerCase());
}

/**
 * The proxies among the arguments that a build was given, as processes look for them: each in upper and in lower case,
 * whichever of the two was given.
 */
export function proxyVariables(given: ReadonlyMap<string, string>): Map<string, string> {
  const variables = new Map<string, string>();
  for (const upper of PROXY_NAMES) {
    const lower = upper.toLowerCase();
    const [first, second] = [given.get(upper) ?? given.get(lower), given.get(lower) ?? given.get(upper)];
    if (first !== undefined) variables.set(upper, first);
    if (second !== undefined) variables.set(lower, second);
  }
  return variables;
}

/** The automatic platform arguments: Dockerfile reference, "Automatic platform ARGs in the global scope". */
export function platformArguments(build: Platform, target: Platform, stage: string): Map<string, string> {
  const values = new Map<string, string>([["TARGETSTAGE", stage]]);
  for (const [prefix, platform] of [
    ["BUILD", build],
    ["TARGET", target],
  ] as const) {
    values.set(`${prefix}PLATFORM`, formatPlatform(platform));
    values.set(`${prefix}OS`, platform.os);
    values.set(`${prefix}OSVERSION`, platform["os.version"] ?? "");
    values.set(`${prefix}ARCH`, platform.architecture);
    values.set(`${prefix}VARIANT`, platform.variant ?? "");
  }
  return values;
}

/**
 * The arguments that a build was given: a value of `null` is taken from the environment, and is no argument at all
 * when the environment has none, as with `docker build --build-arg NAME`.
 */
export function givenArguments(
  options: Readonly<Record<string, string | null>> | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Map<string, string> {
  const given = new Map<string, string>();
  for (const [name, value] of Object.entries(options ?? {})) {
    const actual = value ?? (Object.hasOwn(env, name) ? env[name] : undefined);
    if (actual !== undefined) given.set(name, actual);
  }
  return given;
}
