import { busybox } from "./bases.ts";
import { MANY_FILES } from "./workloads.ts";

/** What is true before the timed command: nothing is in the store; the base is; the same build has just been done. */
export type Start = "empty" | "primed" | "built";

/** What the timed command leaves: the image in the engine's store, or an archive of it on disk. */
export type Action = "build" | "archive";

/** What the bare cost of a case is taken with. */
export interface RawInput {
  /** An empty folder for what it writes. */
  readonly out: string;
  readonly context: string;
  /** `127.0.0.1:PORT`, and the base's layers there. */
  readonly registry: string;
  readonly repository: string;
  readonly digests: readonly string[];
  /** The base's compressed layers as files. */
  readonly blobs: readonly string[];
}

export interface Case {
  /** `W1.cold`. */
  readonly name: string;
  readonly workload: string;
  readonly title: string;
  readonly start: Start;
  readonly action: Action;
  /** A file of the context that becomes another one before every round. */
  readonly edit?: string;
  /** Arguments for bench/raw, from the same start state. */
  readonly raw: (input: RawInput) => readonly string[];
  /** Whether the bare cost is taken in a folder `tree` of `out` that has the files of the base. */
  readonly inTree?: boolean;
  /** Whether the start of node, which kbuild cannot be faster than, is measured beside it. */
  readonly hasNode?: boolean;
}

const layer = ({ out, context }: RawInput): readonly string[] => ["layer", out, context];
const layerArchive = ({ out, context }: RawInput): readonly string[] => ["layer-archive", out, context];
const walk = ({ context }: RawInput): readonly string[] => ["walk", context];
const archive = ({ out, context, blobs }: RawInput): readonly string[] => [
  "archive",
  out,
  ...blobs,
  `${context}/app.js`,
];

const step = ({ out }: RawInput): readonly string[] => ["step", out, busybox(), MANY_FILES, "data"];

export const CASES: readonly Case[] = [
  {
    name: "W1.cold",
    workload: "W1",
    title: "pull, build, archive",
    start: "empty",
    action: "archive",
    raw: ({ out, registry, repository, digests }) => ["pull", out, registry, repository, ...digests],
  },
  {
    name: "W1.cached",
    workload: "W1",
    title: "nothing changed, archive",
    start: "built",
    action: "archive",
    raw: archive,
  },
  {
    name: "W1.edit",
    workload: "W1",
    title: "app.js changed, archive",
    start: "built",
    action: "archive",
    edit: "app.js",
    raw: archive,
  },
  {
    name: "W1.noop",
    workload: "W1",
    title: "nothing changed, no archive",
    start: "built",
    action: "build",
    raw: walk,
    hasNode: true,
  },
  { name: "W2.cold", workload: "W2", title: "build", start: "primed", action: "build", raw: layer },
  { name: "W2.tar", workload: "W2", title: "build, archive", start: "primed", action: "archive", raw: layerArchive },
  {
    name: "W2.edit",
    workload: "W2",
    title: "one file changed, build",
    start: "built",
    action: "build",
    edit: "node_modules/pkg-00010/package.json",
    raw: ({ out, context }) => ["layer-known", out, context],
  },
  { name: "W3.cold", workload: "W3", title: "build", start: "primed", action: "build", raw: layer },
  { name: "W3.tar", workload: "W3", title: "build, archive", start: "primed", action: "archive", raw: layerArchive },
  {
    name: "W4.run",
    workload: "W4",
    title: "RUN: 10,000 files made, 2,000 deleted",
    start: "primed",
    action: "build",
    raw: step,
    inTree: true,
  },
  {
    name: "W5.steps",
    workload: "W5",
    title: "twenty small RUNs",
    start: "primed",
    action: "build",
    raw: ({ out }) => ["steps", out, busybox(), "20"],
    inTree: true,
    hasNode: true,
  },
  {
    name: "W6.stages",
    workload: "W6",
    title: "four stages of 2 s side by side",
    start: "primed",
    action: "build",
    raw: ({ out }) => ["stages", out, busybox(), "4", "2"],
    inTree: true,
    hasNode: true,
  },
  {
    name: "W7.cold",
    workload: "W7",
    title: "pull, unpack, RUN",
    start: "empty",
    action: "build",
    raw: ({ out, registry, repository, digests }) => ["pull-run", out, busybox(), registry, repository, ...digests],
  },
  {
    name: "W7.run",
    workload: "W7",
    title: "RUN on a large base",
    start: "built",
    action: "build",
    edit: "note.txt",
    raw: ({ out }) => ["steps", out, busybox(), "1"],
    hasNode: true,
  },
  {
    name: "W8a.cold",
    workload: "W8a",
    title: "build",
    start: "primed",
    action: "build",
    raw: ({ out, context }) => ["layer-each", out, `${context}/src`],
    hasNode: true,
  },
  {
    name: "W8a.noop",
    workload: "W8a",
    title: "nothing changed",
    start: "built",
    action: "build",
    raw: walk,
    hasNode: true,
  },
  {
    name: "W8b.cold",
    workload: "W8b",
    title: "build",
    start: "primed",
    action: "build",
    raw: ({ out, context }) => ["layer-kept", out, context],
    hasNode: true,
  },
  {
    name: "W8b.noop",
    workload: "W8b",
    title: "nothing changed",
    start: "built",
    action: "build",
    raw: walk,
    hasNode: true,
  },
];

/** The cases of one workload, or the one case of that name; none for a name that nothing has. */
export function casesOf(wanted: string): readonly Case[] {
  return CASES.filter(({ name, workload }) => wanted === name || wanted === workload);
}
