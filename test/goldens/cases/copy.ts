// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import { type GoldenFiles, type Group, lines } from "../golden.ts";

const FILES: GoldenFiles = {
  "a.txt": "a\n",
  "b.txt": "b\n",
  "web/index.html": "<p>\n",
  "web/css/site.css": "p {}\n",
  "web/css/print.css": "@media print {}\n",
  "web/js/app.js": "run();\n",
  "bin/start": { text: "#!/bin/sh\n", mode: 0o755 },
  "empty/": { dir: 0o755 },
};

/** COPY: what a source selects, and where it comes to lie. Dockerfile reference, "COPY". */
export const copy: Group = {
  name: "copy",
  cases: [
    {
      name: "of a folder its contents are copied, the folder itself is not",
      dockerfile: lines("FROM scratch", "COPY web /srv/"),
      files: FILES,
    },
    {
      name: "a backslash is part of a name, and escapes from the first wildcard on",
      dockerfile: lines("FROM scratch", "COPY a\\\\b c\\\\d/*\\\\[ /srv/"),
      files: { "a\\b": "1\n", ab: "2\n", "c\\d/x[": "3\n", "c\\d/y\\[": "4\n", "cd/x[": "5\n" },
      differs: {
        buildah: "a backslash escapes everywhere",
        buildkit20: "such a name is looked for as it is written, but its client sends the one without the backslash",
      },
    },
    {
      name: "several sources may be files and folders, whose contents are merged",
      dockerfile: lines("FROM scratch", "COPY a.txt web bin /srv/"),
      files: FILES,
    },
    {
      name: "a later source of one COPY replaces what an earlier one brought",
      dockerfile: lines("FROM scratch", "COPY one/f two/f /x/"),
      files: { "one/f": "1\n", "two/f": "2\n" },
    },
    {
      name: "several sources and a destination without a slash: it is a folder all the same when it was one before",
      dockerfile: lines("FROM scratch", "WORKDIR /srv", "COPY a.txt b.txt ."),
      files: FILES,
    },
    {
      name: "a file onto a folder goes into it",
      dockerfile: lines("FROM busybox", "COPY a.txt /var/tmp"),
      files: FILES,
    },
    {
      name: "a folder onto a folder leaves the mode of the destination alone",
      dockerfile: lines("FROM busybox", "RUN mkdir -m 700 /srv", "COPY web /srv"),
      files: { "web/": { dir: 0o755 }, "web/x": "x\n" },
      why: "the contents are copied, not the folder",
    },
    {
      name: "a folder in a folder that is copied onto one that is there brings its mode",
      dockerfile: lines(
        "FROM busybox",
        "RUN mkdir -m 700 -p /srv/css && chown -R 5:6 /srv && echo 1 >/srv/css/old",
        "COPY web /srv",
      ),
      files: FILES,
      why: "below the top the folders themselves are copied, with mode and owner",
    },
    {
      name: "a folder's own mode is not that of the destination",
      dockerfile: lines("FROM scratch", "COPY web /srv"),
      files: { "web/": { dir: 0o700 }, "web/x": "x\n", "web/sub/": { dir: 0o700 } },
      why: "the contents are copied, not the folder: it is made as any folder of a destination",
    },
    {
      name: "a folder onto a file is an error of the COPY",
      dockerfile: lines("FROM busybox", "COPY web /etc/passwd"),
      files: FILES,
    },
    {
      name: "a file below a file is an error of the COPY",
      dockerfile: lines("FROM busybox", "COPY a.txt /etc/passwd/x"),
      files: FILES,
    },
    {
      name: "a file with a slash behind it onto a file is an error",
      dockerfile: lines("FROM busybox", "COPY a.txt /etc/passwd/"),
      files: FILES,
    },
    {
      name: "a file replaces a link of the base by what it leads to",
      dockerfile: lines("FROM busybox", "RUN echo old >/real && ln -s /real /alias", "COPY a.txt /alias"),
      files: FILES,
      why: "links in the destination are followed, so that the file lies at /real and the link stays",
      differs: { buildah: "it replaces the link itself" },
    },
    {
      name: "a destination through two links ends where they lead",
      dockerfile: lines(
        "FROM busybox",
        "RUN mkdir -p /data/v2 && ln -s v2 /data/current && ln -s /data /srv",
        "COPY web /srv/current/www",
      ),
      files: FILES,
    },
    {
      name: "a link to an absolute path stays in the image, it does not lead out",
      dockerfile: lines("FROM busybox", "RUN ln -s /etc /conf", "COPY a.txt /conf/a.conf"),
      files: FILES,
    },
    {
      name: "a link that leads nowhere is made a folder by a file below it",
      dockerfile: lines("FROM busybox", "RUN ln -s /later/on /alias", "COPY a.txt /alias/x/"),
      files: FILES,
    },
    {
      name: "a folder's copy does not follow links in it",
      dockerfile: lines("FROM scratch", "COPY src /x"),
      files: { "src/real": "r\n", "src/link": { link: "real" }, "src/out": { link: "../../../etc/passwd" } },
    },
    {
      name: "a source that is a link is followed",
      dockerfile: lines("FROM scratch", "COPY link /x"),
      files: { real: "r\n", link: { link: "real" } },
    },
    {
      name: "a source that is a link to a folder gives the folder's contents",
      dockerfile: lines("FROM scratch", "COPY current /x"),
      files: { "releases/2/app": "2\n", current: { link: "releases/2" } },
    },
    {
      name: "a source link out of the context stays inside of it",
      dockerfile: lines("FROM scratch", "COPY sub/out/a.txt /x"),
      files: { "shared/a.txt": "a\n", "sub/out": { link: "../../../shared" } },
      why: "the context is its own root: .. above it is the root itself",
    },
    {
      name: "a wildcard that meets a link copies what it leads to",
      dockerfile: lines("FROM scratch", "COPY l* /x/"),
      files: { real: "r\n", link: { link: "real" } },
    },
    {
      name: "a star does not cross a slash",
      dockerfile: lines("FROM scratch", "COPY *.css /x/"),
      files: FILES,
      why: "nothing at the top matches, and a pattern without a match copies nothing",
      differs: { buildah: "a pattern without a match is an error" },
    },
    {
      name: "a star in the middle meets folders of one level",
      dockerfile: lines("FROM scratch", "COPY web/*/*.css /x/"),
      files: FILES,
    },
    {
      name: "a star that meets a folder copies its contents, as if it were named",
      dockerfile: lines("FROM scratch", "COPY web/* /x/"),
      files: FILES,
    },
    {
      name: "a star with a slash behind it meets folders",
      dockerfile: lines("FROM scratch", "COPY web/*/ /x/"),
      files: FILES,
    },
    {
      name: "a star meets names with a dot in front",
      dockerfile: lines("FROM scratch", "COPY * /x/"),
      files: { ".env": "e\n", ".config/c": "c\n", f: "f\n" },
      why: "patterns are Go's filepath.Match, where a dot is a character as others",
    },
    {
      name: "a question mark is one character, of whatever length in bytes",
      dockerfile: lines("FROM scratch", "COPY ?.txt /x/"),
      files: { "é.txt": "1\n", "ab.txt": "2\n" },
    },
    {
      name: "a class has ranges",
      dockerfile: lines("FROM scratch", "COPY v[0-2a].txt /x/"),
      files: { "v1.txt": "1\n", "v3.txt": "3\n", "va.txt": "a\n", "vb.txt": "b\n" },
    },
    {
      name: "a caret at a class's start turns it around",
      dockerfile: lines("FROM scratch", "COPY v[^0-9].txt /x/"),
      files: { "v1.txt": "1\n", "va.txt": "a\n" },
    },
    {
      name: "two patterns, one of which matches nothing, copy what the other matches",
      dockerfile: lines("FROM scratch", "COPY *.txt *.lock /x/"),
      files: FILES,
    },
    {
      name: "the folder that a wildcard is looked for in has to be there",
      dockerfile: lines("FROM scratch", "COPY a.txt wbe/*.css /x/"),
      files: FILES,
      why: "a pattern may match nothing, but docker looks for it in a folder, which is not there",
      differs: { buildah: "one source with a match is enough" },
    },
    {
      name: "a wildcard in a folder that is there may match nothing",
      dockerfile: lines("FROM scratch", "COPY a.txt web/*.go /x/"),
      files: FILES,
    },
    {
      name: "what a wildcard meets is copied in the order of the names, wherever links lead",
      dockerfile: lines("FROM scratch", "COPY d/* /x/"),
      files: {
        "d/f": "of d\n",
        "d/a": { link: "../z" },
        "z/f": "of z\n",
        "e/g": "of e\n",
        "d/g": "of d\n",
        "d/h": { link: "../e" },
      },
      why: "the folder that a leads to comes before f, that of h behind g",
    },
    {
      name: "hard links that a wildcard meets one by one are files of their own",
      dockerfile: lines("FROM scratch", "COPY d/* /x/"),
      files: {
        "d/one": "1\n",
        "d/two": { hard: "d/one" },
        "d/sub/three": { hard: "d/one" },
        "d/sub/four": { hard: "d/one" },
      },
      why: "each match is copied by itself; only in a folder that is one match they stay links",
    },
    {
      name: "a name without a wildcard has to be there",
      dockerfile: lines("FROM scratch", "COPY a.txt yarn.lock /x/"),
      files: FILES,
    },
    {
      name: "a name that is there only in other letters is not there",
      dockerfile: lines("FROM scratch", "COPY A.TXT /x"),
      files: FILES,
    },
    {
      name: "a file as source with a slash behind it is copied",
      dockerfile: lines("FROM scratch", "COPY a.txt/ /x"),
      files: FILES,
      why: "BuildKit makes source paths clean, which takes the slash away",
    },
    {
      name: "an empty folder is copied with its mode",
      dockerfile: lines("FROM scratch", "COPY . /x"),
      files: { "run/": { dir: 0o700 }, "spool/": { dir: 0o1777 } },
    },
    {
      name: "an empty folder as source makes the destination",
      dockerfile: lines("FROM scratch", "COPY empty /x/y"),
      files: FILES,
    },
    {
      name: "set-id and sticky bits of files and folders are kept",
      dockerfile: lines("FROM scratch", "COPY . /x"),
      files: {
        su: { text: "s\n", mode: 0o4755 },
        wall: { text: "w\n", mode: 0o2755 },
        "team/": { dir: 0o2775 },
      },
      differs: { buildah: "it drops set-id bits" },
    },
    {
      name: "files that nobody may read are copied with their mode",
      dockerfile: lines("FROM scratch", "COPY secret /x"),
      files: { secret: { text: "s\n", mode: 0o000 } },
    },
    {
      name: "hard links in one COPY stay one file",
      dockerfile: lines("FROM scratch", "COPY d /x"),
      files: { "d/one": "1\n", "d/two": { hard: "d/one" } },
    },
    {
      name: "folders that the destination needs are made with 0755 and root",
      dockerfile: lines("FROM busybox", "USER nobody", "COPY a.txt /new/deep/er/a"),
      files: FILES,
    },
    {
      name: "a relative destination is below WORKDIR, a dot is WORKDIR",
      dockerfile: lines("FROM scratch", "WORKDIR /app/src", "COPY a.txt .", "COPY b.txt ../b", "COPY bin/start ./bin/"),
      files: FILES,
    },
    {
      name: "two dots above the root are the root",
      dockerfile: lines("FROM scratch", "WORKDIR /app", "COPY a.txt ../../../x"),
      files: FILES,
    },
    {
      name: "a destination with dots and double slashes is made clean",
      dockerfile: lines("FROM scratch", "COPY a.txt /x//./y/../z"),
      files: FILES,
    },
    {
      name: "the JSON form takes names with spaces",
      dockerfile: lines("FROM scratch", 'COPY ["my file.txt", "other file.txt", "/the dest/"]'),
      files: { "my file.txt": "1\n", "other file.txt": "2\n" },
    },
    {
      name: "quotes do not keep a name with a space together",
      dockerfile: lines("FROM scratch", 'COPY "my file.txt" /x/'),
      files: { "my file.txt": "1\n" },
      why: "without JSON the words are split at spaces first, quoted or not, so there is no such source",
    },
    {
      name: "variables stand for sources and destination",
      dockerfile: lines("FROM scratch", "ARG SRC=web/css", "ENV DEST=/srv/css", "COPY ${SRC} ${DEST}/"),
      files: FILES,
    },
    {
      name: "a variable with a pattern matches as if it were written there",
      dockerfile: lines("FROM scratch", "ARG WHAT=*.txt", "COPY $WHAT /x/"),
      files: FILES,
    },
    {
      name: "a variable that is not set stands for nothing, and nothing is the whole context",
      dockerfile: lines("FROM scratch", "COPY $NOPE /x"),
      files: { f: "1\n" },
    },
    {
      name: "COPY with one argument has no destination",
      dockerfile: lines("FROM scratch", "COPY a.txt"),
      files: FILES,
    },
    {
      name: "the Dockerfile and the ignore file are files of the context",
      dockerfile: lines("FROM scratch", "COPY . /x"),
      files: { ".dockerignore": "*.tmp\n", "y.tmp": "y\n", y: "y\n" },
    },
    {
      name: "a copy of the same content onto itself is a layer of its own",
      dockerfile: lines("FROM scratch", "COPY a.txt /x", "COPY a.txt /x"),
      files: FILES,
    },
  ],
};
