import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import * as fs from "node:fs";
import type { ServerResponse } from "node:http";
import * as path from "node:path";
import { gzipSync } from "node:zlib";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { kbuildWith } from "../support/command.ts";
import { git, publish, startRemoteServer } from "../support/remote.ts";
import { listing, plant, workspace } from "../support/workspace.ts";

const folder = workspace();
const store = path.join(folder, "store");
const kbuild = kbuildWith(store);
const server = await startRemoteServer();
server.files.set("/file.txt", Buffer.from("hello\n"));
const SUM = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

const module = plant(path.join(folder, "module"), { "mod.txt": "mod\n" });
git(module, "init", "-q", "-b", "main", ".");
git(module, "add", "-A");
git(module, "commit", "-qm", "module");
publish(server, module, "module");

const tree = plant(path.join(folder, "tree"), {
  Dockerfile: "FROM scratch\nCOPY . /\n",
  "run.sh": { text: "#!/bin/sh\n", mode: 0o755 },
  "sub/f": "f\n",
  link: { link: "sub/f" },
});
git(tree, "init", "-q", "-b", "main", ".");
git(tree, "add", "-A");
git(tree, "commit", "-qm", "one");
git(tree, "tag", "v1");
git(tree, "tag", "-a", "-m", "annotated", "v1a");
const first = git(tree, "rev-parse", "HEAD");
git(tree, "checkout", "-q", "-b", "dev");
plant(tree, { dev: "dev\n", "sub/Dockerfile": "FROM scratch\nCOPY f /only\n" });
git(tree, "add", "-A");
git(tree, "commit", "-qm", "two");
git(tree, "checkout", "-q", "main");
git(tree, "submodule", "--quiet", "add", "../module", "m");
fs.writeFileSync(path.join(tree, ".gitmodules"), '[submodule "m"]\n\tpath = m\n\turl = ../module.git\n');
git(tree, "add", "-A");
git(tree, "commit", "-qm", "three");
publish(server, tree, "tree");
const repository = `${server.url}/git/tree.git`;

let number = 0;
/** Builds a Dockerfile with an empty context into a folder; gives the folder. */
async function build(dockerfile: string, argv: readonly string[] = []): Promise<string> {
  number += 1;
  const context = plant(path.join(folder, `context-${number}`), { "local.txt": "local\n" });
  const dest = path.join(folder, `out-${number}`);
  await kbuild.must(["-q", "-o", dest, "-f", "-", ...argv, context], { input: dockerfile });
  return dest;
}

async function refused(dockerfile: string, argv: readonly string[] = []): Promise<string> {
  const done = await kbuild.run(["-q", "-f", "-", ...argv, folder], { input: dockerfile });
  assert.is.not(done.status, 0, "it was to fail");
  return `${done.status} ${done.stderr}`;
}

const Files = suite("ADD of files by HTTP");

Files("a file has its name, mode 0600, root as owner and the time of Last-Modified", async () => {
  server.files.set("/file.txt?x=1", Buffer.from("hello\n"));
  const dest = await build(`FROM scratch\nADD ${server.url}/file.txt?x=1 /a/\nADD ${server.url}/file.txt /b\n`);
  assert.equal(listing(dest), ["a/", "a/file.txt 6", "b 6"]);
  const stat = fs.statSync(path.join(dest, "b"));
  assert.is(stat.mode & 0o7777, 0o600);
  assert.is(stat.mtimeMs, Date.parse("2024-01-02T03:04:05Z"));
});

Files("a file that comes with Content-Encoding: gzip is the file inside", async () => {
  const packed = gzipSync("inside\n");
  const answer = (body: Buffer) => (_: unknown, response: ServerResponse) => {
    response.writeHead(200, { "content-encoding": "gzip", "content-length": body.length }).end(body);
  };
  server.files.set("/packed", answer(packed));
  const dest = await build(`FROM scratch\nADD ${server.url}/packed /f\n`);
  assert.is(fs.readFileSync(path.join(dest, "f"), "utf8"), "inside\n");
  server.files.set("/broken", answer(packed.subarray(0, 12)));
  const told = await refused(`FROM scratch\nADD ${server.url}/broken /f\n`);
  assert.match(told, /^3 .*what the server calls gzip is none, or not whole/s);
});

Files("no password of an address is shown, or reaches the history", async () => {
  const url = server.url.replace("//", "//me:geheim@");
  const input = `FROM scratch\nARG U=${url}\nADD ${url}/file.txt /a\nADD $U/file.txt /b\n`;
  const done = await kbuild.must(["--progress=plain", "-t", "masked", "-f", "-", folder], { input });
  const history = await kbuild.must(["history", "--no-trunc", "masked"]);
  assert.match(done.stderr, /ADD http:\/\/xxxxx@/);
  assert.match(history.stdout, /ADD http:\/\/xxxxx@.*\/file\.txt \/b/);
  // The default of an ARG is the user's own to show.
  assert.not.match(done.stderr + history.stdout.replace(/^.*ARG U.*$/m, ""), /geheim/);
});

Files("--chmod and --chown count, --unpack unpacks, and without it an archive stays one", async () => {
  const packed = execFileSync("tar", ["-C", tree, "-czf", "-", "run.sh", "sub/f"]);
  server.files.set("/x.tgz", packed);
  const dest = await build(
    `FROM scratch\nADD --chmod=751 ${server.url}/file.txt /f\nADD ${server.url}/x.tgz /as/\nADD --unpack ${server.url}/x.tgz /un/\n`,
  );
  assert.equal(listing(dest), [
    "as/",
    `as/x.tgz ${packed.length}`,
    "f 6",
    "un/",
    "un/run.sh 10",
    "un/sub/",
    "un/sub/f 2",
  ]);
  assert.is(fs.statSync(path.join(dest, "f")).mode & 0o7777, 0o751);
});

Files("a file that the server has not changed is asked for and not sent again, and the step is cached", async () => {
  const dockerfile = `FROM scratch\nADD ${server.url}/file.txt /\n`;
  await build(dockerfile);
  server.log.length = 0;
  const again = await kbuild.must(["--progress=plain", "-f", "-", folder], { input: dockerfile });
  assert.match(again.stderr, /CACHED/);
  assert.equal(server.log, ["GET /file.txt 304"]);
  server.files.set("/file.txt", Buffer.from("other\n"));
  assert.is(fs.readFileSync(path.join(await build(dockerfile), "file.txt"), "utf8"), "other\n");
  server.files.set("/file.txt", Buffer.from("hello\n"));
});

Files("with a checksum that is known nothing is asked for", async () => {
  const dockerfile = `FROM scratch\nARG SUM=${SUM}\nADD --checksum=sha256:$SUM ${server.url}/file.txt /\n`;
  await build(dockerfile);
  server.log.length = 0;
  await build(dockerfile);
  assert.equal(server.log, []);
});

Files("local files, files by HTTP and repositories in one instruction", async () => {
  const dest = await build(`FROM scratch\nADD local.txt ${server.url}/file.txt ${repository}#dev:sub /all/\n`);
  assert.equal(listing(dest), ["all/", "all/Dockerfile 26", "all/f 2", "all/file.txt 6", "all/local.txt 6"]);
});

Files("a token goes to its host, and not to where a redirect leads", async () => {
  const seen: (string | undefined)[] = [];
  const other = await startRemoteServer();
  other.files.set("/there", (request, response) => {
    seen.push(request.headers.authorization);
    response.end("there\n");
  });
  server.files.set("/private", (request, response) => {
    seen.push(request.headers.authorization);
    response.writeHead(302, { location: `${other.url}/there` }).end();
  });
  const secret = ["--secret", `id=HTTP_AUTH_TOKEN_${server.host},env=TOKEN`];
  await kbuild.must(["-q", ...secret, "-f", "-", folder], {
    input: `FROM scratch\nADD ${server.url}/private /\n`,
    env: { TOKEN: "s3cret" },
  });
  await other.stop();
  assert.equal(seen, ["Bearer s3cret", undefined]);
});

Files("a name and a password in the address are sent, unless a secret is there", async () => {
  const seen: (string | undefined)[] = [];
  server.files.set("/known", (request, response) => {
    seen.push(request.headers.authorization);
    response.end("known\n");
  });
  const dockerfile = `FROM scratch\nADD ${server.url.replace("//", "//me:p%40ss@")}/known /\n`;
  await build(dockerfile);
  await kbuild.must(["-q", "--secret", `id=HTTP_AUTH_TOKEN_${server.host},env=TOKEN`, "-f", "-", folder], {
    input: dockerfile,
    env: { TOKEN: "s3cret" },
  });
  assert.equal(seen, [`Basic ${Buffer.from("me:p@ss").toString("base64")}`, "Bearer s3cret"]);
});

Files("a Last-Modified that no file can have counts as none", async () => {
  server.files.set("/far", (_request, response) => {
    response.writeHead(200, { "last-modified": "Fri, 31 Dec 9999 23:59:59 GMT" }).end("far\n");
  });
  const dest = await build(`FROM scratch\nADD ${server.url}/far /\n`);
  assert.is(fs.statSync(path.join(dest, "far")).mtimeMs, 0);
});

Files("a connection that breaks is tried again", async () => {
  let tries = 0;
  server.files.set("/flaky", (_request, response) => {
    tries += 1;
    response.writeHead(200, { "content-length": 6 });
    if (tries === 1) response.write("he", () => response.destroy());
    else response.end("hello\n");
  });
  const dest = await build(`FROM scratch\nADD ${server.url}/flaky /\n`);
  assert.is(fs.readFileSync(path.join(dest, "flaky"), "utf8"), "hello\n");
  assert.is(tries, 2);
});

for (const [name, instruction, expected] of [
  [
    "a wrong checksum",
    `ADD --checksum=sha256:${"0".repeat(64)} URL/file.txt /`,
    /^1 .*:2:88: .*has the checksum sha256:58/,
  ],
  ["a checksum of another kind", "ADD --checksum=md5:00 URL/file.txt /", /^1 .*:2:16: .*no SHA-256/],
  ["a checksum for a local file", `ADD --checksum=sha256:${SUM} local.txt /`, /^1 .*:2:16: .*one address/],
  ["a checksum for two", `ADD --checksum=sha256:${SUM} URL/a URL/b /x/`, /^[13] /],
  ["a file that is not there", "ADD URL/nope /", /^3 .*:2:5: .*not found \(404\)/],
  ["a server that is not there", "ADD http://127.0.0.1:1/x /", /^3 .*:2:5: .*refused/],
  ["COPY of an address", "COPY URL/file.txt /", /^1 .*:2:6: .*is an address/],
  ["--keep-git-dir of a local file", "ADD --keep-git-dir=true local.txt /", /^1 .*:2:1: .*git repository/],
  [
    "--keep-git-dir that the address denies",
    "ADD --keep-git-dir URL/git/tree.git?keep-git-dir=0 /",
    /^1 .*says true.*false/,
  ],
  ["COPY of a repository", "COPY git@example.com:x/y /", /^1 .*:2:6: .*is an address/],
  ["a repository that is not there", "ADD URL/git/nope.git /", /^3 .*:2:5: .*cannot be fetched/],
  ["a branch that is not there", "ADD URL/git/tree.git#nope /", /^1 .*:2:5: .*no branch, tag or commit nope/],
  ["a folder that is not there", "ADD URL/git/tree.git#main:nope /", /^1 .*:2:5: .*nope .*not there/],
  ["a folder outside of the repository", "ADD URL/git/tree.git#main:../.. /", /^1 .*:2:5: .*outside/],
  ["a commit that is another", "ADD --checksum=abcdef1 URL/git/tree.git#main /", /^1 .*:2:24: .*abcdef1/],
] as const) {
  Files(`${name} is an error with its place`, async () => {
    const told = await refused(`FROM scratch\n${instruction.replaceAll("URL", server.url.padEnd(22, "/"))}\n`);
    assert.match(told, expected);
  });
}

Files.run();

const Git = suite("git repositories");

for (const [suffix, expected] of [
  ["", "main"],
  ["#main", "main"],
  ["#v1", "one"],
  ["#v1a", "one"],
  ["#dev", "dev"],
  [`#${first}`, "one"],
  [`#${first.slice(0, 8)}`, "one"],
  ["#refs/heads/dev", "dev"],
  ["?tag=v1a", "one"],
  ["?branch=dev", "dev"],
  [`?ref=main&submodules=false`, "plain"],
  [`?ref=v1&checksum=${first.slice(0, 10)}`, "one"],
] as const) {
  const base = ["Dockerfile 22", "link 5", "run.sh 10", "sub/", "sub/f 2"];
  const trees: Record<string, readonly string[]> = {
    one: base,
    dev: ["Dockerfile 22", "dev 4", "link 5", "run.sh 10", "sub/", "sub/Dockerfile 26", "sub/f 2"],
    main: [".gitmodules 47", "Dockerfile 22", "link 5", "m/", "m/mod.txt 4", "run.sh 10", "sub/", "sub/f 2"],
    plain: [".gitmodules 47", "Dockerfile 22", "link 5", "m/", "run.sh 10", "sub/", "sub/f 2"],
  };
  Git(`ADD of ${suffix === "" ? "the default branch" : suffix}`, async () => {
    const dest = await build(`FROM scratch\nADD ${repository}${suffix} /x/\n`);
    const found = listing(path.join(dest, "x"));
    assert.equal(found, trees[expected]);
    assert.is(fs.statSync(path.join(dest, "x/run.sh")).mode & 0o777, 0o755);
    assert.is(fs.statSync(path.join(dest, "x/sub/f")).mode & 0o777, 0o644);
    assert.is(fs.statSync(path.join(dest, "x/sub/f")).mtimeMs, Date.parse("2024-01-02T03:04:05Z"));
  });
}

Git("a repository as the context, with a folder of it, and its Dockerfile", async () => {
  const dest = path.join(folder, "context-of-git");
  await kbuild.must(["-q", "-o", dest, `${repository}#v1`]);
  assert.equal(listing(dest), ["Dockerfile 22", "link 5", "run.sh 10", "sub/", "sub/f 2"]);
  const sub = path.join(folder, "context-of-sub");
  await kbuild.must(["-q", "-o", sub, `${repository}#dev:sub`]);
  assert.equal(listing(sub), ["only 2"]);
});

Git("--keep-git-dir keeps a repository that git understands, the same on each machine", async () => {
  const dockerfile = `FROM scratch\nADD --keep-git-dir=true ${repository}#v1a /x\n`;
  const dest = await build(dockerfile);
  const copy = path.join(folder, "kept");
  fs.cpSync(path.join(dest, "x"), copy, { recursive: true, verbatimSymlinks: true });
  assert.is(git(copy, "-c", `safe.directory=${copy}`, "rev-parse", "HEAD"), first);
  assert.is(git(copy, "-c", `safe.directory=${copy}`, "describe"), "v1a");
  assert.is(git(copy, "-c", `safe.directory=${copy}`, "status", "--porcelain"), "");
  const other = kbuildWith(path.join(folder, "other-store"));
  const ids = await Promise.all(
    [kbuild, other].map((one) =>
      one.must(["-q", "-f", "-", folder], { input: dockerfile, env: { SOURCE_DATE_EPOCH: "0" } }),
    ),
  );
  assert.is(ids[0]?.stdout, ids[1]?.stdout);
});

Git("with submodules a kept repository is the same on each machine, too, and no password stays in it", async () => {
  const dockerfile = `FROM scratch\nADD --keep-git-dir=true ${repository.replace("//", "//me:p4ss@")}#main /x\n`;
  const dest = await build(dockerfile);
  assert.is(fs.readFileSync(path.join(dest, "x/m/mod.txt"), "utf8"), "mod\n");
  const settings = ["config", "modules/m/config"].map((name) => path.join(dest, "x/.git", name));
  for (const file of settings) assert.not.match(fs.readFileSync(file, "utf8"), /p4ss/);
  const builds = ["kept-one", "kept-two"].map((name) =>
    kbuildWith(path.join(folder, name)).must(["-q", "-f", "-", folder], {
      input: dockerfile,
      env: { SOURCE_DATE_EPOCH: "0" },
    }),
  );
  const [one, two] = await Promise.all(builds);
  assert.is(one?.stdout, two?.stdout);
});

Git("a repository may have SHA-256 for its objects", async () => {
  const modern = plant(path.join(folder, "modern"), { f: "f\n" });
  git(modern, "init", "-q", "-b", "main", "--object-format=sha256", ".");
  git(modern, "add", "-A");
  git(modern, "commit", "-qm", "one");
  publish(server, modern, "modern");
  const commit = git(modern, "rev-parse", "HEAD");
  for (const ref of ["main", commit, commit.slice(0, 9)]) {
    assert.equal(listing(await build(`FROM scratch\nADD ${server.url}/git/modern.git#${ref} /\n`)), ["f 2"]);
  }
});

Git("a submodule that cannot be had is named with git's reason", async () => {
  const outer = plant(path.join(folder, "outer"), {
    ".gitmodules": '[submodule "m"]\n\tpath = m\n\turl = file:///nowhere\n',
  });
  git(outer, "init", "-q", "-b", "main", ".");
  git(outer, "add", "-A");
  git(outer, "update-index", "--add", "--cacheinfo", `160000,${first},m`);
  git(outer, "commit", "-qm", "one");
  publish(server, outer, "outer");
  const told = await refused(`FROM scratch\nADD ${server.url}/git/outer.git /\n`);
  assert.match(told, /^3 .*the submodule m of .*: transport 'file' not allowed/);
});

Git("what a git that was killed has left of a pack is gone with the next fetch", async () => {
  const own = path.join(folder, "killed-store");
  const other = kbuildWith(own);
  const fetch = (ref: string) =>
    other.must(["-q", "-f", "-", folder], { input: `FROM scratch\nADD ${repository}#${ref} /\n` });
  await fetch("v1");
  const [name = ""] = fs.readdirSync(path.join(own, "git"));
  const left = path.join(own, "git", name, "repository/objects/pack/tmp_pack_left");
  plant(path.dirname(left), { tmp_pack_left: "half of a pack" });
  await fetch("dev");
  assert.not(fs.existsSync(left));
});

Git("with --keep-git-dir an address by HTTP is a repository whatever its end", async () => {
  fs.cpSync(path.join(server.repositories, "tree.git"), path.join(server.repositories, "plain"), { recursive: true });
  const dest = await build(`FROM scratch\nADD --keep-git-dir=false ${server.url}/git/plain#v1 /x/\n`);
  assert.equal(listing(path.join(dest, "x")), ["Dockerfile 22", "link 5", "run.sh 10", "sub/", "sub/f 2"]);
});

Git("a commit is fetched once: later builds ask for the branch, and for a commit nothing", async () => {
  const other = kbuildWith(path.join(folder, "fetch-store"));
  const run = (ref: string) =>
    other.must(["-q", "-f", "-", folder], { input: `FROM scratch\nADD ${repository}#${ref} /\n` });
  await run("v1");
  server.log.length = 0;
  await run("v1");
  assert.equal(server.log, [
    "GET /git/tree.git/info/refs?service=git-upload-pack 200",
    "POST /git/tree.git/git-upload-pack 200",
  ]);
  server.log.length = 0;
  await run(first);
  assert.equal(server.log, []);
});

Git("a token opens a private repository, and is seen nowhere", async () => {
  const token = "t0ken-that-nobody-sees";
  server.authorization = `basic ${Buffer.from(`x-access-token:${token}`).toString("base64")}`;
  try {
    const dockerfile = `FROM scratch\nADD ${repository}#main /\n`;
    const own = path.join(folder, "private-store");
    const other = kbuildWith(own);
    const denied = await other.run(["-f", "-", folder], { input: dockerfile });
    assert.is(denied.status, 3);
    assert.match(denied.stderr, new RegExp(`--secret id=GIT_AUTH_TOKEN\\.${server.host}`));
    const done = await other.must(["--progress=plain", "--secret", "id=GIT_AUTH_TOKEN,env=TOKEN", "-f", "-", folder], {
      input: dockerfile,
      env: { TOKEN: token },
    });
    assert.not.match(done.stderr + done.stdout, new RegExp(token));
    const words = [token, Buffer.from(`x-access-token:${token}`).toString("base64")];
    for (const word of words) {
      const found = (() => {
        try {
          return execFileSync("grep", ["-r", "-l", word, own], { encoding: "utf8" });
        } catch {
          return "";
        }
      })();
      assert.is(found, "");
    }
  } finally {
    server.authorization = undefined;
  }
});

Git("by ssh git gets the agent that the build was given, and asks nobody", async () => {
  const key = path.join(folder, "key");
  const { privateKey } = generateKeyPairSync("ed25519", {
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  fs.writeFileSync(key, privateKey, { mode: 0o600 });
  const log = path.join(folder, "ssh.log");
  const script = path.join(folder, "ssh");
  // What a server does with what it is sent: the command is its last argument.
  const lines = [
    "#!/bin/sh",
    `test -S "$SSH_AUTH_SOCK" && echo "agent $* $GIT_TERMINAL_PROMPT" >>${log}`,
    'for last; do :; done; exec sh -c "$last"',
    "",
  ];
  fs.writeFileSync(script, lines.join("\n"), { mode: 0o755 });
  const address = `git@example.com:${path.join(server.repositories, "tree.git")}#v1`;
  const dest = path.join(folder, "by-ssh");
  await kbuild.must(["-q", "-o", dest, "--ssh", `default=${key}`, "-f", "-", folder], {
    input: `FROM scratch\nADD ${address} /\n`,
    env: { GIT_SSH_COMMAND: script, SSH_AUTH_SOCK: undefined },
  });
  assert.equal(listing(dest), ["Dockerfile 22", "link 5", "run.sh 10", "sub/", "sub/f 2"]);
  assert.match(fs.readFileSync(log, "utf8"), /^agent .*git@example\.com .* 0$/m);
});

Git("a user's own git settings make no other files", async () => {
  const home = plant(path.join(folder, "home"), {
    ".gitconfig": "[core]\n\tautocrlf = true\n\thooksPath = /nope\n\tattributesFile = ~/attributes\n",
    attributes: "* text eol=crlf\n",
  });
  const fresh = kbuildWith(path.join(folder, "crlf-store"));
  const dest = path.join(folder, "crlf");
  await fresh.must(["-q", "-o", dest, "-f", "-", folder], {
    input: `FROM scratch\nADD ${repository}#main /\n`,
    env: { HOME: home },
  });
  assert.is(fs.readFileSync(path.join(dest, "run.sh"), "utf8"), "#!/bin/sh\n");
  assert.is(fs.readFileSync(path.join(dest, "m/mod.txt"), "utf8"), "mod\n");
});

Git.run();

const Contexts = suite("contexts from elsewhere");

Contexts("a tar by HTTP is the context, a text is the Dockerfile", async () => {
  server.files.set("/context.tar.xz", execFileSync("tar", ["-C", path.join(tree, "sub"), "-cJf", "-", "."]));
  plant(path.join(folder, "sub-context"), { Dockerfile: "FROM scratch\nCOPY f /only\n", f: "f\n" });
  server.files.set("/context.tar.xz", execFileSync("tar", ["-C", path.join(folder, "sub-context"), "-cJf", "-", "."]));
  const dest = path.join(folder, "http-context");
  await kbuild.must(["-q", "-o", dest, `${server.url}/context.tar.xz`]);
  assert.equal(listing(dest), ["only 2"]);
  server.files.set("/Dockerfile", Buffer.from("FROM scratch\nCOPY <<EOF /x\nhello\nEOF\n"));
  const text = path.join(folder, "http-dockerfile");
  await kbuild.must(["-q", "-o", text, `${server.url}/Dockerfile`]);
  assert.equal(listing(text), ["x 6"]);
  const named = path.join(folder, "http-file");
  await kbuild.must(["-q", "-o", named, "-f", `${server.url}/Dockerfile`, folder]);
  assert.equal(listing(named), ["x 6"]);
});

Contexts("named contexts: a folder, a repository, a file by HTTP, each in --from and in FROM", async () => {
  const named = plant(path.join(folder, "named"), { a: "a\n", b: "b\n", ".dockerignore": "b\n" });
  const dest = await build(
    [
      "FROM fold AS one",
      "COPY --from=repo sub/f /x",
      "COPY --from=file context /y",
      "FROM repo",
      "COPY --from=one / /one/",
      "",
    ].join("\n"),
    [
      ...["--build-context", `fold=${named}`],
      ...["--build-context", `repo=${repository}#v1`],
      ...["--build-context", `file=${server.url}/file.txt`],
    ],
  );
  assert.equal(listing(dest), [
    ...["Dockerfile 22", "link 5", "one/", "one/.dockerignore 2", "one/a 2", "one/x 2", "one/y 6"],
    ...["run.sh 10", "sub/", "sub/f 2"],
  ]);
});

Contexts("a named context that cannot be a base is an error at its FROM", async () => {
  const wrong = plant(path.join(folder, "wrong"), { ".wh.x": "" });
  for (const [context, reason] of [
    [wrong, /^1 .*:2:6: ".wh.x" cannot be in an image/],
    [path.join(folder, "nowhere"), /^1 .*:2:6: the context "base" .* does not exist/],
    ["http://127.0.0.1:1/x.git", /^3 .*:2:6: .*cannot be fetched/],
  ] as const) {
    assert.match(await refused("FROM scratch AS one\nFROM base\n", ["--build-context", `base=${context}`]), reason);
  }
});

Contexts("a named context takes a stage's place, and an image's", async () => {
  const named = plant(path.join(folder, "instead"), { a: "a\n" });
  const dest = await build("FROM nowhere.invalid/x AS base\nFROM base\n", ["--build-context", `base=${named}`]);
  assert.equal(listing(dest), ["a 2"]);
});

Contexts.after(() => server.stop());
Contexts.run();
