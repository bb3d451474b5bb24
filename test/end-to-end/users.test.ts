import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { writeBase } from "../conformance/base.ts";
import { available, KBUILD, kbuildWith, must } from "../support/command.ts";
import { readImage } from "../support/image-reader.ts";
import { unsound } from "../support/store-check.ts";
import { plant, workspace } from "../support/workspace.ts";

const folder = workspace();
const base = path.join(folder, "busybox");
await writeBase(base);
const context = plant(path.join(folder, "context"), {
  Dockerfile:
    "FROM busybox\nCOPY --chown=www-data:mail --chmod=4750 app /app\nWORKDIR /srv/deep\nADD t.tar /t\nUSER 1000\n",
  app: { text: "#!/bin/sh\n", mode: 0o755 },
});
await must("tar", [
  "cf",
  path.join(context, "t.tar"),
  "--owner=77",
  "--group=88",
  "--numeric-owner",
  "-C",
  context,
  "app",
]);

/** Builds as an account; gives the digest. */
async function buildAs(uid: number | undefined): Promise<{ digest: string; root: string }> {
  const home = path.join(folder, `home-${uid ?? "own"}`);
  fs.mkdirSync(home);
  if (uid !== undefined) fs.chownSync(home, uid, uid);
  const root = path.join(home, "store");
  const metadata = path.join(home, "metadata.json");
  const identity = uid === undefined ? {} : { uid, gid: uid };
  await kbuildWith(root).must(
    ["-q", "--metadata-file", metadata, "--build-context", `busybox=oci-layout://${base}`, context],
    {
      ...identity,
      cwd: home,
      env: { HOME: home, SOURCE_DATE_EPOCH: "1700000000" },
    },
  );
  assert.equal(await unsound(root), []);
  return {
    digest: (JSON.parse(fs.readFileSync(metadata, "utf8")) as Record<string, string>)["containerimage.digest"] ?? "",
    root,
  };
}

const Users = suite("any account can build");

Users("an account without subordinate ids gives the image that root gives, digest for digest", async () => {
  if (!available("root", process.getuid?.() === 0)) return;
  const one = await buildAs(undefined);
  const two = await buildAs(51234);
  const three = await buildAs(51235);
  assert.is(two.digest, one.digest);
  assert.is(three.digest, one.digest);
  const { tree } = await readImage(two.root, two.digest);
  const app = tree.get("app");
  assert.equal([app?.uid, app?.gid, app?.mode], [33, 8, 0o4750]);
  assert.equal([tree.get("t/app")?.uid, tree.get("t/app")?.gid], [77, 88]);
  assert.equal([tree.get("srv/deep")?.uid, tree.get("srv/deep")?.mode], [0, 0o755]);
});

Users("a process without capabilities and with no_new_privs can build", async () => {
  if (!available("root", process.getuid?.() === 0)) return;
  const home = path.join(folder, "home-restricted");
  fs.mkdirSync(home);
  fs.chownSync(home, 51236, 51236);
  const { stdout } = await must(
    "setpriv",
    [
      "--reuid=51236",
      "--regid=51236",
      "--clear-groups",
      "--no-new-privs",
      "--bounding-set=-all",
      "--inh-caps=-all",
      process.execPath,
      KBUILD,
      "-q",
      "--build-context",
      `busybox=oci-layout://${base}`,
      context,
    ],
    { env: { HOME: home } },
  );
  assert.match(stdout, /^sha256:/);
  assert.ok(
    fs.existsSync(path.join(home, ".local/share/kbuild/oci-layout")),
    "the default store is below the home folder",
  );
});

Users("a file that the account may not read is named", async () => {
  if (!available("root", process.getuid?.() === 0)) return;
  const secret = plant(path.join(folder, "secret"), {
    Dockerfile: "FROM scratch\nCOPY . /\n",
    key: { text: "k", mode: 0o600 },
  });
  const home = path.join(folder, "home-secret");
  fs.mkdirSync(home);
  fs.chownSync(home, 51237, 51237);
  const done = await kbuildWith(path.join(home, "store")).run(["-q", secret], { uid: 51237 });
  assert.is(done.status, 1, done.stderr);
  assert.match(done.stderr, /key/);
  assert.match(done.stderr, /Dockerfile:2/);
});

Users.run();
