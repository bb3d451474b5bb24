import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import { type Credentials, findCredentials } from "../../src/oci/credentials.ts";

const test = suite<{ folder: string; env: Record<string, string> }>("credentials");

test.before.each(async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "kbuild-credentials-"));
  await mkdir(join(folder, "bin"));
  await mkdir(join(folder, ".docker"));
  await mkdir(join(folder, "run", "containers"), { recursive: true });
  context.folder = folder;
  context.env = { HOME: folder, PATH: `${join(folder, "bin")}:/usr/bin:/bin`, XDG_RUNTIME_DIR: join(folder, "run") };
});
test.after.each(({ folder }) => rm(folder, { recursive: true, force: true }));

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const basic = (username: string, password: string): Credentials => ({ kind: "basic", username, password });
const entry = (name: string): object => ({ auth: base64(`${name}:secret-of-${name}`) });

// Each row: what the file says, which repository is asked for, and whose credentials come out.
for (const [name, config, repository, expected] of [
  ["auth in base64", { auths: { "ghcr.io": { auth: base64("me:p:w") } } }, "ghcr.io/a/b", basic("me", "p:w")],
  ["name and password", { auths: { "ghcr.io": { username: "me", password: "pw" } } }, "ghcr.io/a", basic("me", "pw")],
  ["trailing NULs of docker's", { auths: { h: { auth: base64("me:pw\0\0") } } }, "h/a", basic("me", "pw")],
  ["an empty password", { auths: { h: { auth: base64("token:") } } }, "h/a", basic("token", "")],
  [
    "an identity token",
    { auths: { h: { auth: base64("0000:"), identitytoken: "refresh" } } },
    "h/a",
    { kind: "identityToken", token: "refresh" },
  ],
  [
    "a registry token",
    { auths: { h: { registrytoken: "bearer" } } },
    "h/a",
    { kind: "registryToken", token: "bearer" },
  ],
  [
    "docker.io under its old key",
    { auths: { "https://index.docker.io/v1/": entry("me") } },
    "docker.io/library/a",
    me(),
  ],
  ["docker.io under its own name", { auths: { "docker.io": entry("me") } }, "docker.io/library/a", me()],
  ["docker.io as index.docker.io", { auths: { "index.docker.io": entry("me") } }, "docker.io/library/a", me()],
  ["docker.io as registry-1", { auths: { "registry-1.docker.io": entry("me") } }, "docker.io/library/a", me()],
  [
    "docker's own key before an alias",
    { auths: { "docker.io": entry("other"), "https://index.docker.io/v1/": entry("me") } },
    "docker.io/library/a",
    me(),
  ],
  ["a key with a scheme", { auths: { "https://ghcr.io": entry("me") } }, "ghcr.io/a", me()],
  ["a key with scheme and version", { auths: { "https://ghcr.io/v2/": entry("me") } }, "ghcr.io/a", me()],
  ["a host with a port", { auths: { "localhost:5000": entry("me") } }, "localhost:5000/a", me()],
  ["another port is another host", { auths: { "localhost:5001": entry("me") } }, "localhost:5000/a", undefined],
  ["another host", { auths: { "ghcr.io": entry("me") } }, "evil-ghcr.io/a", undefined],
  ["a host that only starts alike", { auths: { "ghcr.io": entry("me") } }, "ghcr.io.evil.com/a", undefined],
  [
    "the longest path",
    { auths: { h: entry("host"), "h/a": entry("a"), "h/a/b": entry("me"), "h/a/b/c/d": entry("d") } },
    "h/a/b/c",
    me(),
  ],
  ["a path of another", { auths: { "h/team": entry("team") } }, "h/teams/x", undefined],
  ["the host when no path fits", { auths: { h: entry("me"), "h/x": entry("x") } }, "h/a/b", me()],
  ["an empty entry", { auths: { h: {} } }, "h/a", undefined],
  ["a null entry", { auths: { h: null } }, "h/a", undefined],
  ["null members", { auths: null, credHelpers: null, credsStore: null }, "h/a", undefined],
  ["a file without any", { HttpHeaders: { a: "b" }, proxies: {} }, "h/a", undefined],
] as [string, object, string, Credentials | undefined][]) {
  test(`config.json with ${name}`, async ({ folder, env }) => {
    await writeFile(join(folder, ".docker/config.json"), JSON.stringify(config));
    const found = await findCredentials(repository, { env });
    assert.equal(found.credentials, expected);
    assert.equal(found.searched, [join(folder, ".docker/config.json")]);
    assert.equal(found.problems, []);
    assert.is(found.source, expected && join(folder, ".docker/config.json"));
  });
}

test("the places are asked in order, and the first that has any credentials wins", async ({ folder, env }) => {
  const say = (name: string): string => JSON.stringify({ auths: { h: entry(name) } });
  const elsewhere = join(folder, "elsewhere");
  await mkdir(elsewhere);
  const places = [
    ["runtime", join(folder, "run/containers/auth.json")],
    ["docker", join(elsewhere, "config.json")],
    ["registry", join(folder, "auth-file.json")],
  ] as const;
  const full: Record<string, string> = {
    ...env,
    DOCKER_CONFIG: elsewhere,
    REGISTRY_AUTH_FILE: join(folder, "auth-file.json"),
  };
  await writeFile(join(folder, ".docker/config.json"), say("never: DOCKER_CONFIG points elsewhere"));
  assert.equal(await findCredentials("h/a", { env: full }), { searched: [], problems: [] });
  for (const [name, path] of places) {
    await writeFile(path, say(name));
    const found = await findCredentials("h/a", { env: full });
    assert.is(found.credentials?.kind === "basic" && found.credentials.username, name);
    assert.is(found.source, path);
  }
  full.DOCKER_AUTH_CONFIG = say("inline");
  const found = await findCredentials("h/a", { env: full });
  assert.is(found.credentials?.kind === "basic" && found.credentials.username, "inline");
  assert.is(found.source, "$DOCKER_AUTH_CONFIG");
  const other = await findCredentials("other/a", { env: full });
  assert.equal(other.searched, ["$DOCKER_AUTH_CONFIG", ...places.map(([, path]) => path).reverse()]);
});

for (const [name, text, reason] of [
  ["no JSON", '{"auths": {"h": {"auth": "c2VjcmV0"', "it is not valid JSON"],
  ["a list", "[]", "it is not a JSON object"],
  ["auths of another type", '{"auths": "secret"}', '"auths" is not an object'],
  ["helpers of another type", '{"credHelpers": []}', '"credHelpers" is not an object'],
  ["a store of another type", '{"credsStore": 1}', '"credsStore" is not a string'],
  ["an entry of another type", '{"auths": {"h": "secret"}}', 'the entry "h" is not an object'],
  ["auth that is not base64", '{"auths": {"h": {"auth": "secret!"}}}', 'has an "auth" that is not base64'],
  ["auth without a colon", `{"auths": {"h": {"auth": "${base64("secret")}"}}}`, "holds no name and password"],
  ["a password of another type", '{"auths": {"h": {"password": ["secret"]}}}', '"password" that is not a string'],
  ["a helper of another type", '{"credHelpers": {"h": 1}}', 'the helper of "h" is not a string'],
  ["a helper in another folder", '{"credsStore": "../../bin/sh"}', "is not the name of a credential helper"],
] as const) {
  test(`config.json with ${name} is refused, naming the file and no secret`, async ({ folder, env }) => {
    const file = join(folder, ".docker/config.json");
    await writeFile(file, text);
    const error = await failure(findCredentials("h/a", { env }));
    assert.is(error.code, "usage.credentials");
    assert.ok(error.message.includes(file), error.message);
    assert.ok(error.message.includes(reason), error.message);
    assert.not.match(inspect(error, { depth: 9 }), /secret|c2VjcmV0/);
  });
}

test("a folder in the place of config.json is refused", async ({ folder, env }) => {
  await mkdir(join(folder, ".docker/config.json"));
  assert.match((await failure(findCredentials("h/a", { env }))).message, /not a regular file/);
});

test("an empty config.json has no credentials", async ({ folder, env }) => {
  await writeFile(join(folder, ".docker/config.json"), "\n");
  assert.is((await findCredentials("h/a", { env })).credentials, undefined);
});

// Each row: the helper's script, the credentials, and the problem that is reported.
for (const [name, script, expected, problem] of [
  [
    "answers",
    `read server; echo '{"ServerURL":"'$server'","Username":"'$server'","Secret":"pw"}'`,
    basic("h", "pw"),
    undefined,
  ],
  [
    "answers with a token",
    `echo '{"Username":"<token>","Secret":"t"}'`,
    { kind: "identityToken", token: "t" },
    undefined,
  ],
  ["has nothing", "echo 'credentials not found in native keychain'; exit 1", undefined, undefined],
  ["answers with empty strings", `echo '{"Username":"","Secret":""}'`, undefined, undefined],
  ["fails", "printf 'no \\033[31mkeyring\\nmore'; exit 2", undefined, "failed: no [31mkeyring"],
  ["fails with the secret in hand", `echo '{"Username":"u","Secret":"pw"}'; exit 2`, undefined, "failed"],
  ["answers no JSON", "echo pw", undefined, "gave an answer that is not JSON"],
  ["answers another shape", `echo '{"user":"pw"}'`, undefined, "gave an answer of another shape"],
  ["hangs", "sleep 60 & sleep 60", undefined, "gave no answer within 0.3 seconds"],
  ["floods", "while :; do echo pwpwpwpwpwpwpwpwpwpwpwpwpwpwpw; done", undefined, "failed: pwpw"],
] as [string, string, Credentials | undefined, string | undefined][]) {
  test(`a credential helper that ${name}`, async ({ folder, env }) => {
    await helper(folder, "test", script);
    await writeFile(join(folder, ".docker/config.json"), JSON.stringify({ credHelpers: { h: "test" } }));
    const helperTimeout = name === "hangs" ? 300 : 10_000;
    const found = await findCredentials("h/a", { env, helperTimeout });
    assert.equal(found.credentials, expected);
    const prefix = `The credential helper docker-credential-test, which ${folder}/.docker/config.json names for h, `;
    if (problem === undefined) assert.equal(found.problems, []);
    else assert.ok(found.problems[0]?.startsWith(prefix + problem), found.problems[0]);
  });
}

test("a missing helper is a problem to report, and what else is known is used", async ({ folder, env }) => {
  const config = { credsStore: "desktop", auths: { h: entry("me") } };
  await writeFile(join(folder, ".docker/config.json"), JSON.stringify(config));
  const found = await findCredentials("h/a", { env });
  assert.equal(found.credentials, me());
  assert.is(found.problems.length, 1);
  assert.match(found.problems[0] ?? "", /docker-credential-desktop, which .* names for h, is not on PATH/);
});

test("a helper that cannot be started is a problem to report", async ({ folder, env }) => {
  await writeFile(join(folder, "bin/docker-credential-test"), "not executable");
  await writeFile(join(folder, ".docker/config.json"), JSON.stringify({ credsStore: "test" }));
  assert.match((await findCredentials("h/a", { env })).problems[0] ?? "", /could not be started \(EACCES\)/);
});

test("a host's own helper goes before the store, and docker.io is asked for by its old name", async ({
  folder,
  env,
}) => {
  const script = (who: string) => `read server; echo '{"Username":"${who}","Secret":"'$server'"}'`;
  await helper(folder, "own", script("own"));
  await helper(folder, "store", script("store"));
  const config = { credsStore: "store", credHelpers: { h: "own", "g/team": "own" } };
  await writeFile(join(folder, ".docker/config.json"), JSON.stringify(config));
  for (const [repository, expected] of [
    ["h/a", basic("own", "h")],
    ["g/team/x", basic("own", "g/team")],
    ["g/other", basic("store", "g")],
    ["docker.io/library/node", basic("store", "https://index.docker.io/v1/")],
  ] as const) {
    assert.equal((await findCredentials(repository, { env })).credentials, expected);
  }
});

test("a signal stops a helper at once", async ({ folder, env }) => {
  await helper(folder, "test", "sleep 60");
  await writeFile(join(folder, ".docker/config.json"), JSON.stringify({ credsStore: "test" }));
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 50);
  const error = await failure(findCredentials("h/a", { env, signal: controller.signal }));
  assert.is(error.code, "interrupted");
});

function me(): Credentials {
  return basic("me", "secret-of-me");
}

async function helper(folder: string, name: string, script: string): Promise<void> {
  const path = join(folder, "bin", `docker-credential-${name}`);
  await writeFile(path, `#!/bin/sh\n[ "$1" = get ] || exit 9\n${script}\n`);
  await chmod(path, 0o755);
}

async function failure(promise: Promise<unknown>): Promise<KbuildError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.instance(error, KbuildError);
  return error as KbuildError;
}

test.run();
