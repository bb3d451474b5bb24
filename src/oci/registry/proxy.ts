import { BlockList, isIP } from "node:net";
import { KbuildError } from "../../errors.ts";

/** The environment, as `process.env` has it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy for an address by HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in lower case (which wins, as in curl) or
 * upper case. Loopback hosts are never reached through a proxy, as in Go's programs.
 *
 * @throws KbuildError `usage.proxy` when the variable holds no address; its value is not shown, it may have a password
 */
export function proxyFor(url: URL, env: Environment): URL | undefined {
  const specific = url.protocol === "https:" ? "https_proxy" : "http_proxy";
  const [name, value] = firstSet(env, [specific, "all_proxy"]) ?? [];
  if (name === undefined || value === undefined || bypassesProxy(url, env)) return undefined;
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  let proxy: URL;
  try {
    proxy = new URL(text.replace(/^socks5h:/i, "socks5:"));
  } catch {
    throw new KbuildError("usage.proxy", `The value of ${name} is not the address of a proxy`, {
      hint: "Write it like http://proxy.example.com:3128",
    });
  }
  if (!["http:", "https:", "socks5:", "socks:"].includes(proxy.protocol)) {
    throw new KbuildError("usage.proxy", `${name} names a proxy of the kind ${proxy.protocol}//, which is not known`, {
      hint: "Known are http, https and socks5",
    });
  }
  return proxy;
}

/** Whether the host is this machine: `localhost`, names below it, 127.0.0.0/8 and ::1. `host` may have a port. */
export function isLoopback(host: string): boolean {
  const name = hostname(host);
  if (name === "localhost" || name.endsWith(".localhost")) return true;
  if (isIP(name) === 4) return name.startsWith("127.");
  return isIP(name) === 6 && loopback6.check(name, "ipv6");
}

const loopback6 = new BlockList();
loopback6.addAddress("::1", "ipv6");
loopback6.addSubnet("::ffff:127.0.0.0", 104, "ipv6");

/** Whether a host is meant by an entry like `example.com`, `example.com:5000` or `10.0.0.0/8`. */
export function matchesHost(host: string, entry: string): boolean {
  const name = hostname(host);
  if (entry.toLowerCase() === host.toLowerCase()) return true;
  if (entry.includes("/")) return inNetwork(name, entry);
  return hostname(entry) === entry.toLowerCase().replace(/^\[|\]$/g, "") && hostname(entry) === name;
}

function hostname(host: string): string {
  return host
    .toLowerCase()
    .replace(/:\d+$/, (port) => (host.includes("]") || host.indexOf(":") === host.length - port.length ? "" : port))
    .replace(/^\[|\]$/g, "");
}

function inNetwork(address: string, network: string): boolean {
  const [base = "", bits = ""] = network.split("/");
  const family = isIP(base);
  if (family === 0 || isIP(address) !== family || !/^\d{1,3}$/.test(bits)) return false;
  if (Number(bits) > (family === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  const kind = family === 4 ? "ipv4" : "ipv6";
  list.addSubnet(base, Number(bits), kind);
  return list.check(address, kind);
}

/** NO_PROXY as Go's httpproxy reads it: `*`, names (and what is below them), addresses, networks, each with a port. */
function bypassesProxy(url: URL, env: Environment): boolean {
  if (isLoopback(url.host)) return true;
  const [, list = ""] = firstSet(env, ["no_proxy"]) ?? [];
  const name = hostname(url.host);
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  return list.split(/[\s,]+/).some((raw) => {
    const entry = raw.toLowerCase();
    if (entry === "") return false;
    if (entry === "*") return true;
    if (entry.includes("/")) return inNetwork(name, entry);
    const withPort = /^(.+?):(\d+)$/.exec(isIP(entry) === 6 ? "" : entry);
    if (withPort && withPort[2] !== port) return false;
    const domain = hostname(withPort?.[1] ?? entry).replace(/^\*?\./, "");
    const onlyBelow = /^\*?\./.test(entry) && entry.startsWith("*");
    return (name === domain && !onlyBelow) || (isIP(name) === 0 && name.endsWith(`.${domain}`));
  });
}

function firstSet(env: Environment, names: readonly string[]): [string, string] | undefined {
  for (const name of names) {
    for (const spelling of [name, name.toUpperCase()]) {
      const value = env[spelling]?.trim();
      if (value) return [spelling, value];
    }
  }
  return undefined;
}
