import * as fs from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { mountRequests } from "../../../src/executor/run/mount-requests.ts";
import { readSecrets, type Secrets, stepSecret } from "../../../src/executor/run/secrets.ts";
import { must } from "../../support/command.ts";
import { workspace } from "../../support/workspace.ts";
import { refusal, runOf } from "./support.ts";

const folder = workspace();
const path = join(folder, "token");
fs.writeFileSync(path, "from a file\n");

const Reading = suite("secrets that a build is given");

Reading("a file, a variable, a text, bytes", async () => {
  const secrets = await readSecrets(
    {
      file: { file: path },
      variable: { env: "TOKEN" },
      unset: { env: "NOPE" },
      text: { value: "grün" },
      bytes: { value: Buffer.from([0, 255]) },
    },
    { TOKEN: "from a variable" },
  );
  assert.equal(
    [...secrets].map(([id, value]) => [id, Buffer.from(value).toString("latin1")]),
    [
      ["file", "from a file\n"],
      ["variable", "from a variable"],
      ["unset", ""],
      ["text", "gr\u00c3\u00bcn"],
      ["bytes", "\0\u00ff"],
    ],
  );
});

Reading("a pipe, which can be read once", async () => {
  const pipe = join(folder, "pipe");
  await must("mkfifo", [pipe]);
  const [secrets] = await Promise.all([readSecrets({ s: { file: pipe } }, {}), fs.promises.writeFile(pipe, "piped")]);
  assert.is(Buffer.from(secrets.get("s") ?? "").toString(), "piped");
});

Reading("none", async () => assert.is((await readSecrets(undefined, {})).size, 0));

Reading("500 KiB and no more", async () => {
  const large = join(folder, "large");
  fs.writeFileSync(large, Buffer.alloc(500 * 1024));
  assert.is((await readSecrets({ s: { file: large } }, {})).get("s")?.length, 500 * 1024);
  fs.appendFileSync(large, "x");
  for (const source of [{ file: large }, { value: Buffer.alloc(500 * 1024 + 1) }]) {
    const error = await refusal(() => readSecrets({ s: source }, {}));
    assert.is(error.code, "usage.secret");
    assert.match(error.message, /larger than 500 KiB/);
  }
});

for (const [name, source, message] of [
  ["a file that is not there", { file: join(folder, "missing") }, /secret s cannot be read from .*missing.*ENOENT/],
  ["a folder", { file: folder }, /secret s cannot be read from .*EISDIR/],
] as const) {
  Reading(`${name} is refused`, async () => {
    const error = await refusal(() => readSecrets({ s: source }, {}));
    assert.is(error.code, "usage.secret");
    assert.is(error.exitStatus, 2);
    assert.match(error.message, message);
  });
}

Reading("a secret without an id is refused", async () => {
  assert.is((await refusal(() => readSecrets({ "": { value: "" } }, {}))).code, "usage.secret");
});

const Giving = suite("secrets that a step gets");

const SECRETS: Secrets = new Map([
  ["s", Buffer.from("hush\n")],
  ["zero", Buffer.from([65, 0])],
  ["binary", Buffer.from([0xff, 0xfe])],
]);

function given(flags: string) {
  const [request] = mountRequests(runOf(`RUN ${flags} true`).mounts, "/", (word) => word.text);
  assert.ok(request?.kind === "secret");
  return stepSecret(request, SECRETS.get(request.id));
}

Giving("a file, with its owner and its mode", () => {
  assert.equal(given("--mount=type=secret,id=s,target=/t,mode=0440,uid=3,gid=4"), {
    mount: { kind: "file", target: "/t", content: Buffer.from("hush\n"), mode: 0o440, uid: 3, gid: 4, isSecret: true },
    variable: undefined,
    secret: "hush\n",
  });
});

Giving("a variable, and no file unless one is asked for", () => {
  const alone = given("--mount=type=secret,id=s,env=TOKEN");
  assert.equal(alone, { mount: undefined, variable: ["TOKEN", "hush\n"], secret: "hush\n" });
  const both = given("--mount=type=secret,id=s,env=TOKEN,target=/t");
  assert.equal([both?.variable, both?.mount?.target], [["TOKEN", "hush\n"], "/t"]);
});

Giving("one that the build was not given is left out", () => {
  assert.is(given("--mount=type=secret,id=other"), undefined);
});

for (const [flags, message, hint] of [
  ["--mount=type=secret,id=other,required", /secret other: not found/, /--secret id=other,src=FILE/],
  ["--mount=type=secret,id=zero,env=A", /zero byte/, /take env out/],
  ["--mount=type=secret,id=binary,env=A", /not UTF-8/, /take env out/],
] as const) {
  Giving(`${flags} is refused at its place`, async () => {
    const error = await refusal(() => given(flags));
    assert.is(error.code, "build.secret");
    assert.match(error.message, message);
    assert.match(error.hint ?? "", hint);
    assert.equal([error.location?.line, error.location?.column], [2, 13]);
    assert.not.match(error.message, /hush/);
  });
}

Giving("what no variable can be is a file", () => {
  assert.ok(given("--mount=type=secret,id=binary")?.mount);
});

Reading.run();
Giving.run();
