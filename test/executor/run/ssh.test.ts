import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import { dirname, join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { mountRequests } from "../../../src/executor/run/mount-requests.ts";
import { readSsh, type SshAgents, stepAgent } from "../../../src/executor/run/ssh.ts";
import { must, run } from "../../support/command.ts";
import { workspace } from "../../support/workspace.ts";
import { refusal, runOf } from "./support.ts";

const folder = workspace("kbuild-ssh-test");

/** Makes a key pair; gives the private key's path. */
async function keygen(name: string, ...argv: readonly string[]): Promise<string> {
  const path = join(folder, name);
  await must("ssh-keygen", ["-q", "-N", "", "-C", `comment of ${name}`, "-f", path, ...argv]);
  return path;
}

/** The sockets that a step with these flags gets. */
async function socketsOf(agents: SshAgents, flags: string): Promise<readonly string[]> {
  const requests = mountRequests(runOf(`RUN ${flags} true`).mounts, "/", (word) => word.text);
  const sockets: string[] = [];
  for (const request of requests) {
    assert.ok(request.kind === "ssh");
    const mount = stepAgent(request, await agents.socket(request.id));
    if (mount === undefined) continue;
    const { target, mode, uid, gid } = request;
    assert.equal(mount, { kind: "socket", source: mount.source, target, mode, uid, gid });
    sockets.push(mount.source);
  }
  return sockets;
}

/** Does something with the agent of an `ssh` option. */
async function withAgent(
  paths: readonly string[],
  action: (socket: string) => Promise<void>,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const agents = await readSsh({ default: paths }, env);
  try {
    const [socket = ""] = await socketsOf(agents, "--mount=type=ssh");
    await action(socket);
    assert.is(fs.statSync(dirname(socket)).mode & 0o777, 0o700);
  } finally {
    await agents.close();
  }
}

const asAgent = (socket: string) => ({ env: { SSH_AUTH_SOCK: socket } });

/** A real ssh-agent with these keys. */
async function withRealAgent(keys: readonly string[], action: (socket: string) => Promise<void>): Promise<void> {
  const socket = join(folder, `real-${Math.random().toString(36).slice(2)}`);
  const child: ChildProcess = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
  try {
    while (!fs.existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 5));
    for (const key of keys) await must("ssh-add", ["-q", key], asAgent(socket));
    await action(socket);
  } finally {
    child.kill();
  }
}

/** Signs with the key in an agent, and has OpenSSH verify that; the private key's file is out of reach meanwhile. */
async function signs(socket: string, key: string): Promise<void> {
  const signature = await must("ssh-keygen", ["-Y", "sign", "-f", `${key}.pub`, "-n", "test"], {
    ...asAgent(socket),
    input: "signed text",
  });
  const file = join(folder, "signature");
  fs.writeFileSync(file, signature.bytes);
  await must("ssh-keygen", ["-Y", "check-novalidate", "-n", "test", "-s", file], { input: "signed text" });
  const other = await run("ssh-keygen", ["-Y", "check-novalidate", "-n", "test", "-s", file], { input: "other text" });
  assert.is.not(other.status, 0);
}

const Keys = suite("keys that kbuild's agent serves");

for (const [name, ...argv] of [
  ["ed25519", "-t", "ed25519"],
  ["rsa", "-t", "rsa", "-b", "2048"],
  ["rsa-pem", "-t", "rsa", "-b", "2048", "-m", "PEM"],
  ["rsa-pkcs8", "-t", "rsa", "-b", "2048", "-m", "PKCS8"],
  ["ecdsa256", "-t", "ecdsa", "-b", "256"],
  ["ecdsa384", "-t", "ecdsa", "-b", "384"],
  ["ecdsa521", "-t", "ecdsa", "-b", "521"],
  ["ecdsa-pem", "-t", "ecdsa", "-b", "256", "-m", "PEM"],
] as const) {
  Keys(`${name}: ssh-add lists it, OpenSSH takes its signatures`, async () => {
    const key = await keygen(name, ...argv);
    const hidden = workspace("kbuild-ssh-hidden");
    fs.copyFileSync(`${key}.pub`, join(hidden, "key.pub"));
    await withAgent([key], async (socket) => {
      const listed = (await must("ssh-add", ["-l"], asAgent(socket))).stdout.trim().split(" ");
      const known = (await must("ssh-keygen", ["-l", "-f", `${key}.pub`])).stdout.trim().split(" ");
      assert.equal(listed.slice(0, 2), known.slice(0, 2));
      const isOpenSsh = !argv.includes("-m" as never);
      assert.match(listed.slice(2).join(" "), isOpenSsh ? `comment of ${name}` : key);
      await must("ssh-add", ["-T", `${key}.pub`], asAgent(socket));
      // Numbers in signatures have no fixed length: several, to meet short ones.
      for (let round = 0; round < (name.startsWith("ecdsa") ? 5 : 1); round++) await signs(socket, join(hidden, "key"));
    });
  });
}

Keys("several keys in one agent, and SHA-1 for who asks for it", async () => {
  const keys = [join(folder, "rsa"), join(folder, "ed25519")];
  await withAgent(keys, async (socket) => {
    const { stdout } = await must("ssh-add", ["-L"], asAgent(socket));
    const publicKeys = keys.map((key) => fs.readFileSync(`${key}.pub`, "utf8").trim());
    assert.equal(stdout.trim().split("\n"), publicKeys);
  });
});

Keys("no key can be added, removed or locked", async () => {
  await withAgent([join(folder, "ed25519")], async (socket) => {
    for (const argv of [["-D"], ["-d", join(folder, "ed25519.pub")], [join(folder, "rsa")]]) {
      assert.is.not((await run("ssh-add", argv, asAgent(socket))).status, 0, argv.join(" "));
    }
    assert.is((await must("ssh-add", ["-l"], asAgent(socket))).stdout.split("\n").length, 2);
  });
});

const Relay = suite("another agent behind kbuild's");

Relay("its keys are listed and sign, and cannot be removed", async () => {
  const key = join(folder, "ed25519");
  await withRealAgent([key], async (real) => {
    for (const [paths, env] of [
      [[real], {}],
      [[], { SSH_AUTH_SOCK: real }],
    ] as const) {
      await withAgent(
        paths,
        async (socket) => {
          assert.is.not(socket, real);
          assert.is(
            (await must("ssh-add", ["-l"], asAgent(socket))).stdout,
            (await must("ssh-add", ["-l"], asAgent(real))).stdout,
          );
          await signs(socket, key);
          assert.is.not((await run("ssh-add", ["-D"], asAgent(socket))).status, 0);
          assert.is((await must("ssh-add", ["-l"], asAgent(real))).stdout.split("\n").length, 2);
        },
        env,
      );
    }
  });
});

Relay("an agent that is gone has no keys, and nothing breaks", async () => {
  const path = join(folder, "gone");
  const server = net.createServer((socket) => socket.destroy()).listen(path);
  await new Promise((resolve) => server.once("listening", resolve));
  await withAgent([path], async (socket) => {
    assert.is.not((await run("ssh-add", ["-l"], asAgent(socket))).status, 0);
    await new Promise((resolve) => server.close(resolve));
    assert.is.not((await run("ssh-add", ["-l"], asAgent(socket))).status, 0);
  });
});

const Hostile = suite("what a hostile step sends to the agent");

/** What the agent answers to bytes, until it hangs up or has nothing more to say. */
function answers(socket: string, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    const connection = net.connect(socket, () => connection.end(bytes));
    connection.on("data", (part: Buffer) => parts.push(part));
    connection.on("error", () => {});
    connection.on("close", () => resolve(Buffer.concat(parts)));
  });
}

const FAILURE = "0000000105";
for (const [name, hex, expected] of [
  ["an unknown request", "00000001ff", FAILURE],
  ["no request", "00000000", ""],
  ["a message that is too long", "7fffffff00", ""],
  ["a message that does not end", "00000010", ""],
  ["a signature without a key", "000000010d", FAILURE],
  ["a signature by a key that is not there", "0000000d0d000000000000000000000000", FAILURE],
  ["a string longer than its message", "000000050dffffffff", FAILURE],
  ["two requests at once", "00000001ff00000001ff", FAILURE + FAILURE],
] as const) {
  Hostile(name, async () => {
    await withAgent([join(folder, "ed25519")], async (socket) => {
      assert.is((await answers(socket, Buffer.from(hex, "hex"))).toString("hex"), expected);
      await must("ssh-add", ["-l"], asAgent(socket));
    });
  });
}

Hostile("byte by byte", async () => {
  await withAgent([join(folder, "ed25519")], async (socket) => {
    const connection = net.connect(socket);
    connection.setNoDelay(true);
    const first = new Promise<Buffer>((resolve) => connection.once("data", resolve));
    for (const byte of Buffer.from("00000001ff", "hex")) {
      connection.write(Buffer.from([byte]));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    assert.is((await first).toString("hex"), FAILURE);
    connection.destroy();
  });
});

Hostile("questions without end, and nobody who reads the answers", async () => {
  await withAgent([join(folder, "rsa")], async (socket) => {
    const connection = net.connect(socket);
    connection.pause();
    const before = process.memoryUsage().rss;
    const questions = Buffer.alloc(5 * 20_000, Buffer.from("000000010b", "hex"));
    for (let round = 0; round < 50; round++) {
      // When the agent stops reading, so does this: 50 times 20,000 answers of 300 bytes would be 300 MB.
      if (!connection.write(questions)) await new Promise((resolve) => setTimeout(resolve, 4));
    }
    assert.ok(process.memoryUsage().rss - before < 100_000_000);
    connection.destroy();
    await must("ssh-add", ["-l"], asAgent(socket));
  });
});

const Given = suite("what --ssh names");

Given("an agent is started once, by whoever asks first, and is gone afterwards", async () => {
  const agents = await readSsh({ default: [join(folder, "ed25519")], other: [join(folder, "rsa")] }, {});
  const [first, again, other] = await socketsOf(
    agents,
    "--mount=type=ssh --mount=type=ssh,target=/a --mount=type=ssh,id=other --mount=type=ssh,id=missing",
  );
  assert.ok(first && other);
  assert.is(first, again);
  assert.is.not(first, other);
  await agents.close();
  assert.not(fs.existsSync(dirname(first)));
  assert.not(fs.existsSync(dirname(other)));
});

Given("a folder for temporary files with a long name is no hindrance", async () => {
  const long = join(folder, "l".repeat(120));
  fs.mkdirSync(long);
  const { TMPDIR } = process.env;
  process.env.TMPDIR = long;
  try {
    await withAgent([join(folder, "ed25519")], async (socket) => {
      await must("ssh-add", ["-l"], asAgent(socket));
    });
  } finally {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
  }
});

Given("an agent that is required and was not given is told with its place", async () => {
  const agents = await readSsh(undefined, {});
  assert.equal(await socketsOf(agents, "--mount=type=ssh"), []);
  const error = await refusal(() => socketsOf(agents, "--mount=type=ssh,id=git,required"));
  assert.is(error.code, "build.ssh");
  assert.match(error.hint ?? "", /--ssh git=/);
  assert.equal([error.location?.line, error.location?.column], [2, 13]);
});

Given("what cannot be used is told before anything runs", async () => {
  const encrypted = join(folder, "encrypted");
  await must("ssh-keygen", ["-q", "-N", "hidden", "-t", "ed25519", "-f", encrypted]);
  const encryptedPem = join(folder, "encrypted-pem");
  await must("ssh-keygen", ["-q", "-N", "hidden", "-t", "rsa", "-m", "PEM", "-f", encryptedPem]);
  const encryptedPkcs8 = join(folder, "encrypted-pkcs8");
  await must("ssh-keygen", ["-q", "-N", "hidden", "-t", "rsa", "-m", "PKCS8", "-f", encryptedPkcs8]);
  const cut = join(folder, "cut");
  fs.writeFileSync(cut, fs.readFileSync(join(folder, "ed25519"), "utf8").replace(/\n.{20}/, "\n"));
  const socket = join(folder, "socket");
  const server = net.createServer().listen(socket);
  const key = join(folder, "ed25519");
  for (const [paths, message, hint] of [
    [[], /SSH_AUTH_SOCK, which is not set/, /ssh-agent/],
    [[join(folder, "missing")], /missing cannot be read/],
    [[folder], /cannot be read/],
    [[`${key}.pub`], /neither an agent's socket nor a private key/, /public key/],
    [["/etc/passwd"], /neither/],
    [[encrypted], /is encrypted/, /ssh-add/],
    [[encryptedPem], /is encrypted/, /ssh-add/],
    [[encryptedPkcs8], /is encrypted/, /ssh-add/],
    [[cut], /cannot be read/],
    [[socket, key], /stand alone/, /one socket/],
  ] as const) {
    const error = await refusal(() => readSsh({ default: paths }, {}));
    assert.is(error.code, "usage.ssh", paths.join());
    assert.match(error.message, message);
    if (hint !== undefined) assert.match(error.hint ?? "", hint);
  }
  server.close();
});

Keys.run();
Relay.run();
Hostile.run();
Given.run();
