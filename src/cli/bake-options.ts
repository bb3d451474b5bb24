import { buildOptions } from "./build-options.ts";
import type { OptionTable } from "./option-table.ts";
import { integer, pair, text } from "./values.ts";

/** The options of `bake`: its own, and of `build` those that no file of definitions has. */
export const bakeOptions = {
  file: {
    names: "-f, --file",
    argument: "FILE",
    several: true,
    parse: text,
    group: "Definitions",
    help: "File of definitions: HCL, JSON or compose; - is standard input; may be repeated",
  },
  set: {
    names: "--set",
    argument: "TARGET.KEY=VALUE",
    several: true,
    parse: text,
    group: "Definitions",
    help: "Change targets: web.args.VERSION=2, *.platform=linux/arm64; += adds",
  },
  variable: {
    names: "--var",
    argument: "NAME=VALUE",
    several: true,
    parse: pair,
    group: "Definitions",
    help: "Value of a variable; goes before the environment's",
  },
  print: { names: "--print", group: "Definitions", help: "Print what would be built, as JSON, and build nothing" },
  list: {
    names: "--list",
    argument: "WHAT",
    parse: text,
    group: "Definitions",
    help: "Print targets or variables; type=targets,format=json",
  },

  allow: { ...buildOptions.allow, parse: text, group: "Building", help: "What targets may ask for: security.insecure" },
  call: { names: "--call", argument: "METHOD", parse: text, group: "Building", help: "Only build" },
  check: { names: "--check", group: "Building", help: "As --call=check" },
  insecureRegistry: { ...buildOptions.insecureRegistry, group: "Building" },
  isolation: { ...buildOptions.isolation, group: "Building" },
  jobs: {
    names: "-j, --jobs",
    argument: "N",
    parse: integer,
    group: "Building",
    help: "Targets built at the same time (default: the number of processors; 0: all)",
  },
  keepFailed: { ...buildOptions.keepFailed, group: "Building" },
  noCache: { ...buildOptions.noCache, group: "Building" },
  explain: { ...buildOptions.explain, group: "Building" },
  provenance: {
    names: "--provenance",
    argument: "SPEC",
    parse: text,
    group: "Building",
    help: "As --set *.attest=type=provenance",
  },
  pull: { ...buildOptions.pull, group: "Building" },
  sbom: { names: "--sbom", argument: "SPEC", parse: text, group: "Building", help: "As --set *.attest=type=sbom" },

  load: { names: "--load", group: "Output", help: "Keep images in the store, beside other outputs" },
  push: { names: "--push", group: "Output", help: "As --set *.output=type=registry" },
  metadataFile: { ...buildOptions.metadataFile, help: "Write digests and names by target to a file, as JSON" },
  root: buildOptions.root,

  quiet: { ...buildOptions.quiet, help: "Print nothing but errors" },
  progress: buildOptions.progress,
  debug: buildOptions.debug,
  builder: buildOptions.builder,
  execution: {
    names: "--execution",
    argument: "MODE",
    group: "Accepted",
    help: "Only fail-fast",
    later: "the first target that fails stops the others",
    harmless: ["fail-fast"],
  },
  policy: buildOptions.policy,
} as const satisfies OptionTable;
