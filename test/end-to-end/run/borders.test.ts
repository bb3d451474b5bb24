/** What a step must never reach: the machine's files, the store, other steps' layers, kbuild's own processes. */
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { processes } from "../../support/processes.ts";
import { inEach } from "../../support/situations.ts";
import { unsound } from "../../support/store-check.ts";
import { ground } from "./ground.ts";
import { buildInEach, contextFor, type Ground, judge, unpack } from "./rows.ts";

const Borders = suite<Ground>(
  "a step stays in its sandbox, in all four situations",
  await ground("borders", ["busybox", "debian"]),
);
Borders.after(({ situations }) => situations.close());

/** Ways by which a process could come to the machine's root. */
const WAYS = [
  "",
  "/proc/1/root",
  "/proc/1/cwd",
  "/proc/self/root",
  "/proc/self/cwd/../../../../../../../..",
  "/proc/$PPID/root",
  "/proc/*/root",
  "/proc/*/cwd",
  "/../../../../../../../../../..",
];

// Every way of writing to and reading from a folder that lies on the machine, tried one after the other.
const attack = (variable: string): string =>
  `for way in ${WAYS.map((way) => `"${way}"`).join(" ")}; do for root in $way; do at="$root$${variable}"; ` +
  `echo broken >>"$at/marker"; echo broken >"$at/written"; rm -rf "$at/victim"; mkdir "$at/made"; cat "$at/marker"; ln "$at/marker" /linked; ` +
  `done; done 2>/dev/null; `;

Borders(
  "an id that a user namespace does not have is told of with its place, and where it can be had it is had",
  async (ground) => {
    const asked = [
      ["a process", "FROM busybox\nUSER 70000\nRUN id -u >/tmp/x\n", "3:1: 70000:0"],
      [
        "a file",
        "FROM busybox\nCOPY --chown=70000:70001 Dockerfile /x\nRUN true\n",
        "3:1: layer sha256:[0-9a-f]{64}: x: 70000:70001",
      ],
      ["a mount", "FROM busybox\nRUN --mount=type=secret,id=s,uid=70000 true\n", "2:1: 70000:0"],
    ] as const;
    for (const [name, build, place] of asked) {
      const context = contextFor(ground, build, { secret: "s" });
      await inEach(ground.situations.all, async (each) => {
        const secret = ["--secret", `id=s,src=${path.join(context, "secret")}`];
        const { status, stderr } = await each.run(["--progress=plain", ...ground.bases, ...secret, context]);
        if (each.name !== "subordinate") return assert.is(status, 0, `${name}, ${each.name}: ${stderr}`);
        assert.is(status, 4, `${name}: ${stderr}`);
        const said =
          "is not among the ids that the sandbox has, as there are too few subordinate ones\\n  hint: a wider range";
        assert.match(stderr, new RegExp(`^Dockerfile:${place} ${said}`, "m"), name);
      });
    }
  },
);

Borders("files of the machine cannot be read, written or removed by any way", async (ground) => {
  const host = path.join(ground.folder, "host");
  const secret = crypto.randomBytes(16).toString("hex");
  fs.mkdirSync(host);
  fs.chmodSync(host, 0o777);
  for (const name of ["marker", "victim"]) {
    fs.writeFileSync(path.join(host, name), secret);
    fs.chmodSync(path.join(host, name), 0o666);
  }
  const build = `FROM debian
ARG HOST
RUN ${attack("HOST")} cat /linked 2>/dev/null; rm -f /linked; true
# A second chroot leaves the first one where the step is allowed to make it.
RUN perl -e 'mkdir "/jail"; if (chroot "/jail") { chdir ".." for 1 .. 99; chroot "."; } \\
 print "read: ", \`cat $ARGV[0]/marker 2>/dev/null\`; open(my $file, ">>", "$ARGV[0]/marker") and print $file "broken"; rmdir "/jail"' "$HOST"; true
RUN perl -e 'for my $descriptor (0 .. 255) { open(my $folder, "<&=", $descriptor) or next; chdir($folder) or next; chdir ".." for 1 .. 99; \\
 print "by $descriptor: ", \`cat .$ARGV[0]/marker 2>/dev/null\`, "\\n" if -e ".$ARGV[0]/marker" }' "$HOST"; true
`;
  const { outcomes } = await buildInEach(ground, { build, argv: ["--build-arg", `HOST=${host}`] });
  for (const [name, { stdout, stderr }] of outcomes) {
    assert.not.ok((stdout + stderr).includes(secret), `${name}: a step read a file of the machine\n${stderr}`);
  }
  assert.equal(fs.readdirSync(host).sort(), ["marker", "victim"]);
  for (const name of ["marker", "victim"]) assert.is(fs.readFileSync(path.join(host, name), "utf8"), secret);
});

Borders("the store cannot be written or removed, and is sound afterwards", async (ground) => {
  const build = `FROM busybox
ARG STORE
RUN ${attack("STORE")} for way in ${WAYS.map((way) => `"${way}"`).join(" ")}; do for root in $way; do \\
 rm -rf "$root$STORE/blobs" "$root$STORE/layers" "$root$STORE/index.json"; echo broken >"$root$STORE/index.json"; done; done 2>/dev/null; rm -f /linked; true
`;
  const context = contextFor(ground, build);
  await inEach(ground.situations.all, async (each) => {
    await each.must(["-q", "-t", "store:1", ...ground.bases, "--build-arg", `STORE=${each.root}`, context]);
    assert.equal(
      fs.readdirSync(each.root).filter((name) => ["marker", "written", "made"].includes(name)),
      [],
      each.name,
    );
    assert.equal(await unsound(each.root), [], each.name);
    await each.must(["fsck"]);
  });
});

Borders("what a step does to the files of its layers is seen by no other build", async (ground) => {
  const base = `FROM busybox
COPY tree /tree
RUN echo made >/made && ln /made /made-too
`;
  const files = { "tree/a": "a\n", "tree/deep/b": "b\n" };
  const damage = `RUN for file in /etc/passwd /etc/group /tree/a /tree/deep/b /made; do echo broken >>$file; chmod 0777 $file; chown 1:1 $file; touch -d "2001-01-01 00:00:00" $file; done; \\
 dd if=/dev/zero of=/usr/bin/adduser bs=1 count=4 conv=notrunc 2>/dev/null; chmod 0700 /etc /tree; chown 5:5 /tree/deep; rm /tree/deep/b
`;
  await buildInEach(ground, { build: base + damage, files });
  const failing = contextFor(ground, `${base}${damage.trimEnd()}; exit 1\n`, files);
  await inEach(ground.situations.all, async (each) => {
    assert.is((await each.run(["-q", "--no-cache", ...ground.bases, failing])).status, 1);
  });
  const seen = `RUN cat /tree/a /tree/deep/b /made >/seen && stat -c '%a %u:%g' /tree/a /tree/deep /etc /etc/passwd >>/seen && head -c 2 /usr/bin/adduser >>/seen && grep -c broken /etc/passwd >>/seen; true\n`;
  const { tag } = await buildInEach(ground, { build: base + seen, files });
  judge(await unpack(ground, tag), {
    name: "",
    build: "",
    expected: { seen: { text: "a\nb\nmade\n644 0:0\n755 0:0\n755 0:0\n644 0:0\n#!0\n" } },
  });
});

const ended = async (words: string): Promise<string[]> => {
  // Processes that were killed just now may need a moment to be gone.
  for (let tries = 0; tries < 40 && processes().some((each) => each.words.includes(words)); tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return processes()
    .filter((each) => each.words.includes(words))
    .map(({ pid, words }) => `${pid} ${words}`);
};

Borders("processes that a step leaves behind end with it, however they got away", async (ground) => {
  const number = 4_000_000 + crypto.randomInt(1_000_000);
  const build = `FROM busybox
RUN sleep ${number}1 & \\
 (setsid sleep ${number}2 </dev/null >/dev/null 2>&1 &) ; \\
 nohup sleep ${number}3 >/dev/null 2>&1 & \\
 (trap '' TERM HUP INT QUIT; setsid sh -c 'trap "" TERM HUP; while :; do sleep ${number}4; done' >/dev/null 2>&1 &) ; \\
 setsid sh -c 'setsid sh -c "setsid sleep ${number}5 & setsid sleep ${number}6 & exit" & exit' & \\
 echo started
RUN echo next >/next
`;
  const started = Date.now();
  const { outcomes } = await buildInEach(ground, { build });
  assert.ok(Date.now() - started < 60_000, "no step waits for what it left");
  for (const [name, { stderr }] of outcomes) assert.match(stderr, / started\n/, name);
  assert.equal(await ended(`sleep ${number}`), []);
});

Borders("a step cannot end kbuild, nor see its processes", async (ground) => {
  // Outside of a pid namespace the parent and the first process are the machine's.
  const build = `FROM debian
RUN kill -9 -1; true
RUN if [ "$PPID" -gt 0 ]; then for target in $PPID 1; do \\
 for each in $target -$target; do kill -TERM -- $each && echo "kill $each" >>/reached; done; \\
 renice -n 1 -p $target && echo "renice $target" >>/reached; prlimit --pid $target --nofile=64 && echo "prlimit $target" >>/reached; \\
 done; fi; true
RUN sleep 1000 & sleep 1000 & kill -9 -1; wait; sleep 1000 & kill $! && wait $!; echo $? >/own
RUN echo still here >/here; [ "$(ls /proc | grep -c '^[0-9]')" -lt 10 ] && cat /proc/[0-9]*/cmdline 2>/dev/null | grep -c '[k]build.cjs' >/seen; true
`;
  const { tag } = await buildInEach(ground, { build });
  const expected = { here: { text: "still here\n" }, seen: { text: "0\n" }, own: { text: "143\n" } };
  judge(await unpack(ground, tag), { name: "", build, expected, removed: ["reached"] });
});

Borders(
  "a descriptor of a process outside, had from a socket, signals nobody where there is no pid namespace",
  async (ground) => {
    // As long as the address has room for: shorter ones are filled up with zeros by some versions of Node.js.
    const name = `kbuild-test-${crypto.randomUUID()}`.padEnd(107, "-");
    const server = net.createServer().listen(`\0${name}`);
    try {
      // SO_PEERPIDFD and pidfd_send_signal have these numbers on x86-64 and arm64 alike.
      const build = `FROM debian
RUN perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_STREAM, 0); connect($s, pack("Sa*", AF_UNIX, "\\0${name}")) or die "connect: $!"; \\
 my $number = unpack("i", getsockopt($s, SOL_SOCKET, 77) // pack("i", -1)); \\
 print syscall(424, $number, 0, 0, 0) == 0 ? "reached\\n" : "$!\\n"' >/seen
`;
      const context = contextFor(ground, build);
      await ground.situations
        .of("root")
        .must(["-q", "--isolation=chroot", "-t", "descriptor:1", ...ground.bases, context]);
      const expected = { seen: { text: "Function not implemented\n" } };
      judge(await unpack(ground, "descriptor:1"), { name: "", build, expected });
    } finally {
      server.close();
    }
  },
);

Borders("a step that fails: status 1, its own status, its place and its last lines are told", async (ground) => {
  const context = contextFor(
    ground,
    "FROM busybox\nRUN echo fine\nRUN seq 1 50; echo the reason >&2; exit 23\nRUN echo never\n",
  );
  await inEach(ground.situations.all, async (each) => {
    const done = await each.run(["--progress=plain", ...ground.bases, context]);
    assert.is(done.status, 1, done.stderr);
    for (const told of [/Dockerfile:3/, /\b23\b/, /^#\d+ [\d.]+ the reason$/m, /^#\d+ [\d.]+ 50$/m]) {
      assert.match(done.stderr, told, `${each.name}: ${done.stderr}`);
    }
    assert.not.match(done.stderr, /^#\d+ [\d.]+ never$/m, each.name);
    assert.equal(await unsound(each.root), [], each.name);
  });
});

Borders("each situation is what it is meant to be: doctor names its mode", async ({ situations }) => {
  await inEach(situations.all, async (each) => {
    const { stdout } = await each.must(["doctor", "--json"]);
    const { sandbox, refusals } = JSON.parse(stdout) as { sandbox: { mode: string }; refusals: { reason: string }[] };
    assert.is(sandbox.mode, each.mode, each.name);
    assert.is(refusals.length > 0, each.mode !== "userns", `${each.name}: ${stdout}`);
  });
});

Borders.run();
