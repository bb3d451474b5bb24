import { closeSync, openSync, readSync } from "node:fs";
import { KbuildError } from "../../errors.ts";
import { lazyBuiltin } from "../../lazy-builtin.ts";
import type { ExtraHost } from "../options.ts";

const net = lazyBuiltin<typeof import("node:net")>("node:net");

/** The name that a step has for itself, as with docker. */
export const HOSTNAME = "buildkitsandbox";

/** Of a longer resolv.conf only the beginning is read; the resolver looks at a few lines. */
const MOST_READ = 64 * 1024;

/**
 * A host and its address. A step shares the network of the machine, so docker's `host-gateway`, the machine as its
 * containers see it, is the loopback address; without a network it leads nowhere, like every other.
 * @throws KbuildError `usage.option`
 */
export function checkHost({ host, address }: ExtraHost): ExtraHost {
  const fail = (hint: string) =>
    new KbuildError("usage.option", `--add-host ${JSON.stringify(`${host}=${address}`)} is not possible`, { hint });
  // The name becomes a part of a line of /etc/hosts.
  if (!/^[^\s#]{1,255}$/.test(host)) throw fail("a host is a name without spaces");
  if (address === "host-gateway") return { host, address: "127.0.0.1" };
  const bare = /^\[(.*)\]$/.exec(address)?.[1] ?? address;
  if (net().isIP(bare) === 0) throw fail("behind the host stands an IPv4 or IPv6 address, or host-gateway");
  return { host, address: bare };
}

/** /etc/hosts of a step: itself, and what the build adds. */
export function hostsFile(hosts: readonly ExtraHost[], hostname: string = HOSTNAME): string {
  const usual = [`127.0.0.1\tlocalhost ${hostname}`, "::1\tlocalhost ip6-localhost ip6-loopback"];
  return [...usual, ...hosts.map(({ host, address }) => `${address}\t${host}`), ""].join("\n");
}

/**
 * /etc/resolv.conf of a step: the machine's, links followed, since its network is the machine's; empty without a network,
 * and when the machine has none.
 */
export function resolverFile(network: "host" | "none", path = "/etc/resolv.conf"): string {
  if (network === "none") return "";
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    const buffer = Buffer.alloc(MOST_READ);
    return buffer.toString("utf8", 0, readSync(file, buffer, 0, MOST_READ, 0));
  } catch {
    // What cannot be read here could not be read by a resolver either: names are not found, and a step says so.
    return "";
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
