import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import { detectSandboxes, type Isolation, readIsolation } from "../../src/sandbox/detect.ts";
import { DOCKER_CAPABILITIES, type FakeMachine, fakeMachine, IN_DOCKER } from "../support/machine.ts";

const Detect = suite("detect");

function modes(fake: FakeMachine): string {
  const { candidates } = detectSandboxes(fakeMachine(fake));
  return candidates.map(({ mode, automatic }) => (automatic ? mode : `(${mode})`)).join(" ");
}

function refusal(fake: FakeMachine, mode: Isolation) {
  return detectSandboxes(fakeMachine(fake)).refusals.find((one) => one.mode === mode);
}

const NO_SUBORDINATE = { "/etc/subuid": "", "/etc/subgid": "" };
const ONE_ID = { "/proc/self/uid_map": "0 1000 1\n", "/proc/self/gid_map": "0 1000 1\n" };

for (const [where, fake, expected] of [
  ["root on a virtual machine", { uid: 0 }, "userns (single) chroot"],
  ["a plain user with subordinate ids", {}, "userns single"],
  ["a plain user without subordinate ids", { files: NO_SUBORDINATE }, "single"],
  ["a plain user without newuidmap", { programs: {} }, "single"],
  ["root in a default docker container", IN_DOCKER, "userns (single) chroot"],
  ["root of a namespace with one id", { uid: 0, files: ONE_ID }, "single"],
  ["root without capabilities", { uid: 0, effective: "0" }, "(single)"],
  ["a user with no_new_privs", { noNewPrivileges: true }, "single"],
  ["a user whose bounding set is empty", { bounding: "0" }, "single"],
  ["a user where no namespaces are allowed", { files: { "/proc/sys/user/max_user_namespaces": "0\n" } }, ""],
  ["root where no namespaces are allowed", { uid: 0, files: { "/proc/sys/user/max_user_namespaces": "0" } }, "chroot"],
  ["a user where only root may make them", { files: { "/proc/sys/kernel/unprivileged_userns_clone": "0\n" } }, ""],
  [
    "root where only root may make them",
    { uid: 0, files: { "/proc/sys/kernel/unprivileged_userns_clone": "0" } },
    "userns (single) chroot",
  ],
  ["a machine without /proc", { files: { "/proc/self/uid_map": undefined } }, ""],
  ["another system", { uid: 0, platform: "darwin" }, ""],
] as const) {
  Detect(`${where}: ${expected === "" ? "nothing" : expected}`, () => {
    assert.is(modes(fake), expected);
  });
}

for (const [mode, fake, reason, remedy] of [
  [
    "userns",
    { files: NO_SUBORDINATE },
    /ann has no subordinate ids in \/etc\/subuid/,
    "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ann",
  ],
  [
    "userns",
    { files: { ...NO_SUBORDINATE, "/etc/subuid": "bob:100000:65536" } },
    /no subordinate ids/,
    "usermod --add-subuids 165536-231071 --add-subgids 165536-231071 ann",
  ],
  [
    "userns",
    { files: { "/etc/subgid": "" } },
    /subordinate ids in \/etc\/subgid/,
    "usermod --add-subuids 165536-231071 --add-subgids 165536-231071 ann",
  ],
  [
    "userns",
    { user: undefined, files: NO_SUBORDINATE },
    /uid 1000 has no subordinate ids/,
    "echo 1000:100000:65536 | tee -a /etc/subuid /etc/subgid",
  ],
  ["userns", { programs: {} }, /newuidmap is not installed/, /^apt-get install uidmap/],
  ["userns", { programs: { "/usr/bin/newuidmap": true } }, /newgidmap is not installed/, /^apt-get install uidmap/],
  ["userns", { noNewPrivileges: true }, /no_new_privs/, /NoNewPrivileges=no/],
  [
    "userns",
    { noNewPrivileges: true, files: { "/.dockerenv": "" } },
    /no_new_privs/,
    /without --security-opt no-new-privileges/,
  ],
  [
    "userns",
    { noNewPrivileges: true, env: { KUBERNETES_SERVICE_HOST: "x" } },
    /no_new_privs/,
    /allowPrivilegeEscalation: true/,
  ],
  ["userns", { bounding: "0" }, /SETUID and SETGID are out of reach/, /--cap-add SETUID --cap-add SETGID/],
  ["userns", { uid: 0, files: ONE_ID }, /root is the only id/, /range of ids/],
  [
    "userns",
    { uid: 0, effective: "0" },
    /root lacks the capabilities SETUID, SETGID, SETFCAP/,
    /--cap-add SETUID --cap-add SETGID --cap-add SETFCAP/,
  ],
  ["userns", { files: { "/proc/self/uid_map": "0 0 2000\n" } }, /in \/etc\/subuid are not mapped/, /usermod/],
  [
    "single",
    { files: { "/proc/sys/user/max_user_namespaces": "0" } },
    /no user namespace at all/,
    "sysctl -w user.max_user_namespaces=65536",
  ],
  [
    "single",
    { files: { "/proc/sys/kernel/unprivileged_userns_clone": "0" } },
    /root alone/,
    "sysctl -w kernel.unprivileged_userns_clone=1",
  ],
  ["single", { platform: "darwin" }, /Linux/, /Linux/],
  ["chroot", {}, /not run as root/, "run kbuild as root"],
  ["chroot", { files: { "/run/.containerenv": "" } }, /not run as root/, /--user 0/],
  ["chroot", { uid: 0, files: ONE_ID }, /the only id/, /range of ids/],
  [
    "chroot",
    { ...IN_DOCKER, effective: "00000000a80025fa" },
    /lacks the capabilities SYS_CHROOT, CHOWN$/,
    /--cap-add SYS_CHROOT --cap-add CHOWN$/,
  ],
  ["emulated", {}, /this version/, undefined],
] as const) {
  Detect(`${mode} is refused: ${reason.source}`, () => {
    const found = refusal(fake, mode);
    assert.match(found?.reason ?? "", reason);
    if (remedy instanceof RegExp) assert.match(found?.remedy ?? "", remedy);
    else assert.is(found?.remedy, remedy);
  });
}

Detect("every mode is told of, on any machine", () => {
  for (const fake of [{}, { uid: 0 }, IN_DOCKER, { platform: "win32" }, { programs: {}, files: NO_SUBORDINATE }]) {
    const { candidates, refusals } = detectSandboxes(fakeMachine(fake));
    const told = [...candidates, ...refusals].map(({ mode }) => mode).sort();
    assert.equal(told, ["chroot", "emulated", "single", "userns"]);
  }
});

Detect(
  "a user's entry maps himself to root, by newuidmap; root's maps every id to itself; a chroot's maps nothing",
  () => {
    const [user] = detectSandboxes(fakeMachine()).candidates;
    assert.equal(user?.entry, {
      mode: "userns",
      uids: [
        { inside: 0, outside: 1000, count: 1 },
        { inside: 1, outside: 100_000, count: 65_536 },
      ],
      gids: [
        { inside: 0, outside: 1000, count: 1 },
        { inside: 1, outside: 100_000, count: 65_536 },
      ],
      helpers: { uid: "/usr/bin/newuidmap", gid: "/usr/bin/newgidmap" },
    });
    const [root, single, chroot] = detectSandboxes(fakeMachine({ uid: 0 })).candidates;
    const all = [{ inside: 0, outside: 0, count: 4_294_967_295 }];
    assert.equal(root?.entry, { mode: "userns", uids: all, gids: all });
    assert.equal(single?.entry.uids, [{ inside: 0, outside: 0, count: 1 }]);
    assert.equal(chroot?.entry, { mode: "chroot", uids: [], gids: [] });
  },
);

Detect("the default capabilities of docker are enough for chroot", () => {
  assert.is(DOCKER_CAPABILITIES.length, 16);
  assert.is(refusal(IN_DOCKER, "chroot"), undefined);
});

Detect("an isolation is read by its name, and docker's default lets kbuild choose", () => {
  assert.is(readIsolation("chroot"), "chroot");
  assert.is(readIsolation("emulated"), "emulated");
  for (const text of ["", "default", "auto"]) assert.is(readIsolation(text), undefined);
  try {
    readIsolation("hyperv");
    assert.unreachable();
  } catch (error) {
    assert.instance(error, KbuildError);
    assert.is((error as KbuildError).code, "usage.isolation");
    assert.match((error as KbuildError).hint ?? "", /userns, single, chroot/);
  }
});

Detect.run();
