import { text } from "./values.ts";

export const root = {
  names: "--root",
  argument: "DIR",
  parse: text,
  help: "The store (default $KBUILD_ROOT, else $XDG_DATA_HOME/kbuild)",
} as const;
export const debug = { names: "-D, --debug", help: "Show stack traces and the causes of errors" } as const;
export const common = { root, debug } as const;
