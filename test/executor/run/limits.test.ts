import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { BuildOptions } from "../../../src/executor/options.ts";
import { readRunSettings } from "../../../src/executor/run/limits.ts";
import { refusal } from "./support.ts";

const settings = (options: Partial<BuildOptions>, given: Readonly<Record<string, string>> = {}) =>
  readRunSettings({ context: ".", ...options }, new Map(Object.entries(given)));
const Limits = suite("limits of steps");

Limits("nothing is asked for", () => {
  assert.equal(settings({}), {
    network: "host",
    allow: new Set(),
    hosts: [],
    limits: [],
    sharedMemory: 64 * 1024 * 1024,
    group: undefined,
    keepFailed: false,
    hostname: "buildkitsandbox",
  });
});

for (const [name, options, expected] of [
  ["network default", { network: "default" }, { network: "host" }],
  ["network none", { network: "none" }, { network: "none" }],
  ["entitlements", { allow: ["security.insecure"] }, { allow: new Set(["security.insecure"]) }],
  ["shared memory", { shmSize: 4096 }, { sharedMemory: 4096 }],
  ["keep-failed", { keepFailed: true }, { keepFailed: true }],
  ["0 is nothing", { shmSize: 0, memory: 0, cpuQuota: 0, cpuShares: 0, memorySwap: 0 }, { group: undefined }],
  [
    "ulimits",
    { ulimits: { nofile: { soft: 1, hard: 2 }, core: { soft: 0, hard: -1 }, nproc: { soft: -1, hard: -1 } } },
    {
      limits: [
        { name: "nofile", soft: 1, hard: 2 },
        { name: "core", soft: 0, hard: -1 },
        { name: "nproc", soft: -1, hard: -1 },
      ],
    },
  ],
  ["memory", { memory: 2 ** 30, memorySwap: 2 ** 31 }, { group: { memory: 2 ** 30, memorySwap: 2 ** 31 } }],
  ["memory and all swap", { memory: 2 ** 30, memorySwap: -1 }, { group: { memory: 2 ** 30, memorySwap: -1 } }],
  [
    "processors",
    { cpuPeriod: 100_000, cpuQuota: 50_000, cpuShares: 512, cpusetCpus: "0-3,6", cpusetMems: "0" },
    { group: { cpuPeriod: 100_000, cpuQuota: 50_000, cpuShares: 512, cpusetCpus: "0-3,6", cpusetMems: "0" } },
  ],
  ["a quota of -1 is none", { cpuQuota: -1 }, { group: undefined }],
  ["a group", { cgroupParent: "a//b/" }, { group: { parent: "/a/b" } }],
  ["hosts", { addHosts: [{ host: "a", address: "[::1]" }] }, { hosts: [{ host: "a", address: "::1" }] }],
] as const satisfies readonly (readonly [string, Partial<BuildOptions>, object])[]) {
  Limits(name, () => {
    const actual = settings(options);
    for (const [key, value] of Object.entries(expected)) assert.equal(actual[key as keyof typeof actual], value, key);
  });
}

for (const [name, options, message] of [
  ["an unknown network", { network: "bridge" as "host" }, /--network/],
  ["an unknown entitlement", { allow: ["device" as "network.host"] }, /--allow/],
  ["an unknown limit", { ulimits: { nofiles: { soft: 1, hard: 1 } } }, /--ulimit/],
  ["a soft limit above the hard one", { ulimits: { nofile: { soft: 2, hard: 1 } } }, /--ulimit/],
  ["no soft limit below a hard one", { ulimits: { nofile: { soft: -1, hard: 1 } } }, /--ulimit/],
  ["a broken limit", { ulimits: { nofile: { soft: 1.5, hard: 2 } } }, /--ulimit/],
  ["too little memory", { memory: 1024 }, /--memory/],
  ["swap without memory", { memorySwap: 1 }, /--memory-swap/],
  ["less swap than memory", { memory: 2 ** 30, memorySwap: 2 ** 29 }, /--memory-swap/],
  ["a short period", { cpuPeriod: 10 }, /--cpu-period/],
  ["a long period", { cpuPeriod: 2_000_000 }, /--cpu-period/],
  ["a small quota", { cpuQuota: 5 }, /--cpu-quota/],
  ["a list that is none", { cpusetCpus: "0-3;1" }, /--cpuset-cpus/],
  ["a group that climbs", { cgroupParent: "/a/../../b" }, /--cgroup-parent/],
  ["the root as a group", { cgroupParent: "/" }, /--cgroup-parent/],
  ["negative shared memory", { shmSize: -1 }, /--shm-size/],
  ["a host without an address", { addHosts: [{ host: "a", address: "b" }] }, /--add-host/],
  ["a host with a line end", { addHosts: [{ host: "a\n1.1.1.1 b", address: "1.1.1.1" }] }, /--add-host/],
] as const satisfies readonly (readonly [string, Partial<BuildOptions>, RegExp])[]) {
  Limits(`${name} is refused`, async () => {
    const error = await refusal(() => settings(options));
    assert.is(error.code, "usage.option");
    assert.match(error.message, message);
    assert.ok(error.hint);
  });
}

Limits("a step's name for itself is docker's, or what BUILDKIT_SANDBOX_HOSTNAME says", () => {
  assert.is(settings({}).hostname, "buildkitsandbox");
  assert.is(settings({}, { BUILDKIT_SANDBOX_HOSTNAME: "ci-1.local" }).hostname, "ci-1.local");
  for (const name of ["-x", "a b", "a\n127.0.0.1 b", "x".repeat(65)]) {
    assert.throws(() => settings({}, { BUILDKIT_SANDBOX_HOSTNAME: name }), /BUILDKIT_SANDBOX_HOSTNAME/);
  }
});

Limits.run();
