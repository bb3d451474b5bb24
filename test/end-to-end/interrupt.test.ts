import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KBUILD, kbuildWith, type Outcome } from "../support/command.ts";
import { unsound } from "../support/store-check.ts";
import { plant, workspace } from "../support/workspace.ts";

const folder = workspace();
const small = plant(path.join(folder, "small"), { Dockerfile: "FROM scratch\nCOPY a /\n", a: "a\n" });

/** The processes whose command line or environment names a folder, this one aside. */
function processesOf(what: string): string[] {
  return fs.readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      return fs.readFileSync(`/proc/${pid}/environ`).includes(what);
    } catch {
      return false;
    }
  });
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Starts a build that takes long, sends a signal when it is well under way, and gives the outcome. */
async function interrupted(
  root: string,
  context: string,
  signal: NodeJS.Signals,
  argv: readonly string[] = [],
): Promise<Outcome> {
  return kbuildWith(root).run(["--progress=plain", ...argv, context], {
    started: (child) => {
      void (async () => {
        // Under way means: something is in the store's folder for unfinished things.
        for (let i = 0; i < 400; i += 1) {
          await sleep(10);
          try {
            if (fs.readdirSync(path.join(root, "tmp")).length > 0) break;
          } catch {}
        }
        await sleep(100);
        child.kill(signal);
      })();
    },
  });
}

function bigContext(): string {
  const context = path.join(folder, "big");
  if (fs.existsSync(context)) return context;
  plant(context, { Dockerfile: "FROM scratch\nCOPY . /\n" });
  const chunk = Buffer.alloc(64 << 20);
  for (let i = 0; i < chunk.length; i += 4096) chunk.writeUInt32LE((i * 2654435761) >>> 0, i);
  const file = fs.openSync(path.join(context, "big.bin"), "w");
  for (let i = 0; i < 24; i += 1) fs.writeSync(file, chunk);
  fs.closeSync(file);
  return context;
}

const Interrupt = suite("Ctrl-C");

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Interrupt(`${signal} while a layer is made: status 130, no process and no file is left`, async () => {
    const root = path.join(folder, `store-${signal}`);
    const done = await interrupted(root, bigContext(), signal);
    assert.is(done.status, 130, done.stderr);
    assert.match(done.stderr, /interrupted|cancel/i);
    await sleep(200);
    assert.equal(processesOf(root), []);
    assert.equal(await unsound(root), []);
    await kbuildWith(root).must(["-q", small]);
  });
}

Interrupt("Ctrl-C in a terminal, which signals every process of the build at once: no file is left", async () => {
  const root = path.join(folder, "store-group");
  const context = bigContext();
  for (const wait of [100, 400]) {
    const child = spawn("setsid", [process.execPath, KBUILD, "-q", "--no-cache", context], {
      env: { PATH: process.env.PATH, HOME: folder, KBUILD_ROOT: root },
      stdio: "ignore",
    });
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    for (let i = 0; i < 400; i += 1) {
      await sleep(10);
      if (fs.existsSync(path.join(root, "tmp")) && fs.readdirSync(path.join(root, "tmp")).length > 0) break;
    }
    await sleep(wait);
    // `setsid` becomes the leader of its group before it turns into the build.
    process.kill(-(child.pid ?? 0), "SIGINT");
    assert.is(await ended, 130);
    assert.equal(await unsound(root), []);
    assert.equal(processesOf(root), []);
  }
});

Interrupt("while an archive is written: the unfinished file is gone", async () => {
  const root = path.join(folder, "store-archive");
  const dest = path.join(folder, "unfinished.tar");
  const done = await kbuildWith(root).run(["-q", "-o", `type=docker,dest=${dest}`, bigContext()], {
    started: (child) => {
      const timer = setInterval(() => {
        if (!fs.readdirSync(folder).some((name) => name.includes("unfinished"))) return;
        clearInterval(timer);
        child.kill("SIGINT");
      }, 5);
      child.on("exit", () => clearInterval(timer));
    },
  });
  if (done.status === 0) return; // it was faster than the signal
  assert.is(done.status, 130, done.stderr);
  assert.not(fs.existsSync(dest));
  assert.equal(
    fs.readdirSync(folder).filter((name) => name.includes("unfinished")),
    [],
  );
});

Interrupt("while a registry does not answer: at once", async () => {
  const server = http.createServer(() => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const context = plant(path.join(folder, "waiting"), { Dockerfile: `FROM 127.0.0.1:${port}/slow:1\n` });
  const root = path.join(folder, "store-waiting");
  const started = Date.now();
  let sent = 0;
  const done = await kbuildWith(root).run(["-q", context], {
    started: (child) => {
      server.once("request", () =>
        setTimeout(() => {
          sent = Date.now();
          child.kill("SIGINT");
        }, 50),
      );
    },
  });
  server.closeAllConnections();
  server.close();
  assert.is(done.status, 130, done.stderr);
  assert.ok(sent > started && Date.now() - sent < 2000, "within two seconds");
  assert.equal(await unsound(root), []);
});

Interrupt("kill -9 at any moment leaves a store that works", async () => {
  const root = path.join(folder, "store-killed");
  for (const wait of [60, 120, 200, 320, 500]) {
    await kbuildWith(root).run(["-q", "--no-cache", bigContext()], {
      started: (child) => setTimeout(() => child.kill("SIGKILL"), wait),
    });
    await sleep(100);
    assert.equal(processesOf(root), [], "the core ends with its front");
    await kbuildWith(root).must(["-q", small]);
    assert.equal(
      (await unsound(root)).filter((line) => !line.startsWith("left behind")),
      [],
    );
  }
});

Interrupt.run();
