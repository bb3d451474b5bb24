import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createSecureContext, rootCertificates, type SecureContext } from "node:tls";
import { KbuildError } from "../../errors.ts";
import type { Environment } from "./proxy.ts";

/** Where Linux distributions keep what their administrator trusts; as in Go's crypto/x509. */
const SYSTEM_BUNDLES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/**
 * The authorities to trust beyond node's own (and NODE_EXTRA_CA_CERTS, which node sees to as long as this gives none):
 * those of SSL_CERT_FILE and SSL_CERT_DIR, and, if asked for, the system's. Undefined: nothing beyond.
 * The system's are left out until needed: to read them takes 40 ms.
 *
 * @throws KbuildError `usage.certificates` naming a file of SSL_CERT_FILE that cannot be read or has no certificate
 */
export function trustedAuthorities(env: Environment, system: boolean): SecureContext | undefined {
  const texts: string[] = [];
  const file = env.SSL_CERT_FILE;
  if (file) texts.push(readNamed(file));
  for (const folder of (env.SSL_CERT_DIR ?? "").split(":").filter((each) => each !== "")) {
    texts.push(...readFolder(folder));
  }
  if (system) {
    const found = SYSTEM_BUNDLES.map(readQuietly).find((text) => text !== undefined);
    if (found !== undefined) texts.push(found);
  }
  if (texts.length === 0) return undefined;
  const extra = env.NODE_EXTRA_CA_CERTS ? readQuietly(env.NODE_EXTRA_CA_CERTS) : undefined;
  try {
    return createSecureContext({ ca: [...rootCertificates, ...texts, ...(extra === undefined ? [] : [extra])] });
  } catch (cause) {
    throw new KbuildError("usage.certificates", "The certificates of SSL_CERT_FILE or SSL_CERT_DIR cannot be used", {
      cause,
    });
  }
}

function readNamed(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "latin1");
  } catch (cause) {
    throw new KbuildError("usage.certificates", `${path}, which SSL_CERT_FILE names, cannot be read`, { cause });
  }
  if (text.includes("-----BEGIN ")) return text;
  throw new KbuildError("usage.certificates", `${path}, which SSL_CERT_FILE names, has no certificate in PEM form`);
}

/** A folder of certificates has other things in it as well, and the same certificate under a hash. */
function readFolder(folder: string): string[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  const texts = names.map((name) => readQuietly(join(folder, name)));
  return [...new Set(texts.filter((text) => text?.includes("-----BEGIN ")))] as string[];
}

function readQuietly(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined;
  }
}
