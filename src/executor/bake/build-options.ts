import { isAbsolute, join } from "node:path";
import type { AttributeName, Spec } from "../../bake/attributes.ts";
import { linksOf, type ResolvedTarget } from "../../bake/resolve.ts";
import { locationOf } from "../../bake/source.ts";
import { KbuildError } from "../../errors.ts";
import { contextPlace } from "../context/locate.ts";
import type { BuildOptions, Entitlement, ExtraHost, ResourceRange, SecretSource } from "../options.ts";
import { cacheSourceOf, cacheTargetOf } from "./caches.ts";
import { outputOf } from "./outputs.ts";

/** A target as the engine is told of it. */
export interface TargetBuild {
  readonly options: BuildOptions;
  /** Named contexts that are the results of other targets: the context's name and the target's. */
  readonly links: Readonly<Record<string, string>>;
  /** The targets that have to be there first. */
  readonly needs: readonly string[];
}

type Env = Readonly<Record<string, string | undefined>>;

/** What is wrong with an attribute, at its place. */
export type Fault = (attribute: AttributeName, message: string, hint?: string) => KbuildError;

/**
 * What the engine builds for a target. What it cannot do yet is refused here, and nowhere else.
 *
 * @throws KbuildError `build.bake`, `build.notSupported`
 */
export function targetBuild(target: ResolvedTarget, allowed: readonly Entitlement[], env: Env): TargetBuild {
  const { attributes } = target;
  const fault = faultsOf(target);
  refuseLater(target, fault);
  const contexts = Object.entries(attributes.contexts ?? {});
  const isLink = ([, source]: readonly [string, string]): boolean => source.startsWith("target:");
  const others = contexts.filter((context) => !isLink(context)).map(([name, source]) => [name, localPath(source)]);
  const links = contexts.filter(isLink).map(([name, source]) => [name, source.slice("target:".length)]);
  const context = contextOf(attributes.context ?? ".", fault);
  const inline = attributes["dockerfile-inline"];
  const size = attributes["shm-size"];
  return {
    needs: linksOf(attributes),
    links: Object.fromEntries(links),
    options: {
      context,
      name: target.name,
      ...(inline === undefined ? { file: fileOf(attributes.dockerfile, context, fault) } : { dockerfile: inline }),
      tags: target.isLinked ? undefined : attributes.tags,
      buildArgs: attributes.args,
      labels: attributes.labels,
      target: attributes.target,
      platform: attributes.platforms,
      annotations: attributes.annotations,
      cacheFrom: attributes["cache-from"]?.map((spec) => cacheSourceOf(spec, fault)),
      cacheTo: attributes["cache-to"]?.map((spec) => cacheTargetOf(spec, fault)),
      noCache: attributes["no-cache"],
      noCacheFilter: attributes["no-cache-filter"],
      pull: attributes.pull,
      buildContexts: Object.fromEntries(others),
      outputs: attributes.output?.flatMap((output) => outputOf(output, fault)),
      secrets: attributes.secret && Object.fromEntries(attributes.secret.map((spec) => secretOf(spec, env, fault))),
      ssh: attributes.ssh && Object.fromEntries(attributes.ssh.map(sshOf)),
      network: networkOf(attributes.network, fault),
      addHosts: attributes["extra-hosts"] && hostsOf(attributes["extra-hosts"]),
      allow: attributes.entitlements && entitlementsOf(attributes.entitlements, allowed, fault),
      ulimits: attributes.ulimits && Object.fromEntries(attributes.ulimits.map((text) => ulimitOf(text, fault))),
      shmSize: size === undefined ? undefined : sizeOf("shm-size", size, fault),
      ...limitsOf(attributes.resources ?? {}, fault),
    },
  };
}

function faultsOf({ name, places, place }: ResolvedTarget): Fault {
  return (attribute, message, hint) => {
    const at = places.get(attribute) ?? place;
    const code = message.endsWith("not supported yet") ? "build.notSupported" : "build.bake";
    const details = { location: locationOf(at), source: at.source.whole, hint };
    return new KbuildError(code, `target ${name}: ${message}`, details);
  };
}

/** What the engine does not have yet, in the words of the build command. */
function refuseLater({ attributes }: ResolvedTarget, fault: Fault): void {
  const later = (name: AttributeName, hint?: string) => fault(name, `${name} is not supported yet`, hint);
  if (attributes.call !== undefined && attributes.call !== "build") throw later("call", "only build is");
}

function localPath(source: string): string {
  return source.startsWith("cwd://") ? source.slice("cwd://".length) || "." : source;
}

function contextOf(context: string, fault: Fault): string {
  if (context === "-") throw fault("context", "the context of a target cannot be standard input");
  return localPath(context);
}

/** A target's Dockerfile is looked for in its context. */
function fileOf(dockerfile: string | undefined, context: string, fault: Fault): string | undefined {
  if (dockerfile === undefined || dockerfile === "Dockerfile") return undefined;
  if (dockerfile === "-") throw fault("dockerfile", "the Dockerfile of a target cannot be standard input");
  if (dockerfile.startsWith("cwd://")) return localPath(dockerfile);
  // Of a context elsewhere it is a path in there.
  return isAbsolute(dockerfile) || contextPlace(context).kind !== "folder" ? dockerfile : join(context, dockerfile);
}

function secretOf({ id, src, env: variable }: Spec, env: Env, fault: Fault): readonly [string, SecretSource] {
  if (typeof id !== "string" || id === "")
    throw fault("secret", "a secret needs an id", 'for instance "id=token,src=FILE"');
  if (typeof variable === "string") return [id, { env: variable }];
  if (typeof src === "string") return [id, { file: src }];
  return [id, Object.hasOwn(env, id) && env[id] !== undefined ? { env: id } : { file: id }];
}

function sshOf({ id, paths }: Spec): readonly [string, readonly string[]] {
  return [typeof id === "string" ? id : "default", Array.isArray(paths) ? paths : []];
}

function networkOf(network: string | undefined, fault: Fault): BuildOptions["network"] {
  if (network === undefined || network === "default" || network === "host" || network === "none") return network;
  throw fault("network", `${JSON.stringify(network)} is no network`, "it is default, host or none");
}

function hostsOf(hosts: Readonly<Record<string, string>>): ExtraHost[] {
  return Object.entries(hosts).flatMap(([host, addresses]) =>
    addresses.split(",").map((address) => ({ host, address })),
  );
}

/** What a file asks for must be allowed by whoever runs it, for files come from others. */
function entitlementsOf(asked: readonly string[], allowed: readonly Entitlement[], fault: Fault): Entitlement[] {
  return asked.map((entitlement) => {
    if (entitlement !== "network.host" && entitlement !== "security.insecure") {
      throw fault("entitlements", `${JSON.stringify(entitlement)} is nothing that can be allowed`);
    }
    // RUN has the machine's network anyway.
    if (entitlement === "network.host" || allowed.includes(entitlement)) return entitlement;
    throw fault("entitlements", `it asks for ${entitlement}, which is not allowed`, `--allow ${entitlement} allows it`);
  });
}

function ulimitOf(text: string, fault: Fault): readonly [string, ResourceRange] {
  const [, name, soft, hard] = /^([a-z]+)=(-?\d{1,15})(?::(-?\d{1,15}))?$/.exec(text) ?? [];
  if (name !== undefined && soft !== undefined) return [name, { soft: Number(soft), hard: Number(hard ?? soft) }];
  throw fault("ulimits", `${JSON.stringify(text)} must be NAME=SOFT[:HARD]`, "for instance nofile=1024:2048");
}

function limitsOf(limits: Readonly<Record<string, string | number>>, fault: Fault): Partial<BuildOptions> {
  const text = (name: string): string | undefined => (limits[name] === undefined ? undefined : String(limits[name]));
  const number = (name: string): number | undefined => (limits[name] === undefined ? undefined : Number(limits[name]));
  const [memory, swap] = [text("memory"), text("memory-swap")];
  return {
    memory: memory === undefined ? undefined : sizeOf("resources", memory, fault),
    memorySwap: swap === undefined ? undefined : swap === "-1" ? -1 : sizeOf("resources", swap, fault),
    cpuShares: number("cpu-shares"),
    cpuPeriod: number("cpu-period"),
    cpuQuota: number("cpu-quota"),
    cpusetCpus: text("cpuset-cpus"),
    cpusetMems: text("cpuset-mems"),
  };
}

const UNITS = ["", "k", "m", "g", "t", "p"];

/** Bytes, in powers of 1024. */
function sizeOf(attribute: AttributeName, text: string, fault: Fault): number {
  const [, number, unit = ""] = /^(\d{1,15}(?:\.\d{1,9})?)\s*([kmgtp]?)(?:i?b)?$/i.exec(text.trim()) ?? [];
  const bytes = Math.floor(Number(number) * 1024 ** UNITS.indexOf(unit.toLowerCase()));
  if (Number.isSafeInteger(bytes)) return bytes;
  throw fault(attribute, `${JSON.stringify(text)} is no size`, "sizes are like 512MB or 2g");
}
