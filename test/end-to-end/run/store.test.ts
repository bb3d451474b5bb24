/** A store on a file system that the kernel takes no overlay on: an overlay, as it is in a container whose store is no volume. */
import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { writeBase } from "../../conformance/base.ts";
import { type Account, makeAccount } from "../../support/accounts.ts";
import { available, type CommandOptions, KBUILD, type Outcome, run } from "../../support/command.ts";
import { digestOf } from "../../support/image-reader.ts";
import { mountsOf, processes, processesOf, until } from "../../support/processes.ts";
import { unsound } from "../../support/store-check.ts";
import { plant, workspace } from "../../support/workspace.ts";

const shared = workspace("kbuild-run-store");
const base = path.join(shared, "busybox");
await writeBase(base);
const overlaid = path.join(shared, "overlaid");
for (const name of ["lower", "upper", "work", "overlaid"]) fs.mkdirSync(path.join(shared, name));
const folders = ["lowerdir=lower", "upperdir=upper", "workdir=work"].map((each) => each.replace("=", `=${shared}/`));
execFileSync("mount", ["-t", "overlay", "overlay", "-o", folders.join(), overlaid]);
fs.chmodSync(overlaid, 0o1777);
// Before the folder is removed.
process.prependListener("exit", () => execFileSync("umount", ["--lazy", overlaid]));

const CONTEXT = plant(path.join(shared, "context"), {
  Dockerfile: `FROM busybox AS other
RUN mkdir /d && echo a >/d/a && echo b >/d/b && chown 5:6 /d/a && chmod 4711 /d/b && mkfifo /d/p && ln -s a /d/l
RUN adduser -D ann && mkdir -p /deep/1/2/3 && ln /d/b /deep/b && chown -R ann /deep
FROM busybox
COPY --from=other /d /d
COPY file /added/file
RUN rm /d/a && mkdir /n && ln /d/b /n/b && echo c >/n/c && chown 7:8 /n /n/c && mkdir -p /r/x && touch /r/x/y && mv /added /moved
RUN --mount=type=bind,from=other,source=/d,target=/m --mount=type=cache,target=/c --mount=type=tmpfs,target=/t \\
 cat /m/a >/n/d; stat -c %u:%g /m/a >>/n/d; touch /c/x /t/y; touch /m/z 2>/dev/null || echo refused >>/n/d
RUN --mount=type=bind,target=/ctx,rw echo more >>/ctx/file && cat /ctx/file >/n/file && rm /ctx/file
RUN rm -rf /n/b /r && mkdir /r && echo new >/r/e && rm -rf /d && echo file >/d && rm /bin/vi
RUN mv /moved /again && mv /again /added && sed -i s/root:x/root:y/ /etc/passwd && chmod 0700 /etc
USER 1000:1001
RUN echo mine >/tmp/mine && id -u >>/tmp/mine && [ ! -e /c/x ] && [ ! -e /d/a ]
`,
  file: "file\n",
});

interface Who {
  readonly name: string;
  readonly mode: string;
  readonly account: Account | undefined;
}

const accounts = [makeAccount("subordinate"), makeAccount("plain")] as const;
const EVERYBODY: readonly Who[] = [
  { name: "root", mode: "userns", account: undefined },
  { name: "a user with subordinate ids", mode: "userns", account: accounts[0] },
  { name: "a user without", mode: "single", account: accounts[1] },
];

function kbuild({ account }: Who, root: string, argv: readonly string[], env: CommandOptions["env"]): Promise<Outcome> {
  const all = { KBUILD_ROOT: root, SOURCE_DATE_EPOCH: "1700000000", HOME: shared, ...env };
  const words = [process.execPath, KBUILD, ...argv];
  const become =
    account === undefined
      ? words
      : ["setpriv", `--reuid=${account.uid}`, `--regid=${account.gid}`, "--init-groups", ...words];
  const [program = "", ...rest] = become;
  return run(program, rest, { cwd: "/", env: { USER: account?.name ?? "root", ...all } });
}

/** A PATH without fuse-overlayfs: what else is needed is there by a link. */
function pathWithoutFuse(): string {
  const bin = path.join(shared, "bin");
  fs.mkdirSync(bin, { recursive: true });
  for (const name of ["newuidmap", "newgidmap", "setpriv"]) {
    const link = path.join(bin, name);
    if (!fs.existsSync(link)) fs.symlinkSync(path.join("/usr/bin", name), link);
  }
  return bin;
}

const Store = suite("a store on an overlay");
let number = 0;

let expected: string | undefined;

/** The digest of the image that it gives where overlayfs works. */
async function expectedDigest(): Promise<string> {
  if (expected !== undefined) return expected;
  const root = path.join(shared, "usual");
  await judge({ name: "elsewhere", mode: "userns", account: undefined }, root, {});
  expected = digestOf(root, "it:1") ?? "";
  return expected;
}

async function judge(who: Who, root: string, env: CommandOptions["env"]): Promise<void> {
  const argv = ["--progress=plain", "-t", "it:1", "--build-context", `busybox=oci-layout://${base}`, CONTEXT];
  const done = await kbuild(who, root, argv, env);
  assert.is(done.status, 0, `${who.name}: ${done.stderr}`);
  const again = await kbuild(who, root, argv, env);
  assert.is(again.status, 0, again.stderr);
  assert.not.match(again.stderr, /^#\d+ why: /m);
  assert.equal(await unsound(root), []);
  assert.is((await kbuild(who, root, ["fsck"], env)).status, 0);
  assert.equal(fs.readdirSync(path.join(root, "tmp")), []);
  assert.equal(processesOf(root), []);
  assert.equal(mountsOf(root), []);
}

interface Diagnosed {
  readonly sandbox: { readonly mode: string; readonly strategy: string; readonly fuseOverlayfs?: string };
}

for (const who of EVERYBODY) {
  Store(`${who.name}: RUN works on copies, and gives the same image`, async () => {
    number += 1;
    const root = path.join(overlaid, `store-${number}`);
    const env = { PATH: pathWithoutFuse() };
    const { sandbox } = JSON.parse((await kbuild(who, root, ["doctor", "--json"], env)).stdout) as Diagnosed;
    assert.equal([sandbox.mode, sandbox.strategy], [who.mode, "copy"]);
    const { stdout } = await kbuild(who, root, ["doctor"], env);
    assert.match(stdout, /^ {2}files {4}layers are copied into a tree for each step that needs one$/m);
    assert.match(
      stdout,
      /^ {2}note {5}overlayfs cannot be used on the store's file system \(mount\(overlay\): EINVAL\)/m,
    );
    assert.match(stdout, /^ {2}store {4}.* \(overlay, .* free\)$/m);
    await judge(who, root, env);
    assert.is(digestOf(root, "it:1"), await expectedDigest());
  });
}

const FUSE = spawnSync("sh", ["-c", "command -v fuse-overlayfs"], { encoding: "utf8" }).stdout.trim();

if (available("fuse-overlayfs and /dev/fuse", FUSE !== "" && fs.existsSync("/dev/fuse"))) {
  Store("root: RUN works by fuse-overlayfs where there is one, and gives the same image", async () => {
    const [who] = EVERYBODY as readonly [Who];
    const root = path.join(overlaid, "store-fuse");
    const { sandbox } = JSON.parse((await kbuild(who, root, ["doctor", "--json"], {})).stdout) as Diagnosed;
    assert.equal([sandbox.mode, sandbox.strategy, sandbox.fuseOverlayfs], ["userns", "overlay", FUSE]);
    const { stdout } = await kbuild(who, root, ["doctor"], {});
    assert.match(stdout, new RegExp(`^  files    layers are unpacked once and stacked by ${FUSE}$`, "m"));
    assert.not.match(stdout, /note /);
    await judge(who, root, {});
    assert.is(digestOf(root, "it:1"), await expectedDigest());
  });

  Store("a step that is killed, or that kills all it sees, leaves no fuse-overlayfs and no mount", async () => {
    const [who] = EVERYBODY as readonly [Who];
    const root = path.join(overlaid, "store-killed");
    const argv = ["--progress=plain", "--build-context", `busybox=oci-layout://${base}`];
    const kills = plant(path.join(shared, "kills"), {
      Dockerfile: "FROM busybox\nRUN ps | grep -v grep | grep -c fuse-overlayfs >/count; kill -9 -1; echo x >/x\n",
    });
    const done = await kbuild(who, root, [...argv, "-o", path.join(shared, "killed"), kills], {});
    assert.is(done.status, 0, done.stderr);
    assert.is(fs.readFileSync(path.join(shared, "killed/count"), "utf8"), "0\n");
    assert.is(fs.readFileSync(path.join(shared, "killed/x"), "utf8"), "x\n");
    const sleeps = plant(path.join(shared, "sleeps"), { Dockerfile: "FROM busybox\nRUN sleep 7654321\n" });
    const begun = new Promise<number>((resolve) => {
      void until(
        "the step runs",
        () => processes().some(({ words }) => words.startsWith("sleep 7654321")),
        20_000,
      ).then(() =>
        resolve(processes().find(({ words }) => words.includes(sleeps) && words.includes("kbuild.cjs"))?.pid ?? 0),
      );
    });
    const building = kbuild(who, root, [...argv, sleeps], {});
    process.kill(await begun, "SIGKILL");
    await building;
    const left = () => processes().filter(({ words }) => /sleep 7654321|^\S*fuse-overlayfs/.test(words));
    await until("nothing is left", () => left().length === 0 && mountsOf(root).length === 0, 2000);
  });
}

Store.run();
