/**
 * A row is a Dockerfile with what has to be in its image. It is built in each of the four situations at once, has to give
 * the same image in all of them, and is then read back with a tool that shares no code with kbuild.
 */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Test } from "uvu";
import * as assert from "uvu/assert";
import type { Outcome } from "../../support/command.ts";
import { must } from "../../support/command.ts";
import { blobPath, digestOf, readBlob } from "../../support/image-reader.ts";
import { inEach, type Situation, type SituationName, type Situations } from "../../support/situations.ts";
import { type Planted, plant, remove } from "../../support/workspace.ts";

/** What has to be at a path; what is not told is not looked at. */
export interface Expected {
  readonly type?: "file" | "folder" | "link" | "fifo" | "char" | "block";
  /** Permissions with the set-id and sticky bits. */
  readonly mode?: number;
  readonly owner?: readonly [number, number];
  readonly text?: string | RegExp;
  readonly size?: number;
  /** Where a symbolic link leads. */
  readonly link?: string;
  /** Another path that is the same inode. */
  readonly sameAs?: string;
  /** Major and minor number. */
  readonly device?: readonly [number, number];
  /** As getcap(8) prints it. */
  readonly capability?: string;
  readonly xattrs?: Readonly<Record<string, string>>;
  /** Names in a folder, sorted. */
  readonly names?: readonly string[];
}

export interface Row {
  /** A sentence. */
  readonly name: string;
  /** The Dockerfile. */
  readonly build: string;
  readonly files?: Readonly<Record<string, Planted>>;
  readonly argv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Paths without a leading slash; bytes that are not UTF-8 are written as Latin-1. */
  readonly expected?: Readonly<Record<string, Expected>>;
  readonly removed?: readonly string[];
  /** Number of layers that the steps add; not looked at unless told. */
  readonly layers?: number;
  /** More to be seen, with the folder of the unpacked files and what each build printed. */
  readonly check?: (rootfs: string, outcomes: ReadonlyMap<SituationName, Outcome>) => void | Promise<void>;
  /** Milliseconds that one build may take. */
  readonly timeout?: number;
}

/** What rows are built with. */
export interface Ground {
  readonly situations: Situations;
  readonly folder: string;
  /** Options that name the bases: `--build-context busybox=...`. */
  readonly bases: readonly string[];
}

export const EPOCH = "1700000000";

export interface Built {
  readonly tag: string;
  readonly digest: string;
  readonly outcomes: ReadonlyMap<SituationName, Outcome>;
}

let count = 0;

/** Writes a context that all situations can read. */
export function contextFor(ground: Ground, build: string, files: Row["files"] = {}): string {
  count += 1;
  return plant(path.join(ground.folder, `context-${count}`), { Dockerfile: build, ...files });
}

/** Builds in all four situations, and holds them to one digest. Throws, with the differences, when there are several. */
export async function buildInEach(ground: Ground, row: Omit<Row, "name">): Promise<Built> {
  const context = contextFor(ground, row.build, row.files);
  const tag = `row:${count}`;
  const { all } = ground.situations;
  const outcomes = await inEach(all, (each) =>
    each.must(["--progress=plain", "-t", tag, ...ground.bases, ...(row.argv ?? []), context], {
      env: { SOURCE_DATE_EPOCH: EPOCH, ...row.env },
      timeout: row.timeout ?? 120_000,
    }),
  );
  const digests = all.map((each) => digestIn(each, tag));
  const [digest = ""] = digests;
  for (const [number, each] of all.entries()) {
    if (digests[number] === digest) continue;
    const [first] = all;
    throw new Error(
      `${each.name} gives another image than ${first?.name}:\n${first === undefined ? "" : different(first, each, tag)}`,
    );
  }
  return { tag, digest, outcomes };
}

/** The manifest's digest that a situation's store has for a tag. */
export function digestIn({ name, root }: Situation, tag: string): string {
  const digest = digestOf(root, tag);
  if (digest === undefined) throw new Error(`${name}: the store has no ${tag}`);
  return digest;
}

/** How two images differ, entry by entry. */
function different(one: Situation, other: Situation, tag: string): string {
  const [a, b] = [one, other].map((each) => {
    const manifest = JSON.parse(readBlob(each.root, digestIn(each, tag)).toString()) as {
      config: { digest: string };
      layers: { digest: string }[];
    };
    const config = readBlob(each.root, manifest.config.digest).toString().replaceAll(/,"/g, ',\n"').split("\n");
    return { layers: manifest.layers, config, root: each.root };
  });
  if (!a || !b) return "";
  const lines = [...lineDifferences(a.config, b.config)];
  for (let number = 0; number < Math.max(a.layers.length, b.layers.length); number += 1) {
    const [first, second] = [a.layers[number]?.digest, b.layers[number]?.digest];
    if (first === second) continue;
    const found = lineDifferences(listing(a.root, first), listing(b.root, second));
    lines.push(`layer ${number}: ${first} ${second}`);
    lines.push(...(found.length === 0 ? ["  the listings are equal: contents, attributes or order"] : found));
    if (found.length === 0 && first !== undefined && second !== undefined) {
      lines.push(firstByte(readBlob(a.root, first), readBlob(b.root, second)));
    }
  }
  return lines.slice(0, 60).join("\n");
}

function firstByte(one: Buffer, other: Buffer): string {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at += 1;
  const around = (bytes: Buffer): string =>
    JSON.stringify(bytes.subarray(Math.max(0, at - 40), at + 80).toString("latin1"));
  return `  first at byte ${at} of ${one.length} and ${other.length}: ${around(one)} and ${around(other)}`;
}

function listing(root: string, digest: string | undefined): string[] {
  if (digest === undefined) return [];
  const argv = ["--numeric-owner", "--full-time", "--xattrs", "--xattrs-include=*", "-tvvf", blobPath(root, digest)];
  return execFileSync("tar", argv, { encoding: "latin1", maxBuffer: 256 << 20 }).split("\n");
}

function lineDifferences(one: readonly string[], other: readonly string[]): string[] {
  const [left, right] = [new Set(one), new Set(other)];
  return [
    ...one.filter((line) => !right.has(line)).map((line) => `  - ${line}`),
    ...other.filter((line) => !left.has(line)).map((line) => `  + ${line}`),
  ];
}

/** Unpacks an image of root's store with umoci; gives the folder of its files. */
export async function unpack(ground: Ground, tag: string): Promise<string> {
  const bundle = path.join(ground.folder, "bundle");
  remove(bundle);
  const { root } = ground.situations.of("root");
  await must("umoci", ["unpack", "--image", `${root}:${tag}`, bundle], { timeout: 240_000 });
  return path.join(bundle, "rootfs");
}

/** Adds the rows to a suite as its tests. */
export function addRows<T extends Ground>(to: Test<T>, rows: readonly Row[]): void {
  for (const row of rows) {
    to(row.name, async (ground) => {
      const { tag, digest, outcomes } = await buildInEach(ground, row);
      const rootfs = await unpack(ground, tag);
      judge(rootfs, row);
      if (row.layers !== undefined) assert.is(addedLayers(ground, digest), row.layers, "layers that the steps add");
      await row.check?.(rootfs, outcomes);
    });
  }
}

/** Layers of the image beyond those of the first instruction's base, by the history: RUN, COPY and so on. */
function addedLayers({ situations }: Ground, digest: string): number {
  const { root } = situations.of("root");
  const manifest = JSON.parse(readBlob(root, digest).toString()) as { config: { digest: string } };
  const { history } = JSON.parse(readBlob(root, manifest.config.digest).toString()) as {
    history: { comment?: string; empty_layer?: boolean }[];
  };
  return history.filter((entry) => entry.comment !== undefined && entry.empty_layer !== true).length;
}

const bytes = (rootfs: string, name: string): Buffer =>
  Buffer.concat([Buffer.from(`${rootfs}/`), Buffer.from(name, "latin1")]);

function statAt(rootfs: string, name: string): fs.Stats | undefined {
  return fs.lstatSync(bytes(rootfs, name), { throwIfNoEntry: false });
}

/** Holds the files of an image to what a row expects of them. */
export function judge(rootfs: string, row: Row): void {
  for (const [name, expected] of Object.entries(row.expected ?? {})) judgeFile(rootfs, name, expected);
  for (const name of row.removed ?? []) assert.not(statAt(rootfs, name), `${name} should be gone`);
}

function judgeFile(rootfs: string, name: string, expected: Expected): void {
  const file = bytes(rootfs, name);
  const stat = statAt(rootfs, name);
  if (!stat) throw new Error(`${name} is missing`);
  if (expected.type !== undefined) assert.is(typeOf(stat), expected.type, `${name}: type`);
  if (expected.mode !== undefined) assert.is(octal(stat.mode), octal(expected.mode), `${name}: mode`);
  if (expected.owner !== undefined) assert.equal([stat.uid, stat.gid], expected.owner, `${name}: owner`);
  if (expected.size !== undefined) assert.is(stat.size, expected.size, `${name}: size`);
  if (expected.link !== undefined) {
    assert.is(fs.readlinkSync(file, "buffer").toString("latin1"), expected.link, `${name}: link`);
  }
  if (expected.sameAs !== undefined) assert.is(stat.ino, statAt(rootfs, expected.sameAs)?.ino, `${name}: hard link`);
  if (expected.device !== undefined) {
    assert.equal([(stat.rdev >> 8) & 0xfff, stat.rdev & 0xff], expected.device, `${name}: device`);
  }
  if (expected.names !== undefined)
    assert.equal(fs.readdirSync(file, "latin1").sort(), expected.names, `${name}: names`);
  if (typeof expected.text === "string") assert.is(fs.readFileSync(file, "latin1"), expected.text, `${name}: text`);
  else if (expected.text !== undefined) assert.match(fs.readFileSync(file, "latin1"), expected.text, `${name}: text`);
  const target = path.join(rootfs, name);
  if (expected.capability !== undefined) {
    const env = { PATH: `${process.env.PATH}:/usr/sbin` };
    const printed = execFileSync("getcap", [target], { encoding: "utf8", env });
    assert.is(printed.slice(target.length).trim(), expected.capability, `${name}: capability`);
  }
  for (const [key, value] of Object.entries(expected.xattrs ?? {})) {
    const printed = execFileSync("getfattr", ["--only-values", "-h", "-n", key, target], { encoding: "latin1" });
    assert.is(printed, value, `${name}: ${key}`);
  }
}

function typeOf(stat: fs.Stats): Expected["type"] {
  if (stat.isFile()) return "file";
  if (stat.isDirectory()) return "folder";
  if (stat.isSymbolicLink()) return "link";
  if (stat.isFIFO()) return "fifo";
  if (stat.isCharacterDevice()) return "char";
  return stat.isBlockDevice() ? "block" : undefined;
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}
