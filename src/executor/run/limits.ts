import { KbuildError } from "../../errors.ts";
import type { ControlGroup, ResourceLimit } from "../../native/sandbox-protocol.ts";
import { suggest } from "../../parser/suggest.ts";
import type { BuildOptions, Entitlement, ExtraHost } from "../options.ts";
import { checkHost, HOSTNAME } from "./name-files.ts";

/** What a build's options mean for all of its RUNs. */
export interface RunSettings {
  /** The network of a RUN that asks for none in particular. */
  readonly network: "host" | "none";
  readonly allow: ReadonlySet<Entitlement>;
  readonly hosts: readonly ExtraHost[];
  readonly limits: readonly ResourceLimit[];
  /** Bytes of /dev/shm. */
  readonly sharedMemory: number;
  /** Undefined when nothing asks for a control group. */
  readonly group: ControlGroup | undefined;
  readonly keepFailed: boolean;
  /** The name that a step has for itself: `buildkitsandbox`, or BUILDKIT_SANDBOX_HOSTNAME. */
  readonly hostname: string;
}

/** What docker gives /dev/shm. */
const USUAL_SHARED_MEMORY = 64 * 1024 * 1024;
/** docker's least: with less not even a shell starts. */
const LEAST_MEMORY = 6 * 1024 * 1024;

/** getrlimit(2), in lower case without `RLIMIT_`. */
const LIMITS = [
  "core",
  "cpu",
  "data",
  "fsize",
  "locks",
  "memlock",
  "msgqueue",
  "nice",
  "nofile",
  "nproc",
  "rss",
  "rtprio",
  "rttime",
  "sigpending",
  "stack",
];

const ENTITLEMENTS: readonly Entitlement[] = ["network.host", "security.insecure"];

/**
 * Reads the options that are about RUN, and the build arguments that are.
 * @throws KbuildError `usage.option`
 */
export function readRunSettings(options: BuildOptions, given: ReadonlyMap<string, string> = new Map()): RunSettings {
  const { network } = options;
  if (network !== undefined && !["default", "host", "none"].includes(network)) {
    throw badOption("--network", network, "it is default, host or none");
  }
  for (const entitlement of options.allow ?? []) {
    if (!ENTITLEMENTS.includes(entitlement)) {
      throw badOption("--allow", entitlement, `there is ${ENTITLEMENTS.join(" and ")}`);
    }
  }
  return {
    network: network === "none" ? "none" : "host",
    allow: new Set(options.allow),
    hosts: (options.addHosts ?? []).map(checkHost),
    limits: Object.entries(options.ulimits ?? {}).map(([name, range]) => readLimit(name, range)),
    // Like docker's, 0 says nothing.
    sharedMemory: amount("--shm-size", options.shmSize, 1) ?? USUAL_SHARED_MEMORY,
    group: readGroup(options),
    keepFailed: options.keepFailed === true,
    hostname: readHostname(given.get("BUILDKIT_SANDBOX_HOSTNAME")),
  };
}

function readLimit(name: string, { soft, hard }: { readonly soft: number; readonly hard: number }): ResourceLimit {
  if (!LIMITS.includes(name)) {
    const near = suggest(name, LIMITS);
    throw badOption("--ulimit", name, near === undefined ? `there is ${LIMITS.join(", ")}` : `did you mean ${near}?`);
  }
  for (const value of [soft, hard]) {
    if (!Number.isSafeInteger(value) || value < -1) {
      throw badOption("--ulimit", `${name}=${value}`, "a limit is a whole number; -1 is no limit");
    }
  }
  if (hard !== -1 && (soft === -1 || soft > hard)) {
    throw badOption("--ulimit", `${name}=${soft}:${hard}`, "the soft limit, the first, is at most the hard one");
  }
  return { name, soft, hard };
}

function readGroup(options: BuildOptions): ControlGroup | undefined {
  const parent = readParent(options.cgroupParent);
  const memory = amount("--memory", options.memory, LEAST_MEMORY);
  const { memorySwap } = options;
  if (memorySwap !== undefined && memorySwap !== 0) {
    if (memory === undefined) throw badOption("--memory-swap", memorySwap, "it only has a meaning with --memory");
    if (memorySwap !== -1 && !(Number.isSafeInteger(memorySwap) && memorySwap >= memory)) {
      throw badOption("--memory-swap", memorySwap, "it counts memory as well, so it is at least --memory, or -1");
    }
  }
  const group: ControlGroup = {
    ...(parent === undefined ? {} : { parent }),
    ...member("memory", memory),
    ...member("memorySwap", memorySwap === 0 ? undefined : memorySwap),
    ...member("cpuPeriod", amount("--cpu-period", options.cpuPeriod, 1000, 1_000_000)),
    ...member("cpuQuota", amount("--cpu-quota", options.cpuQuota === -1 ? 0 : options.cpuQuota, 1000)),
    ...member("cpuShares", amount("--cpu-shares", options.cpuShares, 2, 262_144)),
    ...member("cpusetCpus", list("--cpuset-cpus", options.cpusetCpus)),
    ...member("cpusetMems", list("--cpuset-mems", options.cpusetMems)),
  };
  return Object.keys(group).length === 0 ? undefined : group;
}

function member<N extends string, T>(name: N, value: T | undefined): { readonly [K in N]?: T } {
  return value === undefined ? {} : ({ [name]: value } as { readonly [K in N]?: T });
}

/** A number that is left out, or 0, which docker takes for that, or within its bounds. */
function amount(
  option: string,
  value: number | undefined,
  least: number,
  most = Number.MAX_SAFE_INTEGER,
): number | undefined {
  if (value === undefined || value === 0) return undefined;
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  const bounds = most === Number.MAX_SAFE_INTEGER ? `at least ${least}` : `from ${least} to ${most}`;
  throw badOption(option, value, `it is a whole number, ${bounds}`);
}

/** cpuset(7), "List format". */
function list(option: string, value: string | undefined): string | undefined {
  if (value === undefined || value === "") return undefined;
  if (value.length <= 4096 && /^\d{1,5}(?:-\d{1,5})?(?:,\d{1,5}(?:-\d{1,5})?)*$/.test(value)) return value;
  throw badOption(option, value, "it is a list like 0-3,6");
}

function readParent(value: string | undefined): string | undefined {
  if (value === undefined || value === "") return undefined;
  const names = value.split("/").filter((name) => name !== "" && name !== ".");
  if (names.length > 0 && !names.includes("..") && !value.includes("\0")) return `/${names.join("/")}`;
  throw badOption("--cgroup-parent", value, "it is a path below /sys/fs/cgroup, for instance /builds");
}

/** hostname(7). */
function readHostname(value: string | undefined): string {
  if (!value) return HOSTNAME;
  if (/^(?=.{1,64}$)[0-9a-z](?:[0-9a-z.-]*[0-9a-z])?$/i.test(value)) return value;
  throw badOption("BUILDKIT_SANDBOX_HOSTNAME", value, "a host's name has letters, digits, dots and hyphens");
}

function badOption(option: string, value: string | number, hint: string): KbuildError {
  return new KbuildError("usage.option", `${option} cannot be ${JSON.stringify(value)}`, { hint });
}
