import { isLoopback, matchesHost } from "./proxy.ts";

/** How a registry is spoken to. */
export interface RegistryHost {
  /** As in references, and as credentials are kept: `docker.io`, `localhost:5000`. */
  readonly domain: string;
  /** Where it is. */
  readonly host: string;
  /** Whether its certificate is not verified: `--insecure-registry`, and this machine itself, as docker has it. */
  readonly insecure: boolean;
  /** What to try, in order. The second only when the first shows that the other was meant. */
  readonly schemes: readonly ("http:" | "https:")[];
}

/** The host of a reference's domain; `insecureRegistries` are hosts, hosts with ports, or networks in CIDR form. */
export function registryHost(domain: string, insecureRegistries: readonly string[]): RegistryHost {
  const host = domain === "docker.io" ? "registry-1.docker.io" : domain;
  const listed = insecureRegistries.some((entry) => matchesHost(domain, entry) || matchesHost(host, entry));
  if (listed) return { domain, host, insecure: true, schemes: ["https:", "http:"] };
  if (isLoopback(host)) return { domain, host, insecure: true, schemes: ["http:", "https:"] };
  return { domain, host, insecure: false, schemes: ["https:"] };
}
