import type { CacheSource, CacheTarget } from "../api.ts";
import { suggest } from "../api.ts";
import { badValue, boolean, csvFields, oneOf, type Parser } from "./values.ts";

/** What docker has besides; each is refused by name until it comes. */
const LATER = ["gha", "s3", "azblob"];

/** `--cache-from`: `type=local,src=DIR[,tag=TAG]`, `type=registry,ref=NAME`, or a name alone. */
export const cacheFrom: Parser<CacheSource> = (text, option) => {
  if (!text.includes("=")) return { type: "registry", ref: text };
  const given = read(text, option);
  const type = typeOf(given, ["local", "registry"], text, option);
  if (type === "registry") {
    check(given, ["ref"], text, option);
    return { type, ref: needed(given, "ref", text, option) };
  }
  check(given, ["src", "tag", "digest"], text, option);
  return { type: "local", src: needed(given, "src", text, option), ...some(given, ["tag", "digest"]) };
};

/** `--cache-to`: `type=local,dest=DIR[,mode=max][,tag=TAG]`, or `type=inline`. */
export const cacheTo: Parser<CacheTarget> = (text, option) => {
  const given = text === "inline" ? new Map([["type", "inline"]]) : read(text, option);
  const type = typeOf(given, ["local", "inline"], text, option);
  if (type === "inline") {
    check(given, [], text, option);
    return { type };
  }
  check(given, ["dest", "mode", "tag", "ignore-error"], text, option);
  const mode = given.get("mode");
  const ignore = given.get("ignore-error");
  return {
    type: "local",
    dest: needed(given, "dest", text, option),
    ...(mode === undefined ? {} : { mode: oneOf(["min", "max"])(mode, `${option} mode=`) }),
    ...(ignore === undefined ? {} : { ignoreErrors: boolean(ignore, `${option} ignore-error=`) }),
    ...some(given, ["tag"]),
  };
};

function read(text: string, option: string): Map<string, string> {
  const given = new Map<string, string>();
  for (const field of csvFields(text, option)) {
    const at = field.indexOf("=");
    if (at < 1) throw badValue(option, text, `${JSON.stringify(field)} must be KEY=VALUE`);
    const key = field.slice(0, at).trim().toLowerCase();
    if (given.has(key)) throw badValue(option, text, `${key} is given twice`);
    given.set(key, field.slice(at + 1));
  }
  return given;
}

function typeOf<const T extends string>(
  given: Map<string, string>,
  types: readonly T[],
  text: string,
  option: string,
): T {
  const type = given.get("type");
  if (type === undefined) throw badValue(option, text, "type= is missing", `for instance type=${types[0]}`);
  given.delete("type");
  if (LATER.includes(type) || (type === "registry" && !(types as readonly string[]).includes(type))) {
    throw badValue(option, text, `type=${type} is not supported yet`, "type=local keeps the cache in a folder");
  }
  return oneOf(types)(type, `${option} type=`);
}

/** Keys that ask for what is done anyway. */
const USUAL: Readonly<Record<string, string>> = {
  compression: "uncompressed",
  "force-compression": "false",
  "oci-mediatypes": "true",
  "image-manifest": "true",
};

function check(given: ReadonlyMap<string, string>, keys: readonly string[], text: string, option: string): void {
  for (const [key, value] of given) {
    if (keys.includes(key) || USUAL[key] === value) continue;
    if (USUAL[key] !== undefined) throw badValue(option, text, `${key}=${value} is not supported yet`);
    const near = suggest(key, keys);
    throw badValue(option, text, `there is no ${key} here`, near ? `did you mean ${near}?` : undefined);
  }
}

function needed(given: ReadonlyMap<string, string>, key: string, text: string, option: string): string {
  const value = given.get(key);
  if (value) return value;
  throw badValue(option, text, `${key}= is missing`);
}

function some<const K extends string>(
  given: ReadonlyMap<string, string>,
  keys: readonly K[],
): { readonly [key in K]?: string } {
  return Object.fromEntries(keys.flatMap((key) => (given.has(key) ? [[key, given.get(key)]] : []))) as {
    readonly [key in K]?: string;
  };
}
