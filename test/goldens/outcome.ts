/** What a build gave, in the form of the golden files: one line for each path that is not as in the base. */
import * as crypto from "node:crypto";
import type { KbuildError } from "../../src/errors.ts";
import { baseMembers } from "../conformance/base.ts";
import { hardLinks, type ReadConfig, type ReadImage, type TreeEntry } from "../support/image-reader.ts";

export interface Failed {
  /** `Dockerfile:LINE:COLUMN`, or a dash where no place is at fault. */
  readonly fails: string;
  readonly code: string;
}

export interface Built {
  /** Path -> type, mode, owner, and what is inside. */
  readonly tree: Readonly<Record<string, string>>;
  /** Paths of the base that are gone; absent when the image does not stand on the base. */
  readonly removed?: readonly string[];
  /** Groups of paths that are one file. */
  readonly links?: readonly (readonly string[])[];
  readonly config: Readonly<Record<string, unknown>>;
  /** `layer` or `empty`, and what made it; what the base brought is left out. */
  readonly history: readonly string[];
  /** Layers on top of the base. */
  readonly layers: number;
}

export type Outcome = Failed | Built;

/** Longest content that a golden file shows. */
const SHOWN = 160;

// Who runs a step mounts these, and some builders leave the mount points behind.
const NOT_COMPARED = /^(dev|proc|sys)(\/|$)|^etc\/(hosts|hostname|resolv\.conf)$/;

export function failedOf(error: KbuildError): Failed {
  const { location } = error;
  return { fails: location ? `${location.file}:${location.line}:${location.column}` : "-", code: error.code };
}

/** The image, told by what it has besides the base. */
export function builtOf(image: Pick<ReadImage, "config" | "tree">): Built {
  const standsOnBase = image.tree.has("bin/busybox");
  const base = standsOnBase ? baseTree() : new Map<string, string>();
  const tree: Record<string, string> = {};
  for (const name of [...image.tree.keys()].sort()) {
    const entry = image.tree.get(name);
    if (entry === undefined || name === "" || NOT_COMPARED.test(name)) continue;
    const line = lineOf(entry);
    if (line !== base.get(name)) tree[name] = line;
  }
  const removed = [...base.keys()].filter((name) => !image.tree.has(name) && !NOT_COMPARED.test(name)).sort();
  const links = hardLinks(image.tree);
  const history = (image.config.history ?? []).slice(standsOnBase ? 1 : 0);
  return {
    tree,
    ...(removed.length === 0 ? {} : { removed }),
    ...(links.length === 0 ? {} : { links }),
    config: configOf(image.config),
    history: history.map((entry) => `${entry.empty_layer ? "empty" : "layer"} ${entry.created_by ?? ""}`),
    layers: image.config.rootfs.diff_ids.length - (standsOnBase ? 1 : 0),
  };
}

type LineParts = Pick<TreeEntry, "type" | "mode" | "uid" | "gid"> & Partial<TreeEntry>;

function lineOf(entry: LineParts): string {
  const head = `${entry.type} ${entry.mode.toString(8).padStart(4, "0")} ${entry.uid}:${entry.gid}`;
  if (entry.type === "symlink") return `${entry.type} ${entry.uid}:${entry.gid} -> ${entry.link}`;
  if (entry.type !== "file") return head;
  const text = entry.text !== undefined && entry.text.length <= SHOWN ? ` ${JSON.stringify(entry.text)}` : "";
  return `${head} ${entry.size} ${entry.sha256}${text}`;
}

let baseLines: Map<string, string> | undefined;
function baseTree(): ReadonlyMap<string, string> {
  baseLines ??= new Map(
    baseMembers().map((member) => {
      const { mode, link } = member;
      const owner = { mode, uid: 0, gid: 0 };
      if (member.type === "directory") return [member.name, lineOf({ type: "dir", ...owner })];
      if (member.type === "symlink") return [member.name, lineOf({ type: "symlink", ...owner, link: link ?? "" })];
      const data = Buffer.from(member.data ?? "");
      const sha256 = crypto.createHash("sha256").update(data).digest("hex");
      const text = data.length <= 4096 ? { text: data.toString() } : {};
      return [member.name, lineOf({ type: "file", ...owner, size: data.length, sha256, ...text })];
    }),
  );
  return baseLines;
}

/** What is set in a config, by name; the order of variables and ports is no one's promise. */
function configOf({ config = {}, author }: ReadConfig): Record<string, unknown> {
  const told: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (value === null || value === undefined || value === "" || value === false) continue;
    if (key === "WorkingDir" && value === "/") continue;
    if (key === "ExposedPorts" || key === "Volumes") told[key] = Object.keys(value).sort();
    else if (key === "Labels")
      told[key] = Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
    else told[key] = value;
  }
  return author ? { ...told, author } : told;
}
