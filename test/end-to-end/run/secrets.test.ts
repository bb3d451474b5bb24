import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import * as zlib from "node:zlib";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { run } from "../../support/command.ts";
import { processes } from "../../support/processes.ts";
import { inEach, type Situation } from "../../support/situations.ts";
import { ground } from "./ground.ts";
import { contextFor, type Ground } from "./rows.ts";

const Secrets = suite<Ground>("a secret is in the step that asks for it and nowhere else", await ground("secrets"));
Secrets.after(({ situations }) => situations.close());

/** A secret in all forms that it could lie somewhere in: as it is, as hexadecimal, as Base64 at each of its offsets. */
function forms(secret: string): Buffer[] {
  const bytes = Buffer.from(secret);
  const base64 = [0, 1, 2].map((offset) =>
    // The first and the last characters depend on what is before and behind.
    Buffer.concat([Buffer.alloc(offset), bytes])
      .toString("base64")
      .slice(4, -4),
  );
  return [secret, bytes.toString("hex"), ...base64, encodeURIComponent(secret)].map((text) => Buffer.from(text));
}

async function plain(bytes: Buffer): Promise<Buffer> {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return zlib.gunzipSync(bytes);
  if (bytes.length > 4 && bytes.readUInt32LE(0) === 0xfd2fb528) {
    return (await run("zstd", ["-dc"], { input: bytes })).bytes;
  }
  return bytes;
}

/** Files below a folder whose name or content, compressed or not, has one of the forms in it. */
async function holders(folder: string, searched: readonly Buffer[]): Promise<string[]> {
  const found: string[] = [];
  for (const entry of fs.readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath ?? entry.path, entry.name);
    const has = (bytes: Buffer): boolean => searched.some((form) => bytes.includes(form));
    if (has(Buffer.from(file))) found.push(file);
    if (entry.isSymbolicLink() && has(fs.readlinkSync(file, "buffer"))) found.push(file);
    if (!entry.isFile()) continue;
    const bytes = fs.readFileSync(file);
    if (has(bytes) || has(await plain(bytes))) found.push(file);
  }
  return found;
}

/** Looks at the words of all processes until it is stopped; gives those that had one of the forms among them. */
function watch(searched: readonly Buffer[]): () => { seen: string[]; looks: number } {
  const seen = new Set<string>();
  let looks = 0;
  const timer = setInterval(() => {
    looks += 1;
    for (const { words } of processes()) {
      const bytes = Buffer.from(words, "latin1");
      if (searched.some((form) => bytes.includes(form))) seen.add(words);
    }
  }, 15);
  return () => {
    clearInterval(timer);
    return { seen: [...seen], looks };
  };
}

const BUILD = `FROM busybox
ARG FAIL=
RUN --mount=type=secret,id=file,required=true --mount=type=secret,id=file,target=/etc/app/key,mode=0444 \\
 --mount=type=secret,id=variable,env=TOKEN sleep 1; [ "$(cat /run/secrets/file)" = "$(cat /etc/app/key)" ] && [ \${#TOKEN} = 40 ] \\
 && echo "lengths \${#TOKEN} $(wc -c </etc/app/key)" && cat /run/secrets/file >/dev/null && [ -z "$FAIL" ]
RUN [ ! -e /run/secrets/file ] && [ ! -s /etc/app/key ] && [ -z "$TOKEN" ] && env >/env
`;

for (const progress of ["plain", "json", "quiet"]) {
  Secrets(`--progress=${progress}: not in the store, the image, the output, the list of processes`, async (ground) => {
    const context = contextFor(ground, BUILD);
    await inEach(ground.situations.all, (each) => hidden(ground, each, context, progress, []));
  });
}

Secrets("nor when the step fails", async (ground) => {
  const context = contextFor(ground, BUILD);
  await inEach(ground.situations.all, (each) => hidden(ground, each, context, "plain", ["--build-arg", "FAIL=1"], 1));
});

async function hidden(
  ground: Ground,
  each: Situation,
  context: string,
  progress: string,
  argv: readonly string[],
  status = 0,
): Promise<void> {
  const [inFile, inVariable] = [crypto.randomBytes(20).toString("hex"), crypto.randomBytes(20).toString("hex")];
  const searched = [...forms(inFile), ...forms(inVariable)];
  // Not in the situation's own folder, which is searched.
  const source = path.join(ground.folder, `secret-${each.name}`);
  fs.writeFileSync(source, inFile);
  const stop = watch(searched);
  const archive = path.join(each.folder, "image.tar");
  const outputs = ["-t", "secret:1", "-o", "type=image", "-o", `type=oci,dest=${archive},compression=gzip`];
  const words = [`--progress=${progress}`, ...outputs, ...ground.bases, ...argv];
  const secrets = ["--secret", `id=file,src=${source}`, "--secret", "id=variable,env=MY_TOKEN"];
  const done = await each.run(["--no-cache", ...words, ...secrets, context], { env: { MY_TOKEN: inVariable } });
  const { seen, looks } = stop();
  assert.is(done.status, status, done.stderr);
  assert.ok(looks > 10, "the processes were looked at while the step ran");
  if (progress === "plain") assert.match(done.stderr, / lengths 40 40\n/);
  assert.equal(seen, [], "on a command line");
  for (const output of [done.stdout, done.stderr]) {
    assert.not.ok(
      searched.some((form) => Buffer.from(output).includes(form)),
      `printed: ${output}`,
    );
  }
  // The store, the home folder and the archive.
  assert.equal(await holders(each.folder, searched), []);
  fs.rmSync(source);
  fs.rmSync(archive, { force: true });
}

Secrets("the search finds a secret that is there", async ({ folder }) => {
  const secret = crypto.randomBytes(20).toString("hex");
  const at = path.join(folder, "found");
  fs.mkdirSync(at);
  fs.writeFileSync(path.join(at, "plain"), `x${secret}y`);
  fs.writeFileSync(path.join(at, "gzip"), zlib.gzipSync(`x${secret}y`));
  fs.writeFileSync(path.join(at, "base64"), Buffer.from(`ab${secret}cd`).toString("base64"));
  assert.is((await holders(at, forms(secret))).length, 3);
});

Secrets.run();
