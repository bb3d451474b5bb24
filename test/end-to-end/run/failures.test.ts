/** Steps that fail, and steps that are interrupted. */
import type { ChildProcess } from "node:child_process";
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { tarOf, writeBase } from "../../conformance/base.ts";
import { KBUILD, type Kbuild, kbuildWith, type Outcome, run } from "../../support/command.ts";
import { descendants, mountsOf, processes, until } from "../../support/processes.ts";
import { Screen } from "../../support/screen.ts";
import { plant, workspace } from "../../support/workspace.ts";

const shared = workspace("kbuild-run-failures");
const base = path.join(shared, "busybox");
await writeBase(base);
const BASES = ["--build-context", `busybox=oci-layout://${base}`];
const PLAIN = ["--progress=plain", ...BASES];
let number = 0;

function newStore(): Kbuild {
  number += 1;
  return kbuildWith(path.join(shared, `store-${number}`));
}

function contextOf(dockerfile: string): string {
  number += 1;
  return plant(path.join(shared, `context-${number}`), { Dockerfile: dockerfile });
}

const Failures = suite("a RUN that fails");

// ------------------------------------------------------------------ what is said

const TWO_STAGES = `FROM busybox AS good
RUN sleep 0.3; echo one >/one
RUN echo two >/two
FROM busybox AS bad
RUN echo fine >/fine
RUN sleep 1.5; for i in 1 2 3; do echo "line $i"; done; echo "what is wrong" >&2; exit 42
FROM busybox
COPY --from=good /two /
COPY --from=bad /fine /
`;

Failures("what other stages, and the steps before it, have done is cached in the next build", async () => {
  const kbuild = newStore();
  const context = contextOf(TWO_STAGES);
  const done = await kbuild.run([...PLAIN, context]);
  assert.is(done.status, 1);
  const statuses = await statusesOf(kbuild, context);
  assert.equal(statuses["RUN sleep 0.3; echo one >/one"], "cached");
  assert.equal(statuses["RUN echo two >/two"], "cached");
  assert.equal(statuses["RUN echo fine >/fine"], "cached");
  // What waits for the stage that failed has not failed itself.
  const failed = Object.keys(statuses).filter((name) => statuses[name] === "failed");
  assert.equal(
    failed.map((name) => name.slice(0, 13)),
    ["RUN sleep 1.5"],
  );
});

async function statusesOf(kbuild: Kbuild, context: string): Promise<Record<string, string>> {
  const { stderr } = await kbuild.run(["--progress=json", ...BASES, context]);
  const [names, statuses] = [new Map<number, string>(), {} as Record<string, string>];
  for (const line of stderr.split("\n").filter((text) => text.startsWith("{"))) {
    const event = JSON.parse(line) as Record<string, string> & { readonly step: number };
    if (event.type === "stepPlanned") names.set(event.step, (event.name ?? "").replace(/^\[.*?\] /, ""));
    if (event.type === "stepFinished") statuses[names.get(event.step) ?? ""] = event.status ?? "";
  }
  return statuses;
}

Failures("plain: the last lines, the place and the status", async () => {
  const { status, stderr } = await newStore().run([...PLAIN, contextOf(TWO_STAGES)]);
  assert.is(status, 1);
  // Another step may have its say in between.
  assert.match(stderr, / line 1\n[\s\S]* line 2\n[\s\S]* line 3\n/);
  assert.match(stderr, / what is wrong\n/);
  assert.match(stderr, /ERROR: process "\/bin\/sh -c sleep 1\.5.*did not complete successfully: exit code: 42/);
  assert.match(stderr, /^Dockerfile:6:1: process ".*" did not complete successfully: exit code: 42$/m);
  assert.match(stderr, /^ 6 \| >>> RUN sleep 1\.5;/m);
});

Failures("tty: the last lines, the place and the status", async () => {
  const kbuild = newStore();
  const command = [process.execPath, KBUILD, "--progress=tty", ...BASES, contextOf(TWO_STAGES)].join(" ");
  // script(1) gives it a terminal.
  const log = path.join(shared, "typescript");
  const env = { KBUILD_ROOT: kbuild.root, TERM: "xterm" };
  const { status, stdout } = await run("script", ["-qefc", `stty cols 100 rows 40; ${command}`, log], { env });
  assert.is(status, 1, stdout);
  const screen = new Screen(100, 40);
  screen.write(stdout);
  assert.ok(screen.isCursorVisible);
  const text = screen.text;
  assert.match(text, /\[\+\] Building \d+\.\ds \(\d+\/\d+\)/);
  assert.match(text, /ERROR \[bad 3\/3\] RUN sleep 1\.5/);
  assert.match(text, /^ > \[bad 3\/3\] RUN sleep/m);
  assert.match(text, /^line 3\n(?:.*\n)*?.*Dockerfile:6:1: process/m);
  assert.match(text, /^what is wrong$/m);
  assert.match(text, /exit code: 42/);
});

const SAID: readonly (readonly [string, string, RegExp, RegExp])[] = [
  [
    "a command that the shell does not find",
    "FROM busybox\nRUN nothere --now\n",
    /^Dockerfile:2:1: process "\/bin\/sh -c nothere --now" did not complete successfully: exit code: 127$/m,
    /^ {2}hint: 127: the shell did not find a command; is it installed in this stage\?$/m,
  ],
  [
    "a program of the exec form that is not there",
    'FROM busybox\nRUN ["nothere", "--now"]\n',
    /^Dockerfile:2:1: exec: "nothere": executable file not found in \$PATH$/m,
    /^ {2}hint: is nothere installed in this stage, and executable\? The exec form starts no shell$/m,
  ],
  [
    "a program that may not be executed",
    'FROM busybox\nRUN ["/etc/passwd"]\n',
    /^Dockerfile:2:1: exec: "\/etc\/passwd": permission denied$/m,
    /^ {2}hint: is \/etc\/passwd installed in this stage, and executable\?/m,
  ],
  [
    "an image without a shell",
    "FROM scratch\nRUN echo x\n",
    /^Dockerfile:2:1: exec: "\/bin\/sh": stat \/bin\/sh: no such file or directory$/m,
    /^ {2}hint: the stage has no \/bin\/sh that can be run: use the exec form, RUN \["PROGRAM", "ARGUMENT"\], or a base with a shell$/m,
  ],
  [
    "a user that the image does not have",
    "FROM busybox\nUSER nobdy\nRUN true\n",
    /^Dockerfile:3:1: unable to find user nobdy: no matching entries in passwd file$/m,
    /^ {2}hint: did you mean nobody\?$/m,
  ],
  [
    "a group that the image does not have",
    "FROM busybox\nUSER root:zzz\nRUN true\n",
    /^Dockerfile:3:1: unable to find group zzz: no matching entries in group file$/m,
    /^ {2}hint: make the group in a RUN before it, for instance with groupadd, or use a number in USER$/m,
  ],
  [
    "a folder mounted over a file",
    "FROM busybox\nRUN --mount=type=cache,target=/etc/passwd true\n",
    /^Dockerfile:2:1: a folder cannot be mounted over \/etc\/passwd, a file$/m,
    /^ {2}hint: give the mount another target, or remove what is there in a step before$/m,
  ],
  [
    "a file mounted over a folder",
    "FROM busybox\nRUN --mount=type=bind,source=Dockerfile,target=/etc true\n",
    /^Dockerfile:2:1: a file cannot be mounted over \/etc, a folder$/m,
    /^ {2}hint: give the mount another target, or remove what is there in a step before$/m,
  ],
  [
    "a mount below a file",
    "FROM busybox\nRUN --mount=type=tmpfs,target=/etc/passwd/below true\n",
    /^Dockerfile:2:1: nothing can be mounted at \/etc\/passwd\/below: a file is on the way there$/m,
    /^ {2}hint: give the mount another target, or remove what is there in a step before$/m,
  ],
  [
    "a mount at the end of a loop of links",
    "FROM busybox\nRUN ln -s /b /a && ln -s /a /b\nRUN --mount=type=tmpfs,target=/a/x true\n",
    /^Dockerfile:3:1: nothing can be mounted at \/a\/x: the way there has no end$/m,
    /^ {2}hint: give the mount another target, or remove what is there in a step before$/m,
  ],
  [
    "a working folder that has become a file",
    "FROM busybox\nWORKDIR /a\nRUN cd / && rmdir /a && touch /a\nRUN pwd\n",
    /^Dockerfile:4:1: the working directory \/a is no folder$/m,
    /^ {2}hint: a step before has put something else there, or WORKDIR has another path$/m,
  ],
  [
    "a signal",
    "FROM busybox\nRUN sh -c 'kill -9 $$'; exit $?\n",
    /did not complete successfully: exit code: 137$/m,
    /^ 2 \| >>> RUN sh -c/m,
  ],
];

for (const isolation of ["userns", "single", "chroot"]) {
  Failures(`${isolation}: one clear line and a hint`, async () => {
    const kbuild = newStore();
    for (const [name, dockerfile, line, hint] of SAID) {
      const { status, stderr } = await kbuild.run([...PLAIN, "--isolation", isolation, contextOf(dockerfile)]);
      assert.is(status, 1, `${name}: ${stderr}`);
      assert.match(stderr, line, name);
      assert.match(stderr, hint, name);
    }
    assert.equal(fs.readdirSync(path.join(kbuild.root, "tmp")), []);
  });
}

for (const isolation of ["userns", "single", "chroot"]) {
  Failures(`${isolation}: a layer that cannot be unpacked is named`, async () => {
    const layer = await tarOf([{ name: "hard", type: "link", mode: 0o644, link: "nowhere" }]);
    const layout = path.join(shared, `hostile-${isolation}`);
    await writeBase(layout, [layer]);
    const digest = "sha256:[0-9a-f]{64}";
    const argv = [...PLAIN, "--isolation", isolation, "--build-context", `hostile=oci-layout://${layout}`];
    const { status, stderr } = await newStore().run([...argv, contextOf("FROM hostile\nRUN true\n")]);
    assert.is(status, 1, stderr);
    const said = "hard: a hard link leads to a file that is not in its layer, which is not supported";
    assert.match(stderr, new RegExp(`^Dockerfile:2:1: layer ${digest}: ${said}$`, "m"));
  });
}

// ------------------------------------------------------------------ --keep-failed

for (const isolation of ["userns", "single", "chroot"]) {
  Failures(`${isolation}: --keep-failed keeps the files, kbuild run looks into them, prune removes them`, async () => {
    const kbuild = newStore();
    const context = contextOf(`FROM busybox
RUN echo before >/before
ENV GREETING=hello
USER www-data
WORKDIR /work
USER 0
RUN --mount=type=secret,id=s,env=SECRET echo half >/half; rm /before; exit 3
`);
    const failing = [...PLAIN, "--isolation", isolation, "--secret", "id=s,env=SECRET", context];
    const env = { SECRET: crypto.randomBytes(12).toString("hex") };
    const without = await kbuild.run(failing, { env });
    assert.is(without.status, 1);
    assert.not.match(without.stderr, /kbuild run/);
    const done = await kbuild.run(["--keep-failed", ...failing], { env });
    assert.is(done.status, 1, done.stderr);
    const name = /its files are kept: kbuild run (\S+) COMMAND/.exec(done.stderr)?.[1] ?? "";
    assert.is(name, "failed-1", done.stderr);
    const looked = await kbuild.must([
      "run",
      name,
      "sh",
      "-c",
      'cat /half; ls /before; echo $GREETING; pwd; echo to-err >&2; echo "s:$SECRET"',
    ]);
    assert.is(looked.stdout, "half\nhello\n/work\ns:\n");
    assert.match(looked.stderr, /ls: .*before.*\nto-err\n/);
    assert.is((await kbuild.run(["run", name, "sh", "-c", "exit 9"])).status, 9);
    // Without a command it is the step's own, which fails as it did.
    assert.is((await kbuild.run(["run", name])).status, 3);
    const missing = await kbuild.run(["run", name, "nothere"]);
    assert.is(missing.status, 1);
    assert.match(missing.stderr, /exec: "nothere": executable file not found in \$PATH/);
    const unknown = await kbuild.run(["run", "failed-7", "true"]);
    assert.is(unknown.status, 1);
    assert.match(unknown.stderr, /there is no failed step "failed-7"\n +hint: there is failed-1/);
    for (const odd of ["..", "../failed/failed-1", "failed-1/tree", ""]) {
      assert.is((await kbuild.run(["run", odd, "true"])).status, 1, odd);
    }
    assert.equal(fs.readdirSync(path.join(kbuild.root, "tmp")), []);
    const again = await kbuild.run(["--keep-failed", ...failing], { env });
    assert.match(again.stderr, /kbuild run failed-2 COMMAND/);
    await kbuild.must(["fsck"]);
    await kbuild.must(["prune", "--all", "--force"]);
    assert.is((await kbuild.run(["run", name, "true"])).status, 1);
    assert.equal(
      fs.existsSync(path.join(kbuild.root, "failed")) ? fs.readdirSync(path.join(kbuild.root, "failed")) : [],
      [],
    );
  });
}

// ------------------------------------------------------------------ interruption

interface Interrupted {
  readonly outcome: Outcome;
  /** Milliseconds from the signal until no process and no mount was left. */
  readonly took: number;
}

/** Sends kbuild a signal while a step runs that does not want to end. */
async function interrupted(kbuild: Kbuild, isolation: string, signal: NodeJS.Signals): Promise<Interrupted> {
  const seconds = `6${crypto.randomInt(10_000_000, 99_999_999)}`;
  const context = contextOf(`FROM busybox
RUN (setsid sh -c 'trap "" TERM INT HUP; while :; do sleep ${seconds}1; done' >/dev/null 2>&1 &) ; echo x >/x; trap "" TERM INT; sleep ${seconds}2; sleep ${seconds}3
`);
  let child: ChildProcess | undefined;
  const building = kbuild.run([...PLAIN, "--isolation", isolation, context], {
    started: (process) => {
      child = process;
    },
  });
  const sleeping = () => processes().filter(({ words }) => words.startsWith(`sleep ${seconds}`));
  await until("the step runs", () => sleeping().length >= 2, 20_000);
  const below = new Set(descendants(child?.pid ?? 0).map(({ pid }) => pid));
  const left = () => processes().filter(({ pid, words }) => below.has(pid) || words.includes(seconds));
  assert.ok(below.size >= 3, `${below.size} processes`);
  const begun = Date.now();
  child?.kill(signal);
  await until(
    `${signal}: no process and no mount is left`,
    () => left().length === 0 && mountsOf(kbuild.root).length === 0,
    10_000,
  );
  return { outcome: await building, took: Date.now() - begun };
}

for (const isolation of ["userns", "single", "chroot"]) {
  for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const) {
    Failures(`${isolation}: ${signal} during a RUN leaves no process and no mount`, async () => {
      const kbuild = newStore();
      const { outcome, took } = await interrupted(kbuild, isolation, signal);
      assert.ok(took < 2000, `it took ${took} ms`);
      if (signal === "SIGKILL") {
        assert.is(outcome.signal, "SIGKILL");
      } else {
        assert.is(outcome.status, 130, outcome.stderr);
        assert.equal(fs.readdirSync(path.join(kbuild.root, "tmp")), []);
      }
      await kbuild.must(["-q", ...BASES, contextOf("FROM busybox\nRUN echo next >/next\n")]);
      await kbuild.must(["fsck"]);
    });
  }
}

Failures.run();
