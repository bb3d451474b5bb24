import { endianness } from "node:os";
import { type ErrorCode, KbuildError } from "../errors.ts";
import type { Descriptor, Platform } from "./types.ts";

/** Go's names of operating systems and architectures, which are what images use. */
const SYSTEMS = new Set(
  "aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos".split(
    " ",
  ),
);
const ARCHITECTURES = new Set(
  (
    "386 amd64 amd64p32 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 mips64le mips64p32 " +
    "mips64p32le ppc riscv riscv64 s390 s390x sparc sparc64 wasm"
  ).split(" "),
);

/**
 * Reads `os/architecture[/variant]`, or one of the two alone, in containerd's normal form: `x86_64` is `amd64`,
 * `linux/arm` is `linux/arm/v7`, `linux/arm64/v8` is `linux/arm64`.
 *
 * @throws KbuildError `code`
 */
export function parsePlatform(text: string, code: ErrorCode = "usage.platform"): Platform {
  const fail = (reason: string): KbuildError =>
    new KbuildError(code, `${JSON.stringify(text.slice(0, 200))} is not a platform: ${reason}`, {
      hint: "A platform is written like linux/amd64, linux/arm64 or linux/arm/v7",
    });
  const parts = text.split("/");
  for (const part of parts) {
    if (!/^[A-Za-z0-9_.-]+$/.test(part)) {
      throw fail(part === "" ? "a part of it is empty" : `${JSON.stringify(part.slice(0, 200))} is not a name`);
    }
  }
  const [first = "", second, third, ...more] = parts;
  if (more.length > 0) throw fail("it has more than three parts");
  if (second !== undefined) {
    return normalizePlatform({ os: first, architecture: second, ...(third === undefined ? {} : { variant: third }) });
  }
  const alone = normalizePlatform({ os: first, architecture: "amd64" }).os;
  if (SYSTEMS.has(alone)) return { ...hostPlatform(), os: alone };
  const guess = normalizePlatform({ os: hostPlatform().os, architecture: first });
  if (ARCHITECTURES.has(guess.architecture)) return guess;
  throw fail("it is neither an operating system nor an architecture");
}

/** The platform as text: `linux/arm/v7`. */
export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant } = platform;
  return [os, architecture, ...(variant ? [variant] : [])].join("/");
}

/**
 * What is built when nothing else is asked for: Linux on this machine's architecture. On macOS and Windows too, as
 * images for these are not what anyone means there.
 */
export function hostPlatform(arch: string = process.arch): Platform {
  const names: Record<string, string> = {
    x64: "amd64",
    ia32: "386",
    ppc64: endianness() === "LE" ? "ppc64le" : "ppc64",
    mipsel: "mipsle",
  };
  const version = (process.config.variables as { arm_version?: string }).arm_version;
  const variant = arch === "arm" && version !== undefined ? { variant: `v${version}` } : {};
  return normalizePlatform({ os: "linux", architecture: names[arch] ?? arch, ...variant });
}

/** containerd's `platforms.Normalize`: one spelling for each platform, so that equal platforms are equal texts. */
export function normalizePlatform(platform: Platform): Platform {
  const os = platform.os.toLowerCase();
  const { architecture, variant } = normalizeArchitecture(
    platform.architecture.toLowerCase(),
    (platform.variant ?? "").toLowerCase(),
  );
  const version = platform["os.version"];
  return {
    os: os === "macos" ? "darwin" : os,
    architecture,
    ...(variant === "" ? {} : { variant }),
    ...(version === undefined ? {} : { "os.version": version }),
  };
}

function normalizeArchitecture(architecture: string, variant: string): { architecture: string; variant: string } {
  switch (architecture) {
    case "i386":
      return { architecture: "386", variant: "" };
    case "x86_64":
    case "x86-64":
    case "amd64":
      return { architecture: "amd64", variant: variant === "v1" ? "" : variant };
    case "aarch64":
    case "arm64":
      if (/^v?8(\.0)?$/.test(variant)) return { architecture: "arm64", variant: "" };
      if (/^v?9(\.0)?$/.test(variant)) return { architecture: "arm64", variant: "v9" };
      return { architecture: "arm64", variant };
    case "armhf":
      return { architecture: "arm", variant: "v7" };
    case "armel":
      return { architecture: "arm", variant: "v6" };
    case "arm":
      if (variant === "") return { architecture, variant: "v7" };
      return { architecture, variant: /^[5-8]$/.test(variant) ? `v${variant}` : variant };
    default:
      return { architecture, variant };
  }
}

/**
 * The entry of an index to use for a platform, best first as containerd's `platforms.Only` has it: the platform itself,
 * then what its processor runs as well (amd64 v3, v2, v1, 386; arm64, then arm v8 to v5). An entry that names no
 * platform is taken when nothing else fits. Entries that are no images (`unknown/unknown`, BuildKit's attestations)
 * are passed over. Of equals, the first.
 */
export function choosePlatform(manifests: readonly Descriptor[], wanted: Platform): Descriptor | undefined {
  const images = manifests.filter((entry) => !isAttestation(entry));
  for (const candidate of compatiblePlatforms(wanted)) {
    const found = images.find((entry) => entry.platform !== undefined && samePlatform(entry.platform, candidate));
    if (found) return found;
  }
  return images.find((entry) => entry.platform === undefined);
}

/** Whether an image of the one platform runs on the other. */
export function runsOn(image: Platform, wanted: Platform): boolean {
  return compatiblePlatforms(wanted).some((candidate) => samePlatform(image, candidate));
}

/** The platforms that images of an index are for, each once, in the index's order; for error messages. */
export function listPlatforms(manifests: readonly Descriptor[]): string[] {
  const names = manifests
    .filter((entry) => !isAttestation(entry))
    .map((entry) => (entry.platform ? formatPlatform(normalizePlatform(entry.platform)) : undefined));
  return [...new Set(names.filter((name) => name !== undefined))];
}

function isAttestation({ platform, annotations }: Descriptor): boolean {
  if (annotations?.["vnd.docker.reference.type"] === "attestation-manifest") return true;
  return platform?.os === "unknown" && platform.architecture === "unknown";
}

function compatiblePlatforms(wanted: Platform): Platform[] {
  const first = normalizePlatform(wanted);
  const { os, architecture, variant = "" } = first;
  const below = (name: string, from: number, lowest: number): Platform[] =>
    Array.from({ length: Math.max(from - lowest, 0) }, (_, step) => ({
      os,
      architecture: name,
      variant: `v${from - 1 - step}`,
    }));
  const version = /^v(\d{1,2})$/.exec(variant)?.[1];
  switch (architecture) {
    case "amd64":
      return [first, ...below("amd64", Number(version ?? 1), 1), { os, architecture: "386" }];
    case "arm":
      return [first, ...below("arm", Number(version ?? 5), 5)];
    case "arm64":
      return [first, ...(variant === "" ? [] : [{ os, architecture }]), ...below("arm", 9, 5)];
    default:
      return [first];
  }
}

/** Only Windows images depend on `os.version`, and these kbuild does not run: it is not compared. */
function samePlatform(a: Platform, b: Platform): boolean {
  return formatPlatform(normalizePlatform(a)) === formatPlatform(normalizePlatform(b));
}
