/** Values of options that are about RUN. What they may be is the engine's to judge; here they are only taken apart. */

import type { BuildOptions, ExtraHost, ResourceRange, SecretSource } from "../api.ts";
import { suggest } from "../api.ts";
import { badValue, csvFields, integer, oneOf, type Parser, size } from "./values.ts";

/** Modes that a sandbox can be asked for by. */
export const ISOLATIONS = ["userns", "single", "chroot", "emulated"] as const;

/** docker's `default` is our `auto`. */
export const isolation: Parser<NonNullable<BuildOptions["isolation"]>> = (text, option) => {
  if (text === "default") return "auto";
  return oneOf(["auto", ...ISOLATIONS])(text, option);
};

/** `--secret`; without a source it is the environment's variable or else the file that the id names. */
export interface GivenSecret {
  readonly id: string;
  readonly source: SecretSource | undefined;
}

const SECRET_KEYS = ["id", "src", "source", "env", "type"];

/** `id=NAME[,src=FILE|,env=NAME][,type=file|env]`, as docker reads it: with `type=env`, `src` names the variable. */
export const secret: Parser<GivenSecret> = (text, option) => {
  const given = new Map<string, string>();
  for (const field of csvFields(text, option)) {
    const at = field.indexOf("=");
    const key = field.slice(0, Math.max(0, at)).toLowerCase();
    if (at < 1)
      throw badValue(option, text, `${JSON.stringify(field)} must be KEY=VALUE`, "--secret id=token,src=FILE");
    if (!SECRET_KEYS.includes(key)) {
      const near = suggest(key, SECRET_KEYS);
      throw badValue(
        option,
        text,
        `there is no ${key}`,
        near ? `did you mean ${near}?` : "there is id, src, env, type",
      );
    }
    const name = key === "source" ? "src" : key;
    if (given.has(name)) throw badValue(option, text, `${name} is given twice`);
    given.set(name, field.slice(at + 1));
  }
  const type = given.has("type") ? oneOf(["file", "env"])(given.get("type") ?? "", `${option} type=`) : undefined;
  const [id, file, variable] = ["id", "src", "env"].map((key) => given.get(key) || undefined);
  if (id === undefined) throw badValue(option, text, "id= is missing", "--secret id=token,src=FILE");
  if (file !== undefined && variable !== undefined) {
    throw badValue(option, text, "it has src and env", "a secret is from a file or from a variable: keep one of them");
  }
  if (type === "file" && variable !== undefined) throw badValue(option, text, "type=file has no env", "write src=FILE");
  const named = type === "env" ? (variable ?? file) : variable;
  if (named !== undefined) return { id, source: { env: named } };
  if (file !== undefined) return { id, source: { file } };
  return { id, source: type === undefined ? undefined : type === "env" ? { env: id } : { file: id } };
};

/** Where a secret is from. */
export function secretSource(
  { id, source }: GivenSecret,
  env: Readonly<Record<string, string | undefined>>,
): SecretSource {
  if (source !== undefined) return source;
  return Object.hasOwn(env, id) && env[id] !== undefined ? { env: id } : { file: id };
}

/** `ID`, `ID=SOCKET` or `ID=KEY[,KEY]`; the paths are empty for the agent of the environment. */
export const ssh: Parser<readonly [string, readonly string[]]> = (text, option) => {
  const at = text.indexOf("=");
  const id = (at < 0 ? text : text.slice(0, at)) || "default";
  const paths = at < 0 ? [] : text.slice(at + 1).split(",");
  if (paths.length > 1 && paths.includes("")) throw badValue(option, text, "a path is empty");
  return [id, paths.filter((path) => path !== "")];
};

/** `HOST:IP` or `HOST=IP`; IPv6 with brackets or without. */
export const extraHost: Parser<ExtraHost> = (text, option) => {
  const at = text.includes("=") ? text.indexOf("=") : text.indexOf(":");
  const [host, address] = [text.slice(0, Math.max(0, at)), text.slice(at + 1)];
  if (host !== "" && address !== "") return { host, address };
  throw badValue(option, text, "this must be HOST:IP", "for instance --add-host db:10.0.0.5, or db:host-gateway");
};

/** `NAME=SOFT[:HARD]`; one number is both. */
export const ulimit: Parser<readonly [string, ResourceRange]> = (text, option) => {
  const [, name, soft, hard] = /^([a-z]+)=(-?\d{1,15})(?::(-?\d{1,15}))?$/.exec(text) ?? [];
  if (name !== undefined && soft !== undefined) return [name, { soft: Number(soft), hard: Number(hard ?? soft) }];
  throw badValue(option, text, "this must be NAME=SOFT[:HARD]", "for instance --ulimit nofile=1024:2048");
};

/** A size, or -1. */
export const sizeOrAll: Parser<number> = (text, option) => (text === "-1" ? -1 : size(text, option));

/** What a step may have, by docker's names. */
export interface GivenResources {
  readonly memory?: number;
  readonly memorySwap?: number;
  readonly cpuShares?: number;
  readonly cpuPeriod?: number;
  readonly cpuQuota?: number;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
}

const RESOURCES = {
  memory: (text, option) => ({ memory: size(text, option) }),
  "memory-swap": (text, option) => ({ memorySwap: sizeOrAll(text, option) }),
  "cpu-shares": (text, option) => ({ cpuShares: integer(text, option) }),
  "cpu-period": (text, option) => ({ cpuPeriod: integer(text, option) }),
  "cpu-quota": (text, option) => ({ cpuQuota: integer(text, option) }),
  "cpuset-cpus": (text) => ({ cpusetCpus: text }),
  "cpuset-mems": (text) => ({ cpusetMems: text }),
} as const satisfies Record<string, Parser<GivenResources>>;

/** `memory=1g,cpu-quota=50000`. */
export const resource: Parser<GivenResources> = (text, option) => {
  let found: GivenResources = {};
  for (const field of csvFields(text, option)) {
    const at = field.indexOf("=");
    if (at < 1) throw badValue(option, text, `${JSON.stringify(field)} must be KEY=VALUE`);
    const key = oneOf(Object.keys(RESOURCES) as (keyof typeof RESOURCES)[])(field.slice(0, at), option);
    found = { ...found, ...RESOURCES[key](field.slice(at + 1), `${option} ${key}=`) };
  }
  return found;
};
