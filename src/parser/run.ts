import { shown } from "./characters.ts";
import { readCommand, warnOfBlank } from "./commands.ts";
import type { Flag } from "./flags.ts";
import type { Choice, Common, RunInstruction } from "./instructions.ts";
import { parseMount } from "./run-mounts.ts";
import { faultAt, faultOf, type Statement } from "./statement.ts";

type Run = Omit<RunInstruction, "kind" | keyof Common>;

/**
 * RUN: a command, perhaps one that heredocs give their text, and flags on how it is run.
 * @throws KbuildError `build.parse`, `build.flagValue`, `build.mount`
 */
export function parseRun(statement: Statement): Run {
  const flags = statement.flags().all;
  const options = flags.length === 0 ? NO_OPTIONS : readOptions(statement, flags);
  const command = readCommand(statement, statement.rest);
  if (command.form === "exec" && command.words.length === 0) {
    throw faultOf(statement, "build.parse", "RUN has no command", "write RUN COMMAND");
  }
  if (statement.text === "") warnOfBlank(statement, "RUN has no command: it starts a shell that ends at once");
  const [first, ...more] = statement.heredocs;
  const isScript = first?.head.start === statement.rest && first.head.end === statement.end && more.length === 0;
  return { command, heredocs: statement.heredocs.map(({ heredoc }) => heredoc), isScript, ...options };
}

type Options = Pick<Run, "mounts" | "network" | "security" | "devices">;

const NO_OPTIONS: Options = { mounts: [], network: undefined, security: undefined, devices: [] };

function readOptions(statement: Statement, flags: readonly Flag[]): Options {
  const named = (name: string) => flags.filter((flag) => flag.name === name);
  return {
    mounts: named("mount").map((flag) => parseMount(statement, withValue(statement, flag))),
    network: choice(statement, named("network"), ["default", "none", "host"]),
    security: choice(statement, named("security"), ["sandbox", "insecure"]),
    devices: named("device").flatMap((flag) => withValue(statement, flag).value ?? []),
  };
}

function withValue(statement: Statement, flag: Flag): Flag {
  if (flag.value?.text !== "") return flag;
  throw fault(statement, flag, `--${flag.name}= has no value`, `write --${flag.name}=VALUE`);
}

/** A flag that has one of a few values, which no variable can give. */
function choice<const T extends string>(
  statement: Statement,
  [flag]: readonly Flag[],
  values: readonly T[],
): Choice<T> | undefined {
  if (flag === undefined) return undefined;
  const text = flag.value?.text ?? "";
  const value = values.find((candidate) => candidate === text);
  if (value !== undefined) return { value, location: flag.location };
  const message = text === "" ? `--${flag.name}= has no value` : `--${flag.name} cannot be "${shown(text)}"`;
  throw fault(statement, flag, message, `it is ${values.join(" or ")}`);
}

function fault(statement: Statement, flag: Flag, message: string, hint: string) {
  return faultAt(statement, flag.location, "build.flagValue", message, hint);
}
