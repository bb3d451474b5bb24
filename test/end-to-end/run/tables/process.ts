import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as assert from "uvu/assert";
import type { Row } from "../rows.ts";

/** What a process of a step is, sees and may do. */
export const PROCESS: readonly Row[] = [
  {
    name: "umask, standard input, host name, working folder and environment are docker's",
    build: `FROM busybox
ENV GREETING="hello you"
WORKDIR /work/here
RUN umask >/seen; cat >>/seen; hostname >>/seen; pwd >>/seen; echo "$GREETING $HOME $PATH" >>/seen; id -u >>/seen; id -g >>/seen
`,
    expected: {
      seen: {
        text: "0022\nbuildkitsandbox\n/work/here\nhello you /root /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n0\n0\n",
      },
      "work/here": { type: "folder", mode: 0o755, owner: [0, 0] },
    },
  },
  {
    name: "the step's capabilities are docker's default ones, or fewer",
    build: `FROM busybox
RUN grep -E '^Cap(Inh|Prm|Eff|Amb|Bnd)' /proc/self/status >/tmp/caps 2>/dev/null || grep -E '^Cap' /proc/$$/status >/tmp/caps 2>/dev/null; \\
 [ ! -s /tmp/caps ] || awk '/CapEff|CapBnd|CapPrm/ { print $2 } /CapInh|CapAmb/ { if ($2 != "0000000000000000") print "not empty: " $0 }' /tmp/caps \\
 | sort -u | while read c; do d=$(printf '%d' "0x$c"); e=$(printf '%d' 0xa80425fb); [ $((d & ~e)) = 0 ] || echo "too many: $c"; done >/over; rm -f /tmp/caps; : >>/over
`,
    expected: { over: { text: "" } },
  },
  {
    name: "a file descriptor of kbuild is open in no step",
    build: `FROM busybox
RUN for n in $(seq 3 200); do if sh -c "exec 2>/dev/null; true <&$n"; then echo "$n is open"; fi; done >/seen
`,
    expected: { seen: { text: "" } },
  },
  {
    name: "/dev has docker's devices, and they work",
    build: `FROM busybox
RUN ls /dev >/seen; head -c 3 /dev/zero | od -An -tx1 >>/seen; echo gone >/dev/null; [ "$(head -c 16 /dev/urandom | wc -c)" = 16 ] && echo random >>/seen; \\
 echo x >/dev/full 2>/dev/null || echo full >>/seen; echo shm >/dev/shm/x && cat /dev/shm/x >>/seen; echo out >/dev/stdout; echo err >/dev/stderr; \\
 [ -c /dev/null ] && echo device >>/seen
`,
    expected: {
      seen: {
        text: /^fd\nfull\n(mqueue\n)?null\n(ptmx\npts\n)?random\nshm\nstderr\nstdin\nstdout\n(tty\n)?urandom\nzero\n 00 00 00\nrandom\nfull\nshm\ndevice\n$/,
      },
    },
    check: (rootfs, outcomes) => {
      for (const [name, { stderr }] of outcomes) {
        assert.match(stderr, / out\n/, name);
        assert.match(stderr, / err\n/, name);
      }
      // What is there while a step runs reaches no layer.
      assert.equal(fs.readdirSync(path.join(rootfs, "dev")), []);
    },
  },
  {
    name: "/proc, /sys, /etc/resolv.conf, /etc/hosts and mount points reach no layer",
    build: `FROM busybox
RUN [ -s /etc/hosts ] && [ -e /etc/resolv.conf ] && grep -q localhost /etc/hosts && [ -e /proc/cpuinfo ] && [ -e /proc/meminfo ] && [ -d /sys ] && echo there >/there
RUN --mount=type=tmpfs,target=/new/mount/point --mount=type=cache,target=/var/cache/x echo x >/new/mount/point/x
`,
    expected: { there: { text: "there\n" }, proc: { names: [] }, sys: { names: [] }, dev: { names: [] } },
    removed: ["etc/hosts", "etc/resolv.conf", "new/mount/point/x", "var/cache/x/x"],
  },
  {
    name: "what /proc and /sys would tell of the machine is masked",
    build: `FROM busybox
RUN for f in /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/sched_debug; do [ "$(head -c 16 $f 2>/dev/null | wc -c)" = 0 ] || echo "$f can be read"; done >/seen; \\
 for d in /proc/acpi /proc/asound /proc/scsi /sys/firmware /sys/devices/virtual/powercap; do [ -z "$(ls -A $d 2>/dev/null)" ] || echo "$d can be listed"; done >>/seen
`,
    expected: { seen: { text: "" } },
  },
  {
    name: "USER: a step has that user's ids and groups",
    build: `FROM busybox
RUN adduser -D -u 1500 someone && addgroup -g 1600 team && addgroup someone team && mkdir -m 0777 /open
USER someone
RUN id -u >/open/id; id -g >>/open/id; id -G >>/open/id; echo $HOME >>/open/id; touch /open/mine; \\
 chown 0:0 /open/mine 2>/dev/null || echo "not given away" >>/open/id
USER 7:8
RUN id >/open/numbers; touch /open/numbered
USER root
RUN id -u >/open/root; stat -c '%u:%g' /open/mine /open/numbered >/open/owners
`,
    expected: {
      "open/id": { text: "1500\n1500\n1500 1600\n/home/someone\nnot given away\n", owner: [1500, 1500] },
      "open/mine": { owner: [1500, 1500], mode: 0o644 },
      "open/numbers": { text: /^uid=7 gid=8\(mail\)( groups=8\(mail\))?\n$/, owner: [7, 8] },
      "open/numbered": { owner: [7, 8] },
      "open/root": { text: "0\n", owner: [0, 0] },
      "open/owners": { text: "1500:1500\n7:8\n" },
    },
  },
  {
    name: "USER: a step finds itself in /proc, and what it writes to by name in /dev",
    build: `FROM debian
RUN mkdir -m 0777 /open
USER 1000:1000
RUN echo "to out" >/dev/stdout && echo "to err" >/dev/stderr && echo twice | tee /dev/stderr >/open/seen; \\
 cat /proc/self/comm >>/open/seen; readlink /proc/self/exe >>/open/seen; [ "$(cut -d' ' -f1 /proc/self/stat)" -gt 0 ] && echo number >>/open/seen; \\
 grep -c VmRSS /proc/self/status >>/open/seen; hostname >>/open/seen; cat </dev/stdin >>/open/seen; bash -c 'cat <(echo substituted)' >>/open/seen; \\
 perl -e 'print readlink("/proc/self/cwd"), "\\n"' >>/open/seen; mknod /open/device c 1 3 2>/dev/null || echo "no device" >>/open/seen
`,
    expected: {
      "open/seen": {
        text: "twice\ncat\n/usr/bin/readlink\nnumber\n1\nbuildkitsandbox\nsubstituted\n/\nno device\n",
        owner: [1000, 1000],
      },
    },
    check: (_, outcomes) => {
      for (const [name, { stderr }] of outcomes) {
        for (const said of [/ to out\n/, / to err\n/, / twice\n/]) assert.match(stderr, said, name);
      }
    },
  },
  {
    name: "USER: a step has none of root's rights over files",
    build: `FROM busybox
RUN adduser -D -u 1500 someone && mkdir -m 0777 /open && mkdir -m 0700 /closed && echo s >/etc/secret && chmod 0600 /etc/secret
USER someone
RUN touch /closed/x 2>/dev/null || echo "not there" >>/open/seen; cat /etc/secret 2>/dev/null || echo "not that" >>/open/seen; \\
 rm -f /bin/ls 2>/dev/null; [ -e /bin/ls ] && echo kept >>/open/seen
`,
    expected: { "open/seen": { text: "not there\nnot that\nkept\n", owner: [1500, 1500] } },
  },
  {
    name: "USER: calls fail for a user as they do for any, on paths and on descriptors",
    build: `FROM debian
COPY calls.pl /calls.pl
RUN mkdir -m 0777 /open && mkdir -m 0710 /closed && for f in mine theirs group; do echo x >/open/$f; chmod 0640 /open/$f; done && chown 1000:1000 /open/mine && chgrp 8 /open/group && chmod 0604 /open/theirs
USER 1000:8
RUN perl /calls.pl >/open/seen
`,
    files: {
      "calls.pl": `use POSIX; use Fcntl;
sub told { my ($name, $done) = @_; printf "%s: %s\n", $name, $done ? "done" : $! + 0 == EACCES ? "EACCES" : $! + 0 == EPERM ? "EPERM" : $! }
chdir "/open";
for my $file (qw(mine theirs group /closed/none /root/none)) {
  told "access $file $_->[0]", POSIX::access($file, $_->[1]) for ["r", R_OK], ["w", W_OK], ["x", X_OK];
}
told "truncate theirs", truncate("theirs", 0); told "truncate mine", truncate("mine", 1);
open my $theirs, "<", "theirs" or die; open my $mine, "<", "mine" or die; opendir my $root, "/closed" or told "opendir", 0;
told "fchmod theirs", chmod(0777, $theirs); told "fchmod mine", chmod(0600, $mine);
told "futimens theirs", utime(1, 1, $theirs); told "futimens now theirs", utime(undef, undef, $theirs); told "futimens mine", utime(1, 1, $mine);
told "fchown theirs", chown(1000, 8, $theirs); told "fchown mine", chown(-1, 8, $mine); told "fchown none theirs", chown(-1, -1, $theirs);
told "noatime theirs", sysopen(my $one, "theirs", O_RDONLY | 01000000); told "noatime mine", sysopen(my $two, "mine", O_RDONLY | 01000000);
told "creat theirs", sysopen(my $three, "theirs", O_WRONLY | O_CREAT); told "exclusive", sysopen(my $four, "new", O_RDWR | O_CREAT | O_EXCL, 0);
told "reopen", open(my $five, "<", "new"); told "link theirs", link("theirs", "hard"); told "link mine", link("mine", "hard");
told "chdir", chdir("/closed"); told "rename", rename("theirs", "/open/renamed"); told "mkdir", mkdir("/closed/x"); told "unlink", unlink("/etc/passwd");
told "execve", exec { "/open/hard" } "x";
`,
    },
    expected: {
      "open/seen": {
        text: [
          ...["access mine r: done", "access mine w: done", "access mine x: EACCES", "access theirs r: done"],
          ...["access theirs w: EACCES", "access theirs x: EACCES", "access group r: done", "access group w: EACCES"],
          ...["access group x: EACCES", ...["r", "w", "x"].map((right) => `access /closed/none ${right}: EACCES`)],
          ...["r", "w", "x"].map((right) => `access /root/none ${right}: EACCES`),
          ...["truncate theirs: EACCES", "truncate mine: done", "opendir: EACCES", "fchmod theirs: EPERM"],
          ...["fchmod mine: done", "futimens theirs: EPERM", "futimens now theirs: EACCES", "futimens mine: done"],
          ...["fchown theirs: EPERM", "fchown mine: done", "fchown none theirs: done", "noatime theirs: EPERM"],
          ...["noatime mine: done", "creat theirs: EACCES", "exclusive: done", "reopen: EACCES", "link theirs: EPERM"],
          ...[
            "link mine: done",
            "chdir: EACCES",
            "rename: done",
            "mkdir: EACCES",
            "unlink: EACCES",
            "execve: EACCES",
            "",
          ],
        ].join("\n"),
      },
    },
  },
  {
    name: "a step cannot mount, unmount, make namespaces or set the machine's clock, name and settings",
    build: `FROM busybox
RUN { mount -t tmpfs none /tmp && echo mounted; umount -l /proc && echo unmounted; unshare -r true && echo "made a namespace"; \\
 date -s '2001-01-01 00:00:00' >/dev/null; hostname other && echo renamed; chroot /proc/1/root /bin/true && [ -e /proc/1/root/work ] && echo "left"; \\
 echo other >/proc/sys/kernel/domainname; echo h >/proc/sysrq-trigger; } >/seen 2>/dev/null; [ "$(date +%Y)" != 2001 ] || echo "set the clock" >>/seen
`,
    expected: { seen: { text: "" } },
  },
  {
    name: "a disk that a step makes a node of cannot be read or written",
    build: `FROM busybox
ARG DISK
RUN { mknod /disk b $DISK; [ "$(head -c 4096 /disk | wc -c)" = 0 ] || echo "the disk can be read"; mknod /memory c 1 1; \\
 [ "$(head -c 4096 /memory | wc -c)" = 0 ] || echo "memory can be read"; rm -f /disk /memory; \\
 for f in kmsg mem kmem port sda vda fuse; do [ ! -e /dev/$f ] || echo "/dev/$f is there"; done; } >/seen 2>/dev/null
`,
    expected: { seen: { text: "" } },
    argv: ["--build-arg", `DISK=${disk()}`],
  },
  {
    name: "C libraries that change a mode by way of a descriptor's name in /proc can do so",
    build: `FROM debian
RUN mkfifo -m 0751 /fifo && mknod -m 0640 /node c 1 3 && perl -e 'open my $f, ">", "/file" or die; chmod 0604, "/proc/self/fd/" . fileno $f or die $!'
USER 1000
RUN ! perl -e 'open my $f, "<", "/file" or die; chmod 0777, "/proc/self/fd/" . fileno $f or die $!' 2>/dev/null
`,
    expected: {
      fifo: { type: "fifo", mode: 0o751, owner: [0, 0] },
      node: { type: "char", mode: 0o640, device: [1, 3] },
      file: { mode: 0o604 },
    },
  },
  {
    name: "set-id programs that a step runs as a user have their effect, as sudo needs it",
    build: `FROM debian
RUN cp /usr/bin/id /usr/bin/as-root && chmod 4755 /usr/bin/as-root && cp /usr/bin/id /usr/bin/as-mail && chgrp mail /usr/bin/as-mail && chmod 2755 /usr/bin/as-mail && mkdir -m 0777 /open
USER 1000:1000
RUN as-root -u >/open/seen; as-root -ru >>/open/seen; as-mail -g >>/open/seen; as-mail -rg >>/open/seen; id -u >>/open/seen
`,
    expected: { "open/seen": { text: "0\n1000\n8\n1000\n1000\n", owner: [1000, 1000] } },
  },
];

/** Numbers of the disk that the tests' folder is on. */
function disk(): string {
  const { dev } = fs.statSync(os.tmpdir());
  return `${(dev >> 8) & 0xfff} ${dev & 0xff}`;
}
