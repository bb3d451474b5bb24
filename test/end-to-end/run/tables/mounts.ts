import * as fs from "node:fs";
import * as path from "node:path";
import * as assert from "uvu/assert";
import type { Row } from "../rows.ts";

/** `RUN --mount`, `--network`, `--security`, `--device`. */
export const mounts = (port: number): readonly Row[] => [
  {
    name: "no hard link leads from a mount into the image, nor the other way; what is moved is a copy",
    build: `FROM busybox
RUN --mount=type=cache,target=/c,id=links echo one >/c/one; echo two >/two; echo three >/c/three; \\
 ln /c/one /linked && echo out >>/bad; ln /two /c/two && echo in >>/bad; ln /c/one /c/again || echo within >>/bad; \\
 mv /c/three /three; stat -c %h /three /two /c/one >/counts; true
RUN --mount=type=cache,target=/c,id=links ls /c >/kept
`,
    expected: {
      counts: { text: "1\n1\n2\n" },
      three: { text: "three\n" },
      kept: { text: "again\none\n" },
    },
    removed: ["bad", "linked"],
  },
  {
    name: "a mount point can be neither removed, renamed nor replaced",
    build: `FROM busybox
RUN --mount=type=cache,target=/p/c,id=points --mount=type=tmpfs,target=/t echo one >/p/c/one; echo x >/other; \\
 for at in /p/c /t /etc/hosts /etc/resolv.conf /proc /dev; do \\
 mv $at /moved && echo "$at is moved" >>/gone; rmdir $at && echo "$at is removed" >>/gone; done; \\
 rm -f /etc/hosts && echo removed >>/gone; mv /other /etc/hosts && echo replaced >>/gone; rm -rf /t && echo emptied >>/gone; \\
 rm -f /other; ls -d /p/c /t /etc/hosts /etc/resolv.conf /proc /dev >/left; true
RUN --mount=type=cache,target=/c,id=points ls /c >/kept
`,
    expected: {
      left: { text: "/dev\n/etc/hosts\n/etc/resolv.conf\n/p/c\n/proc\n/t\n" },
      kept: { text: "one\n" },
    },
    removed: ["gone", "moved", "other"],
  },
  {
    name: "bind: of the context, of a folder in it, of a stage; read-only unless rw, and what is written is lost",
    build: `FROM busybox AS other
RUN mkdir /out && echo made >/out/file && chown 5:6 /out/file
FROM busybox
RUN --mount=type=bind,target=/ctx cp /ctx/sub/b /b && { echo x >/ctx/new || echo refused >/refused; } 2>/dev/null
RUN --mount=type=bind,source=sub,target=/sub,rw echo more >>/sub/b && cat /sub/b >/more && touch /sub/new
RUN --mount=type=bind,source=sub/b,target=/one cat /one >/one-read
RUN --mount=type=bind,from=other,source=/out,target=/from stat -c %u:%g /from/file >/owner && cat /from/file >/made && { echo x >/from/x 2>/dev/null || echo refused >>/refused; }
RUN --mount=type=bind,from=other,target=/root-of ls /root-of/out >/listed
RUN --mount=type=bind,source=sub,target=/sub [ "$(cat /sub/b)" = b ] && [ ! -e /sub/new ] && echo same >/same
`,
    files: { a: "a", "sub/b": "b\n" },
    expected: {
      b: { text: "b\n", mode: 0o644, owner: [0, 0] },
      more: { text: "b\nmore\n" },
      "one-read": { text: "b\n" },
      owner: { text: "5:6\n" },
      made: { text: "made\n" },
      listed: { text: "file\n" },
      refused: { text: "refused\nrefused\n" },
      same: { text: "same\n" },
    },
    removed: ["ctx/new", "sub/b", "sub/new", "from/x", "root-of/out"],
  },
  {
    name: "cache: kept from step to step by its id, with its mode and owner, and in no layer",
    build: `FROM busybox
RUN --mount=type=cache,target=/cache echo one >>/cache/log
RUN --mount=type=cache,id=/cache,target=/elsewhere echo two >>/elsewhere/log && cat /elsewhere/log >/seen
RUN --mount=type=cache,id=mine,target=/m,uid=1000,gid=1001,mode=0700 stat -c '%u:%g %a' /m >>/seen && touch /m/x && chown 33:34 /m/x
RUN --mount=type=cache,id=mine,target=/m,uid=1000,gid=1001,mode=0700 stat -c '%u:%g' /m/x >>/seen
RUN --mount=type=cache,id=mine,target=/m,readonly touch /m/y 2>/dev/null || echo refused >>/seen
USER 1000:1001
RUN --mount=type=cache,id=mine,target=/m,uid=1000,gid=1001,mode=0700 touch /m/by-user && stat -c %u:%g /m/by-user >/tmp/user
`,
    expected: {
      seen: { text: "one\ntwo\n1000:1001 700\n33:34\nrefused\n" },
      "tmp/user": { text: "1000:1001\n", owner: [1000, 1001] },
    },
    removed: ["cache/log", "elsewhere/log", "m/x"],
  },
  {
    name: "cache: seeded from a stage's folder",
    build: `FROM busybox AS seed
RUN mkdir /seed && echo seeded >/seed/file && chown 12:13 /seed/file
FROM busybox
RUN --mount=type=cache,id=seeded,target=/c,from=seed,source=/seed cat /c/file >/seen && stat -c %u:%g /c/file >>/seen && echo more >>/c/file
RUN --mount=type=cache,id=seeded,target=/c,from=seed,source=/seed cat /c/file >>/seen
`,
    expected: { seen: { text: "seeded\n12:13\nseeded\nmore\n" } },
  },
  {
    name: "tmpfs: empty, gone afterwards, over a folder of the image",
    build: `FROM busybox
RUN mkdir /full && echo kept >/full/file
RUN --mount=type=tmpfs,target=/full --mount=type=tmpfs,target=/t,size=1048576 ls /full >/seen && echo x >/full/file && echo y >/t/y
RUN cat /full/file >>/seen; ls -d /t 2>/dev/null >>/seen; : 
`,
    expected: { seen: { text: /^kept\n(\/t\n)?$/ }, "full/file": { text: "kept\n" } },
    removed: ["t/y"],
  },
  {
    name: "tmpfs: its size holds",
    build: `FROM busybox
RUN --mount=type=tmpfs,target=/t,size=1m dd if=/dev/zero of=/t/x bs=1k count=3000 2>/dev/null || echo it is full
`,
    layers: 0,
    // Where nothing can be mounted it is a folder, which has no size of its own.
    check: (_, outcomes) => {
      for (const [name, { stderr }] of outcomes) if (name !== "container") assert.match(stderr, / it is full\n/, name);
    },
  },
  {
    name: "secret: at its place, with its mode and owner, in the environment when asked for, optional unless required",
    build: `FROM busybox
RUN --mount=type=secret,id=one wc -c </run/secrets/one >/seen && stat -c '%u:%g %a' /run/secrets/one >>/seen
RUN --mount=type=secret,id=one,target=/etc/deep/key,uid=5,gid=6,mode=0444 stat -c '%u:%g %a' /etc/deep/key >>/seen
RUN --mount=type=secret,id=one,env=KEY [ "$KEY" = "$(printf 'hush hush')" ] && echo in env >>/seen; [ ! -e /run/secrets/one ] && echo no file >>/seen
RUN --mount=type=secret,id=two [ ! -e /run/secrets/two ] && echo not there >>/seen
USER 1000
RUN --mount=type=secret,id=one,target=/key,uid=1000,mode=0400 wc -c </key >/tmp/seen; echo \${KEY-unset} >>/tmp/seen
`,
    argv: ["--secret", "id=one,env=ROW_SECRET"],
    env: { ROW_SECRET: "hush hush" },
    expected: {
      seen: { text: "9\n0:0 400\n5:6 444\nin env\nno file\nnot there\n" },
      "tmp/seen": { text: "9\nunset\n" },
    },
    removed: ["run/secrets/one", "etc/deep/key", "key"],
  },
  {
    name: "--network=none: nothing but loopback; host: what the machine reaches",
    build: `FROM debian
SHELL ["/bin/bash", "-c"]
ARG PORT
ENV GET="exec 3<>/dev/tcp/127.0.0.1/$PORT && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && tail -n 1 <&3"
RUN --network=none ls /sys/class/net >/seen; eval "$GET" 2>/dev/null >>/seen || echo unreachable >>/seen
RUN --network=host eval "$GET" >>/seen
RUN eval "$GET" >>/seen
`,
    argv: ["--build-arg", `PORT=${port}`],
    expected: { seen: { text: "lo\nunreachable\nhello\nhello\n" } },
  },
  {
    name: "shared memory and limits are what is asked for",
    build: `FROM busybox
RUN ulimit -n >/seen; ulimit -Hn >>/seen
`,
    argv: ["--ulimit", "nofile=512:768", "--shm-size", "128m"],
    expected: { seen: { text: "512\n768\n" } },
  },
  {
    name: "--add-host is in /etc/hosts of a step, and in no layer",
    build: `FROM busybox
RUN grep -c '192.0.2.7.*elsewhere.example' /etc/hosts >/seen
`,
    argv: ["--add-host", "elsewhere.example:192.0.2.7"],
    expected: { seen: { text: "1\n" } },
    check: (rootfs) => {
      const file = path.join(rootfs, "etc/hosts");
      assert.not(fs.existsSync(file) && fs.readFileSync(file, "utf8").includes("elsewhere"));
    },
  },
];
