/** kbuild is ended in the middle of a step: by -9, by a signal, or only the process that holds the sandbox. */
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Outcome } from "../../support/command.ts";
import { descendants, mountsOf, processes, until } from "../../support/processes.ts";
import { inEach, type Situation } from "../../support/situations.ts";
import { ground } from "./ground.ts";
import { contextFor, type Ground } from "./rows.ts";

const Killed = suite<Ground>("a build that is ended leaves no process and no mount", await ground("killed"));
Killed.after(({ situations }) => situations.close());

type Way = (situation: Situation, pids: { readonly front: number; readonly sandbox: readonly number[] }) => void;

const WAYS: readonly (readonly [string, Way, (done: Outcome) => void])[] = [
  [
    "kill -9 of kbuild",
    (_, { front }) => process.kill(front, "SIGKILL"),
    (done) => assert.not.equal([done.status, done.signal], [0, null]),
  ],
  [
    "kill -9 of the process that holds the sandbox: the build fails",
    (_, { sandbox }) => {
      for (const pid of sandbox) process.kill(pid, "SIGKILL");
    },
    (done) => assert.ok(done.status === 1 || done.status === 4, `${done.status} ${done.stderr}`),
  ],
  [
    "an interruption: status 130",
    (_, { front }) => process.kill(front, "SIGINT"),
    (done) => assert.is(done.status, 130, done.stderr),
  ],
];

for (const [name, end, judge] of WAYS) {
  Killed(name, async (ground) => {
    await inEach(ground.situations.all, async (each) => {
      const number = `5${crypto.randomInt(10_000_000, 99_999_999)}`;
      const context = contextFor(
        ground,
        `FROM busybox AS other
RUN echo side >/side; sleep ${number}1
FROM busybox
RUN (setsid sh -c 'trap "" TERM INT HUP; while :; do sleep ${number}2; done' >/dev/null 2>&1 &) ; echo x >/x; sleep ${number}3; sleep ${number}4
COPY --from=other /side /
`,
      );
      const building = each.run(["--progress=plain", ...ground.bases, context]);
      const sleeping = () => processes().filter(({ words }) => words.startsWith(`sleep ${number}`));
      await until(`${each.name}: the steps run`, () => sleeping().length >= 3, 30_000);
      const isFront = (words: string): boolean => words.startsWith(process.execPath) && words.includes(context);
      const front = processes().find(({ words }) => isFront(words))?.pid ?? 0;
      const sandbox = descendants(front).flatMap(({ pid, words }) => (/ sandbox /.test(words) ? [pid] : []));
      assert.ok(front > 0 && sandbox.length > 0, `${each.name}: ${sandbox.length} sandbox cores below ${front}`);
      const below = descendants(front).map(({ pid }) => pid);
      end(each, { front, sandbox });
      judge(await building);
      const left = () => processes().filter(({ words }) => words.includes(`sleep ${number}`) || isFront(words));
      await until(`${each.name}: processes end`, () => left().length === 0 && !below.some(isAlive), 10_000);
      assert.equal(mountsOf(each.root), [], each.name);
      // What was left behind may be what fills the disk: a build that fails removes it, too.
      const failing = contextFor(ground, "FROM busybox\nRUN false\n");
      assert.is((await each.run(["-q", ...ground.bases, failing])).status, 1, each.name);
      assert.equal(fs.readdirSync(path.join(each.root, "tmp")), [], each.name);
      // The next build works, and nothing in the store is damaged.
      const next = contextFor(ground, "FROM busybox\nRUN echo next >/next\n");
      await each.must(["-q", ...ground.bases, next]);
      await each.must(["fsck"]);
    });
  });
}

function isAlive(pid: number): boolean {
  return processes().some((each) => each.pid === pid);
}

Killed.run();
