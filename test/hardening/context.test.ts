import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { kbuildWith, must } from "../support/command.ts";
import { unsound } from "../support/store-check.ts";
import { plant, workspace } from "../support/workspace.ts";

const folder = workspace();
const kbuild = kbuildWith(path.join(folder, "store"));
const ALL = "FROM scratch\nCOPY . /\n";

const Context = suite("contexts that are out of the ordinary");

/** The names in the image, one a line as tar quotes them. */
async function namesIn(context: string): Promise<string> {
  const file = path.join(folder, `${path.basename(context)}.tar`);
  const done = await kbuild.must(["--progress=plain", "-o", `type=tar,dest=${file}`, context]);
  const listed = await must("tar", ["tf", file, "--quoting-style=c"]);
  return `${listed.stdout}\n${done.stderr}`;
}

Context("names with line ends, escapes, quotes, and bytes that are not UTF-8 come through as they are", async () => {
  const context = plant(path.join(folder, "names"), { Dockerfile: ALL, "a\nb": "1", "\u001b[31mred": "2", '"\\': "3" });
  const odd = Buffer.concat([Buffer.from(`${context}/caf`), Buffer.from([0xe9, 0xff])]);
  fs.writeFileSync(odd, "4");
  fs.writeFileSync(path.join(context, "ünï"), "5");
  const text = await namesIn(context);
  for (const name of ['"a\\nb"', '"\\033[31mred"', '"\\"\\\\"', '"caf\\351\\377"'])
    assert.ok(text.includes(name), `${name} in ${text}`);
  assert.match(text, /"(ünï|\\303\\274n\\303\\257)"/);
  assert.not(text.includes("\u001b"), "nothing of a name reaches the terminal as it is");
});

Context("a path of 4,000 characters is copied", async () => {
  const context = plant(path.join(folder, "deep"), { Dockerfile: ALL });
  const name = "d".repeat(199);
  // Made in steps: the system takes no path of that length at once.
  const script = `cd ${context} && for i in $(seq 20); do mkdir ${name} && cd ${name}; done && echo deep >file`;
  assert.is(spawnSync("bash", ["-c", script]).status, 0);
  assert.match(await namesIn(context), new RegExp(`^"(${name}/){20}file"$`, "m"));
});

Context("sockets, pipes and devices are left out, and each is told", async () => {
  const context = plant(path.join(folder, "special"), { Dockerfile: ALL, file: "x" });
  spawnSync("mkfifo", [path.join(context, "pipe")]);
  if (process.getuid?.() === 0) spawnSync("mknod", [path.join(context, "device"), "c", "1", "3"]);
  const server = net.createServer().listen(path.join(context, "socket"));
  try {
    const text = await namesIn(context);
    assert.match(text, /pipe is a named pipe, which cannot be in an image/);
    assert.match(text, /socket is a socket/);
    if (process.getuid?.() === 0) assert.match(text, /device is a device/);
    assert.not.match(text, /^"(pipe|socket|device)"$/m);
    assert.match(text, /^"file"$/m);
  } finally {
    server.close();
  }
});

Context("links that lead out of the context, and around in it", async () => {
  const context = plant(path.join(folder, "links"), {
    Dockerfile: "FROM scratch\nCOPY out /x\n",
    out: { link: "/etc/passwd" },
    round: { link: "round" },
    "d/up": { link: "../../../../../../etc/passwd" },
  });
  const done = await kbuild.run(["-q", context]);
  assert.is(done.status, 1, "what the link names inside of the context is not there");
  assert.match(done.stderr, /Dockerfile:2:6.*out/);
  plant(context, { Dockerfile: ALL });
  const text = await namesIn(context);
  assert.match(text, /^"round"$/m, "links are copied as they are");
  plant(context, { Dockerfile: "FROM scratch\nCOPY round /\n" });
  const circle = await kbuild.run(["-q", context]);
  assert.is(circle.status, 1, circle.stderr);
  assert.match(circle.stderr, /round/);
});

Context("a file that changes while it is read fails the build, and nothing of it stays", async () => {
  const context = plant(path.join(folder, "changing"), { Dockerfile: "FROM scratch\nCOPY big /\n" });
  const big = path.join(context, "big");
  fs.writeFileSync(big, Buffer.alloc(300_000_000));
  const writer = spawn("sh", ["-c", `while :; do echo more >>'${big}'; done`], { stdio: "ignore" });
  try {
    const done = await kbuild.run(["-q", context]);
    assert.is(done.status, 1, done.stderr);
    assert.match(done.stderr, /Dockerfile:2.*big.*(changed|changing)/s);
  } finally {
    writer.kill();
  }
  assert.equal(await unsound(kbuild.root), []);
});

Context("files that come and go: the build works or says which one went, and never takes half of one", async () => {
  const context = plant(path.join(folder, "vanishing"), { Dockerfile: ALL });
  const writer = spawn(
    "bash",
    ["-c", `cd '${context}' && while :; do for i in {1..200}; do echo 1234567890 >f$i; done; rm -f f*; done`],
    { stdio: "ignore" },
  );
  try {
    for (let round = 0; round < 12; round += 1) {
      const done = await kbuild.run(["-q", "--no-cache", context]);
      assert.ok(done.status === 0 || done.status === 1, done.stderr);
      if (done.status === 1) assert.match(done.stderr, /Dockerfile:2.*f\d+/s);
      assert.not.match(done.stderr, /internal/);
    }
  } finally {
    writer.kill();
  }
  assert.equal(await unsound(kbuild.root), []);
});

Context("a file that may not be read is named", async () => {
  const context = plant(path.join(folder, "unreadable"), { Dockerfile: ALL, "a/secret": { text: "x", mode: 0o000 } });
  if (process.getuid?.() !== 0) {
    const done = await kbuild.run(["-q", context]);
    assert.match(done.stderr, /a\/secret/);
    return;
  }
  const home = path.join(folder, "home");
  fs.mkdirSync(home);
  fs.chownSync(home, 50123, 50123);
  const done = await kbuildWith(path.join(home, "store")).run(["-q", context], { uid: 50123 });
  assert.is(done.status, 1, done.stderr);
  assert.match(done.stderr, /Dockerfile:2.*a\/secret/s);
  plant(context, { ".dockerignore": "a\n" });
  await kbuildWith(path.join(home, "store")).must(["-q", context], { uid: 50123 });
});

Context("a store on a read-only file system", async () => {
  if (process.getuid?.() !== 0) throw new Error("this test needs root, to mount");
  const root = path.join(folder, "readonly");
  fs.mkdirSync(root);
  await must("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", root]);
  try {
    await must("mount", ["-o", "remount,ro", root]);
    const done = await kbuildWith(path.join(root, "store")).run(["-q", path.join(folder, "links")]);
    assert.is(done.status, 4, done.stderr);
    assert.match(done.stderr, /read-only/);
  } finally {
    await must("umount", [root]);
  }
});

Context.run();
