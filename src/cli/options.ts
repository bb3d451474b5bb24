/**
 * The option tables of all commands: commander's options, `--help`, and whatever else lists options come from here.
 * docker's names are docker's spelling. An option that is not there yet stands here too, so that it is refused by name.
 */
import { common, debug } from "./common-options.ts";
import type { OptionTable } from "./option-table.ts";
import { ISOLATIONS } from "./run-options.ts";
import { fullPair, oneOf, size, text } from "./values.ts";

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
