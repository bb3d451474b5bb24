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

/** COPY --parents and --exclude: which files are copied, and with which folders. Dockerfile reference, "COPY". */
export const copySelection: Group = {
  name: "copy-selection",
  cases: [
    {
      name: "--parents keeps the folders of each source",
      dockerfile: lines("FROM scratch", "COPY --parents src/lib/util.c a.txt /x/"),
      files: FILES,
    },
    {
      name: "--parents makes the destination a folder, slash or not",
      dockerfile: lines("FROM scratch", "COPY --parents src/lib/util.c /x"),
      files: FILES,
    },
    {
      name: "--parents drops what stands in front of /./",
      dockerfile: lines("FROM scratch", "COPY --parents src/./lib/*.c /x/"),
      files: FILES,
    },
    {
      name: "--parents with a /./ for each source",
      dockerfile: lines("FROM scratch", "COPY --parents src/./lib/util.c docs/./readme.md /x/"),
      files: FILES,
    },
    {
      name: "--parents with ** meets files at every depth, also none",
      dockerfile: lines("FROM scratch", "COPY --parents src/**/*.c /x/"),
      files: FILES,
    },
    {
      name: "--parents with /./ and ** together",
      dockerfile: lines("FROM scratch", "COPY --parents src/./**/*.h /x/"),
      files: FILES,
    },
    {
      name: "--parents keeps the modes of folders on the way",
      dockerfile: lines("FROM scratch", "COPY --parents p/q/f /x/"),
      files: { "p/q/f": "f\n", "p/": { dir: 0o750 }, "p/q/": { dir: 0o711 } },
      why: "they are copied as what is in them is",
    },
    {
      name: "--parents keeps hard links, whatever its wildcard meets",
      dockerfile: lines("FROM scratch", "COPY --parents d/* /x/"),
      files: { "d/one": "1\n", "d/two": { hard: "d/one" } },
      why: "with --parents a source is copied at once",
    },
    {
      name: "--parents of a wildcard below a folder that is not there copies nothing",
      dockerfile: lines("FROM scratch", "COPY --parents lib/*.c a.txt /x/"),
      files: FILES,
      why: "with --parents the search begins at the root",
    },
    {
      name: "--parents of a wildcard below a pivot that is not there is an error",
      dockerfile: lines("FROM scratch", "COPY --parents lib/./*.c a.txt /x/"),
      files: FILES,
      why: "the search begins at the pivot",
    },
    {
      name: "--parents of a folder keeps its own mode",
      dockerfile: lines("FROM scratch", "COPY --parents p/q /x/"),
      files: { "p/q/f": "f\n", "p/": { dir: 0o750 }, "p/q/": { dir: 0o711 } },
    },
    {
      name: "--parents from a stage keeps the owners of folders on the way",
      dockerfile: lines(
        "FROM busybox AS one",
        "RUN mkdir -p /srv/app && echo 1 >/srv/app/f && chown -R 5:6 /srv/app && chmod 700 /srv/app",
        "FROM scratch",
        "COPY --parents --from=one /srv/app/f /",
      ),
    },
    {
      name: "--parents with --chown and --chmod changes folders on the way, too",
      dockerfile: lines("FROM scratch", "COPY --parents --chown=5:6 --chmod=0700 src/lib/util.c /x/"),
      files: FILES,
    },
    {
      name: "--parents leaves a folder's owner alone that is there, and sets its mode",
      dockerfile: lines(
        "FROM busybox",
        "RUN mkdir -p /x/p && chown 5:6 /x/p && chmod 700 /x/p",
        "COPY --parents p/f /x/",
      ),
      files: { "p/f": "f\n", "p/": { dir: 0o750 } },
    },
    {
      name: "--parents from a stage, with an absolute source",
      dockerfile: lines(
        "FROM busybox AS one",
        "RUN mkdir -p /opt/tool/bin && echo 1 >/opt/tool/bin/t",
        "FROM scratch",
        "COPY --parents --from=one /opt/tool/bin/t /",
      ),
    },
    {
      name: "--parents=false is a plain COPY",
      dockerfile: lines("FROM scratch", "COPY --parents=false src/lib/util.c /x/"),
      files: FILES,
    },
    {
      name: "--parents from a stage drops what stands in front of /./",
      dockerfile: lines(
        "FROM scratch AS one",
        "COPY . /work",
        "FROM scratch",
        "COPY --parents --from=one /work/./src/lib /",
      ),
      files: FILES,
    },
    {
      name: "--exclude leaves out what it matches at the top only",
      dockerfile: lines("FROM scratch", "COPY --exclude=*.h src /x"),
      files: FILES,
    },
    {
      name: "--exclude with ** leaves out at every depth",
      dockerfile: lines("FROM scratch", "COPY --exclude=**/*.h src /x"),
      files: FILES,
    },
    {
      name: "--exclude of a folder leaves out all below it",
      dockerfile: lines("FROM scratch", "COPY --exclude=lib src /x"),
      files: FILES,
    },
    {
      name: "--exclude of everything leaves the destination",
      dockerfile: lines("FROM scratch", "COPY --exclude=* src /x"),
      files: FILES,
    },
    {
      name: "--exclude beside a wildcard",
      dockerfile: lines("FROM scratch", "COPY --exclude=*.sh *.* /x/"),
      files: FILES,
    },
    {
      name: "--exclude takes variables",
      dockerfile: lines("FROM scratch", "ARG SKIP=lib", "COPY --exclude=$SKIP src /x"),
      files: FILES,
    },
    {
      name: "--exclude from a stage",
      dockerfile: lines(
        "FROM scratch AS one",
        "COPY . /w",
        "FROM scratch",
        "COPY --from=one --exclude=**/*.c /w/src /x",
      ),
      files: FILES,
    },
  ],
};
