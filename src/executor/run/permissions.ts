import { KbuildError } from "../../errors.ts";
import type { RunInstruction } from "../../parser/instructions.ts";
import type { RunSettings } from "./limits.ts";

/** What a RUN is given of what it asks for. */
export interface RunPermissions {
  readonly network: "host" | "none";
  readonly security: "default" | "insecure";
}

/**
 * Whether a RUN may have what its flags ask for. Dockerfile reference, "RUN --network", "RUN --security", "RUN --device".
 *
 * `--network=host` needs no permission as long as the build has the machine's network, which it has without being asked:
 * kbuild has no other, being neither root nor a daemon, and the flag then gives a step nothing more. It does need one in
 * a build that was told to have none.
 * @throws KbuildError `build.notAllowed`, `build.notSupported`, with the place
 */
export function runPermissions(
  instruction: Pick<RunInstruction, "network" | "security" | "devices">,
  settings: Pick<RunSettings, "network" | "allow">,
): RunPermissions {
  const { network, security, devices } = instruction;
  const [device] = devices;
  if (device !== undefined) {
    throw new KbuildError(
      "build.notSupported",
      "RUN --device is not supported: a step gets no devices of the machine",
      {
        location: device.location,
        hint: "do what needs the device when the image is run",
      },
    );
  }
  if (network?.value === "host" && settings.network === "none" && !settings.allow.has("network.host")) {
    throw new KbuildError("build.notAllowed", "RUN --network=host is not allowed in a build with --network=none", {
      location: network.location,
      hint: "allow it with --allow network.host",
    });
  }
  if (security?.value === "insecure" && !settings.allow.has("security.insecure")) {
    throw new KbuildError("build.notAllowed", "RUN --security=insecure is not allowed", {
      location: security.location,
      hint: "if you trust this Dockerfile, allow it with --allow security.insecure",
    });
  }
  const wanted = network === undefined || network.value === "default" ? settings.network : network.value;
  return { network: wanted, security: security?.value === "insecure" ? "insecure" : "default" };
}
