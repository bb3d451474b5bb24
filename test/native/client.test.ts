import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import { nativePath } from "../../src/native/binary.ts";
import { NativeClient } from "../../src/native/client.ts";
import { PROTOCOL_VERSION } from "../../src/native/protocol.ts";
import type { SandboxPlan } from "../../src/native/sandbox-protocol.ts";
import { run } from "../support/command.ts";
import { HOME, listing, plant, workspace } from "../support/workspace.ts";

const Client = suite("native client");
const folder = workspace("kbuild-client");
const context = plant(path.join(folder, "context"), { a: "a", "d/b": "b" });
const whole = { root: context, selections: [{ segments: [], followLast: true }], ignore: [], digest: true } as const;
const core = nativePath();
const given = process.env.KBUILD_NATIVE_PATH;
const clients: NativeClient[] = [];

Client.after.each(async () => {
  if (given === undefined) delete process.env.KBUILD_NATIVE_PATH;
  else process.env.KBUILD_NATIVE_PATH = given;
  await Promise.all(clients.splice(0).map((client) => client.close()));
});

function client(): NativeClient {
  const made = new NativeClient();
  clients.push(made);
  return made;
}

/** A client whose core is a shell script. */
function scripted(text: string): NativeClient {
  const script = path.join(folder, `script-${clients.length}-${process.hrtime.bigint()}`);
  fs.writeFileSync(script, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  process.env.KBUILD_NATIVE_PATH = script;
  return client();
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

/** Processes that this one has started and that are there. */
function children(): string[] {
  return fs
    .readFileSync(`/proc/self/task/${process.pid}/children`, "utf8")
    .split(" ")
    .filter((id) => id !== "");
}

/** Runs a program that uses the client, from its text. */
function program(text: string): string[] {
  const file = path.join(folder, `program-${process.hrtime.bigint()}.mts`);
  const imports = `import { NativeClient } from ${JSON.stringify(path.join(HOME, "src/native/client.ts"))};\n`;
  fs.writeFileSync(
    file,
    `${imports}const native = new NativeClient();\nconst whole = ${JSON.stringify(whole)};\n${text}`,
  );
  return ["--import", "tsx", file];
}

async function* pieces(count: number, size: number): AsyncGenerator<Uint8Array> {
  for (let number = 0; number < count; number++) yield Buffer.alloc(size, number);
}

Client("starts its process with the first request and only once", async () => {
  const before = children().length;
  const native = client();
  assert.is(children().length, before);
  await Promise.all([native.scan(whole), native.scan(whole), native.scan(whole)]);
  assert.is(children().length, before + 1);
  await native.close();
  assert.is(children().length, before, "and it is gone once closed");
});

Client("may be closed twice, at once, and without ever having been used", async () => {
  const unused = client();
  await unused.close();
  await unused.close();
  const native = client();
  await native.scan(whole);
  await Promise.all([native.close(), native.close()]);
  await native.close();
  assert.is((await failureOf(native.scan(whole))).code, "internal.native");
});

Client("does not keep a program alive, and ends with it", async () => {
  const started = Date.now();
  const done = await run(
    process.execPath,
    program("const { head } = await native.scan(whole);\nconsole.log(head.reply);\n"),
  );
  assert.is(done.status, 0, done.stderr);
  assert.is(done.stdout, "scanned\n");
  assert.ok(Date.now() - started < 20_000);
});

Client("its process ends when the program is killed", async () => {
  const text = "await native.scan(whole);\nconsole.log('ready');\nsetInterval(() => undefined, 1000);\n";
  const child = spawn(process.execPath, program(text), { cwd: HOME, stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  const id = fs
    .readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8")
    .split(" ")
    .find((each) => {
      return each !== "" && fs.readlinkSync(`/proc/${each}/exe`) === fs.realpathSync(core);
    });
  assert.ok(id !== undefined, "the core runs");
  child.kill("SIGKILL");
  const isThere = (): boolean =>
    fs.existsSync(`/proc/${id}`) && !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${id}/status`, "utf8"));
  for (let wait = 0; wait < 100 && isThere(); wait++) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.not(isThere(), "the core is gone");
});

Client("a core that dies fails what is asked of it, with what it said", async () => {
  const native = scripted("echo 'memory ran out' >&2\nexit 7");
  const errors = await Promise.all([failureOf(native.scan(whole)), failureOf(native.scan(whole))]);
  for (const error of errors) {
    assert.is(error.code, "internal.native");
    assert.match(error.message, /ended with status 7: memory ran out$/);
  }
  assert.match((await failureOf(native.scan(whole))).message, /memory ran out/, "it is not started again");
});

Client("a core that is killed fails what is asked of it", async () => {
  const before = new Set(children());
  const native = client();
  await native.scan(whole);
  const id = children().find((each) => !before.has(each));
  const index = path.join(folder, "killed-index");
  const waiting = failureOf(native.ingest({ index, compression: "none" }, pieces(1_000_000, 1000)));
  process.kill(Number(id), "SIGKILL");
  const error = await waiting;
  assert.is(error.code, "internal.native");
  assert.match(error.message, /SIGKILL/);
});

Client("a core of another release is refused", async () => {
  const native = scripted(
    `printf '\\060\\000\\000\\000\\000\\000\\000\\000{"reply":"hello","protocol":999,"version":"9.9"}'; cat >/dev/null`,
  );
  const error = await failureOf(native.scan(whole));
  assert.is(error.code, "internal.native");
  assert.match(error.message, /9\.9.*999/);
  assert.ok(error.hint !== undefined);
});

for (const [name, text] of [
  ["says nothing", "exit 0"],
  ["speaks something else", "echo 'Hello, World! How are you today?'; cat >/dev/null"],
  ["sends heads that are no replies", "printf '\\002\\000\\000\\000\\000\\000\\000\\000[]'; cat >/dev/null"],
  [
    "does not greet",
    `printf '\\044\\000\\000\\000\\000\\000\\000\\000{"reply":"scanned","id":1,"x":"xxx"}'; cat >/dev/null`,
  ],
] as const) {
  Client(`a core that ${name} is a defect, told as one`, async () => {
    assert.is((await failureOf(scripted(text).scan(whole))).code, "internal.native");
  });
}

Client("says where the core was looked for", async () => {
  process.env.KBUILD_NATIVE_PATH = "/nowhere/core";
  const missing = await failureOf(client().scan(whole));
  assert.is(missing.code, "machine.noNative");
  assert.match(missing.message, /KBUILD_NATIVE_PATH.*\/nowhere\/core/);
  const file = path.join(context, "a");
  process.env.KBUILD_NATIVE_PATH = file;
  const unusable = await failureOf(client().scan(whole));
  assert.is(unusable.code, "machine.noNative");
  assert.ok(unusable.message.includes(file), unusable.message);
  process.env.KBUILD_NATIVE_PATH = "";
  assert.ok(nativePath().endsWith("kbuild-native"), "an empty variable counts as none");
});

Client("a signal stops a request, and no other", async () => {
  const native = client();
  const stopping = new AbortController();
  const reason = new KbuildError("interrupted", "the build was interrupted by its owner");
  const index = path.join(folder, "stopped-index");
  const output = path.join(folder, "stopped-output");
  let sent = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (; ; sent++) {
        if (sent === 20) stopping.abort(reason);
        yield Buffer.alloc(100_000);
      }
    } finally {
      sent = -1;
    }
  }
  const stopped = failureOf(
    native.ingest({ output, index, compression: "none" }, endless(), { signal: stopping.signal }),
  );
  assert.is(await stopped, reason, "the signal's own reason wins");
  assert.is(sent, -1, "the source was told to stop");
  assert.equal(
    listing(folder).filter((name) => name.startsWith("stopped")),
    [],
  );
  assert.is(
    await failureOf(native.scan(whole, stopping.signal)),
    reason,
    "nothing is begun for a signal that came before",
  );
  assert.is((await native.scan(whole)).head.reply, "scanned");
  const other = await failureOf(native.scan(whole, AbortSignal.abort()));
  assert.is(other.code, "interrupted");
});

Client("an error of the source is the request's", async () => {
  const native = client();
  const reason = new KbuildError("registry.unreachable", "the registry hung up");
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(1000);
    throw reason;
  }
  const index = path.join(folder, "broken-index");
  const output = path.join(folder, "broken-output");
  const error = await failureOf(native.ingest({ output, index, compression: "none" }, broken()));
  assert.is(error, reason);
  assert.equal(
    listing(folder).filter((name) => name.startsWith("broken")),
    [],
  );
});

Client("a request that fails early does not wait for the rest of its source", async () => {
  const native = client();
  let isStopped = false;
  async function* slow(): AsyncGenerator<Uint8Array> {
    try {
      yield Buffer.alloc(2_000_000, "this is no gzip");
      await new Promise((resolve) => setTimeout(resolve, 60_000).unref());
      yield Buffer.alloc(1);
    } finally {
      isStopped = true;
    }
  }
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield Buffer.alloc(1_000_000, "this is no gzip");
    } finally {
      isStopped = true;
    }
  }
  const index = path.join(folder, "early-index");
  await failureOf(native.ingest({ index, compression: "gzip" }, slow()));
  assert.not(isStopped);
  await failureOf(native.ingest({ index, compression: "gzip" }, endless()));
  assert.ok(isStopped);
});

Client("closing cancels what still runs", async () => {
  const native = client();
  const index = path.join(folder, "closed-index");
  const running = failureOf(native.ingest({ index, compression: "none" }, pieces(1_000_000, 100_000)));
  await new Promise((resolve) => setTimeout(resolve, 200));
  await native.close();
  assert.is((await running).code, "interrupted");
  assert.not(fs.existsSync(index));
});

Client("a name that is no text is an error and does not harm the core", async () => {
  const native = client();
  const selections = [{ segments: [{ kind: "name", text: "\ud800" }], followLast: true }] as const;
  assert.is((await failureOf(native.scan({ ...whole, selections }))).code, "build.notText");
  const escaped = [{ segments: [{ kind: "name", text: "\\ud800" }], followLast: true }] as const;
  assert.equal((await native.scan({ ...whole, selections: escaped })).head.misses, [{ rule: null }]);
});

const PLAN: SandboxPlan = {
  root: { kind: "copy", path: "/nowhere" },
  owners: "real",
  hostname: "sandbox",
  network: "host",
  mounts: [],
  command: ["x"],
  environment: [],
  directory: "/",
  uid: 0,
  gid: 0,
  groups: [],
  security: "default",
  limits: [],
  sharedMemory: 0,
};

/** A client whose core says these frames at once, and reads on until its input ends. */
function saying(...frames: readonly (readonly [object, string?])[]): NativeClient {
  const file = path.join(folder, `frames-${process.hrtime.bigint()}`);
  const bytes = frames.map(([head, body = ""]) => {
    const text = Buffer.from(JSON.stringify(head));
    const lengths = Buffer.alloc(8);
    lengths.writeUInt32LE(text.length, 0);
    lengths.writeUInt32LE(Buffer.byteLength(body), 4);
    return Buffer.concat([lengths, text, Buffer.from(body)]);
  });
  fs.writeFileSync(file, Buffer.concat(bytes));
  return scripted(`cat ${file}; cat >/dev/null`);
}

const HELLO = { reply: "hello", protocol: PROTOCOL_VERSION, version: "1" };
const EXITED = { reply: "exited", id: 1, status: 0, signal: null, outOfMemory: false, elapsed: 5, warnings: [] };

Client("ready waits for the core's greeting, and keeps nothing alive afterwards", async () => {
  const native = client();
  await native.ready();
  assert.is((await native.scan(whole)).head.reply, "scanned");
  const outcome = await run(process.execPath, program("await native.ready();"), { timeout: 20_000 });
  assert.is(outcome.status, 0, outcome.stderr);
});

Client("a core that cannot go into its sandbox says why: to who waits, and to every request", async () => {
  const script = path.join(folder, "refusing");
  const text = JSON.stringify({ reply: "failed", id: 0, code: "sandbox", message: "unshare(CLONE_NEWUSER): EPERM" });
  const frame = Buffer.concat([Buffer.from([text.length, 0, 0, 0, 0, 0, 0, 0]), Buffer.from(text)]);
  fs.writeFileSync(`${script}.frame`, frame);
  fs.writeFileSync(script, `#!/bin/sh\ntest "$1" = sandbox || exit 9\ncat ${script}.frame\nexit 1\n`, { mode: 0o755 });
  process.env.KBUILD_NATIVE_PATH = script;
  const native = new NativeClient({ mode: "chroot", uids: [], gids: [] });
  clients.push(native);
  const [ready, request] = await Promise.all([failureOf(native.ready()), failureOf(native.remove({ paths: ["/x"] }))]);
  for (const error of [ready, request, await failureOf(native.ready())]) {
    assert.is(error.code, "machine.sandbox");
    assert.is(error.message, "the sandbox cannot be made: unshare(CLONE_NEWUSER): EPERM");
    assert.is(error.exitStatus, 4);
  }
});

Client("what a process prints is handed on in its order, each piece with its stream", async () => {
  const native = saying(
    [HELLO],
    [{ reply: "output", id: 1, stream: "stdout" }, "one\n"],
    [{ reply: "output", id: 1, stream: "stderr" }, "two\n"],
    [{ reply: "output", id: 7, stream: "stdout" }, "of nobody"],
    [{ reply: "output", id: 1, stream: "stdout" }, "three\n"],
    [EXITED],
  );
  const pieces: string[] = [];
  const onOutput = (stream: string, bytes: Buffer): undefined => {
    pieces.push(`${stream} ${bytes}`);
  };
  const running = native.run({ plan: PLAN }, { onOutput });
  assert.is((await running).status, 0);
  assert.equal(pieces, ["stdout one\n", "stderr two\n", "stdout three\n"]);
});

Client("a command that cannot be started is the build's fault, with the core's words", async () => {
  const native = saying([HELLO], [{ reply: "failed", id: 1, code: "exec", message: 'exec: "x": not found in PATH' }]);
  const error = await failureOf(native.run({ plan: PLAN }));
  assert.is(error.code, "build.command");
  assert.is(error.message, 'exec: "x": not found in PATH');
});

Client.run();
