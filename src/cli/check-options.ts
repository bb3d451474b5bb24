import { buildOptions } from "./build-options.ts";
import { common } from "./common-options.ts";
import type { OptionTable } from "./option-table.ts";
import { text } from "./values.ts";

const { file, target, platform, ignoreSyntax, buildArg, buildContext } = buildOptions;
export const checkOptions = {
  explain: { names: "--explain", argument: "CHECK", parse: text, help: "Say why there is a check, and check nothing" },
  format: { ...buildOptions.format, help: "text (default), json as BuildKit has it, sarif for code review" },
  ignoreStatus: { names: "--ignore-status", help: "Let the status be 0 when something is found" },
  list: { names: "--list", help: "List all checks" },
  file,
  target,
  platform,
  ignoreSyntax,
  buildArg,
  buildContext,
  ...common,
} as const satisfies OptionTable;
