/** Reads the cases, prepares what a case needs, and compares what a build gave with what BuildKit gave. */
import { spawnSync } from "node:child_process";
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { hardLinks, type ReadImage, type TreeEntry } from "../support/image-reader.ts";
import { HOME, plant } from "../support/workspace.ts";
import { baseMembers } from "./base.ts";

type CaseFile =
  | { readonly text: string; readonly mode: number }
  | { readonly link: string }
  | { readonly dir: number }
  | { readonly hard: string }
  | { readonly tar: Readonly<Record<string, string>>; readonly gz?: boolean };

interface ExpectedEntry {
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size?: number;
  readonly sha256?: string;
  readonly text?: string;
  readonly link?: string;
}

export interface Case {
  readonly name: string;
  readonly dockerfile: string;
  readonly files: Readonly<Record<string, CaseFile>>;
  readonly options: {
    readonly args?: Readonly<Record<string, string>>;
    readonly target?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly secrets?: Readonly<Record<string, string>>;
  };
  readonly result:
    | { readonly ok: false; readonly error: string }
    | {
        readonly ok: true;
        readonly config: Readonly<Record<string, unknown>>;
        readonly files: Readonly<Record<string, ExpectedEntry>>;
        readonly removed?: readonly string[];
        readonly links?: readonly (readonly string[])[];
        readonly history: number;
        readonly layers: number;
      };
}

export function readCases(): readonly Case[] {
  const file = path.join(HOME, "test/conformance/cases.json");
  return (JSON.parse(fs.readFileSync(file, "utf8")) as { cases: Case[] }).cases;
}

// These have a RUN that is never reached.
const RUN_NOT_REACHED = new Set(["config/onbuild", "config/before-from", "from/unused-stage-fails-not"]);

/** Whether a case runs something, and so needs a sandbox. */
export function needsRun(spec: Case): boolean {
  return /^\s*(ONBUILD\s+)?RUN\b/im.test(spec.dockerfile) && !RUN_NOT_REACHED.has(spec.name);
}

/**
 * An archive with the bytes of the recorded ones, which Python's tarfile and gzip wrote: where a case copies it whole,
 * its bytes are compared. Members are small files of mode 0640, owner 21:22 and the time 0.
 */
function pythonTar(members: Readonly<Record<string, string>>, isCompressed: boolean): Buffer {
  const parts: Buffer[] = [];
  for (const [name, text] of Object.entries(members)) {
    const header = Buffer.alloc(512);
    const size = Buffer.byteLength(text);
    for (const [at, field] of [
      [0, name],
      [100, "0000640"],
      [108, "0000025"],
      [116, "0000026"],
      [124, size.toString(8).padStart(11, "0")],
      [136, "0".repeat(11)],
      [148, " ".repeat(8)],
      [156, "0"],
      [257, "ustar\u000000"],
    ] as const) {
      header.write(field, at);
    }
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\u0000 `, 148);
    parts.push(header, Buffer.from(text), Buffer.alloc((512 - (size % 512)) % 512));
  }
  const tar = Buffer.concat([...parts, Buffer.alloc(1024)]);
  const record = 20 * 512;
  const padded = Buffer.concat([tar, Buffer.alloc((record - (tar.length % record)) % record)]);
  if (!isCompressed) return padded;
  // Node's zlib finds other matches than the one that Python is linked with.
  const script = "import gzip, sys; sys.stdout.buffer.write(gzip.compress(sys.stdin.buffer.read(), 9, mtime=0))";
  const done = spawnSync("python3", ["-c", script], { input: padded });
  if (done.status !== 0) throw new Error(`python3 is needed to make an archive: ${done.error ?? done.stderr}`);
  return done.stdout;
}

/** Writes a case's context, the Dockerfile included. */
export async function writeContext(folder: string, spec: Case): Promise<string> {
  const { files } = spec;
  fs.mkdirSync(folder, { recursive: true });
  fs.chmodSync(folder, 0o755);
  for (const [name, file] of Object.entries(files)) {
    if (!("tar" in file)) continue;
    plant(folder, { [name]: pythonTar(file.tar, file.gz === true) });
  }
  plant(folder, { Dockerfile: spec.dockerfile });
  plant(
    folder,
    Object.fromEntries(
      Object.entries(files).filter(
        (entry): entry is [string, Exclude<CaseFile, { tar: unknown }>] => !("tar" in entry[1]),
      ),
    ),
  );
  return folder;
}

/** The line that BuildKit's error names, if it names one. */
export function expectedLine(spec: Case): number | undefined {
  if (spec.result.ok) return undefined;
  const found = /on line (\d+)/.exec(spec.result.error);
  return found ? Number(found[1]) : undefined;
}

const IGNORED = /^(dev|proc|sys)(\/|$)|^etc\/(hosts|hostname|resolv\.conf)$/;

/** All differences between an image and what BuildKit made of the case, as lines; none means that they agree. */
export function differences(spec: Case, image: ReadImage): string[] {
  if (!spec.result.ok) return ["the build succeeded, but BuildKit's fails"];
  const expected = spec.result;
  const found: string[] = [];
  const compare = (what: string, is: unknown, shouldBe: unknown): void => {
    const [a, b] = [stable(is), stable(shouldBe)];
    if (a !== b) found.push(`${what}: is ${a}, should be ${b}`);
  };

  const usesBase = /^FROM .*(busybox|\$B)/m.test(spec.dockerfile);
  const base = new Map(usesBase ? baseTree() : []);
  // An image that does not stand on the base has none of its files.
  const standsOnBase = image.tree.has("bin/busybox");
  const names = new Set([...image.tree.keys(), ...Object.keys(expected.files)]);
  for (const name of [...names].sort()) {
    if (name === "" || IGNORED.test(name)) continue;
    const is = image.tree.get(name);
    const should = expected.files[name];
    if (should === undefined) {
      const original = standsOnBase ? base.get(name) : undefined;
      if (is && original === undefined) {
        found.push(`${name}: is there, should not be`);
      } else if (is && original !== undefined && !sameAsBase(is, original)) {
        found.push(`${name}: is ${describe(is)}, should be as in the base`);
      }
      continue;
    }
    if (is === undefined) {
      found.push(`${name}: is missing, should be ${stable(should)}`);
      continue;
    }
    for (const key of ["type", "mode", "uid", "gid", "link"] as const) compare(`${name} ${key}`, is[key], should[key]);
    if (should.type === "file") {
      compare(`${name} size`, is.size, should.size);
      compare(`${name} sha256`, is.sha256, should.sha256);
    }
  }
  if (standsOnBase) {
    const removed = [...base.keys()].filter((name) => !image.tree.has(name) && !IGNORED.test(name)).sort();
    compare("removed paths", removed, [...(expected.removed ?? [])].sort());
  }
  compare("hard links", hardLinks(image.tree), [...(expected.links ?? [])].map((group) => [...group].sort()).sort());

  compareConfig(image, expected.config, compare);
  compare("number of history entries", image.config.history?.length ?? 0, expected.history);
  // BuildKit makes a layer for a RUN that changes nothing; kbuild says in the history that there is none.
  const history = image.config.history ?? [];
  const idle = history.filter((entry) => entry.empty_layer && entry.created_by?.startsWith("RUN ")).length;
  compare("number of layers", image.manifest.layers.length + idle, expected.layers);
  compare("history entries with a layer", history.filter((entry) => !entry.empty_layer).length + idle, expected.layers);
  return found;
}

function compareConfig(
  image: ReadImage,
  expected: Readonly<Record<string, unknown>>,
  compare: (what: string, is: unknown, shouldBe: unknown) => void,
): void {
  const raw = image.config.config ?? {};
  const is: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(raw)) if (value !== null && value !== undefined) is[key] = value;
  for (const key of ["ExposedPorts", "Volumes"]) if (is[key]) is[key] = Object.keys(is[key] as object).sort();
  if (Array.isArray(is.Env)) is.Env = [...is.Env].sort();
  if (is.WorkingDir === undefined || is.WorkingDir === "") is.WorkingDir = "/";
  if (is.User === "") delete is.User;
  is.architecture = image.config.architecture;
  is.os = image.config.os;
  if (image.config.author) is.author = image.config.author;
  for (const key of [...new Set([...Object.keys(is), ...Object.keys(expected)])].sort()) {
    compare(`config ${key}`, is[key], expected[key]);
  }
}

function sameAsBase(is: TreeEntry, original: ExpectedEntry): boolean {
  return (
    is.type === original.type &&
    is.mode === original.mode &&
    is.uid === original.uid &&
    is.gid === original.gid &&
    is.link === original.link &&
    is.sha256 === original.sha256
  );
}

let baseEntries: [string, ExpectedEntry][] | undefined;
function baseTree(): [string, ExpectedEntry][] {
  baseEntries ??= baseMembers().map((member) => {
    const data = Buffer.from(member.data ?? "");
    const common = { mode: member.mode, uid: 0, gid: 0 };
    if (member.type === "directory") return [member.name, { type: "dir", ...common }];
    if (member.type === "symlink") return [member.name, { type: "symlink", ...common, link: member.link ?? "" }];
    const sha256 = crypto.createHash("sha256").update(data).digest("hex");
    return [member.name, { type: "file", ...common, size: data.length, sha256 }];
  });
  return baseEntries;
}

function describe(entry: TreeEntry): string {
  const { inode: _, ...rest } = entry;
  return stable(rest);
}

/** JSON with sorted keys, so that equal values give equal text. */
function stable(value: unknown): string {
  return (
    JSON.stringify(value, (_, inner) =>
      inner && typeof inner === "object" && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
        : inner,
    ) ?? "nothing"
  );
}
