import { createPrivateKey, type JsonWebKey, type KeyObject, sign } from "node:crypto";
import { KbuildError } from "../../errors.ts";
import { WireReader, wireNumber, wireString, withoutZeros } from "./ssh-wire.ts";

/** A private key as an agent serves it. */
export interface SshKey {
  /** The public key in SSH's form. */
  readonly blob: Buffer;
  readonly comment: string;
  /** Signs data, and gives the signature in SSH's form. `flags`: draft-ietf-sshm-ssh-agent, section 3.6.1. */
  sign(data: Buffer, flags: number): Buffer;
}

const OPENSSH_KEY = /-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END OPENSSH PRIVATE KEY-----/;
const OPENSSH_MAGIC = "openssh-key-v1\0";
const RSA_SHA256 = 2;
const RSA_SHA512 = 4;

/** By SSH's name of the curve: JSON Web Key's, the hash that goes with it, and the bytes of a coordinate. */
const CURVES: ReadonlyMap<string, { readonly jwk: string; readonly hash: string; readonly size: number }> = new Map([
  ["nistp256", { jwk: "P-256", hash: "sha256", size: 32 }],
  ["nistp384", { jwk: "P-384", hash: "sha384", size: 48 }],
  ["nistp521", { jwk: "P-521", hash: "sha512", size: 66 }],
]);

/**
 * Reads a private key in OpenSSH's form or as PEM (PKCS #1, PKCS #8, SEC 1): Ed25519, RSA or ECDSA.
 * @throws KbuildError `usage.ssh` when it is none, or is encrypted
 */
export function readPrivateKey(text: string, name: string): SshKey {
  const isPem = /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----|-----BEGIN ENCRYPTED PRIVATE KEY-----/.test(text);
  if (/-----BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/m.test(text)) throw encrypted(name);
  try {
    const encoded = OPENSSH_KEY.exec(text)?.[1];
    if (encoded !== undefined) return readOpenSsh(Buffer.from(encoded, "base64"), name);
    if (isPem) return sshKey(createPrivateKey(text), name, name);
  } catch (cause) {
    if (cause instanceof KbuildError) throw cause;
    throw new KbuildError("usage.ssh", `${name} has a private key that cannot be read`, { cause });
  }
  throw new KbuildError("usage.ssh", `${name} is neither an agent's socket nor a private key`, {
    hint: /^(?:ssh-|ecdsa-)/.test(text) ? "this is the public key; the private one has no .pub" : undefined,
  });
}

/** OpenSSH's PROTOCOL.key. */
function readOpenSsh(bytes: Buffer, name: string): SshKey {
  const outer = new WireReader(bytes);
  if (outer.take(OPENSSH_MAGIC.length).toString("latin1") !== OPENSSH_MAGIC)
    throw new RangeError("the magic is missing");
  const cipher = outer.text();
  outer.string();
  outer.string();
  if (outer.uint32() !== 1) throw new RangeError("not one key");
  if (cipher !== "none") throw encrypted(name);
  outer.string();
  const inner = new WireReader(outer.string());
  const check = inner.uint32();
  if (inner.uint32() !== check) throw new RangeError("the check numbers differ");
  const key = createPrivateKey({ key: readJsonWebKey(inner, name), format: "jwk" });
  return sshKey(key, inner.text() || name, name);
}

function readJsonWebKey(reader: WireReader, name: string): JsonWebKey {
  const type = reader.text();
  switch (type) {
    case "ssh-ed25519": {
      const x = reader.string();
      // The seed, and behind it the public key once more.
      return { kty: "OKP", crv: "Ed25519", x: encode(x), d: encode(reader.string().subarray(0, 32)) };
    }
    case "ssh-rsa": {
      const [n, e, d, qi, p, q] = [0, 1, 2, 3, 4, 5].map(() => withoutZeros(reader.string()));
      if (n === undefined || e === undefined || d === undefined || p === undefined || q === undefined || !qi) {
        throw new RangeError("numbers are missing");
      }
      const fields = { n: encode(n), e: encode(e), d: encode(d), p: encode(p), q: encode(q), qi: encode(qi) };
      return { kty: "RSA", ...fields, dp: encode(remainder(d, p)), dq: encode(remainder(d, q)) };
    }
    default: {
      const curve = type.startsWith("ecdsa-sha2-") ? CURVES.get(reader.text()) : undefined;
      if (curve === undefined) throw unsupported(type, name);
      const point = reader.string();
      const d = padded(withoutZeros(reader.string()), curve.size);
      const [x, y] = [point.subarray(1, 1 + curve.size), point.subarray(1 + curve.size)];
      return { kty: "EC", crv: curve.jwk, x: encode(x), y: encode(y), d: encode(d) };
    }
  }
}

/** The remainder of `value` divided by one less than a prime. */
function remainder(value: Uint8Array, prime: Uint8Array): Buffer {
  const divisor = BigInt(`0x${Buffer.from(prime).toString("hex") || "0"}`) - 1n;
  const digits = (BigInt(`0x${Buffer.from(value).toString("hex") || "0"}`) % divisor).toString(16);
  return Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, "hex");
}

function sshKey(key: KeyObject, comment: string, name: string): SshKey {
  const jwk = key.export({ format: "jwk" });
  switch (key.asymmetricKeyType) {
    case "ed25519": {
      const type = "ssh-ed25519";
      return {
        blob: Buffer.concat([wireString(type), wireString(decode(jwk.x))]),
        comment,
        sign: (data) => signature(type, sign(null, data, key)),
      };
    }
    case "rsa":
      return {
        blob: Buffer.concat([wireString("ssh-rsa"), wireNumber(decode(jwk.e)), wireNumber(decode(jwk.n))]),
        comment,
        sign: (data, flags) => {
          if ((flags & RSA_SHA512) !== 0) return signature("rsa-sha2-512", sign("sha512", data, key));
          if ((flags & RSA_SHA256) !== 0) return signature("rsa-sha2-256", sign("sha256", data, key));
          return signature("ssh-rsa", sign("sha1", data, key));
        },
      };
    case "ec": {
      const [curve, parameters] = [...CURVES].find(([, candidate]) => candidate.jwk === jwk.crv) ?? [];
      if (curve === undefined || parameters === undefined) throw unsupported(`ECDSA with ${jwk.crv}`, name);
      const { hash, size } = parameters;
      const type = `ecdsa-sha2-${curve}`;
      const point = Buffer.concat([Buffer.from([4]), padded(decode(jwk.x), size), padded(decode(jwk.y), size)]);
      return {
        blob: Buffer.concat([wireString(type), wireString(curve), wireString(point)]),
        comment,
        sign: (data) => {
          const both = sign(hash, data, { key, dsaEncoding: "ieee-p1363" });
          return signature(type, Buffer.concat([wireNumber(both.subarray(0, size)), wireNumber(both.subarray(size))]));
        },
      };
    }
    default:
      throw unsupported(key.asymmetricKeyType ?? "unknown", name);
  }
}

function signature(type: string, bytes: Uint8Array): Buffer {
  return Buffer.concat([wireString(type), wireString(bytes)]);
}

function padded(bytes: Uint8Array, size: number): Buffer {
  return Buffer.concat([Buffer.alloc(Math.max(0, size - bytes.length)), bytes]);
}

function encode(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64url");
}

function decode(text: string | undefined): Buffer {
  return Buffer.from(text ?? "", "base64url");
}

function encrypted(name: string): KbuildError {
  return new KbuildError("usage.ssh", `the private key ${name} is encrypted`, {
    hint: `let an agent ask for its passphrase: ssh-add ${name}, then --ssh default`,
  });
}

function unsupported(type: string, name: string): KbuildError {
  return new KbuildError("usage.ssh", `the private key ${name} is of a kind that is not supported: ${type}`, {
    hint: "Ed25519, RSA and ECDSA keys are; an agent may serve others: --ssh default",
  });
}
