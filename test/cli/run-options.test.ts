import { suite } from "uvu";
import * as assert from "uvu/assert";
import { buildOptions } from "../../src/cli/build-options.ts";
import { buildRequest } from "../../src/cli/build-request.ts";
import { readArguments } from "../../src/cli/option-table.ts";
import { KbuildError } from "../../src/errors.ts";
import { readInputs } from "../../src/executor/inputs.ts";
import { fakeShell } from "../support/fake-shell.ts";

/** The engine's options that are about RUN, as a command line gives them. */
async function optionsOf(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { values, operands } = readArguments("build", buildOptions, [...argv, "."]);
  const shell = fakeShell({ env });
  shell.interruption.release();
  const { options } = await buildRequest(values, operands, shell);
  readInputs(options);
  return options;
}

const RunOptions = suite("options for RUN");

const file = (name: string) => ({ secrets: { s: { file: name } } });
const variable = (name: string) => ({ secrets: { s: { env: name } } });

for (const [argv, expected] of [
  [["--secret", "id=s,src=/f"], file("/f")],
  [["--secret", "id=s,source=/f"], file("/f")],
  [["--secret", "ID=s,type=file,src=/f=x"], file("/f=x")],
  [["--secret", '"id=s","src=/a,b"'], file("/a,b")],
  [["--secret", "id=s,env=E"], variable("E")],
  [["--secret", "id=s,type=env,env=E"], variable("E")],
  [["--secret", "id=s,type=env,src=E"], variable("E")],
  [["--secret", "id=s,type=env"], variable("s")],
  [["--secret", "id=s,type=file"], file("s")],
  [["--secret", "id=s"], file("s")],
  [["--secret", "id=SET"], { secrets: { SET: { env: "SET" } } }],
  [["--secret", "id=a,src=b", "--secret", "id=c,env=d"], { secrets: { a: { file: "b" }, c: { env: "d" } } }],
  [["--resource", "memory=1g,cpu-quota=50000"], { memory: 1024 ** 3, cpuQuota: 50_000 }],
  [["--resource", '"cpuset-cpus=0-1,3"', "--resource", "cpu-shares=512"], { cpusetCpus: "0-1,3", cpuShares: 512 }],
  [["--resource", "memory=1g", "--memory", "2g"], { memory: 2 * 1024 ** 3 }],
  [["--ssh", "default"], { ssh: { default: [] } }],
  [["--ssh", "default="], { ssh: { default: [] } }],
  [["--ssh", "=/s"], { ssh: { default: ["/s"] } }],
  [["--ssh", "a=/k1,/k2", "--ssh", "b=/s"], { ssh: { a: ["/k1", "/k2"], b: ["/s"] } }],
  [["--add-host", "a:10.0.0.1"], { addHosts: [{ host: "a", address: "10.0.0.1" }] }],
  [["--add-host", "a=10.0.0.1"], { addHosts: [{ host: "a", address: "10.0.0.1" }] }],
  [["--add-host", "a:::1"], { addHosts: [{ host: "a", address: "::1" }] }],
  [["--add-host", "a=[::1]"], { addHosts: [{ host: "a", address: "[::1]" }] }],
  [["--add-host", "a:host-gateway"], { addHosts: [{ host: "a", address: "host-gateway" }] }],
  [["--ulimit", "nofile=10"], { ulimits: { nofile: { soft: 10, hard: 10 } } }],
  [
    ["--ulimit", "nofile=10:20", "--ulimit", "core=-1"],
    { ulimits: { nofile: { soft: 10, hard: 20 }, core: { soft: -1, hard: -1 } } },
  ],
  [["--shm-size", "128m"], { shmSize: 128 * 1024 * 1024 }],
  [["-m", "1g", "--memory-swap", "-1"], { memory: 1024 ** 3, memorySwap: -1 }],
  [["--memory=1g", "--memory-swap=2g"], { memory: 1024 ** 3, memorySwap: 2 * 1024 ** 3 }],
  [
    ["-c", "512", "--cpu-period", "100000", "--cpu-quota=50000"],
    { cpuShares: 512, cpuPeriod: 100_000, cpuQuota: 50_000 },
  ],
  [["--cpuset-cpus", "0-1", "--cpuset-mems", "0"], { cpusetCpus: "0-1", cpusetMems: "0" }],
  [["--cgroup-parent", "/a"], { cgroupParent: "/a" }],
  [["--network", "none"], { network: "none" }],
  [["--network=default"], { network: "default" }],
  [["--allow", "network.host", "--allow=security.insecure"], { allow: ["network.host", "security.insecure"] }],
  [["--isolation", "default"], { isolation: "auto" }],
  [["--isolation=chroot"], { isolation: "chroot" }],
  [["--keep-failed"], { keepFailed: true }],
  [["--security-opt", "label=disable", "--security-opt", "apparmor=unconfined"], {}],
] as const) {
  RunOptions(argv.join(" "), async () => {
    const options = await optionsOf(argv, { SET: "x" });
    for (const [key, value] of Object.entries(expected)) assert.equal(options[key as keyof typeof options], value, key);
  });
}

for (const [argv, message, hint] of [
  [["--secret", "src=/f"], /id= is missing/, /id=token/],
  [["--secret", "id="], /id= is missing/, /id=token/],
  [["--secret", "s"], /"s" must be KEY=VALUE/, /id=token/],
  [["--secret", "id=s,scr=/f"], /there is no scr/, /did you mean src\?/],
  [["--secret", "id=s,src=a,source=b"], /src is given twice/],
  [["--secret", "id=s,src=a,env=b"], /src and env/, /one of them/],
  [["--secret", "id=s,type=file,env=b"], /type=file has no env/, /src=FILE/],
  [["--secret", "id=s,type=vault"], /must be one of file, env/],
  [["--ssh", "a=k", "--ssh", "a=l"], /--ssh a is given twice/, /KEY,KEY/],
  [["--ssh", "a=k,,l"], /a path is empty/],
  [["--add-host", "a"], /must be HOST:IP/, /host-gateway/],
  [["--add-host", ":1.1.1.1"], /must be HOST:IP/],
  [["--add-host", "a:1.1.1"], /--add-host "a=1\.1\.1" is not possible/],
  [["--ulimit", "nofile"], /must be NAME=SOFT\[:HARD]/],
  [["--ulimit", "nofile=a"], /must be NAME=SOFT/],
  [["--ulimit", "nofil=1"], /--ulimit cannot be "nofil"/, /did you mean nofile\?/],
  [["--ulimit", "nofile=2:1"], /--ulimit cannot be "nofile=2:1"/, /at most the hard/],
  [["--shm-size", "big"], /this is no size/],
  [["-m", "1k"], /--memory cannot be 1024/, /at least/],
  [["--memory-swap", "1g"], /--memory-swap cannot be/, /--memory/],
  [["--cpu-quota", "x"], /whole number/],
  [["--cpuset-cpus", "a"], /--cpuset-cpus cannot be "a"/, /0-3,6/],
  [["--network", "bridge"], /must be one of default, host, none/],
  [["--allow", "device"], /must be one of network\.host, security\.insecure/],
  [["--isolation", "hyperv"], /must be one of auto, userns/],
  [["--security-opt", "no-new-privileges"], /not supported/, /--allow security\.insecure/],
] as const) {
  RunOptions(`${argv.join(" ")} is refused`, async () => {
    let caught: unknown;
    try {
      await optionsOf(argv);
    } catch (error) {
      caught = error;
    }
    assert.instance(caught, KbuildError, "it was taken");
    const error = caught as KbuildError;
    assert.is(error.exitStatus, 2);
    assert.match(error.message, message);
    if (hint !== undefined) assert.match(error.hint ?? "", hint);
  });
}

RunOptions.run();
