import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import type { NativeClient } from "../../src/native/client.ts";
import type { ProbeCheck, SandboxEntry, SandboxMode } from "../../src/native/sandbox-protocol.ts";
import { findSandbox, type OpenOptions, openSandbox } from "../../src/sandbox/open.ts";
import { type FakeMachine, fakeMachine, IN_DOCKER } from "../support/machine.ts";

const Open = suite("open");

/** What the core does in a mode: what it says when it cannot enter, or the checks that fail. */
type Behaviour = { readonly entering: KbuildError } | { readonly failing: readonly Omit<ProbeCheck, "ok">[] };

const NAMES = ["namespaces", "network", "overlay", "fuseOverlay", "proc", "seccomp", "listener", "chroot"] as const;

function cores(behaviours: Partial<Record<SandboxMode, Behaviour>>) {
  const [started, closed]: [SandboxMode[], SandboxMode[]] = [[], []];
  const start = ({ mode }: SandboxEntry): NativeClient => {
    started.push(mode);
    const behaviour = behaviours[mode] ?? { failing: [] };
    const client = {
      ready: async () => {
        if ("entering" in behaviour) throw behaviour.entering;
      },
      probe: async () => {
        const failing = "failing" in behaviour ? behaviour.failing : [];
        const checks = NAMES.map((name): ProbeCheck => {
          const failed = failing.find((check) => check.name === name);
          return failed === undefined ? { name, ok: true } : { ...failed, ok: false };
        });
        return { checks };
      },
      close: async () => {
        closed.push(mode);
      },
    };
    return client as unknown as NativeClient;
  };
  return { start, started, closed };
}

function cannotEnter(said: string): Behaviour {
  return { entering: new KbuildError("machine.sandbox", `the sandbox cannot be made: ${said}`) };
}

function open(fake: FakeMachine, { start }: Pick<OpenOptions, "start">, isolation?: OpenOptions["isolation"]) {
  return openSandbox(fakeMachine(fake), {
    temporary: "/nowhere",
    start: start ?? (() => assert.unreachable() as never),
    isolation,
  });
}

async function failureOf(promise: Promise<unknown>): Promise<KbuildError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof KbuildError) return error;
    throw error;
  }
  throw new Error("this was to fail");
}

Open("the best mode is taken, and nothing else is started", async () => {
  const fakes = cores({});
  const sandbox = await open({}, fakes);
  assert.is(sandbox.mode, "userns");
  assert.is(sandbox.strategy, "overlay");
  assert.is(sandbox.owners, "real");
  assert.equal(sandbox.warnings, []);
  assert.equal(sandbox.refusals, []);
  assert.equal([fakes.started, fakes.closed], [["userns"], []]);
});

const NO_OVERLAY = { name: "overlay", call: "mount(overlay)", error: "EINVAL" } as const;
const NO_FUSE = { name: "fuseOverlay", call: "open(/dev/fuse)", error: "EACCES" } as const;
const WITH_FUSE = {
  programs: { "/usr/bin/newuidmap": true, "/usr/bin/newgidmap": true, "/usr/bin/fuse-overlayfs": false },
};

Open("where the kernel makes no overlay, fuse-overlayfs does, if there is one", async () => {
  const sandbox = await open(WITH_FUSE, cores({ userns: { failing: [NO_OVERLAY] } }));
  assert.equal([sandbox.strategy, sandbox.fuseOverlayfs], ["overlay", "/usr/bin/fuse-overlayfs"]);
  assert.equal(sandbox.warnings, []);
});

Open("where the kernel does, fuse-overlayfs has no part in it", async () => {
  const sandbox = await open(WITH_FUSE, cores({}));
  assert.equal([sandbox.strategy, sandbox.fuseOverlayfs], ["overlay", undefined]);
});

Open("without either layers are copied, which is said", async () => {
  for (const [fake, failing, said] of [
    [{}, [NO_OVERLAY], /\(mount\(overlay\): EINVAL\): steps run slower, on copies/],
    [WITH_FUSE, [NO_OVERLAY, NO_FUSE], /\(mount\(overlay\): EINVAL; fuse-overlayfs: open\(\/dev\/fuse\): EACCES\)/],
  ] as const) {
    const sandbox = await open(fake, cores({ userns: { failing } }));
    assert.equal([sandbox.mode, sandbox.strategy, sandbox.fuseOverlayfs], ["userns", "copy", undefined]);
    assert.match(sandbox.warnings[0] ?? "", said);
  }
});

Open("fuse-overlayfs is not used with a single id, where owners are on record", async () => {
  const sandbox = await open(
    { programs: { "/usr/bin/fuse-overlayfs": false } },
    cores({ single: { failing: [NO_OVERLAY] } }),
  );
  assert.equal([sandbox.mode, sandbox.strategy], ["single", "copy"]);
});

Open("a mode that cannot be entered is left for the next, and told of", async () => {
  const fakes = cores({
    userns: cannotEnter("/usr/bin/newuidmap: uid range [1-65537) -> [100000-165536) not allowed"),
  });
  const sandbox = await open({}, fakes);
  assert.is(sandbox.mode, "single");
  assert.is(sandbox.owners, "recorded");
  assert.equal(fakes.closed, ["userns"]);
  assert.is(sandbox.refusals.length, 1);
  assert.match(sandbox.refusals[0]?.reason ?? "", /^\/usr\/bin\/newuidmap: uid range/);
  assert.match(sandbox.refusals[0]?.remedy ?? "", /^usermod/);
});

Open("in a default container it is chroot, with the option that would give more", async () => {
  const fakes = cores({
    userns: cannotEnter("unshare(CLONE_NEWUSER): EPERM"),
    chroot: { failing: [{ name: "overlay" }] },
  });
  const sandbox = await open(IN_DOCKER, fakes);
  assert.is(sandbox.mode, "chroot");
  assert.is(sandbox.strategy, "copy");
  assert.is(sandbox.owners, "real");
  assert.equal(sandbox.warnings, [], "that it copies is how it is");
  assert.equal(fakes.started, ["userns", "chroot"], "what refuses one namespace refuses the other");
  assert.equal(sandbox.refusals, [
    {
      mode: "userns",
      reason: "the container's seccomp profile does not allow user namespaces (unshare(CLONE_NEWUSER): EPERM)",
      remedy: "start the container with --security-opt seccomp=unconfined",
    },
  ]);
});

Open("copies stand in where overlayfs is refused", async () => {
  const fakes = cores({ userns: { failing: [{ name: "overlay", call: "mount", error: "EINVAL" }] } });
  const sandbox = await open({}, fakes);
  assert.is(sandbox.strategy, "copy");
  assert.match(sandbox.warnings.join(), /overlayfs cannot be used on the store's file system \(mount: EINVAL\)/);
});

for (const [name, mode, remedy, fake] of [
  [
    "namespaces",
    "userns",
    "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    { files: { "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n" } },
  ],
  [
    "namespaces",
    "userns",
    "start the container with --security-opt apparmor=unconfined",
    { files: { "/.dockerenv": "" } },
  ],
  [
    "namespaces",
    "userns",
    "set seccompProfile: {type: Unconfined} in the container's securityContext",
    { env: { KUBERNETES_SERVICE_HOST: "x" }, seccomp: 2 },
  ],
  ["namespaces", "userns", "run kbuild without that filter (systemd: RestrictNamespaces=no)", { seccomp: 2 }],
  ["namespaces", "userns", undefined, {}],
  [
    "proc",
    "userns",
    "start the container with --security-opt systempaths=unconfined",
    { files: { "/.dockerenv": "" } },
  ],
  [
    "proc",
    "userns",
    "set procMount: Unmasked in the container's securityContext",
    { env: { KUBERNETES_SERVICE_HOST: "x" } },
  ],
  ["listener", "single", /^use a kernel/, {}],
] as const) {
  Open(`${mode} needs ${name}: ${remedy ?? "without a remedy"}`, async () => {
    const fakes = cores({ [mode]: { failing: [{ name, call: "mount(x)", error: "EPERM" }] } });
    const error = await failureOf(open(fake, fakes, mode));
    assert.is(error.code, "machine.noSandbox");
    assert.is(error.exitStatus, 4);
    assert.match(error.message, /EPERM/);
    assert.equal(fakes.closed, [mode]);
    const told = error.hint?.split("\n")[1];
    if (remedy instanceof RegExp) assert.match(told?.slice(`for ${mode}: `.length) ?? "", remedy);
    else assert.is(told, remedy === undefined ? undefined : `for ${mode}: ${remedy}`);
  });
}

Open("a check that the core does not know counts as failed", async () => {
  const fakes = cores({});
  const start = (entry: SandboxEntry) => Object.assign(fakes.start(entry), { probe: async () => ({ checks: [] }) });
  assert.match((await failureOf(open({}, { start }, "userns"))).message, /the core did not try it/);
});

Open("the isolation that was asked for is taken or none, never another", async () => {
  const fakes = cores({ single: cannotEnter("unshare(CLONE_NEWUSER): EPERM") });
  const error = await failureOf(open({}, fakes, "single"));
  assert.equal(fakes.started, ["single"]);
  assert.match(error.message, /^this machine does not give the isolation single\nsingle: the kernel does not allow it/);
  assert.is((await open({ uid: 0 }, cores({}), "chroot")).mode, "chroot");
  assert.is((await open({ uid: 0 }, cores({}), "single")).mode, "single", "also one that is not taken by itself");
  assert.match((await failureOf(open({}, cores({}), "emulated"))).message, /emulated: this version of kbuild/);
});

Open("without any mode the error tells of each why not, and what would change it", async () => {
  const refused = cannotEnter("unshare(CLONE_NEWUSER): EPERM");
  const error = await failureOf(
    open({ files: { "/.dockerenv": "" }, seccomp: 2 }, cores({ userns: refused, single: refused })),
  );
  assert.is(error.code, "machine.noSandbox");
  assert.equal(
    error.message.split("\n").map((line) => line.split(":")[0]),
    ["RUN needs a sandbox, and this machine gives none", "userns", "single", "chroot", "emulated"],
  );
  assert.equal(error.hint?.split("\n"), [
    "one of these is enough",
    "for userns: start the container with --security-opt seccomp=unconfined",
    "for single: start the container with --security-opt seccomp=unconfined",
    "for chroot: run the container as root (--user 0)",
  ]);
});

Open("few ids are warned of", async () => {
  const files = { "/etc/subuid": "ann:100000:1000\n", "/etc/subgid": "ann:100000:65536\n" };
  assert.equal((await open({ files }, cores({}))).warnings, [
    "only 1001 ids are mapped: files of users and groups with higher ones cannot be made",
  ]);
});

Open("an error that is not about the sandbox is no reason to try another", async () => {
  const fakes = cores({ userns: { entering: new KbuildError("machine.noNative", "it is not there") } });
  assert.is((await failureOf(open({}, fakes))).code, "machine.noNative");
  assert.equal(fakes.closed, ["userns"]);
  assert.equal(fakes.started, ["userns"]);
});

Open("finding none is an answer", async () => {
  const { sandbox, refusals } = await findSandbox(fakeMachine({ platform: "darwin" }), { temporary: "/nowhere" });
  assert.is(sandbox, undefined);
  assert.equal(
    refusals.map(({ mode }) => mode),
    ["userns", "single", "chroot", "emulated"],
  );
});

Open.run();
