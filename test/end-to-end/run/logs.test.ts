/** Steps that print more than anybody reads, and what no terminal should see. */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { build } from "../../../src/api.ts";
import { writeBase } from "../../conformance/base.ts";
import { KBUILD, type Kbuild, kbuildWith } from "../../support/command.ts";
import { descendants, pause } from "../../support/processes.ts";
import { plant, workspace } from "../../support/workspace.ts";

const shared = workspace("kbuild-run-logs");
const base = path.join(shared, "busybox");
await writeBase(base);
const BASES = ["--build-context", `busybox=oci-layout://${base}`];
const PLAIN = ["--progress=plain", ...BASES];
/** What kbuild may take at most, in MiB, whatever a step does. */
const MOST_MEMORY = 150;
let number = 0;

function newStore(): Kbuild {
  number += 1;
  return kbuildWith(path.join(shared, `store-${number}`));
}

function contextOf(dockerfile: string): string {
  number += 1;
  return plant(path.join(shared, `context-${number}`), { Dockerfile: dockerfile });
}

const Logs = suite("what a RUN prints");

const MILLION = "FROM busybox\nRUN seq 1000000\nRUN echo behind\n";

/** The most memory in MiB that a process or one below it had at a time, as long as it runs. */
function memoryOf(pid: number): { stop(): number } {
  let most = 0;
  const timer = setInterval(() => {
    for (const each of [pid, ...descendants(pid).map((child) => child.pid)]) {
      try {
        const [, size = "0"] = /^VmHWM:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${each}/status`, "utf8")) ?? [];
        most = Math.max(most, Number(size) / 1024);
      } catch {
        // It has ended.
      }
    }
  }, 100);
  return {
    stop() {
      clearInterval(timer);
      return most;
    },
  };
}

/** Runs a build whose standard error is read only after a while, and gives what it printed and the memory that it took. */
async function readLate(
  argv: readonly string[],
  wait: number,
): Promise<{ text: string; memory: number; status: number | null }> {
  const env = { ...process.env, KBUILD_ROOT: newStore().root };
  const child = spawn(process.execPath, [KBUILD, ...argv], { env, stdio: ["ignore", "ignore", "pipe"] });
  const memory = memoryOf(child.pid ?? 0);
  const parts: Buffer[] = [];
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  await pause(wait);
  child.stderr.on("data", (part: Buffer) => parts.push(part));
  const status = await ended;
  return { text: Buffer.concat(parts).toString(), memory: memory.stop(), status };
}

/** Whether lines are the numbers from 1 on, one after the other. */
function judgeMillion(lines: readonly string[]): void {
  assert.is(lines.length, 1_000_000);
  const wrong = lines.findIndex((line, at) => line !== String(at + 1));
  assert.is(wrong, -1, `line ${wrong} is ${lines[wrong]}`);
}

Logs("a million lines come whole and in order, plain", async () => {
  const { text, memory, status } = await readLate([...PLAIN, contextOf(MILLION)], 0);
  assert.is(status, 0);
  judgeMillion([...text.matchAll(/^#\d+ \d+\.\d{3} (\d+)$/gm)].map(([, line = ""]) => line));
  assert.match(text, /^#\d+ \d+\.\d{3} behind$/m);
  assert.ok(memory > 0 && memory < MOST_MEMORY, `${memory} MiB`);
});

Logs(
  "a million lines come whole and in order, as JSON, and who reads them late finds no more memory in use",
  async () => {
    const { text, memory, status } = await readLate(["--progress=json", ...BASES, contextOf(MILLION)], 2500);
    assert.is(status, 0);
    judgeMillion([...text.matchAll(/"stream":"stdout","line":"(\d+)"\}$/gm)].map(([, line = ""]) => line));
    assert.ok(memory > 0 && memory < MOST_MEMORY, `${memory} MiB`);
  },
);

Logs("a million lines come whole and in order through the API, and wait for a slow reader", async () => {
  const root = newStore().root;
  const running = build({
    context: contextOf(MILLION),
    root,
    buildContexts: { busybox: `oci-layout://${base}` },
  });
  let [count, isInOrder, isSlow] = [0, true, true];
  const before = process.memoryUsage().rss;
  let most = 0;
  for await (const event of running.events) {
    if (event.type !== "stepLog" || event.line === "behind") continue;
    count += 1;
    isInOrder &&= event.line === String(count);
    if (isSlow && count % 5000 === 0) {
      await pause(100);
      most = Math.max(most, process.memoryUsage().rss);
      // Long enough to see that nothing piles up.
      isSlow = count < 100_000;
    }
  }
  await running;
  assert.is(count, 1_000_000);
  assert.ok(isInOrder);
  // Without waiting it would have all of them in memory by then, some 200 MiB.
  assert.ok(most - before < 80 * 1024 * 1024, `${(most - before) / 1024 / 1024} MiB more`);
});

Logs("a reader that goes away, and none at all, hold nothing up", async () => {
  const options = { root: newStore().root, buildContexts: { busybox: `oci-layout://${base}` } };
  const gone = build({ ...options, context: contextOf(MILLION) });
  for await (const event of gone.events) if (event.type === "stepLog") break;
  assert.ok((await gone).imageId);
  const unread = build({ ...options, noCache: true, context: contextOf(MILLION) });
  assert.ok((await unread).imageId);
});

Logs("a reader that stops reading does not keep a build from being interrupted", async () => {
  const stop = new AbortController();
  const running = build({
    root: newStore().root,
    buildContexts: { busybox: `oci-layout://${base}` },
    context: contextOf("FROM busybox\nRUN while :; do echo more; done\n"),
    signal: stop.signal,
  });
  const events = running.events[Symbol.asyncIterator]();
  for (let next = await events.next(); !next.done && next.value.type !== "stepLog"; next = await events.next()) {}
  await pause(1000);
  stop.abort();
  const code = await Promise.race([
    running.then(
      () => "done",
      (error: { code: string }) => error.code,
    ),
    pause(8000).then(() => "not ended"),
  ]);
  assert.is(code, "interrupted");
});

Logs("stdout and stderr are kept apart, each whole and in order", async () => {
  const context = contextOf(
    `FROM busybox\nRUN i=0; while [ $i -lt 50000 ]; do echo "o $i"; echo "e $i" >&2; i=$((i+1)); done\n`,
  );
  const { text, status } = await readLate(["--progress=json", ...BASES, context], 0);
  assert.is(status, 0);
  for (const [stream, letter] of [
    ["stdout", "o"],
    ["stderr", "e"],
  ] as const) {
    const found = [...text.matchAll(new RegExp(`"stream":"${stream}","line":"(. \\d+)"\\}$`, "gm"))];
    const lines = found.map(([, line = ""]) => line);
    assert.is(lines.length, 50_000);
    assert.ok(lines.every((line, at) => line === `${letter} ${at}`));
  }
});

Logs("bytes that are no text, a line without end, returns and escape sequences do no harm", async () => {
  const context = contextOf(`FROM busybox
RUN head -c 200000 /dev/urandom
RUN head -c 10485760 /dev/zero | tr '\\0' x
RUN printf 'one\\rtwo\\r\\nred \\033[31mtext\\033[0m \\033[2J\\033]0;title\\007end\\n\\tTab\\n\\302\\2331m'; printf 'no end'
`);
  const plain = await readLate([...PLAIN, context], 0);
  assert.is(plain.status, 0);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not get out
  assert.not.match(plain.text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  assert.is([...plain.text.matchAll(/x{1048576}/g)].length, 10);
  assert.match(plain.text, /^#\d+ \d+\.\d{3} two$/m);
  assert.match(plain.text, /^#\d+ \d+\.\d{3} red text end$/m);
  assert.match(plain.text, /^#\d+ \d+\.\d{3} {5}Tab$/m);
  assert.match(plain.text, /no end$/m);
  assert.ok(plain.memory < MOST_MEMORY, `${plain.memory} MiB`);
  const json = await readLate(["--progress=json", ...BASES, context], 0);
  assert.is(json.status, 0);
  const lines = json.text.trimEnd().split("\n");
  for (const line of lines) assert.is(typeof JSON.parse(line), "object");
  assert.ok(json.text.includes("red \\u001b[31mtext"), "JSON has what was printed");
});

Logs.run();
