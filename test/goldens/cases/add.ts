import type { Member } from "../../conformance/base.ts";
import { type GoldenFiles, type Group, lines } from "../golden.ts";

const MEMBERS: readonly Member[] = [
  { name: "app", type: "directory", mode: 0o755, uid: 21, gid: 22 },
  { name: "app/run", type: "file", mode: 0o755, uid: 21, gid: 22, data: "run\n" },
  { name: "app/conf", type: "file", mode: 0o640, uid: 21, gid: 22, data: "conf\n" },
  { name: "app/current", type: "symlink", mode: 0o777, link: "run" },
];

const FILES: GoldenFiles = {
  "t.tar": { archive: MEMBERS },
  "t.tar.gz": { archive: MEMBERS, compression: "gzip" },
  "t.tar.bz2": { archive: MEMBERS, compression: "bzip2" },
  "t.tar.xz": { archive: MEMBERS, compression: "xz" },
  "t.tar.zst": { archive: MEMBERS, compression: "zstd" },
  "a.txt": "a\n",
};

/** An archive of these members as `t.tar`. */
const archive = (...members: Member[]): GoldenFiles => ({ "t.tar": { archive: members } });

/** ADD of files and archives of the context. Dockerfile reference, "ADD". */
export const add: Group = {
  name: "add",
  cases: [
    {
      name: "a tar is unpacked, with the owners and modes of its members",
      dockerfile: lines("FROM scratch", "ADD t.tar /x"),
      files: FILES,
    },
    ...["gz", "bz2", "xz", "zst"].map((ending) => ({
      name: `a tar compressed as .${ending} is unpacked`,
      dockerfile: lines("FROM scratch", `ADD t.tar.${ending} /x/`),
      files: FILES,
      ...(ending === "zst" ? { differs: { buildkit20: "it does not know zstd, and copies the file" } } : {}),
    })),
    {
      name: "an archive is known by its content, not by its name",
      dockerfile: lines("FROM scratch", "ADD data.bin /x"),
      files: { "data.bin": { archive: MEMBERS, compression: "xz" } },
    },
    {
      name: "a file that is called like an archive and is none is copied",
      dockerfile: lines("FROM scratch", "ADD fake.tar.gz /x/"),
      files: { "fake.tar.gz": "no archive\n" },
    },
    {
      name: "several archives are unpacked one upon the other",
      dockerfile: lines("FROM scratch", "ADD one.tar two.tar /x/"),
      files: {
        "one.tar": { archive: [{ name: "f", type: "file", mode: 0o644, data: "1\n" }] },
        "two.tar": { archive: [{ name: "f", type: "file", mode: 0o600, data: "2\n" }] },
      },
    },
    {
      name: "an archive and a file in one ADD",
      dockerfile: lines("FROM scratch", "ADD t.tar.gz a.txt /x/"),
      files: FILES,
    },
    {
      name: "an archive in a folder that is added stays packed",
      dockerfile: lines("FROM scratch", "ADD d /x"),
      files: { "d/t.tar": { archive: MEMBERS } },
    },
    {
      name: "an archive that a wildcard meets is unpacked",
      dockerfile: lines("FROM scratch", "ADD *.bz2 /x/"),
      files: FILES,
    },
    {
      name: "hard links of an archive stay links",
      dockerfile: lines("FROM scratch", "ADD t.tar /x"),
      files: archive(
        { name: "one", type: "file", mode: 0o644, data: "1\n" },
        { name: "two", type: "link", mode: 0o644, link: "one" },
      ),
    },
    {
      name: "set-id bits of an archive are kept",
      dockerfile: lines("FROM scratch", "ADD t.tar /x"),
      files: archive({ name: "su", type: "file", mode: 0o4755, data: "s\n" }),
    },
    {
      name: "members with .. in their names stay below the destination",
      dockerfile: lines("FROM scratch", "ADD t.tar /x"),
      files: archive({ name: "d/../f", type: "file", mode: 0o644, data: "f\n" }),
    },
    {
      name: "an archive's own root does not change the destination",
      dockerfile: lines("FROM busybox", "RUN mkdir -m 700 /x", "ADD t.tar /x"),
      files: archive(
        { name: ".", type: "directory", mode: 0o777, uid: 5, gid: 6 },
        { name: "f", type: "file", mode: 0o644, data: "f\n" },
      ),
      differs: { buildah: "it changes the destination" },
    },
    {
      name: "folders that an archive leaves out are made with 0755",
      dockerfile: lines("FROM scratch", "ADD t.tar /x"),
      files: archive({ name: "p/q/f", type: "file", mode: 0o600, uid: 3, gid: 3, data: "f\n" }),
    },
    {
      name: "an archive's file replaces one of the base, and its folder joins one",
      dockerfile: lines(
        "FROM busybox",
        "RUN mkdir -p /x/app && echo old | tee /x/app/run >/x/app/mine",
        "ADD t.tar /x",
      ),
      files: FILES,
    },
    {
      name: "an archive's link into another folder of the image is not followed by its own members",
      dockerfile: lines("FROM busybox", "ADD t.tar /x"),
      files: archive(
        { name: "l", type: "symlink", mode: 0o777, link: "target" },
        { name: "target", type: "directory", mode: 0o755 },
        { name: "target/f", type: "file", mode: 0o644, data: "f\n" },
      ),
    },
    {
      name: "an archive's absolute link leads below the destination",
      dockerfile: lines("FROM busybox", "ADD t.tar /t"),
      files: archive(
        { name: "etc", type: "directory", mode: 0o755 },
        { name: "conf", type: "symlink", mode: 0o777, link: "/etc" },
        { name: "conf/f", type: "file", mode: 0o644, data: "f\n" },
      ),
      why: "an archive is unpacked as into a root of its own, so that no member comes to lie elsewhere",
    },
    {
      name: "a link of the image below the destination leads below it, too",
      dockerfile: lines("FROM busybox", "RUN mkdir -p /t/etc && ln -s /etc /t/conf", "ADD t.tar /t"),
      files: archive({ name: "conf/f", type: "file", mode: 0o644, data: "f\n" }),
    },
    {
      name: "a destination that is a link is followed in the image",
      dockerfile: lines("FROM busybox", "RUN mkdir /t && ln -s /etc /t/conf", "ADD t.tar /t/conf"),
      files: archive({ name: "f", type: "file", mode: 0o644, data: "f\n" }),
    },
    {
      name: "a later member of the same name replaces an earlier one",
      dockerfile: lines("FROM scratch", "ADD t.tar /x"),
      files: archive(
        { name: "f", type: "file", mode: 0o644, data: "1\n" },
        { name: "l", type: "link", mode: 0o644, link: "f" },
        { name: "f", type: "file", mode: 0o600, data: "2\n" },
      ),
      why: "the hard link is to the first file, which is still there by that name",
    },
    {
      name: "--chown owns all that an archive has",
      dockerfile: lines("FROM scratch", "ADD --chown=5:6 t.tar /x"),
      files: FILES,
      differs: { buildah: "members keep their owners", buildkit20: "members kept their owners" },
    },
    {
      name: "--unpack=false copies an archive as it is",
      dockerfile: lines("FROM scratch", "ADD --unpack=false t.tar /x/"),
      files: archive({ name: "f", type: "file", mode: 0o644, data: "f\n" }),
    },
    {
      name: "--unpack of a file that is no archive copies it",
      dockerfile: lines("FROM scratch", "ADD --unpack a.txt /x/"),
      files: FILES,
    },
    {
      name: "--link with an archive",
      dockerfile: lines("FROM busybox", "RUN ln -s /etc /conf", "ADD --link t.tar /conf"),
      files: FILES,
    },
    {
      name: "--exclude leaves files of a folder out",
      dockerfile: lines("FROM scratch", "ADD --exclude=*.md d /x"),
      files: { "d/a.md": "m\n", "d/b": "b\n" },
    },
    {
      name: "a destination that is a file of the base is an error for an archive",
      dockerfile: lines("FROM busybox", "ADD t.tar /etc/passwd"),
      files: FILES,
    },
    {
      name: "an archive into a folder of WORKDIR",
      dockerfile: lines("FROM scratch", "WORKDIR /srv", "ADD t.tar.xz vendor"),
      files: FILES,
    },
    {
      name: "an archive with damaged compression is copied as a file",
      dockerfile: lines("FROM scratch", "ADD broken.tar.gz /x/"),
      files: { "broken.tar.gz": Buffer.from("1f8b0800000000000003ffffffffffff", "hex") },
      why: "what cannot be read as an archive is none",
    },
    {
      name: "ADD of folders copies their contents, as COPY does",
      dockerfile: lines("FROM scratch", "ADD one two /x/"),
      files: { "one/a": "a\n", "two/b": "b\n" },
    },
    {
      name: "ADD has no --from",
      dockerfile: lines("FROM scratch AS one", "FROM scratch", "ADD --from=one /a /b"),
    },
  ],
};
