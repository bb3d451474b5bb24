import * as assert from "uvu/assert";
import type { TargetAttributes } from "../../src/bake/attributes.ts";
import type { Definitions } from "../../src/bake/definitions.ts";
import { type BakeFile, planTargets, readDefinitions } from "../../src/bake/plan.ts";
import { type PrintedPlan, printedPlan } from "../../src/bake/print.ts";
import { KbuildError } from "../../src/errors.ts";

export interface Given {
  readonly env?: Readonly<Record<string, string>>;
  readonly variables?: Readonly<Record<string, string>>;
  readonly dotenv?: string;
  /** What files that a compose file names say. */
  readonly named?: Readonly<Record<string, string>>;
  readonly warn?: (message: string) => void;
}

/** A text, as docker-bake.hcl, or files by their names. */
export type Files = string | Readonly<Record<string, string>>;

function filesOf(files: Files): BakeFile[] {
  if (typeof files === "string") return [{ name: "docker-bake.hcl", text: files }];
  return Object.entries(files).map(([name, text]) => ({ name, text }));
}

/** What files define, on a machine whose clock stands still. */
export function definitionsOf(files: Files, given: Given = {}): Promise<Definitions> {
  return readDefinitions({
    files: filesOf(files),
    env: given.env ?? {},
    variables: given.variables ?? {},
    builtins: { BAKE_CMD_CONTEXT: "cwd://", BAKE_LOCAL_PLATFORM: "linux/amd64" },
    dotenv: given.dotenv,
    readFile: (path) => given.named?.[path],
    machine: { home: "/home/me", now: () => Date.parse("2026-02-03T04:05:06Z") },
    warn: given.warn ?? (() => undefined),
  });
}

/** What would be built. */
export async function planOf(
  files: Files,
  options: Given & { readonly targets?: readonly string[]; readonly set?: readonly string[] } = {},
): Promise<PrintedPlan> {
  const definitions = await definitionsOf(files, options);
  return printedPlan(planTargets(definitions, options.targets ?? [], options.set ?? [], options.env ?? {}));
}

/** What one target says. */
export async function targetOf(
  files: Files,
  name = "default",
  options: Given & { readonly set?: readonly string[] } = {},
) {
  const { target } = await planOf(files, { ...options, targets: [name] });
  return (target[name] ?? {}) as TargetAttributes;
}

/** What an expression gives, as JSON of itself; other variables and functions may stand before it. */
export async function computed(expression: string, before = "", given: Given = {}): Promise<unknown> {
  const { variables } = await definitionsOf(`${before}\nvariable "it" {\n  default = ${expression}\n}\n`, given);
  const plain = (value: unknown): unknown => {
    if (value instanceof Map) return Object.fromEntries([...value].map(([key, member]) => [key, plain(member)]));
    return Array.isArray(value) ? value.map(plain) : value;
  };
  return plain(variables.find(({ name }) => name === "it")?.value);
}

/** How something fails: `FILE:LINE:COLUMN: message`, and the hint behind a ` | `. */
export async function failure(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.instance(error, KbuildError, "it fails, and in no other way");
  if (!(error instanceof KbuildError)) return "";
  const { location, message, hint } = error;
  const place = location === undefined ? "" : `${location.file}:${location.line}:${location.column}: `;
  return `${place}${message}${hint === undefined ? "" : ` | ${hint}`}`;
}
