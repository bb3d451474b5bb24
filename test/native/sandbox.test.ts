/** The core's sandbox for real: as root and as plain users, with namespaces and with chroot alone. */

import * as fs from "node:fs";
import { createServer } from "node:net";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { SandboxMount } from "../../src/native/sandbox-protocol.ts";
import { mountsOf, processes, until } from "../support/processes.ts";
import { RawCore } from "../support/raw-core.ts";
import { type PlanChange, SandboxCore, type SandboxKind, type Stepped } from "../support/sandbox.ts";
import { listing } from "../support/workspace.ts";

const KINDS: readonly SandboxKind[] = ["userns", "subordinate", "single", "chroot"];
const cores = new Map<SandboxKind, SandboxCore>();

function coreOf(kind: SandboxKind): SandboxCore {
  const core = cores.get(kind) ?? new SandboxCore(kind);
  cores.set(kind, core);
  return core;
}

const run = (kind: SandboxKind, script: string, change?: PlanChange): Promise<Stepped> =>
  coreOf(kind).run(script, change);

/** A number of seconds that no other process sleeps for. */
let sleeps = 0;
function uniqueSleep(): string {
  sleeps += 1;
  return `31${process.pid}.${sleeps}`;
}
const sleeping = (seconds: string) => processes().filter(({ words }) => words.includes(`sleep ${seconds}`));

const base64 = (text: string): string => Buffer.from(text).toString("base64");

const file = (target: string, text: string, rest: { mode?: number; uid?: number; readOnly?: boolean } = {}) => {
  const { mode = 0o644, uid = 0, readOnly = false } = rest;
  return { kind: "file", target, content: base64(text), mode, uid, gid: uid, readOnly } as const;
};

for (const kind of KINDS) {
  const Sandbox = suite(`sandbox (${kind})`);
  const hasNamespaces = kind !== "chroot";

  Sandbox("a command has its status, and what it prints is told apart by stream", async () => {
    const { exited, stdout, stderr } = await run(kind, "echo out; echo err >&2; exit 7");
    assert.is(exited?.status, 7);
    assert.is(exited?.signal, null);
    assert.equal([stdout, stderr], ["out\n", "err\n"]);
    assert.equal(exited?.warnings, []);
    assert.ok((exited?.elapsed ?? -1) >= 0);
  });

  Sandbox("a command that a signal has ended is told by its number", async () => {
    // The first process of a pid namespace ends by a signal only if it comes from outside, or is one of the processor's.
    // Without such a namespace at least what nothing survives is kept from it.
    const { exited } = await run(kind, "sh -c 'kill -KILL $$'; echo $?; kill -KILL $$; exit 3");
    assert.equal([exited?.status, exited?.signal], [3, null]);
    if (hasNamespaces) return;
    const aborted = await run(kind, "kill -ABRT $$");
    assert.equal([aborted.exited?.status, aborted.exited?.signal], [null, 6]);
  });

  Sandbox("the command is root, with umask 022, an empty standard input and the environment of the plan", async () => {
    const { stdout } = await run(kind, "id -u; id -g; umask; cat | wc -c; env | sort | grep -v -E '^(PWD|SHLVL|_)='", {
      environment: ["PATH=/bin", "B=two words", "A="],
    });
    assert.equal(stdout.split("\n").slice(0, 7), ["0", "0", "0022", "0", "A=", "B=two words", "PATH=/bin"]);
  });

  Sandbox("a user and its groups are as planned", async () => {
    const { stdout } = await run(kind, "id -u; id -g; id -G; touch /tmp/own; stat -c %u:%g /tmp/own", {
      uid: 1000,
      gid: 1000,
      groups: [1000, 8],
    });
    assert.equal(stdout, "1000\n1000\n1000 8\n1000:1000\n");
  });

  Sandbox("what cannot be executed is told as runc does", async () => {
    for (const [command, message] of [
      [["nosuch"], 'exec: "nosuch": executable file not found in $PATH'],
      [["/no/such"], 'exec: "/no/such": stat /no/such: no such file or directory'],
      [["/etc/passwd"], 'exec: "/etc/passwd": permission denied'],
      [["/tmp"], 'exec: "/tmp": is a directory'],
    ] as const) {
      const { failure } = await coreOf(kind).execute(command);
      assert.equal([failure?.code, failure?.message], ["exec", message]);
    }
  });

  Sandbox("/dev has what Docker's has, and it works", async () => {
    const { stdout } = await run(
      kind,
      "ls /dev | xargs; echo x >/dev/null; head -c 3 /dev/zero | wc -c; echo y >/dev/shm/z && cat /dev/shm/z",
    );
    const names = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero";
    assert.is(stdout, `${names}\n3\ny\n`);
  });

  Sandbox("/proc and /sys tell nothing of the machine that they are not to tell", async () => {
    const { stdout } = await run(
      kind,
      `for f in /proc/kcore /proc/keys /proc/timer_list /proc/sched_debug; do cat $f 2>/dev/null | wc -c; done
       ls -A /proc/acpi /proc/scsi /sys/firmware 2>/dev/null | grep -v : | xargs
       for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /sys/kernel/uevent_helper; do
         (echo x >$f) 2>/dev/null && echo written $f; done
       grep -c processor /proc/cpuinfo | grep -v '^0$' >/dev/null && echo cpuinfo; head -1 /proc/mounts | cut -d' ' -f2`,
      { uid: hasNamespaces ? 0 : 1000 },
    );
    assert.is(stdout, "0\n0\n0\n0\n\ncpuinfo\n/\n");
  });

  Sandbox("other processes of the machine are not seen", async () => {
    const { stdout } = await run(
      kind,
      "echo $$; ls /proc | grep -E '^[0-9]+$' | wc -l; ls /proc/1/root/etc 2>/dev/null | wc -l",
    );
    const [id = "", seen] = stdout.split("\n");
    if (hasNamespaces) assert.equal([id, Number(seen) <= 4], ["1", true]);
    else assert.is(seen, "0");
  });

  Sandbox("a step cannot mount, make devices, or leave its root", async () => {
    const { stdout } = await run(
      kind,
      `mount -t tmpfs none /tmp 2>/dev/null && echo mounted
       mknod /tmp/disk b 8 0 2>/dev/null; test -b /tmp/disk && dd if=/tmp/disk count=1 2>/dev/null | wc -c | grep -v '^0$'
       mkdir -p /tmp/x; cd /tmp/x; ln -s / /tmp/top
       chroot . /bin/true 2>/dev/null; cd ../../../../../..; ls -d ${process.cwd()} 2>/dev/null
       ls -d /tmp/top${coreOf(kind).folder} 2>/dev/null; echo done`,
    );
    assert.is(stdout, "done\n");
  });

  Sandbox("capabilities are Docker's without mknod", async () => {
    // `chroot` has no /proc/self of its own to look into: there, what they permit is tried.
    if (!hasNamespaces) {
      const { stdout } = await run(kind, "chroot / true 2>/dev/null && echo chroot; chown 1:1 /tmp && echo chown");
      return assert.is(stdout, "chown\n");
    }
    const { stdout } = await run(kind, "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr '\\t\\n' '  '");
    const kept = "00000000a00425fb";
    const expected = `CapInh: ${"0".repeat(16)} CapPrm: ${kept} CapEff: ${kept} CapBnd: ${kept} CapAmb: ${"0".repeat(16)}`;
    assert.is(stdout.trim(), `${expected} NoNewPrivs: 0 Seccomp: 2`);
  });

  Sandbox("without a network there is lo alone, and nobody is reached", async () => {
    const { stdout } = await run(kind, "ls /sys/class/net | xargs; nc -w 2 127.0.0.1 1 </dev/null; echo $?", {
      network: "none",
    });
    assert.is(stdout.split("\n")[0], "lo");
    assert.not.equal(stdout.split("\n")[1], "0");
  });

  Sandbox("1,000,000 lines come whole, in order, in few pieces, and soon", async () => {
    const started = Date.now();
    const { exited, stdout, events } = await run(kind, "seq 1000000");
    assert.is(exited?.status, 0);
    const lines = stdout.split("\n");
    assert.is(lines.length, 1_000_001);
    assert.ok(
      lines.every((line, index) => index === 1_000_000 || line === String(index + 1)),
      "in order",
    );
    assert.ok(events < 2000, `${events} events`);
    assert.ok(Date.now() - started < 20_000, `${Date.now() - started} ms`);
  });

  Sandbox("a step that prints line by line is not read line by line", async () => {
    const { stdout, events } = await run(kind, "i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done");
    assert.is(stdout.split("\n").length, 20_001);
    assert.ok(events < 5000, `${events} events`);
  });

  Sandbox("what was printed before the end is told, whoever keeps the pipes open", async () => {
    const seconds = uniqueSleep();
    const started = Date.now();
    const { exited, stdout } = await run(
      kind,
      `(setsid sh -c "trap '' TERM HUP INT; sleep ${seconds}" &); nohup sleep ${seconds} & sleep ${seconds} & echo last`,
    );
    assert.equal([exited?.status, stdout], [0, "last\n"]);
    assert.ok(Date.now() - started < 15_000, "nobody was waited for");
    assert.equal(sleeping(seconds), []);
  });

  Sandbox("processes that start others all the time end as well", async () => {
    const seconds = uniqueSleep();
    const bomb = `sh -c 'while :; do (setsid sleep ${seconds} &); (sleep ${seconds} & sleep ${seconds} &) ; done'`;
    const { exited } = await run(kind, `${bomb} >/dev/null 2>&1 & ${bomb} >/dev/null 2>&1 & sleep 1; exit 3`);
    assert.is(exited?.status, 3);
    await until("they end", () => sleeping(seconds).length === 0, 5000);
  });

  Sandbox("a cancelled step ends at once, with all that it has started", async () => {
    const seconds = uniqueSleep();
    const core = coreOf(kind);
    const { id } = core.start([
      "/bin/sh",
      "-c",
      `trap '' TERM; (setsid sleep ${seconds} &); sleep ${seconds}; sleep ${seconds}`,
    ]);
    await until("the step runs", () => sleeping(seconds).length >= 2, 20_000);
    core.core.send({ op: "cancel", id });
    assert.is((await core.outcome(id)).failure?.code, "cancelled");
    assert.equal(sleeping(seconds), []);
  });

  for (const how of ["is killed", "is told no more"] as const) {
    Sandbox(`when the core ${how} nothing is left of its steps`, async () => {
      const core = new SandboxCore(kind);
      const seconds = uniqueSleep();
      const cache = core.makeFolder();
      const change: PlanChange = { mounts: [{ kind: "bind", source: cache, target: "/cache", readOnly: false }] };
      const { changes } = core.start(
        [
          "/bin/sh",
          "-c",
          `echo kept >/cache/kept; (setsid sh -c "trap '' TERM; sleep ${seconds}" &); sleep ${seconds}`,
        ],
        change,
      );
      await until("the step runs", () => sleeping(seconds).length >= 2, 20_000);
      if (how === "is killed") core.core.child.kill("SIGKILL");
      else core.core.child.stdin.end();
      await core.core.ended;
      const isLeft = () =>
        sleeping(seconds).length > 0 || mountsOf(core.folder).length > 0 || processes().some(isStepOf(core.folder));
      await until("everything ends", () => !isLeft(), 10_000);
      await until("the cache is back", () => fs.existsSync(path.join(cache, "kept")), 5000);
      // The process that tidies up has its plan from a pipe: it cannot be told from those of other steps.
      if (kind === "chroot")
        await until("the tree is as it was", () => !fs.existsSync(path.join(changes, "dev")), 5000);
      await core.close();
    });
  }

  Sandbox("files, memory, folders and sockets are mounted, and leave nothing behind", async () => {
    const core = coreOf(kind);
    const cache = core.makeFolder();
    const socket = path.join(core.makeFolder(), "agent");
    const server = createServer((client) => client.end("pong\n"));
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    fs.chmodSync(socket, 0o777);
    const mounts: SandboxMount[] = [
      file("/etc/hosts", "127.0.0.1 localhost\n"),
      file("/run/secrets/one", "hush\n", { mode: 0o400, readOnly: true }),
      { kind: "bind", source: cache, target: "/root/.cache/deep", readOnly: false },
      { kind: "tmpfs", target: "/tmp", mode: 0o1777 },
      { kind: "socket", source: socket, target: "/run/agent.sock", mode: 0o600, uid: 0, gid: 0 },
    ];
    const { exited, stdout, stderr, changes } = await core.run(
      `cat /etc/hosts /run/secrets/one /run/secrets/one; stat -c %a /run/secrets/one /tmp
       test -S /run/agent.sock && echo socket; echo 1 >/root/.cache/deep/kept; echo 2 >/tmp/lost; mkdir /made; echo 3 >/made/file`,
      { mounts },
    );
    server.close();
    assert.equal([exited?.status, stderr], [0, ""]);
    assert.is(stdout, "127.0.0.1 localhost\nhush\nhush\n400\n1777\nsocket\n");
    assert.is(fs.readFileSync(path.join(cache, "kept"), "utf8"), "1\n");
    const left = listing(changes).filter((line) => !/^(bin|etc|tmp|var)(\/|$)/.test(line));
    assert.equal(left, ["made/", "made/file 2"]);
    if (hasNamespaces) assert.equal(listing(changes), ["made/", "made/file 2"], "nothing else was copied up");
    else {
      assert.not.ok(fs.existsSync(path.join(changes, "etc/hosts")));
      assert.is(fs.statSync(path.join(changes, "etc")).mtimeMs, 1_000_000_000_000, "the time of /etc");
      assert.equal(fs.readdirSync(path.dirname(changes)), ["tree"]);
    }
  });

  Sandbox("folders that lead to a mount keep their times, and a link is followed inside", async () => {
    const core = coreOf(kind);
    const layer = core.layer;
    const link = path.join(layer, "etc/resolv.conf");
    if (!fs.existsSync(link)) fs.symlinkSync("../run/stub/resolv.conf", link);
    fs.utimesSync(path.join(layer, "etc"), 1_000_000_000, 1_000_000_000);
    const { stdout } = await core.run(
      "cat /run/stub/resolv.conf; stat -c %Y /etc /var; ls -ld /etc/resolv.conf | grep -c stub",
      {
        mounts: [file("/etc/resolv.conf", "nameserver 1\n"), { kind: "tmpfs", target: "/var/lib/new", mode: 0o700 }],
      },
    );
    assert.is(stdout, "nameserver 1\n1000000000\n1000000000\n1\n");
  });

  Sandbox("the working directory is made, and is a change of the step", async () => {
    const { stdout, changes } = await run(kind, "pwd; stat -c '%a %u' .", { directory: "/work/deep" });
    assert.is(stdout, "/work/deep\n755 0\n");
    assert.ok(fs.statSync(path.join(changes, "work/deep")).isDirectory());
  });

  Sandbox("limits are set; one that cannot be raised is a clear failure", async () => {
    const { stdout } = await run(kind, "ulimit -n; ulimit -Hn; ulimit -c", {
      limits: [
        { name: "nofile", soft: 50, hard: 60 },
        { name: "core", soft: 0, hard: 0 },
      ],
    });
    assert.is(stdout, "50\n60\n0\n");
    if (kind === "chroot") return;
    const { failure } = await run(kind, "true", { limits: [{ name: "nofile", soft: 1, hard: 1_073_741_816 }] });
    assert.is(failure?.code, "sandbox");
    assert.match(failure?.message ?? "", /the limit nofile cannot be raised to 1073741816: \d+ is the most here/);
  });

  Sandbox("limits of a control group that is not there are a warning", async () => {
    const parent = "/kbuild-test/no/such/group";
    const { exited } = await run(kind, "true", { group: { parent, memory: 1 << 26 } });
    assert.is(exited?.status, 0);
    assert.is(exited?.warnings.length, 1);
    assert.match(exited?.warnings[0] ?? "", /^the limits of memory and processors are not set: /);
  });

  Sandbox("an insecure step has more rights, and still not those that lead out", async () => {
    const script =
      "mount -t tmpfs none /tmp 2>/dev/null && echo mounted; chroot / true 2>/dev/null && echo chroot; echo .";
    const { stdout } = await run(kind, script, { security: "insecure" });
    assert.is(stdout, hasNamespaces ? "mounted\nchroot\n.\n" : ".\n");
  });

  Sandbox("a sandbox that cannot be made names the step and the call", async () => {
    const { failure } = await run(kind, "true", {
      mounts: [{ kind: "bind", source: "/no/such/folder", target: "/x", readOnly: false }],
    });
    assert.is(failure?.code, "sandbox");
    assert.match(failure?.message ?? "", /^step \d+ \(.*\): .*\/no\/such\/folder/);
  });

  Sandbox("it is found out what may be done here", async () => {
    const core = coreOf(kind);
    const temporary = core.makeFolder();
    core.core.send({ op: "probe", id: 999_999, temporary });
    const { head } = await core.core.answer();
    assert.ok(head.reply === "probed");
    const names = ["namespaces", "network", "overlay", "proc", "seccomp", "listener", "chroot"];
    assert.equal(
      head.reply === "probed" && head.checks.map(({ name, ok }) => [name, ok]),
      names.map((name) => [name, true]),
    );
    assert.equal(fs.readdirSync(temporary), []);
  });

  if (hasNamespaces) {
    Sandbox("a step sees its own host name, and views of layers that it may write to in vain", async () => {
      const core = coreOf(kind);
      const [lower, other] = [core.makeFolder(), core.makeFolder()];
      fs.mkdirSync(path.join(lower, "src/deep"), { recursive: true });
      fs.writeFileSync(path.join(lower, "src/deep/file"), "layer\n");
      core.own(lower);
      const view = (target: string, at: string, writable: boolean): SandboxMount => {
        return { kind: "view", lower: [lower], path: at, target, writable, scratch: core.makeFolder() };
      };
      const { stdout, failure } = await core.run(
        `hostname; cat /a/deep/file /one; (echo 1 >/a/deep/file) 2>/dev/null || echo refused
         echo 2 >/b/deep/file && cat /b/deep/file; (echo 3 >/one) 2>/dev/null || echo refused`,
        { mounts: [view("/a", "/src", false), view("/b", "/src", true), view("/one", "/src/deep/file", false)] },
      );
      assert.equal([failure, stdout], [undefined, "buildkitsandbox\nlayer\nlayer\nrefused\n2\nrefused\n"]);
      assert.is(fs.readFileSync(path.join(lower, "src/deep/file"), "utf8"), "layer\n");
      assert.equal(fs.readdirSync(other), []);
    });

    Sandbox("a root that is a copy is as it was afterwards, but for the step's changes", async () => {
      const { stdout, failure, changes } = await run(kind, "cat /etc/hosts; ls /proc | grep -cx self; echo 1 >/new", {
        copied: true,
        mounts: [file("/etc/hosts", "h\n"), { kind: "tmpfs", target: "/run/x", mode: 0o755 }],
      });
      assert.equal([failure, stdout], [undefined, "h\n1\n"]);
      assert.equal(fs.readdirSync(changes).sort(), ["bin", "etc", "new", "tmp", "var"]);
      assert.is(fs.statSync(path.join(changes, "etc")).mtimeMs, 1_000_000_000_000);
    });

    Sandbox("more layers than the kernel's page of options has room for by their paths", async () => {
      const core = coreOf(kind);
      const layers = Array.from({ length: 150 }, (_, number) => {
        const folder = path.join(core.makeFolder(), "a long name, with : and \\ in it, so that paths are long");
        fs.mkdirSync(folder);
        fs.writeFileSync(path.join(folder, `layer-${number}`), "");
        core.own(folder);
        return folder;
      });
      const { stdout, failure } = await core.run("ls / | grep -c layer-", { layers });
      assert.equal([failure, stdout], [undefined, "150\n"]);
    });
  }

  Sandbox.after(() => coreOf(kind).close());
  Sandbox.run();
}

/** Whether a process is that of a step: it may be anybody's whose core has this folder's name in what it was asked. */
function isStepOf(folder: string): (process: { readonly pid: number; readonly words: string }) => boolean {
  return ({ words }) => words.includes(folder);
}

const Entry = suite("entering a sandbox");

Entry("a core that cannot go into its mode says so instead of a greeting", async () => {
  const outside = { inside: 0, outside: 0, count: 1 };
  const entry = { mode: "single", uids: [outside], gids: [outside] };
  // Nobody's process may not map root's id.
  const core = new RawCore({ uid: 65_534, gid: 65_534, argv: ["sandbox", JSON.stringify(entry)] });
  const head = (await core.next())?.head;
  assert.ok(head?.reply === "failed");
  assert.equal(head.reply === "failed" && [head.id, head.code], [0, "sandbox"]);
  assert.match(head.reply === "failed" ? head.message : "", /uid_map\): EPERM$/);
  await core.ended;
});

Entry("a core that has entered no sandbox runs nothing", async () => {
  const core = new RawCore();
  core.send({ op: "probe", id: 1, temporary: "/tmp" });
  const { head } = await core.answer();
  assert.is(head.reply === "failed" && head.message, "this core has entered no sandbox");
  await core.end();
});

Entry.run();
