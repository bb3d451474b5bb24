import { KbuildError } from "../api.ts";
import { type OptionTable, readArguments, type Typed } from "./option-table.ts";
import type { Shell } from "./shell.ts";

/** What a command is: how it is called, its options, and what it does. */
export interface CommandSpec<T extends OptionTable> {
  readonly name: string;
  /** What follows the name: `[OPTIONS] PATH | -`. */
  readonly usage: string;
  /** Other names, for help. */
  readonly aliases?: readonly string[];
  readonly about: string;
  readonly options: T;
  /** How many operands it takes, and what the first that is missing is. Absent: the command checks itself. */
  readonly operands?: { readonly min: number; readonly max: number; readonly what: string };
  /** Whether what follows the first operand is a command of its own, whose options are not kbuild's. */
  readonly takesCommand?: boolean;
  /** Printed below the options. */
  readonly examples?: readonly string[];
  run(typed: Typed<T>, shell: Shell): Promise<void>;
}

export interface Command {
  execute(argv: readonly string[], shell: Shell): Promise<void>;
  /** What `--help` prints. */
  help(width: number): Promise<string>;
}

export function command<T extends OptionTable>(spec: CommandSpec<T>): Command {
  const help = async (width: number): Promise<string> => (await import("./help-text.ts")).commandHelp(spec, width);
  return {
    help,
    execute: async (given, shell) => {
      const argv = spec.takesCommand === true ? withCommand(spec.options, given) : given;
      if (asksForHelp(argv)) {
        shell.stdout.write(await help(shell.stdout.columns ?? 100));
        return;
      }
      const typed = readArguments(spec.name, spec.options, argv);
      checkOperands(spec, typed.operands);
      await spec.run(typed, shell);
    },
  };
}

/** Puts `--` behind the first operand. */
function withCommand(options: OptionTable, argv: readonly string[]): readonly string[] {
  const withValue = new Set(
    Object.values(options).flatMap(({ names, argument }) => (argument === undefined ? [] : names.split(", "))),
  );
  let at = 0;
  while (argv[at]?.startsWith("-") && argv[at] !== "--") at += withValue.has(argv[at] ?? "") ? 2 : 1;
  return argv[at] === "--" || at >= argv.length ? argv : [...argv.slice(0, at + 1), "--", ...argv.slice(at + 1)];
}

function asksForHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf("--");
  const options = end < 0 ? argv : argv.slice(0, end);
  return options.includes("--help") || options.includes("-h");
}

function checkOperands(spec: CommandSpec<OptionTable>, operands: readonly string[]): void {
  if (spec.operands === undefined) return;
  const { min, max, what } = spec.operands;
  const hint = `kbuild ${spec.name} ${spec.usage}`;
  if (operands.length < min) throw new KbuildError("usage.operands", `kbuild ${spec.name} needs ${what}`, { hint });
  if (operands.length > max) {
    const extra = JSON.stringify(operands[max]);
    throw new KbuildError("usage.operands", `kbuild ${spec.name} does not take ${extra}`, { hint });
  }
}
