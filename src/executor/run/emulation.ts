import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { KbuildError } from "../../errors.ts";
import { formatPlatform, hostPlatform } from "../../oci/platform.ts";
import type { Platform } from "../../oci/types.ts";

/** Where the kernel lists what it hands programs of other kinds to. Linux, Documentation/admin-guide/binfmt-misc.rst. */
const REGISTRY = "/proc/sys/fs/binfmt_misc";

/** `e_machine` of programs for an architecture, and what qemu calls it. System V ABI, "ELF Header". */
const MACHINES: Readonly<Record<string, { readonly machine: number; readonly qemu: string }>> = {
  "386": { machine: 3, qemu: "i386" },
  amd64: { machine: 62, qemu: "x86_64" },
  arm: { machine: 40, qemu: "arm" },
  arm64: { machine: 183, qemu: "aarch64" },
  loong64: { machine: 258, qemu: "loongarch64" },
  mips64le: { machine: 8, qemu: "mips64el" },
  ppc64le: { machine: 21, qemu: "ppc64le" },
  riscv64: { machine: 243, qemu: "riscv64" },
  s390x: { machine: 22, qemu: "s390x" },
};

/** Architectures that a processor runs besides its own. */
const ALSO: Readonly<Record<string, readonly string[]>> = { amd64: ["386"], arm64: ["arm"] };

/**
 * Checks that this machine can run programs of a platform: by itself, or by an emulator that its kernel knows. Where the
 * kernel's list cannot be read nothing is said; starting the program will tell.
 *
 * @param registry for tests: the folder with the kernel's list
 * @throws KbuildError `machine.emulator`
 */
export function checkRunnable(platform: Platform, host: Platform = hostPlatform(), registry: string = REGISTRY): void {
  const { architecture } = platform;
  if (architecture === host.architecture || ALSO[host.architecture]?.includes(architecture)) return;
  const known = MACHINES[architecture];
  const machines = registeredMachines(registry);
  if (machines === undefined || (known !== undefined && machines.has(known.machine))) return;
  throw new KbuildError(
    "machine.emulator",
    `this machine (${formatPlatform(host)}) cannot run programs for ${formatPlatform(platform)}`,
    {
      hint:
        known === undefined
          ? "build it on a machine of that architecture, or leave out the RUN"
          : `install an emulator as root (Debian, Ubuntu: apt-get install qemu-user-static, which is qemu-${known.qemu}), ` +
            "or do the work in a stage that is FROM --platform=$BUILDPLATFORM",
    },
  );
}

/** The machines whose programs the kernel hands to an interpreter; undefined when it does not tell. */
function registeredMachines(registry: string): ReadonlySet<number> | undefined {
  let names: readonly string[];
  try {
    names = readdirSync(registry);
  } catch {
    return undefined;
  }
  if (!names.includes("status")) return undefined;
  const machines = new Set<number>();
  for (const name of names) {
    if (name === "register") continue;
    const text = read(join(registry, name));
    if (name === "status") {
      if (text.trim() === "disabled") return new Set();
      continue;
    }
    const magic = /^magic ([0-9a-f]{40,})$/m.exec(text)?.[1];
    if (!/^enabled$/m.test(text) || !magic?.startsWith("7f454c46")) continue;
    const bytes = Buffer.from(magic, "hex");
    // Byte 5 says in which order the others are.
    machines.add(bytes[5] === 2 ? bytes.readUInt16BE(18) : bytes.readUInt16LE(18));
  }
  return machines;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
