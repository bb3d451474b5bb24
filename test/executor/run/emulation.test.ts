import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../../src/errors.ts";
import { checkRunnable } from "../../../src/executor/run/emulation.ts";
import { plant, workspace } from "../../support/workspace.ts";

const folder = workspace();
/** As Debian's qemu-user-static registers it. */
const entry = (state: string, magic: string): string =>
  `${state}\ninterpreter /usr/libexec/qemu-binfmt/x\nflags: POCF\noffset 0\nmagic ${magic}\nmask ffffffffffffff00fffffffffffffffffeffffff\n`;
const AARCH64 = "7f454c460201010000000000000000000200b700";
const S390X = "7f454c4602020100000000000000000000020016";

const registry = plant(path.join(folder, "some"), {
  status: "enabled\n",
  register: "",
  "qemu-aarch64": entry("enabled", AARCH64),
  "qemu-s390x": entry("enabled", S390X),
  "qemu-riscv64": entry("disabled", "7f454c460201010000000000000000000200f300"),
  "python3.11": "enabled\ninterpreter /usr/bin/python3.11\nflags:\noffset 0\nmagic a70d0d0a\n",
});
const off = plant(path.join(folder, "off"), { status: "disabled\n", "qemu-aarch64": entry("enabled", AARCH64) });
const amd64 = { os: "linux", architecture: "amd64" };

const Emulation = suite("programs of other architectures");

for (const [architecture, place, runs] of [
  ["amd64", registry, true],
  ["386", registry, true],
  ["arm64", registry, true],
  ["s390x", registry, true],
  ["riscv64", registry, false],
  ["ppc64le", registry, false],
  ["sparc64", registry, false],
  ["arm64", off, false],
  ["arm64", path.join(folder, "not-mounted"), true],
] as const) {
  Emulation(
    `${architecture} on amd64 ${runs ? "is tried" : "is refused"} with the list in ${path.basename(place)}`,
    () => {
      const check = () => checkRunnable({ os: "linux", architecture }, amd64, place);
      if (runs) check();
      else assert.throws(check, (error: unknown) => error instanceof KbuildError && error.code === "machine.emulator");
    },
  );
}

Emulation("the error says what to install", () => {
  try {
    checkRunnable({ os: "linux", architecture: "riscv64" }, amd64, registry);
    assert.unreachable();
  } catch (error) {
    if (!(error instanceof KbuildError)) throw error;
    assert.match(error.message, /linux\/amd64.*linux\/riscv64/);
    assert.match(error.hint ?? "", /qemu-user-static.*qemu-riscv64.*\$BUILDPLATFORM/);
    assert.is(error.exitStatus, 4);
  }
});

Emulation.run();
