import { parseArgs } from "node:util";
import { CASES, type Case, casesOf } from "./cases.ts";
import { ENGINE_NAMES, ENGINES } from "./engines.ts";
import { WORKLOAD_NAMES, WORKLOADS } from "./workloads.ts";

/** What was typed, checked. */
export interface Options {
  readonly rounds: number;
  /** In the order of the table. */
  readonly cases: readonly Case[];
  readonly engines: readonly string[];
  /** The share of the real number of files and bytes; 1 but for `--quick`. */
  readonly scale: number;
  /** Where the table goes; the bench folder's `report.md` when not told. */
  readonly output: string | undefined;
  /** Seconds that one command may take. */
  readonly patience: number;
}

/** A command line that makes no sense; the message is for a person. */
export class UsageError extends Error {}

const QUICK_SCALE = 0.02;

export const HELP = `Usage: npm run bench -- [OPTIONS]

  --rounds N          every engine runs once in each round (default 3)
  --workloads A,B     of ${WORKLOAD_NAMES.join(", ")}, or single cases like W1.cold (default: all)
  --engines A,B       of ${ENGINE_NAMES.join(", ")} (default: all)
  --quick             small sizes and one round: shows that everything works, measures nothing
  --output FILE       where the table goes, as markdown (default: report.md in the bench folder)
  --patience SECONDS  how long one command may take (default 600)
  --sandbox           only what the sandbox costs a RUN, over the bare command
  --parse             only what parsing and planning a Dockerfile of 5,000 lines costs
  --scan              only what scanning 200,000 files costs, beside find
  --list              the cases and engines, and nothing else
`;

/** The cases and the engines, one on a line. */
export function listing(): string {
  const cases = CASES.map(({ name, title, start, action }) => {
    const workload = WORKLOADS.find((each) => name.startsWith(`${each.name}.`));
    return `${name.padEnd(10)} ${`${start}, ${action}`.padEnd(16)} ${title} (${workload?.title ?? ""})`;
  });
  const engines = ENGINES.map(({ name, title }) => `${name.padEnd(17)} ${title}`);
  return `${["Cases:", ...cases, "", "Engines:", ...engines].map((line) => line.trimEnd()).join("\n")}\n`;
}

/** What is measured alone, without other builders. */
const PARTS = ["sandbox", "parse", "scan"] as const;
export type Part = (typeof PARTS)[number];

/** @throws UsageError */
export function parseOptions(argv: readonly string[]): Options | "help" | "list" | Part {
  const { values } = parse(argv);
  if (values.help) return "help";
  if (values.list) return "list";
  const part = PARTS.find((name) => values[name]);
  if (part !== undefined) return part;
  const engines = list(values.engines) ?? ENGINE_NAMES;
  for (const name of engines) {
    if (!ENGINE_NAMES.includes(name)) throw new UsageError(`no engine ${name}; there are ${ENGINE_NAMES.join(", ")}`);
  }
  return {
    rounds: positive(values.rounds ?? (values.quick ? "1" : "3"), "--rounds"),
    cases: casesNamed(list(values.workloads) ?? WORKLOAD_NAMES),
    engines,
    scale: values.quick ? QUICK_SCALE : 1,
    output: values.output,
    patience: positive(values.patience ?? "600", "--patience"),
  };
}

function casesNamed(names: readonly string[]): readonly Case[] {
  const wrong = names.find((name) => casesOf(name).length === 0);
  if (wrong !== undefined) {
    throw new UsageError(`no workload or case ${wrong}; there are ${CASES.map(({ name }) => name).join(", ")}`);
  }
  const wanted = names.flatMap(casesOf);
  return CASES.filter((each) => wanted.includes(each));
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        rounds: { type: "string" },
        workloads: { type: "string" },
        engines: { type: "string" },
        quick: { type: "boolean" },
        output: { type: "string" },
        patience: { type: "string" },
        list: { type: "boolean" },
        sandbox: { type: "boolean" },
        parse: { type: "boolean" },
        scan: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function list(text: string | undefined): readonly string[] | undefined {
  return text === undefined ? undefined : [...new Set(text.split(",").filter((name) => name !== ""))];
}

function positive(text: string, name: string): number {
  if (!/^[1-9][0-9]{0,5}$/.test(text)) throw new UsageError(`${name} takes a number from 1 on, not ${text}`);
  return Number(text);
}
