import { invalid, printable, showUrl } from "./faults.ts";
import type { Reply } from "./transport.ts";

/** How redirects are followed. */
export interface RedirectRules {
  /** How many in a row, at most. */
  readonly most: number;
  /** Whether the user accepted that nothing vouches for a host: it may be led to by plain HTTP. */
  readonly isInsecure: (host: string) => boolean;
}

/**
 * Where an answer leads, which is then discarded; undefined when it is no redirect. From HTTPS nothing leads to plain
 * HTTP, unless the user accepted that host. RFC 9110, "Redirection 3xx".
 *
 * @param url what was asked
 * @param hops how many redirects led there
 * @throws KbuildError `registry.invalid`
 */
export function redirectOf(reply: Reply, url: URL, hops: number, { most, isInsecure }: RedirectRules): URL | undefined {
  const location = reply.header("location");
  if (![301, 302, 303, 307, 308].includes(reply.status) || location === undefined) return undefined;
  reply.discard();
  const what = `The answer of ${showUrl(url)}`;
  if (hops === most) throw invalid(what, `it is the ${hops + 1}th redirect in a row`);
  const next = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
  if (next === undefined || !/^https?:$/.test(next.protocol)) {
    throw invalid(what, `it redirects to ${JSON.stringify(printable(location.split("?")[0] ?? ""))}`);
  }
  if (url.protocol === "https:" && next.protocol === "http:" && !isInsecure(next.host)) {
    throw invalid(what, `it redirects from HTTPS to the plain ${showUrl(next)}`);
  }
  return next;
}
