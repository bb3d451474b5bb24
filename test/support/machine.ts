import { type Machine, readMachine, type System } from "../../src/sandbox/machine.ts";

/** Docker's default capabilities, as CapEff has them. */
export const DOCKER_CAPABILITIES = "00000000a80425fb";
export const ALL_CAPABILITIES = "000001ffffffffff";

export interface FakeMachine {
  readonly uid?: number;
  readonly user?: string | undefined;
  readonly env?: Readonly<Record<string, string>>;
  readonly platform?: string;
  /** Files by their paths; what is not told is as on a plain virtual machine, and `undefined` is not there. */
  readonly files?: Readonly<Record<string, string | undefined>>;
  /** What of newuidmap and newgidmap there is, by path: whether it is set-uid. */
  readonly programs?: Readonly<Record<string, boolean>>;
  readonly effective?: string;
  readonly bounding?: string;
  readonly noNewPrivileges?: boolean;
  readonly seccomp?: 0 | 2;
}

const HELPERS = { "/usr/bin/newuidmap": true, "/usr/bin/newgidmap": true };

/** A machine that is only told of: by default a virtual machine with a plain user, 1000, who has subordinate ids. */
export function fakeSystem(fake: FakeMachine = {}): System {
  const uid = fake.uid ?? 1000;
  const own = uid === 0 ? ALL_CAPABILITIES : "0000000000000000";
  const status = [
    "Name:\tnode",
    `CapEff:\t${fake.effective ?? own}`,
    `CapBnd:\t${fake.bounding ?? ALL_CAPABILITIES}`,
    `NoNewPrivs:\t${fake.noNewPrivileges ? 1 : 0}`,
    `Seccomp:\t${fake.seccomp ?? 0}`,
  ];
  const files: Readonly<Record<string, string | undefined>> = {
    "/proc/self/status": `${status.join("\n")}\n`,
    "/proc/self/uid_map": "         0          0 4294967295\n",
    "/proc/self/gid_map": "         0          0 4294967295\n",
    "/proc/sys/user/max_user_namespaces": "63000\n",
    "/etc/subuid": "ann:100000:65536\n",
    "/etc/subgid": "ann:100000:65536\n",
    ...fake.files,
  };
  const programs: Readonly<Record<string, boolean>> = fake.programs ?? HELPERS;
  return {
    platform: fake.platform ?? "linux",
    env: { PATH: "/usr/bin", ...fake.env },
    uid,
    gid: uid,
    userName: () => ("user" in fake ? fake.user : uid === 0 ? "root" : "ann"),
    read: (path) => files[path],
    executable: (path) => {
      const setUid = programs[path];
      return setUid === undefined ? undefined : { setUid };
    },
  };
}

export function fakeMachine(fake: FakeMachine = {}): Machine {
  return readMachine(fakeSystem(fake));
}

/** Root in `docker run` with nothing added. */
export const IN_DOCKER: FakeMachine = {
  uid: 0,
  effective: DOCKER_CAPABILITIES,
  bounding: DOCKER_CAPABILITIES,
  seccomp: 2,
  files: { "/.dockerenv": "", "/etc/subuid": undefined, "/etc/subgid": undefined },
};
