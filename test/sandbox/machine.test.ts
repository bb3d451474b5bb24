import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseMap, parseSubordinate, readMachine } from "../../src/sandbox/machine.ts";
import { DOCKER_CAPABILITIES, fakeMachine, fakeSystem, IN_DOCKER } from "../support/machine.ts";

const Reading = suite("machine");

Reading("this machine can be read", () => {
  const machine = readMachine();
  assert.is(machine.uid, process.geteuid?.());
  assert.is(machine.platform, process.platform);
  assert.ok(machine.uidMap.length > 0);
});

Reading("the ranges of a user are found by name and by number, in the file's order", () => {
  const text = [
    "# a remark",
    "bob:1:5",
    "ann:100000:65536",
    "1000:300000:10",
    "ann:200000:65536",
    "annette:7:7",
    " ann:400000:1 ",
  ].join("\n");
  assert.equal(parseSubordinate(text, "ann", 1000), [
    { start: 100_000, count: 65_536 },
    { start: 300_000, count: 10 },
    { start: 200_000, count: 65_536 },
    { start: 400_000, count: 1 },
  ]);
  assert.equal(parseSubordinate(text, undefined, 1000), [{ start: 300_000, count: 10 }]);
});

for (const [line, why] of [
  ["ann:100000", "a field is missing"],
  ["ann:100000:5:6", "there is one too many"],
  ["ann:-1:5", "a number is negative"],
  ["ann:0x10:5", "a number is hexadecimal"],
  ["ann:100000:0", "it is empty"],
  ["ann:4294967295:1", "it holds the id that means none"],
  ["ann:4294967290:100", "it ends after the last id"],
  ["ann:99999999999:1", "a number is too long"],
  ["", "there is nothing"],
] as const) {
  Reading(`a line is passed over when ${why}`, () => {
    assert.equal(parseSubordinate(line, "ann", 1000), []);
  });
}

Reading("an empty name is nobody's", () => {
  assert.equal(parseSubordinate(":100000:5", "", 1000), []);
  assert.equal(parseSubordinate(":100000:5", undefined, 1000), []);
});

Reading("maps are read, and what is no row is passed over", () => {
  assert.equal(parseMap("  0  1000  1\n1 100000 65536\nx y z\n5 5\n7 7 0\n"), [
    { inside: 0, outside: 1000, count: 1 },
    { inside: 1, outside: 100_000, count: 65_536 },
  ]);
});

Reading("capabilities, no_new_privs and filters are told from the status", () => {
  const { effective, noNewPrivileges, filtered } = fakeMachine({ ...IN_DOCKER, noNewPrivileges: true });
  assert.is(DOCKER_CAPABILITIES, "00000000a80425fb");
  assert.equal([...effective], [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31]);
  assert.ok(noNewPrivileges);
  assert.ok(filtered);
  assert.not.ok(fakeMachine().filtered);
});

Reading("a status that says nothing gives no rights", () => {
  const machine = fakeMachine({ uid: 0, files: { "/proc/self/status": "CapEff:\tnonsense\nCapBnd" } });
  assert.is(machine.effective.size, 0);
  assert.is(machine.bounding.size, 0);
});

Reading("newuidmap is looked for on the PATH first, and never in a relative folder", () => {
  const programs = { "/opt/bin/newuidmap": false, "/usr/bin/newuidmap": true, "/usr/sbin/newgidmap": true };
  const machine = fakeMachine({ env: { PATH: ".:bin:/opt/bin:/usr/bin" }, programs });
  assert.equal(machine.uidHelper, { path: "/opt/bin/newuidmap", setUid: false });
  assert.equal(machine.gidHelper, { path: "/usr/sbin/newgidmap", setUid: true });
  assert.is(fakeMachine({ programs: {} }).uidHelper, undefined);
});

for (const [what, fake, expected] of [
  ["nothing", {}, undefined],
  ["docker's file", { files: { "/.dockerenv": "" } }, "docker"],
  ["podman's file", { files: { "/run/.containerenv": "" } }, "podman"],
  [
    "the variables of a pod",
    { env: { KUBERNETES_SERVICE_HOST: "10.0.0.1" }, files: { "/.dockerenv": "" } },
    "kubernetes",
  ],
  ["what init was told", { files: { "/proc/1/environ": "A=1\0container=lxc\0" } }, "other"],
  ["the variable", { env: { container: "podman" } }, "podman"],
] as const) {
  Reading(`a container is known by ${what}`, () => {
    assert.is(fakeMachine(fake).container, expected);
  });
}

Reading("a free range begins after all ranges of all users", () => {
  assert.is(fakeMachine({ files: { "/etc/subuid": "", "/etc/subgid": undefined } }).freeSubordinate, 100_000);
  const files = { "/etc/subuid": "bob:100000:65536\n", "/etc/subgid": "bob:500000:65536\nx:y:z\n" };
  assert.is(fakeMachine({ files }).freeSubordinate, 565_536);
  assert.is(fakeMachine({ files: { "/etc/subuid": "bob:4294967290:100" } }).freeSubordinate, 100_000);
});

Reading("a file that cannot be read is none", () => {
  const machine = readMachine({ ...fakeSystem(), read: () => undefined });
  assert.equal(machine.uidMap, []);
  assert.equal(machine.subordinateUids, []);
  assert.is(machine.maxUserNamespaces, undefined);
});

Reading.run();
