// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import { type GoldenFiles, type Group, lines } from "../golden.ts";

const FILES: GoldenFiles = {
  "a.txt": "a\n",
  "src/main.c": "int\n",
  "src/main.h": "h\n",
  "src/lib/util.c": "util\n",
  "src/lib/util.h": "u\n",
  "src/lib/deep/x.c": "x\n",
  "docs/readme.md": "docs\n",
  "tool.sh": { text: "#!/bin/sh\n", mode: 0o755 },
};

const ACCOUNTS = "RUN echo app:x:1000:1001::/app:/bin/sh >>/etc/passwd && echo staff:x:50: >>/etc/group";

/** The flags of COPY: owner, mode, --link, and how flags are written. Dockerfile reference, "COPY". */
export const copyFlags: Group = {
  name: "copy-flags",
  cases: [
    {
      name: "--chown of a name takes the group of that account",
      dockerfile: lines("FROM busybox", ACCOUNTS, "COPY --chown=app a.txt /x"),
      files: FILES,
    },
    {
      name: "flags of which nothing is left after expansion are not given",
      dockerfile: lines("FROM busybox", "ARG OWNER", "ARG MODE", "COPY --chown=$OWNER --chmod=$MODE tool.sh /x"),
      files: FILES,
      why: "a file that others build with arguments can be built without",
      differs: { buildah: "it takes a blank mode for one that it cannot read" },
    },
    {
      name: "--chown of a number takes the same number as group",
      dockerfile: lines("FROM busybox", ACCOUNTS, "COPY --chown=1000 a.txt /x"),
      files: FILES,
      why: "a number is not looked up in /etc/passwd",
    },
    {
      name: "--chown of a name and a group takes both from the image's files",
      dockerfile: lines("FROM busybox", ACCOUNTS, "COPY --chown=app:staff a.txt /x"),
      files: FILES,
    },
    {
      name: "--chown mixes names and numbers",
      dockerfile: lines("FROM busybox", ACCOUNTS, "COPY --chown=app:7 a.txt /x", "COPY --chown=7:staff a.txt /y"),
      files: FILES,
    },
    {
      name: "--chown of a name looks into the stage's files, not into those of --from",
      dockerfile: lines(
        "FROM busybox AS other",
        "RUN echo app:x:5:6::/:/bin/sh >>/etc/passwd && echo 1 >/one",
        "FROM busybox",
        "RUN echo app:x:7:8::/:/bin/sh >>/etc/passwd",
        "COPY --from=other --chown=app /one /x",
      ),
    },
    {
      name: "--chown owns folders that are made for the destination",
      dockerfile: lines("FROM scratch", "COPY --chown=3:4 a.txt /p/q/x"),
      files: FILES,
    },
    {
      name: "--chown leaves a folder that is there as it is",
      dockerfile: lines("FROM busybox", "COPY --chown=3:4 a.txt /home/x"),
      files: FILES,
    },
    {
      name: "--chown takes variables",
      dockerfile: lines("FROM scratch", "ARG UID=12", "ENV GID=13", "COPY --chown=$UID:${GID} a.txt /x"),
      files: FILES,
    },
    {
      name: "--chown of root is root, also where there is no account",
      dockerfile: lines("FROM scratch", "COPY --chown=0:0 a.txt /x"),
      files: FILES,
    },
    {
      name: "--chown of a name needs accounts to look it up",
      dockerfile: lines("FROM scratch", "COPY a.txt /x", "COPY --chown=app a.txt /y"),
      files: FILES,
    },
    {
      name: "--chmod with four digits sets the set-id bits",
      dockerfile: lines("FROM scratch", "COPY --chmod=4711 tool.sh /x", "COPY --chmod=2755 src /s"),
      files: FILES,
      differs: { buildkit20: "the older one drops set-id bits" },
    },
    {
      name: "--chmod in octal is the mode of files and folders alike",
      dockerfile: lines("FROM scratch", "COPY --chmod=644 src /s"),
      files: FILES,
      differs: { buildah: "the destination itself gets 0755", buildkit20: "the destination itself got 0755" },
    },
    {
      name: "--chmod in octal is also the mode of folders that are made for the destination",
      dockerfile: lines("FROM scratch", "COPY --chmod=0750 a.txt /p/q/x"),
      files: FILES,
      differs: { buildah: "those get 0755", buildkit20: "those got 0755" },
    },
    {
      name: "--chmod with a capital X lets only folders and programs be run",
      dockerfile: lines("FROM scratch", "COPY --chmod=u=rwX,g=rX,o= src tool.sh /s/"),
      files: FILES,
    },
    {
      name: "--chmod adds and takes away bits by letters",
      dockerfile: lines("FROM scratch", "COPY --chmod=go-r,u+x a.txt /x", "COPY --chmod=a-w tool.sh /y"),
      files: FILES,
    },
    {
      name: "--chmod with g+s sets the bit of folders, too",
      dockerfile: lines("FROM scratch", "COPY --chmod=g+s src /s"),
      files: FILES,
    },
    {
      name: "--chmod copies the bits of one class to another",
      dockerfile: lines("FROM scratch", "COPY --chmod=g=u a.txt /x", "COPY --chmod=o=g tool.sh /y"),
      files: FILES,
    },
    {
      name: "--chmod of a variable",
      dockerfile: lines("FROM scratch", "ARG MODE=0400", "COPY --chmod=$MODE a.txt /x"),
      files: FILES,
      differs: { buildkit20: "the older one took the variable's name for a mode, and kept the file's" },
    },
    {
      name: "--chmod beyond 07777 is an error at the mode",
      dockerfile: lines("FROM scratch", "COPY --chmod=17777 a.txt /x"),
      files: FILES,
      differs: { buildah: "it takes what fits", buildkit20: "the older one took what fits" },
    },
    {
      name: "--chmod of letters that are none is an error at the mode",
      dockerfile: lines("FROM scratch", "COPY a.txt /y", "COPY --chmod=u+z a.txt /x"),
      files: FILES,
    },
    {
      name: "--chmod does not touch links",
      dockerfile: lines("FROM scratch", "COPY --chmod=600 d /d"),
      files: { "d/f": "f\n", "d/l": { link: "f" } },
      differs: { buildah: "the destination itself gets 0755", buildkit20: "the destination itself got 0755" },
    },
    {
      name: "--link puts the files where the path says, whatever links the base has",
      dockerfile: lines("FROM busybox", "RUN ln -s /etc /conf", "COPY --link a.txt /conf/a"),
      files: FILES,
      why: "the layer is made without a look at the base, so it replaces the link by a folder",
    },
    {
      name: "--link sets the mode of folders that are there",
      dockerfile: lines("FROM busybox", "RUN mkdir -m 700 /priv", "COPY --link a.txt /priv/x"),
      files: FILES,
      why: "the folders of the path are part of the layer, with 0755",
    },
    {
      name: "--link of a file onto a folder replaces it",
      dockerfile: lines("FROM busybox", "RUN mkdir /x && echo 1 >/x/y", "COPY --link a.txt /x"),
      files: FILES,
      why: "the layer has a file of that name, which hides the folder of the base",
    },
    {
      name: "--link of several sources to a name makes it a folder",
      dockerfile: lines("FROM scratch", "COPY --link a.txt tool.sh /x/"),
      files: FILES,
    },
    {
      name: "--link below WORKDIR",
      dockerfile: lines("FROM scratch", "WORKDIR /app", "COPY --link src ./src"),
      files: FILES,
    },
    {
      name: "--link with --chown of numbers and --chmod, folders included",
      dockerfile: lines("FROM scratch", "COPY --link --chown=5:6 --chmod=0700 src /p/s"),
      files: FILES,
    },
    {
      name: "--link from a stage",
      dockerfile: lines(
        "FROM scratch AS one",
        "COPY src /s",
        "FROM busybox",
        "COPY --link --from=one /s/lib /usr/lib/",
      ),
      files: FILES,
    },
    {
      name: "--link=false is a plain COPY",
      dockerfile: lines("FROM busybox", "RUN ln -s /etc /conf", "COPY --link=false a.txt /conf/a"),
      files: FILES,
    },
    {
      name: "several --exclude leave out what any of them matches",
      dockerfile: lines("FROM scratch", "COPY --exclude=*.sh --exclude=docs --exclude=src/lib . /x"),
      files: FILES,
    },
    {
      name: "a flag without a value is an error at the flag",
      dockerfile: lines("FROM scratch", "COPY --chown a.txt /x"),
      files: FILES,
    },
    {
      name: "a flag behind a source is a source",
      dockerfile: lines("FROM scratch", "COPY a.txt --chown=1 /x/"),
      files: FILES,
      why: "flags stand in front; so --chown=1 is a name that the context does not have",
    },
    {
      name: "COPY has no --unpack",
      dockerfile: lines("FROM scratch", "COPY --unpack a.txt /x"),
      files: FILES,
    },
    {
      name: "a switch takes true and false only",
      dockerfile: lines("FROM scratch", "COPY --link=yes a.txt /x"),
      files: FILES,
    },
  ],
};
