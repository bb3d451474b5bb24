import * as fs from "node:fs";
import * as path from "node:path";
import * as assert from "uvu/assert";
import type { Row } from "../rows.ts";

/** What a step does to files, and what has to be in the layer for it. */
export const FILES: readonly Row[] = [
  {
    name: "a lower file and a lower folder are deleted",
    build: `FROM busybox
COPY tree /tree
RUN rm /tree/a && rm -r /tree/deep/er && rm /bin/vi
`,
    files: { "tree/a": "a", "tree/b": "b", "tree/deep/er/c": "c", "tree/deep/er/est/d": "d", "tree/deep/e": "e" },
    expected: {
      "tree/b": { text: "b" },
      "tree/deep/e": { text: "e" },
      "tree/deep": { names: ["e"] },
      bin: { mode: 0o755 },
    },
    removed: ["tree/a", "tree/deep/er", "bin/vi"],
  },
  {
    name: "a layer that comes again counts where it is highest",
    build: `FROM busybox
COPY tree/ /tree/
RUN rm -r /tree && echo file >/tree
RUN rm /tree && mkdir /tree && echo other >/tree/other
COPY tree/ /tree/
RUN rm /tree/a
COPY tree/ /tree/
RUN cat /tree/a /tree/deep/b /tree/other >/read && rm /tree/deep/b
`,
    files: { "tree/a": "a\n", "tree/deep/b": "b\n" },
    expected: {
      read: { text: "a\nb\nother\n" },
      tree: { names: ["a", "deep", "other"] },
    },
    removed: ["tree/deep/b"],
  },
  {
    name: "a folder becomes a file, a file a folder, a link a folder, a folder a link",
    build: `FROM busybox
COPY tree /tree
RUN cd /tree && rm -r folder file link other \\
 && echo now a file >folder && mkdir file link && echo in >file/in && echo in >link/in && ln -s file other
`,
    files: {
      "tree/folder/x": "x",
      "tree/file": "f",
      "tree/link": { link: "folder" },
      "tree/other/y": "y",
      "tree/kept": "k",
    },
    expected: {
      "tree/folder": { type: "file", text: "now a file\n", mode: 0o644 },
      "tree/file": { type: "folder", mode: 0o755, names: ["in"] },
      "tree/file/in": { text: "in\n" },
      "tree/link": { type: "folder", names: ["in"] },
      "tree/other": { type: "link", link: "file" },
      "tree/kept": { text: "k" },
    },
  },
  {
    name: "a folder that is deleted and made anew has nothing of the lower one",
    build: `FROM busybox
COPY tree /tree
RUN rm -r /tree/again && mkdir -m 0700 /tree/again && echo new >/tree/again/new && mkdir /tree/again/sub
RUN rm -r /tree/again/sub && mkdir /tree/again/sub && echo b >/tree/again/sub/b
`,
    files: { "tree/again/old": "old", "tree/again/sub/old": "old", "tree/beside": "b" },
    expected: {
      "tree/again": { mode: 0o700, names: ["new", "sub"] },
      "tree/again/sub": { mode: 0o755, names: ["b"] },
      "tree/beside": { text: "b" },
    },
  },
  {
    name: "a lower folder is renamed, with all that is in it",
    build: `FROM busybox
COPY --chown=7:8 tree /tree
RUN mv /tree/old /tree/new && mv /tree/new/sub/script /tree/script && mv /tree/file /tree/file2
`,
    files: {
      "tree/old/a": "a",
      "tree/old/sub/b": "b",
      "tree/old/sub/script": { text: "#!/bin/sh\n", mode: 0o755 },
      "tree/old/link": { link: "a" },
      "tree/file": "f",
    },
    expected: {
      "tree/new": { mode: 0o755, owner: [7, 8], names: ["a", "link", "sub"] },
      "tree/new/a": { text: "a", owner: [7, 8], mode: 0o644 },
      "tree/new/sub": { names: ["b"], owner: [7, 8] },
      "tree/new/link": { link: "a", owner: [7, 8] },
      "tree/script": { mode: 0o755, owner: [7, 8] },
      "tree/file2": { text: "f" },
    },
    removed: ["tree/old", "tree/file"],
  },
  {
    name: "hard links across folders stay hard links",
    build: `FROM busybox
COPY tree /tree
RUN mkdir -p /one /two/deep && echo shared >/one/a && ln /one/a /two/deep/b && ln /one/a /c
RUN ln /tree/lower /two/lower
RUN ln /two/deep/b /two/later && ln /two/later /two/last && ln /tree/lower /two/third
`,
    files: { "tree/lower": "lower" },
    expected: {
      "one/a": { text: "shared\n", mode: 0o644, sameAs: "c" },
      // A link to a file of a lower layer is a file of its own in the layer, as with docker.
      "two/deep/b": { sameAs: "c" },
      "two/later": { text: "shared\n", mode: 0o644 },
      "two/last": { sameAs: "two/later" },
      "two/lower": { text: "lower", mode: 0o644 },
    },
  },
  {
    name: "a file of 3 GiB with holes",
    build: `FROM busybox
RUN truncate -s 3G /holes && echo middle | dd of=/holes bs=1 seek=2000000000 conv=notrunc 2>/dev/null
`,
    expected: { holes: { size: 3 * 2 ** 30, mode: 0o644 } },
    timeout: 300_000,
  },
  {
    name: "names that are not UTF-8, in folders, links and deletions",
    build: `FROM busybox
RUN cd / && n=$(printf 'caf\\351') && mkdir "$n" "$n/gone" && echo x >"$n/$n" && ln -s "$n" link && touch "$n/gone/f" "$n/go" \\
 && touch "/$(printf 'new\\nline')" "/$(printf 'tab\\tand \\\\ "quote"')" "/.wh-like" "/$(printf '\\377\\376')"
RUN n=/$(printf 'caf\\351') && rm -r "$n/gone" "$n/go" && echo y >>"$n/$n" && chown 5:6 "$n/$n"
`,
    expected: {
      "caf\xe9": { type: "folder", names: ["caf\xe9"] },
      "caf\xe9/caf\xe9": { text: "x\ny\n", owner: [5, 6] },
      link: { link: "caf\xe9" },
      "new\nline": { size: 0 },
      'tab\tand \\ "quote"': { size: 0 },
      ".wh-like": { size: 0 },
      "\xff\xfe": { size: 0 },
    },
    removed: ["caf\xe9/gone", "caf\xe9/go"],
  },
  {
    name: "names as long as they may be, and a path of more than 3,000 bytes",
    build: `FROM busybox
RUN n=$(printf 'n%.0s' $(seq 255)) && touch "/$n" && ln -s "/$n" /to \\
 && cd / && for i in $(seq 14); do mkdir "$n" 2>/dev/null || mkdir d; cd "$n" 2>/dev/null || cd d; done && echo end >end
`,
    expected: {
      ["n".repeat(255)]: { type: "file" },
      to: { link: `/${"n".repeat(255)}` },
      [`d/${`${"n".repeat(255)}/`.repeat(13)}end`]: { text: "end\n" },
    },
  },
  {
    name: "10,000 files are created, and 2,000 deleted",
    build: `FROM busybox
RUN mkdir /many && cd /many && seq 1 100 | xargs mkdir && seq 1 10000 | awk '{ print ($1 % 100 + 1) "/" $1 }' | xargs touch
RUN cd /many && seq 1 2000 | awk '{ print ($1 % 100 + 1) "/" $1 }' | xargs rm
`,
    expected: { many: { type: "folder" }, "many/1/10000": { size: 0 }, "many/2/2001": { size: 0 } },
    removed: ["many/2/1", "many/1/2000"],
    check: (rootfs) => count(rootfs, "many", 8000),
  },
  {
    name: "a step that changes nothing makes no layer",
    build: `FROM busybox
RUN true
RUN cat /etc/passwd >/dev/null && ls -R /etc >/dev/null
RUN chmod 755 /etc && chown 0:0 /etc/passwd && chmod 644 /etc/group && touch -d @0 /etc/os-release
`,
    layers: 0,
  },
  {
    name: "of a lower file that is changed only its mode or owner, the content stays",
    build: `FROM busybox
RUN chmod 0640 /etc/os-release && chown 12:34 /etc/group && chmod 1777 /home && chown 99:98 /var
`,
    expected: {
      "etc/os-release": { mode: 0o640, text: "ID=test\nNAME=test\n", owner: [0, 0] },
      "etc/group": { owner: [12, 34], mode: 0o644 },
      home: { mode: 0o1777 },
      var: { owner: [99, 98], names: ["tmp"] },
      "var/tmp": { owner: [0, 0] },
    },
    layers: 1,
  },
  {
    name: "owners of all kinds of files, and what chown does to set-id bits and links",
    build: `FROM busybox
RUN mkdir -p /o/d/e && cd /o && echo f >f && echo d >d/f && ln -s f link && ln -s /etc/passwd out && ln -s nowhere dangling && mkfifo p \\
 && chown -R 1000:2000 d && chown -h 3:4 link && chown 65534:65533 f && chown -h 5:6 dangling && chown 7:8 p \\
 && chown -R 11:12 /o/d/e
RUN cd /o && cp /bin/busybox s && chmod 6755 s && chown 21:22 s && cp s t && chmod 4755 t && mkdir g && chmod 2775 g && chown 0:50 g && touch g/in && mkdir g/sub
RUN cd /o && stat -c '%u:%g %a %n' f d d/f s t g g/in >seen && stat -c '%u:%g' link dangling p >>seen
`,
    expected: {
      "o/f": { owner: [65534, 65533], mode: 0o644 },
      "o/d": { owner: [1000, 2000] },
      "o/d/f": { owner: [1000, 2000] },
      "o/d/e": { owner: [11, 12] },
      "o/link": { owner: [3, 4], link: "f" },
      "o/out": { owner: [0, 0], type: "link" },
      "o/dangling": { owner: [5, 6] },
      "o/p": { owner: [7, 8], type: "fifo" },
      "etc/passwd": { owner: [0, 0] },
      // chown takes the set-id bits away; chmod afterwards gives them.
      "o/s": { owner: [21, 22], mode: 0o755 },
      "o/t": { owner: [0, 0], mode: 0o4755 },
      "o/g": { owner: [0, 50], mode: 0o2775 },
      "o/g/in": { owner: [0, 50], mode: 0o644 },
      "o/g/sub": { owner: [0, 50], mode: 0o2755 },
      "o/seen": {
        text: "65534:65533 644 f\n1000:2000 755 d\n1000:2000 644 d/f\n21:22 755 s\n0:0 4755 t\n0:50 2775 g\n0:50 644 g/in\n3:4\n5:6\n7:8\n",
      },
    },
  },
  {
    name: "chown -R goes along no symbolic link",
    build: `FROM busybox
COPY tree /tree
RUN chown -R 1000:1000 /tree
`,
    files: { "tree/a": "a", "tree/passwd": { link: "/etc/passwd" }, "tree/etc": { link: "/etc" }, "tree/sub/b": "b" },
    expected: {
      "tree/a": { owner: [1000, 1000] },
      "tree/sub/b": { owner: [1000, 1000] },
      "etc/passwd": { owner: [0, 0] },
      etc: { owner: [0, 0] },
    },
  },
  {
    name: "fifos and devices that a step makes are in the layer",
    build: `FROM busybox
RUN mkdir /nodes && cd /nodes && mkfifo -m 0620 pipe && mknod -m 0666 null c 1 3 && mknod disk b 8 17 && chown 3:4 disk pipe
`,
    expected: {
      "nodes/pipe": { type: "fifo", mode: 0o620, owner: [3, 4] },
      "nodes/null": { type: "char", mode: 0o666, device: [1, 3], owner: [0, 0] },
      "nodes/disk": { type: "block", mode: 0o644, device: [8, 17], owner: [3, 4] },
    },
  },
  {
    name: "devices, fifos and set-id files of a lower layer are what they are in a later step",
    build: `FROM busybox
RUN mkdir /nodes && cd /nodes && mkfifo pipe && mknod null c 1 3 && cp /bin/busybox s && chmod 4711 s && chown 0:77 . \\
 && chown 33:33 pipe
RUN cd /nodes && stat -c '%F %u:%g %a' pipe s . >/seen && mv pipe pipe2 && chmod 0604 null
`,
    expected: {
      seen: { text: /^fifo 33:33 644\nregular file 0:0 4711\ndirectory 0:77 755\n$/ },
      "nodes/pipe2": { type: "fifo", owner: [33, 33] },
      "nodes/null": { type: "char", mode: 0o604, device: [1, 3] },
      "nodes/s": { mode: 0o4711 },
    },
    removed: ["nodes/pipe"],
  },
  {
    name: "times: those of a step are clamped, older ones stay as they are",
    build: `FROM busybox
RUN touch -d '2001-02-03 04:05:06' /old && touch /new && mkdir /d && touch -d '1999-01-01 00:00:00' /d
`,
    check: (rootfs) => {
      times(rootfs, { old: 981173106, new: 1_700_000_000, d: 915148800 });
    },
  },
  {
    name: "what lies in an image that a step copies from is what the step made",
    build: `FROM busybox AS made
RUN mkdir /out && echo one >/out/1 && chown 5:6 /out/1 && chmod 4750 /out/1 && ln /out/1 /out/2 && ln -s 1 /out/3
FROM busybox
COPY --from=made /out /in
RUN cat /in/3 >/read && rm /in/2
`,
    expected: {
      "in/1": { text: "one\n", owner: [5, 6], mode: 0o4750 },
      "in/3": { link: "1" },
      read: { text: "one\n" },
    },
    removed: ["in/2"],
  },
];

function count(rootfs: string, folder: string, files: number): void {
  const found = fs.readdirSync(path.join(rootfs, folder), { recursive: true, withFileTypes: true });
  assert.is(found.filter((entry) => entry.isFile()).length, files);
}

function times(rootfs: string, expected: Readonly<Record<string, number>>): void {
  for (const [name, seconds] of Object.entries(expected)) {
    assert.is(fs.lstatSync(path.join(rootfs, name)).mtimeMs / 1000, seconds, name);
  }
}
