import type { Row } from "../rows.ts";

// Logs, lists and caches have the time in them; a machine's id is random.
const CLEAN = `rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache /var/log/* /tmp/* \\
 /etc/machine-id /var/lib/dbus/machine-id`;

/** The start of the rows' Dockerfiles: a Debian with what they need. */
export const INSTALL = `FROM debian
ARG SOURCE_DATE_EPOCH
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update -q && apt-get install -qy --no-install-recommends dbus cron sudo libcap2-bin attr tcc libc6-dev openssh-client \\
 && ${CLEAN}
`;

/** What people install and compile, in a Debian. All rows share the first step. */
export const PACKAGES: readonly Row[] = [
  {
    name: "apt-get install, with system users, groups and set-id files",
    build: `${INSTALL}RUN stat -c '%U:%G %a %n' /usr/lib/dbus-1.0/dbus-daemon-launch-helper /usr/bin/crontab /usr/bin/sudo /var/spool/cron/crontabs >/seen \\
 && dpkg --audit >>/seen && dpkg -V cron sudo >>/seen
`,
    expected: {
      seen: {
        text: "root:messagebus 4754 /usr/lib/dbus-1.0/dbus-daemon-launch-helper\nroot:crontab 2755 /usr/bin/crontab\nroot:root 4755 /usr/bin/sudo\nroot:crontab 1730 /var/spool/cron/crontabs\n",
      },
      "etc/passwd": { text: /^messagebus:x:\d+:\d+::/m },
      "etc/group": { text: /^crontab:x:\d+:$/m },
      "usr/bin/sudo": { mode: 0o4755, owner: [0, 0] },
      "etc/shadow": { mode: 0o640, owner: [0, 42] },
    },
    timeout: 420_000,
  },
  {
    name: "useradd, usermod, userdel, passwd files and home folders",
    build: `${INSTALL}RUN useradd --create-home --uid 1234 --shell /bin/bash first && groupadd --gid 4321 team && usermod --append --groups team,sudo first \\
 && useradd --system --no-create-home daemon2 && useradd --create-home --uid 1235 second && userdel --remove second \\
 && echo 'first:geheim' | chpasswd --encrypted && install -d -o first -g team -m 2770 /srv/team && ${CLEAN}
RUN su first -c 'id -u && id -Gn && touch ~/mine' >/seen
`,
    expected: {
      seen: { text: "1234\nfirst sudo team\n" },
      "home/first": { owner: [1234, 1234] },
      "home/first/mine": { owner: [1234, 1234] },
      "home/first/.bashrc": { owner: [1234, 1234] },
      "srv/team": { owner: [1234, 4321], mode: 0o2770 },
      "etc/shadow": { text: /^first:geheim:/m, owner: [0, 42], mode: 0o640 },
    },
    removed: ["home/second"],
  },
  {
    name: "sudo gives a user root's rights",
    build: `${INSTALL}RUN useradd --create-home --uid 1234 first && echo 'first ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/first && chmod 0440 /etc/sudoers.d/first && ${CLEAN}
USER first
RUN sudo id -u >/tmp/seen && sudo sh -c 'echo by root >/root/file && chown 7:8 /root/file' && sudo -u nobody id -un >>/tmp/seen && sudo ${CLEAN.replace("/tmp/*", "")}
`,
    expected: {
      "tmp/seen": { text: "0\nnobody\n", owner: [1234, 1234] },
      "root/file": { text: "by root\n", owner: [7, 8] },
    },
  },
  {
    name: "capabilities of files and extended attributes",
    build: `${INSTALL}RUN cp /bin/true /usr/bin/pinger && setcap cap_net_raw,cap_net_bind_service+ep /usr/bin/pinger && cp /usr/bin/pinger /usr/bin/without \\
 && mkdir /x && echo f >/x/f && setfattr -n user.note -v 'hello attribute' /x/f && setfattr -n user.folder -v yes /x && cp --preserve=all /x/f /x/copy
RUN getcap /usr/bin/pinger >/seen && getfattr --only-values -n user.note /x/f >>/seen && cp /usr/bin/pinger /usr/bin/lost && setcap cap_chown+ep /usr/bin/lost && chown 5:6 /usr/bin/lost
`,
    expected: {
      "usr/bin/pinger": { capability: "cap_net_bind_service,cap_net_raw=ep" },
      "usr/bin/without": { capability: "" },
      // A change of owner takes them away.
      "usr/bin/lost": { capability: "", owner: [5, 6] },
      "x/f": { xattrs: { "user.note": "hello attribute" } },
      "x/copy": { xattrs: { "user.note": "hello attribute" } },
      x: { xattrs: { "user.folder": "yes" } },
      seen: { text: "/usr/bin/pinger cap_net_bind_service,cap_net_raw=ep\nhello attribute" },
    },
  },
  {
    name: "the attributes in which kbuild keeps what files are cannot be made or removed by a step",
    build: `${INSTALL}RUN mkdir /low && echo f >/low/f && touch /forged && mknod /null c 1 3
RUN for name in user.overlay.opaque user.fuseoverlayfs.opaque; do setfattr -n $name -v y /low; done; echo g >/low/g; \\
 setfattr -n user.kbuild.stat -v '7 8 20666 1 3' /forged && echo forged >>/made; setfattr -x user.kbuild.stat /null && echo removed >>/made; \\
 chmod 640 /forged /null
RUN ls /low >/seen
`,
    expected: {
      "low/f": { text: "f\n" },
      "low/g": { text: "g\n" },
      forged: { text: "", owner: [0, 0], mode: 0o640 },
      null: { device: [1, 3], mode: 0o640 },
      seen: { text: "f\ng\n" },
    },
    removed: ["made"],
  },
  {
    name: "a program in C is compiled and run",
    build: `${INSTALL}COPY hello.c /src/
RUN tcc -o /usr/local/bin/hello /src/hello.c && rm -r /src && hello >/seen
`,
    files: {
      "hello.c": '#include <stdio.h>\nint main(void) { puts("compiled in a step"); return 0; }\n',
    },
    expected: { seen: { text: "compiled in a step\n" }, "usr/local/bin/hello": { mode: 0o755 } },
    removed: ["src"],
  },
  {
    name: "a package is removed again",
    build: `${INSTALL}RUN apt-get purge -qy cron && ${CLEAN}
`,
    expected: { "usr/bin/sudo": { mode: 0o4755 } },
    removed: ["usr/bin/crontab", "usr/sbin/cron"],
  },
];
