/**
 * The option tables of all commands: commander's options, `--help`, and whatever else lists options come from here.
 * docker's names are docker's spelling. An option that is not there yet stands here too, so that it is refused by name.
 */
import { acceptedOptions } from "./accepted-options.ts";
import { call, FORMATS } from "./call-option.ts";
import type { OptionTable } from "./option-table.ts";
import { COMPRESSIONS, output } from "./output-option.ts";
import { extraHost, ISOLATIONS, isolation, secret, sizeOrAll, ssh, ulimit } from "./run-options.ts";
import { fullPair, integer, names, oneOf, pair, size, text } from "./values.ts";

export const PROGRESS = ["auto", "tty", "plain", "json", "rawjson", "quiet", "none"] as const;

const root = {
  names: "--root",
  argument: "DIR",
  parse: text,
  help: "The store (default $KBUILD_ROOT, else $XDG_DATA_HOME/kbuild)",
} as const;
const debug = { names: "-D, --debug", help: "Show stack traces and the causes of errors" } as const;
const common = { root, debug } as const;

export const buildOptions = {
  tag: {
    names: "-t, --tag",
    argument: "NAME[:TAG]",
    several: true,
    parse: text,
    group: "Image",
    help: "Name of the image; may be repeated",
  },
  target: {
    names: "--target",
    argument: "STAGE",
    parse: text,
    group: "Image",
    help: "Stage to build (default: the last)",
  },
  platform: {
    names: "--platform",
    argument: "OS/ARCH",
    parse: text,
    group: "Image",
    help: "Platform of the image (default: this machine's)",
  },
  label: {
    names: "--label",
    argument: "KEY=VALUE",
    several: true,
    parse: pair,
    group: "Image",
    help: "Label of the image; may be repeated",
  },
  reproducible: {
    names: "--reproducible",
    group: "Image",
    help: "Times are the last commit's, unless SOURCE_DATE_EPOCH is set",
  },

  file: {
    names: "-f, --file",
    argument: "PATH",
    parse: text,
    group: "Input",
    help: "Dockerfile (default: PATH/Dockerfile); - is standard input",
  },
  buildArg: {
    names: "--build-arg",
    argument: "NAME[=VALUE]",
    several: true,
    parse: pair,
    group: "Input",
    help: "Build argument; without a value, the environment's",
  },
  buildContext: {
    names: "--build-context",
    argument: "NAME=SOURCE",
    several: true,
    parse: fullPair,
    group: "Input",
    help: "Further context: folder, docker-image://REF, oci-layout://DIR",
  },
  pull: { names: "--pull", group: "Input", help: "Ask the registry for every base, even one that the store has" },
  insecureRegistry: {
    names: "--insecure-registry",
    argument: "HOST",
    several: true,
    parse: text,
    group: "Input",
    help: "Host to speak to by plain HTTP or unverified HTTPS",
  },

  isolation: {
    names: "--isolation",
    argument: "MODE",
    parse: isolation,
    group: "RUN",
    help: `Sandbox: auto (default), ${ISOLATIONS.join(", ")}`,
  },
  network: {
    names: "--network",
    argument: "MODE",
    parse: oneOf(["default", "host", "none"]),
    group: "RUN",
    help: "Network of steps: host (default), none",
  },
  secret: {
    names: "--secret",
    argument: "SPEC",
    several: true,
    parse: secret,
    group: "RUN",
    help: "Secret: id=NAME[,src=FILE|,env=NAME]; may be repeated",
  },
  ssh: {
    names: "--ssh",
    argument: "SPEC",
    several: true,
    parse: ssh,
    group: "RUN",
    help: "SSH agent or keys: default, or ID=SOCKET|KEY[,KEY]",
  },
  allow: {
    names: "--allow",
    argument: "ENTITLEMENT",
    several: true,
    parse: oneOf(["network.host", "security.insecure"]),
    group: "RUN",
    help: "What steps may ask for: security.insecure, network.host",
  },
  addHost: {
    names: "--add-host",
    argument: "HOST:IP",
    several: true,
    parse: extraHost,
    group: "RUN",
    help: "Line of /etc/hosts; IP may be host-gateway",
  },
  ulimit: {
    names: "--ulimit",
    argument: "NAME=SOFT[:HARD]",
    several: true,
    parse: ulimit,
    group: "RUN",
    help: "Limit of processes: nofile=1024:2048; may be repeated",
  },
  shmSize: {
    names: "--shm-size",
    argument: "SIZE",
    parse: size,
    group: "RUN",
    help: "Size of /dev/shm (default 64MB)",
  },
  memory: { names: "-m, --memory", argument: "SIZE", parse: size, group: "RUN", help: "Memory of a step" },
  memorySwap: {
    names: "--memory-swap",
    argument: "SIZE",
    parse: sizeOrAll,
    group: "RUN",
    help: "Memory and swap together; -1: all the swap that there is",
  },
  cpuShares: {
    names: "-c, --cpu-shares",
    argument: "N",
    parse: integer,
    group: "RUN",
    help: "Weight of a step's processor time (1024 is usual)",
  },
  cpuPeriod: {
    names: "--cpu-period",
    argument: "N",
    parse: integer,
    group: "RUN",
    help: "Microseconds in which a step may have --cpu-quota",
  },
  cpuQuota: {
    names: "--cpu-quota",
    argument: "N",
    parse: integer,
    group: "RUN",
    help: "Microseconds of processor time in each period",
  },
  cpusetCpus: {
    names: "--cpuset-cpus",
    argument: "LIST",
    parse: text,
    group: "RUN",
    help: "Processors of a step: 0-3,6",
  },
  cpusetMems: {
    names: "--cpuset-mems",
    argument: "LIST",
    parse: text,
    group: "RUN",
    help: "Memory nodes of a step: 0,1",
  },
  cgroupParent: {
    names: "--cgroup-parent",
    argument: "GROUP",
    parse: text,
    group: "RUN",
    help: "Control group to make those of steps in",
  },
  keepFailed: {
    names: "--keep-failed",
    group: "RUN",
    help: "Keep the files of a step that fails, for kbuild run (debugging)",
  },

  noCache: { names: "--no-cache", group: "Cache", help: "Make every step" },
  noCacheFilter: {
    names: "--no-cache-filter",
    argument: "STAGE",
    several: true,
    parse: names,
    group: "Cache",
    help: "Make every step of these stages",
  },
  explain: { names: "--explain", group: "Cache", help: "Tell at length why steps were not in the cache" },

  output: {
    names: "-o, --output",
    argument: "SPEC",
    several: true,
    parse: output,
    group: "Output",
    help: "type=image|docker|oci|tar|local[,dest=PATH]; DIR; or -",
  },
  compression: {
    names: "--compression",
    argument: "NAME",
    parse: oneOf(COMPRESSIONS),
    group: "Output",
    help: "Layers of docker and oci outputs: gzip, zstd, uncompressed",
  },
  compressionLevel: {
    names: "--compression-level",
    argument: "N",
    parse: integer,
    group: "Output",
    help: "How hard to compress",
  },
  iidfile: { names: "--iidfile", argument: "FILE", parse: text, group: "Output", help: "Write the image ID to a file" },
  metadataFile: {
    names: "--metadata-file",
    argument: "FILE",
    parse: text,
    group: "Output",
    help: "Write digests and names to a file, as JSON",
  },

  check: { names: "--check", group: "Check", help: "Check the Dockerfile and build nothing; as --call=check" },
  call: {
    names: "--call",
    argument: "METHOD",
    parse: call,
    group: "Check",
    help: "check, outline, targets, or build (default); METHOD,format=json",
  },
  format: {
    names: "--format",
    argument: "FORMAT",
    parse: oneOf(FORMATS),
    group: "Check",
    help: "Of --check and --call: text (default), json, sarif",
  },

  quiet: { names: "-q, --quiet", group: "Progress", help: "Print the image ID and nothing else" },
  progress: {
    names: "--progress",
    argument: "STYLE",
    parse: oneOf(PROGRESS),
    group: "Progress",
    help: "auto, tty, plain, json, quiet (default $BUILDKIT_PROGRESS, auto)",
  },
  debug: { ...debug, group: "Progress", help: "Show stack traces, the causes of errors, and warnings at length" },
  root: { ...root, group: "Output" },

  ...acceptedOptions,
} as const satisfies OptionTable;

const noTrunc = { names: "--no-trunc", help: "Show IDs and texts in full" } as const;
const format = {
  names: "--format",
  argument: "TEMPLATE",
  help: "table, json, or a Go template; table TEMPLATE adds a headline",
} as const;

export const imageLsOptions = {
  all: { names: "-a, --all", help: "All images, as without it: there are no hidden ones" },
  digests: { names: "--digests", help: "Show digests" },
  filter: {
    names: "-f, --filter",
    argument: "KEY=VALUE",
    several: true,
    parse: fullPair,
    help: "reference=PATTERN or dangling=true|false",
  },
  format,
  noTrunc,
  quiet: { names: "-q, --quiet", help: "Only image IDs" },
  tree: { names: "--tree", help: "Platforms as a tree", later: "" },
  ...common,
} as const satisfies OptionTable;

export const historyOptions = {
  format,
  human: { names: "-H, --human", help: "Sizes and times for people (default; --human=false for exact ones)" },
  noTrunc,
  quiet: { names: "-q, --quiet", help: "Only image IDs" },
  platform: { names: "--platform", argument: "OS/ARCH", help: "Platform of the image", later: "" },
  ...common,
} as const satisfies OptionTable;

export const inspectOptions = {
  format: { names: "-f, --format", argument: "TEMPLATE", help: "json, or a Go template" },
  type: {
    names: "--type",
    argument: "TYPE",
    help: "Only image",
    later: "there are only images to inspect",
    harmless: ["image"],
  },
  size: { names: "-s, --size", help: "Sizes of containers", later: "" },
  platform: { names: "--platform", argument: "OS/ARCH", help: "Platform of the image", later: "" },
  ...common,
} as const satisfies OptionTable;

export const saveOptions = {
  output: { names: "-o, --output", argument: "FILE", parse: text, help: "File to write (default: standard output)" },
  platform: { names: "--platform", argument: "OS/ARCH", help: "Platform of the image", later: "" },
  ...common,
} as const satisfies OptionTable;

export const tagOptions = { ...common } as const satisfies OptionTable;

export const rmiOptions = {
  force: { names: "-f, --force", help: "Remove all names of an image; what is not there is no error" },
  noPrune: { names: "--no-prune", help: "Keep untagged parents", note: "there are no untagged parents" },
  platform: { names: "--platform", argument: "OS/ARCH", several: true, help: "Platform of the image", later: "" },
  ...common,
} as const satisfies OptionTable;

const json = { names: "--json", help: "Print JSON" } as const;

const { file, target, platform, buildArg, buildContext } = buildOptions;
export const checkOptions = {
  explain: { names: "--explain", argument: "CHECK", parse: text, help: "Say why there is a check, and check nothing" },
  format: { ...buildOptions.format, help: "text (default), json as BuildKit has it, sarif for code review" },
  ignoreStatus: { names: "--ignore-status", help: "Let the status be 0 when something is found" },
  list: { names: "--list", help: "List all checks" },
  file,
  target,
  platform,
  buildArg,
  buildContext,
  ...common,
} as const satisfies OptionTable;

export const doctorOptions = {
  isolation: {
    names: "--isolation",
    argument: "MODE",
    parse: oneOf(ISOLATIONS),
    help: `Look at one mode alone: ${ISOLATIONS.join(", ")}`,
  },
  json,
  plan: { names: "--plan", help: "Print how the sandbox is entered, as JSON, and nothing else" },
  ...common,
} as const satisfies OptionTable;

export const fsckOptions = {
  json,
  repair: { names: "--repair", help: "Remove what is damaged, so that it is made anew when it is needed" },
  ...common,
} as const satisfies OptionTable;

export const pruneOptions = {
  all: {
    names: "-a, --all",
    help: "Also what makes the next build of an image fast: its cache and its unpacked layers",
  },
  filter: {
    names: "--filter",
    argument: "KEY=VALUE",
    several: true,
    parse: fullPair,
    help: "until=24h: only what has not been used for so long",
  },
  force: { names: "-f, --force", help: "Do not ask" },
  keepStorage: {
    names: "--keep-storage",
    argument: "SIZE",
    parse: size,
    help: "Free only until the cache has at most this size: 512MB, 10GB",
  },
  maxUsedSpace: { names: "--max-used-space", argument: "SIZE", parse: size, help: "As --keep-storage" },
  verbose: { names: "--verbose", help: "Name all that is freed" },
  builder: {
    names: "--builder",
    argument: "NAME",
    help: "There is only one builder",
    note: "kbuild has no builders to choose from",
  },
  reservedSpace: {
    names: "--reserved-space",
    argument: "SIZE",
    help: "Space to keep always",
    later: "there is --keep-storage",
  },
  minFreeSpace: {
    names: "--min-free-space",
    argument: "SIZE",
    help: "Space to leave free",
    later: "there is --keep-storage",
  },
  ...common,
} as const satisfies OptionTable;

export const runFailedOptions = { ...common } as const satisfies OptionTable;

export const helpOptions = { debug } as const satisfies OptionTable;

export const versionOptions = {
  format: { names: "-f, --format", argument: "TEMPLATE", help: "json, or a Go template" },
  debug,
} as const satisfies OptionTable;
