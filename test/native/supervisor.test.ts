/** Owners and ids in a sandbox that has one id only, devices everywhere, and /proc where nothing can be mounted. */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { SandboxEntry, SandboxPlan } from "../../src/native/sandbox-protocol.ts";
import { makeAccount } from "../support/accounts.ts";
import { withCore } from "../support/raw-core.ts";
import { workspace } from "../support/workspace.ts";

const TOOLS = [
  "sh",
  "ls",
  "stat",
  "chown",
  "chmod",
  "id",
  "mkdir",
  "ln",
  "mv",
  "cp",
  "rm",
  "touch",
  "su",
  "cat",
  "mknod",
]
  .concat(["mkfifo", "sleep", "true", "test", "start-stop-daemon", "seq", "kill", "tar", "env", "chroot"])
  .concat(["rmdir", "truncate", "setsid", "find", "head", "readlink", "usleep", "sort", "sed", "nc", "ping"]);
const IDS = { uid: 0, gid: 0, groups: [] };

const NO_IDS = { uids: [], gids: [] };

interface Stepped {
  readonly status: number | null;
  readonly lines: readonly string[];
  /** What was written beside the upper directory, `path owner` each. */
  readonly links: readonly string[];
  readonly upper: string;
}

/** A store of its own for a sandbox of the kind that is asked for. */
class Store {
  readonly folder = workspace("kbuild-supervisor");
  readonly #entry: SandboxEntry;
  readonly #mode: SandboxEntry["mode"];
  readonly #owner: { readonly uid: number; readonly gid: number };
  readonly #layers: string[] = [];
  readonly #base: string;
  #steps = 0;

  constructor(mode: SandboxEntry["mode"]) {
    this.#mode = mode;
    this.#owner = mode === "single" ? makeAccount("plain") : { uid: 0, gid: 0 };
    const range = (outside: number, count: number) => [{ inside: 0, outside, count }];
    this.#entry =
      mode === "single"
        ? { mode, uids: range(this.#owner.uid, 1), gids: range(this.#owner.gid, 1) }
        : { mode, ...(mode === "userns" ? { uids: range(0, 4_294_967_295), gids: range(0, 4_294_967_295) } : NO_IDS) };
    this.#base = this.#makeBase();
    this.#layers.push(this.#base);
  }

  #makeBase(): string {
    const base = path.join(this.folder, "base");
    for (const name of ["bin", "etc", "home", "tmp"]) fs.mkdirSync(path.join(base, name), { recursive: true });
    fs.copyFileSync(execFileSync("which", ["busybox"], { encoding: "utf8" }).trim(), path.join(base, "bin/busybox"));
    fs.chmodSync(path.join(base, "bin/busybox"), 0o755);
    for (const name of TOOLS) fs.symlinkSync("busybox", path.join(base, "bin", name));
    fs.writeFileSync(path.join(base, "etc/passwd"), "root:x:0:0::/:/bin/sh\nbob:x:1000:1000::/home:/bin/sh\n");
    fs.writeFileSync(path.join(base, "etc/group"), "root:x:0:\nmail:x:8:bob\nbob:x:1000:\n");
    for (const name of ["home", "tmp"]) fs.chmodSync(path.join(base, name), 0o1777);
    fs.symlinkSync("nowhere", path.join(base, "low"));
    fs.symlinkSync("nowhere", path.join(base, "kept"));
    if (this.#mode === "single") {
      fs.writeFileSync(
        `${base}.owners`,
        "low\x007 70 120777 0 0\nkept\x0077 700 120777 0 0\nnot/there\x001 1 120777 0 0\n",
      );
    }
    const { uid, gid } = this.#owner;
    execFileSync("chown", ["-R", `${uid}:${gid}`, this.folder]);
    return base;
  }

  /** Runs a script on what the steps before have left. */
  async run(script: string, more: Partial<SandboxPlan> = {}): Promise<Stepped> {
    this.#steps += 1;
    const scratch = path.join(this.folder, `step-${this.#steps}`);
    const { uid, gid } = this.#owner;
    fs.mkdirSync(scratch);
    fs.chownSync(scratch, uid, gid);
    const plan: SandboxPlan = {
      root:
        this.#mode === "chroot"
          ? { kind: "copy", path: this.#base }
          : { kind: "overlay", lower: this.#layers, scratch },
      owners: this.#mode === "single" ? "recorded" : "real",
      hostname: "buildkitsandbox",
      network: "none",
      mounts: [],
      command: ["/bin/sh", "-c", `exec 2>&1\n${script}`],
      environment: ["PATH=/bin"],
      directory: "/",
      ...IDS,
      security: "default",
      limits: [],
      sharedMemory: 65_536,
      ...more,
    };
    const options = { uid, gid, argv: ["sandbox", JSON.stringify(this.#entry)] };
    return withCore(options, async (core) => {
      core.send({ op: "run", id: 1, plan });
      const output: Buffer[] = [];
      for (;;) {
        const { head, body } = await core.answer();
        if (head.reply === "output") {
          output.push(body);
          continue;
        }
        if (head.reply !== "exited") throw new Error(JSON.stringify(head));
        await core.end();
        const upper = this.#mode === "chroot" ? this.#base : path.join(scratch, "upper");
        this.#layers.push(upper);
        const lines = Buffer.concat(output).toString().split("\n").filter(Boolean);
        return { status: head.status, lines, links: linksOf(upper), upper };
      }
    });
  }
}

function linksOf(tree: string): string[] {
  const file = `${tree}.owners`;
  if (!fs.existsSync(file)) return [];
  return fs
    .readFileSync(file, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => line.replace("\0", " "));
}

/** The record of a file, as another program reads it; empty when there is none. */
function recordOf(file: string): string {
  const argv = ["--only-values", "--absolute-names", "--name=user.kbuild.stat", file];
  try {
    return execFileSync("getfattr", argv, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    return "";
  }
}

const Owners = suite("the supervisor, owners");

Owners("files of all kinds have the owner that they were given", async () => {
  const store = new Store("single");
  const { lines, links, upper } = await store.run(`
    echo x > file; chown 12:34 file; chmod 4750 file; mkdir folder; chown 56 folder; ln -s file link; chown -h 7:8 link
    mkfifo fifo; chown 9:9 fifo; cp bin/busybox tool; chown bob:mail tool; chmod 2755 tool
    stat -c "%n %u:%g %a %F" file folder link fifo tool
    chown 1:1 file; chown :2 file; stat -c "%u:%g %a" file; chown 0:0 folder; stat -c "%u:%g" folder; ls -n file`);
  assert.equal(lines.slice(0, 7), [
    "file 12:34 4750 regular file",
    "folder 56:0 755 directory",
    "link 7:8 777 symbolic link",
    "fifo 9:9 644 fifo",
    "tool 1000:8 2755 regular file",
    "1:2 750",
    "0:0",
  ]);
  assert.match(lines[7] ?? "", /^-rwxr-x--- +1 1 +2 /);
  assert.equal(links, ["fifo 9 9 10644 0 0", "link 7 8 120777 0 0"]);
  assert.match(recordOf(path.join(upper, "file")), /^1 2 100\d+ 0 0$/);
  assert.is(recordOf(path.join(upper, "folder")), "");
  assert.match(recordOf(path.join(upper, "tool")), /^1000 8 100\d+ 0 0$/);
});

Owners("the next step sees them, and what it moves keeps them", async () => {
  const store = new Store("single");
  await store.run(
    "echo x > f; chown 5:6 f; ln -s f l; chown -h 3:4 l; mkfifo p; chown 1:2 p; ln -s x gone; chown -h 9 gone",
  );
  const { lines, links } = await store.run(`
    stat -c "%n %u:%g" f l p low kept
    mv low high; mv l /home/moved; mv f g; rm gone; ln -s y gone; ln -s z own; cp -a /home/moved again
    stat -c "%n %u:%g" high /home/moved g gone own again p`);
  assert.equal(lines, [
    ...["f 5:6", "l 3:4", "p 1:2", "low 7:70", "kept 77:700"],
    ...["high 7:70", "/home/moved 3:4", "g 5:6", "gone 0:0", "own 0:0", "again 3:4", "p 1:2"],
  ]);
  assert.equal(links, ["again 3 4 120777 0 0", "high 7 70 120777 0 0", "home/moved 3 4 120777 0 0"]);
  const third = await store.run('stat -c "%n %u:%g" high /home/moved kept gone; find / -xdev -user 3 | sort');
  assert.equal(third.lines.slice(0, 4), ["high 7:70", "/home/moved 3:4", "kept 77:700", "gone 0:0"]);
  assert.equal(third.lines.slice(4), ["/again", "/home/moved"]);
  assert.equal(third.links, []);
});

Owners("what nobody changes is not copied up", async () => {
  const store = new Store("single");
  const { status, upper, links } = await store.run("find / -xdev > /dev/null; stat -L low; chown 0:0 /dev/null; true");
  assert.is(status, 0);
  assert.equal(fs.readdirSync(upper), []);
  assert.equal(links, []);
});

Owners("paths are those of the caller", async () => {
  const store = new Store("single");
  const { lines } = await store.run(`
    mkdir -p a/b root; echo x > a/b/f; ln -s /a/b/f abs; ln -s ../b/f a/rel; ln -s f a/b/up
    chown 1:1 abs; chown -h 2:2 abs; cd a/b; chown 3:3 ../b/../../a/b/f; stat -c "%n %u" f ../../abs; stat -L -c "%n %u" up ../../abs
    exec 5<f; chown 4:4 /proc/self/fd/5; stat -L -c "%u" /proc/self/fd/5; rm f; chown 6:6 /proc/self/fd/5; stat -L -c "%u" /dev/fd/5
    cd /; cp -a bin root/; echo x > root/f; ln -s /f root/link; chroot root /bin/chown 8:8 /link; stat -c "%n %u" root/f; stat -c %u /f`);
  assert.equal(lines.slice(0, 7), ["f 3", "../../abs 2", "up 3", "../../abs 3", "4", "6", "root/f 8"]);
  assert.match(lines[7] ?? "", /can't stat '\/f'/);
});

Owners.run();

const Processes = suite("the supervisor, processes");

Processes("a process is whom it made itself, for good", async () => {
  const store = new Store("single");
  const { lines } = await store.run(`
    id; su bob -c "id; id -u; su root -c id < /dev/null; sh -c 'sh -c id'; chown 0 /tmp; echo $?"; id -u
    start-stop-daemon -S -b -c bob:mail -x /bin/env -- sh -c "id > /tmp/daemon; touch /tmp/made"
    while ! test -e /tmp/made; do usleep 10000; done; cat /tmp/daemon; stat -c %u:%g /tmp/made`);
  const text = lines.join("\n");
  assert.match(lines[0] ?? "", /^uid=0\(root\) gid=0\(root\)/);
  assert.match(
    lines[1] ?? "",
    /^uid=1000\(bob\) gid=1000\(bob\) groups=(8\(mail\),1000\(bob\)|1000\(bob\),8\(mail\))$/,
  );
  assert.is(lines[2], "1000");
  assert.match(text, /su: must be suid to work properly|incorrect password|can't set groups/);
  assert.not.match(lines.slice(2, -3).join("\n"), /uid=0/);
  assert.match(text, /chown: \/tmp: Operation not permitted/);
  assert.match(lines.at(-2) ?? "", /^uid=1000\(bob\) gid=8\(mail\)/);
  assert.is(lines.at(-1), "1000:8");
});

Processes("the first one is the step's user", async () => {
  const store = new Store("single");
  const { lines } = await store.run(
    `id; touch /tmp/x; mkdir /tmp/y; stat -c "%u:%g" /tmp/x /tmp/y; chown 0 /tmp/x || id -u`,
    {
      uid: 1000,
      gid: 8,
      groups: [1000, 33],
    },
  );
  assert.equal(lines, [
    "uid=1000(bob) gid=8(mail) groups=33,1000(bob)",
    ...["1000:8", "1000:8"],
    ...["chown: /tmp/x: Operation not permitted", "1000"],
  ]);
});

Processes("what a process makes belongs to it, or to its folder's group", async () => {
  const store = new Store("single");
  const { lines, links } = await store.run(`
    mkdir shared; chown 0:33 shared; chmod 2777 shared; ln -s /home/target home/dangling
    su bob -c 'umask 027; cd home; echo x > f; echo y >> dangling; set -C; echo z > exclusive; mkdir d; ln -s f l; mkfifo p; cd /shared
      echo x > f; mkdir d; echo > d/inner'
    cd home; stat -c "%n %u:%g %a" f target exclusive d l p; cat target exclusive; cd /shared; echo > root; stat -c "%n %u:%g %a" f d d/inner root`);
  assert.equal(lines, [
    ...["f 1000:1000 640", "target 1000:1000 640", "exclusive 1000:1000 640", "d 1000:1000 750", "l 1000:1000 777"],
    ...["p 1000:1000 640", "y", "z", "f 1000:33 640", "d 1000:33 2750", "d/inner 1000:33 640", "root 0:33 644"],
  ]);
  assert.equal(links, ["home/l 1000 1000 120777 0 0", "home/p 1000 1000 10640 0 0"]);
});

Processes("a set-id program runs as its owner", async () => {
  const store = new Store("single");
  // busybox gives up what it got by a set-id bit, except as su, which insists on it.
  const { lines } = await store.run(`
    sed -i s/root:x:/root::/ etc/passwd; rm bin/su; cp bin/busybox bin/su; su bob -c "/bin/su root -c 'id -u'"
    chmod 4755 bin/su; su bob -c "/bin/su root -c 'id -u'"; chown 44 bin/su; stat -c %a bin/su; chmod 4755 bin/su; su bob -c "/bin/su root -c 'id -u'"`);
  const refused = "su: must be suid to work properly";
  assert.equal(lines, [refused, "0", "755", refused]);
});

Processes("processes that are killed while they wait do no harm", async () => {
  const store = new Store("single");
  const { status, lines } = await store.run(`
    for each in $(seq 40); do
      (while true; do stat /etc/passwd > /dev/null; touch /tmp/$each; chown $each /tmp/$each; rm /tmp/$each; done) &
      usleep 3000
      kill -9 $!
    done 2> /dev/null
    touch last; chown 5 last; stat -c %u last`);
  assert.is(status, 0);
  assert.equal(lines, ["5"]);
});

Processes.run();

const Users = suite("the supervisor, users");

/** What bob (1000:1000, in group 8) finds, and gets to do to it; each command is a shell's. */
const THERE = `
  umask 022; mkdir -m 777 /open; mkdir -m 1777 /sticky; mkdir -m 700 /shut; mkdir -m 711 /through; mkdir -m 744 /listed; mkdir -m 755 /roots
  mkdir -m 770 /mails; chown 0:8 /mails; mkdir -m 700 /bobs; chown 1000:1000 /bobs; mkdir -m 577 /bobs/shut; chown 1000 /bobs/shut
  for each in /open /sticky /shut /through /listed /roots /mails /bobs; do
    for mode in 600 640 604 646; do echo x > $each/$mode; chown 0:8 $each/$mode; chmod $mode $each/$mode; done
    echo x > $each/own; chown 1000:8 $each/own; chmod 600 $each/own; echo x > $each/mean; chown 1000:8 $each/mean; chmod 066 $each/mean
    echo x > $each/other; chown 1000:33 $each/other; mkdir $each/empty $each/bobs; chown 1000:1000 $each/bobs
    ln -s /shut/604 $each/link; ln -s /roots/646 $each/good
  done
  printf '#!/bin/sh\\necho ran\\n' > /roots/script; chmod 755 /roots/script; cp /roots/script /roots/plain; chmod 644 /roots/plain
  cp /roots/script /roots/roots; chmod 744 /roots/roots; cp /roots/script /roots/mails; chown 0:8 /roots/mails; chmod 750 /roots/mails`;

/** Calls of a user, by what it comes to; those that only read are told apart. */
const MAY: readonly (readonly [command: string, outcome: "done" | "EACCES" | "EPERM", reads?: "reads"])[] = [
  ["cat /open/600", "EACCES", "reads"],
  ["cat /open/640", "done", "reads"],
  ["cat /open/604", "EACCES", "reads"],
  ["cat /open/mean", "EACCES", "reads"],
  ["cat /open/own /through/646 /roots/good", "done", "reads"],
  ["cat /open/link", "EACCES", "reads"],
  ["cat /shut/own", "EACCES", "reads"],
  ["cat /listed/own", "EACCES", "reads"],
  ["cat /shut/../roots/604", "EACCES", "reads"],
  ["cat /roots/./646", "done", "reads"],
  ['test "$(echo /listed/*)" != "/listed/*"', "done", "reads"],
  ["ls /through", "EACCES", "reads"],
  ["ls /through/empty", "done", "reads"],
  ["readlink -v /shut/good", "EACCES", "reads"],
  ["cat /proc/self/status /proc/self/environ /proc/self/fd/0", "done", "reads"],
  ["echo x >> /dev/null; echo x > /proc/self/fd/1; echo x > /dev/stdout", "done"],
  ["echo x >> /open/646", "EACCES"],
  ["echo x >> /bobs/646", "EACCES"],
  ["echo x > /open/604", "EACCES"],
  ["echo x >> /open/own", "done"],
  ["echo x >> /open/new && rm /open/new", "done"],
  ["echo x > /roots/new", "EACCES"],
  ["echo x > /mails/new && rm /mails/new", "done"],
  ["echo x > /through/new", "EACCES"],
  ["echo x > /bobs/shut/new", "EACCES"],
  ["truncate -s 0 /roots/604", "EACCES"],
  ["stat /shut/646", "EACCES", "reads"],
  ["stat /shut/.", "EACCES", "reads"],
  ["stat /shut /through/600", "done"],
  ["stat -L /bobs/link", "EACCES", "reads"],
  ["cd /shut", "EACCES"],
  ["cd /listed", "EACCES"],
  ["cd /through", "done"],
  ["/roots/script", "done"],
  ["/roots/mails", "done"],
  ["/roots/plain", "EACCES"],
  ["/roots/roots", "EACCES"],
  ["/shut/script", "EACCES"],
  ["mkdir /roots/d", "EACCES"],
  ["mkdir /open/d && rmdir /open/d", "done"],
  ["mkfifo /roots/p", "EACCES"],
  ["ln -s x /roots/l", "EACCES"],
  ["ln -s x /open/l && rm /open/l", "done"],
  ["ln /open/own /roots/hard", "EACCES"],
  ["ln /open/600 /open/hard", "EPERM"],
  ["ln /open/own /open/hard && rm /open/hard", "done"],
  ["rm -f /roots/own", "EACCES"],
  ["rm -f /sticky/646", "EPERM"],
  ["rm -f /sticky/own", "done"],
  ["rm -f /open/646", "done"],
  ["rmdir /roots/empty", "EACCES"],
  ["rmdir /sticky/empty", "EPERM"],
  ["rmdir /open/empty", "done"],
  ["mv /roots/own /open/moved", "EACCES"],
  ["mv -f /open/604 /sticky/640", "EPERM"],
  ["mv /sticky/mean /open/moved && rm -f /open/moved", "done"],
  ["mv /open/604 /mails/604", "done"],
  ["mkdir -m 555 /open/d && mv -T /open/d /open/e && rmdir /open/e", "done"],
  ["mkdir -m 555 /open/f && mv -T /open/f /bobs/f", "EACCES"],
  ["chmod 777 /open/600", "EPERM"],
  ["chmod 600 /open/own", "done"],
  ["chmod 600 /shut/own", "EACCES"],
  ["chown 1000 /open/600", "EPERM"],
  ["chown 0 /open/own", "EPERM"],
  ["chown :33 /open/own", "EPERM"],
  ["chown :1000 /open/own", "done"],
  ["chown :8 /shut/own", "EACCES"],
  ["touch /open/600", "EACCES"],
  ["touch /mails/mean", "done"],
  ["touch -d 2001-01-01 /through/646", "EPERM"],
  ["touch -d 2001-01-01 /through/own", "done"],
  ["touch -h -d 2001-01-01 /through/good", "EPERM"],
  ["chmod 2755 /open/other; test $(stat -c %a /open/other) = 755", "done"],
  ["chmod 2755 /open/own; test $(stat -c %a /open/own) = 2755", "done"],
  ["chroot / true", "EPERM"],
  ["kill -0 1", "EPERM"],
  ["kill -0 $$", "done"],
  ["sleep 9 & kill $!", "done"],
];

/** As a shell's loop, each with its number, status and what was said. */
function attempts(commands: readonly string[], before: string): string {
  const each = commands.map((command, number) => {
    const quoted = command.replaceAll("'", "'\\''");
    return `said=$(sh -c '${quoted}' 2>&1); echo "${number} $? $(echo $said)"`;
  });
  return `${before}\n${each.join("\n")}`;
}

/** What came to another end than the table says. */
function surprises(rows: typeof MAY, lines: readonly string[]): string[] {
  return rows.flatMap(([command, outcome], number) => {
    const line = lines[number] ?? "nothing";
    const done = line.startsWith(`${number} 0`) ? "done" : "";
    const found = /Permission denied/.test(line) ? "EACCES" : /Operation not permitted/.test(line) ? "EPERM" : done;
    return found === outcome ? [] : [`${command}: ${line}, not ${outcome}`];
  });
}

for (const [mode, name] of [
  ["userns", "as the kernel has it"],
  ["single", "as it is imitated"],
] as const) {
  Users(`a user may do what its ids allow, and nothing else, ${name}`, async () => {
    const store = new Store(mode);
    await store.run(THERE);
    // There the first process is the user's own.
    const rows = MAY.filter(([command]) => command !== "kill -0 1");
    const script = attempts(
      rows.map(([command]) => command),
      "cd /",
    );
    const { lines } = await store.run(script, { uid: 1000, gid: 1000, groups: [8] });
    assert.equal(surprises(rows, lines), []);
  });

  Users(`who became a user may do no more, ${name}`, async () => {
    const store = new Store(mode);
    // In a step that begins as root nobody is asked about reading.
    const rows = MAY.filter(([, , reads]) => reads === undefined);
    const script = attempts(
      rows.map(([command]) => command),
      "cd /",
    );
    await store.run(THERE);
    await store.run(`cat > /attempts <<'END'\n${script}\nEND\nchmod 644 /attempts`);
    const { lines } = await store.run("su bob -c 'sh /attempts'; true");
    assert.equal(surprises(rows, lines), []);
  });
}

Users.run();

const Devices = suite("the supervisor, devices");

for (const mode of ["single", "userns", "chroot"] as const) {
  Devices(`${mode}: a device is a file with a record, a fifo is one`, async () => {
    const store = new Store(mode);
    const { lines, upper } = await store.run(`
      mknod null c 1 3; mknod -m 640 disk b 259 300; mknod pipe p; mknod null c 1 3; stat -c "%n %F" pipe; mknod mark c 0 0
      su bob -c "mknod /home/x c 1 3"`);
    assert.equal(lines, [
      ...["mknod: null: File exists", "pipe fifo", "mknod: mark: Operation not permitted"],
      "mknod: /home/x: Operation not permitted",
    ]);
    assert.is(recordOf(path.join(upper, "null")), "0 0 20644 1 3");
    assert.match(recordOf(path.join(upper, "disk")), /^0 0 60\d+ 259 300$/);
    assert.ok(fs.lstatSync(path.join(upper, "null")).isFile());
    assert.is(fs.lstatSync(path.join(upper, "disk")).mode & 0o777, 0o640);
    assert.ok(fs.lstatSync(path.join(upper, "pipe")).isFIFO());
    assert.not.ok(fs.existsSync(path.join(upper, "mark")));
  });
}

Devices("where owners are on record, a step sees its devices", async () => {
  const store = new Store("single");
  await store.run("mknod null c 1 3; chown 3:4 null; chmod 600 null");
  const { lines } = await store.run('stat -c "%n %F %t %T %u:%g %a" null; test -c null && echo yes');
  assert.equal(lines, ["null character special file 1 3 3:4 600", "yes"]);
});

Devices.run();

const WithoutMounts = suite("the supervisor, where nothing can be mounted");

WithoutMounts("a process finds itself in /proc and /dev, and no other", async () => {
  const store = new Store("chroot");
  const { lines } = await store.run(`
    readlink /proc/self/exe; cd /bin; readlink /proc/self/cwd; readlink /proc/self/root; cd /; test "$(readlink /proc/self)" -gt 1; echo $?
    head -n 1 /proc/self/status; echo hi | cat /dev/stdin; echo out > /dev/stdout; echo fd | cat /dev/fd/0
    echo f > /tmp/f; exec 7< /tmp/f; cat /proc/self/fd/7; ln -s /dev/stdout log; echo logged > log
    stat -L -c "%n %F" /proc/self/exe /dev/fd/7 /proc/self; test -e /dev/fd/99; echo $?
    exec 2> /dev/null
    for each in /proc/1/status /proc/self/mem /proc/self/mountinfo /proc/self/../1/cmdline /proc/self/root/../etc/shadow; do
      cat $each; echo $?
    done
    ls /proc/self/fd /proc/self/root/ /proc/self/ > /dev/null; echo $?; echo > /proc/self/comm; echo $?`);
  assert.equal(lines, [
    ...["/bin/busybox", "/bin", "/", "0", "Name:\thead", "hi", "out", "fd", "f", "logged"],
    ...["/proc/self/exe regular file", "/dev/fd/7 regular file", "/proc/self directory", "1"],
    ...["1", "1", "1", "1", "1", "1", "1"],
  ]);
});

WithoutMounts("what is mounted read-only cannot be changed by any path", async () => {
  const store = new Store("chroot");
  const source = path.join(store.folder, "source");
  fs.mkdirSync(source);
  fs.writeFileSync(path.join(source, "file"), "b\n");
  const { lines } = await store.run(
    `
    cat /ro/file; ln -s /ro link; echo x > other
    for each in "echo x > /ro/file" "echo x >> /ro/new" "rm /ro/file" "mkdir /ro/d" "mv /ro/file /x" "ln /ro/file /x" \\
      "chmod 700 /ro/file" "touch /ro/file" "chown 1 /ro" "rm -f /link/file" "echo y > /link/../ro/file" "cd /ro && touch here" \\
      "cp other /ro/o" "ln -s x /ro/l" "mknod /ro/dev c 1 3" "mkfifo /ro/p" "touch -h /ro/file" "echo > /proc/self/root/ro/file"; do
      sh -c "$each" 2> /dev/null && echo "done: $each"
    done
    touch rom; echo y > other; cat other`,
    { mounts: [{ kind: "bind", source, target: "/ro", readOnly: true }] },
  );
  assert.equal(lines, ["b", "y"]);
  assert.equal(fs.readdirSync(source), ["file"]);
  assert.is(fs.readFileSync(path.join(source, "file"), "utf8"), "b\n");
  assert.is(fs.statSync(source).uid, 0);
});

WithoutMounts("without a network there are no sockets of it", async () => {
  const store = new Store("chroot");
  const { lines } = await store.run("nc -l -p 0; ping -c 1 127.0.0.1 | cat > /dev/null");
  assert.equal(lines, ["nc: socket: Permission denied", "ping: can't create raw socket: Permission denied"]);
});

WithoutMounts.run();
