import type { ContainerConfig } from "../../oci/types.ts";
import type { RunInstruction } from "../../parser/instructions.ts";
import { lookupVariable, type Scope } from "../state.ts";
import { DEFAULT_SHELL } from "../steps/config.ts";

/** Where a heredoc that names its own interpreter is put for the time of the step. */
const SCRIPT_FOLDER = "/dev/pipes";

/** A file that is there as long as the step runs. */
export interface Script {
  /** Absolute. */
  readonly path: string;
  readonly content: string;
  readonly mode: number;
}

/** What a RUN executes. */
export interface RunCommand {
  /** The program and its arguments. */
  readonly argv: readonly string[];
  readonly script: Script | undefined;
}

/**
 * The command of a RUN: the exec form as it is, everything else as an argument of the shell. Dockerfile reference,
 * "Here-documents": a heredoc that stands alone is the shell's text itself; one that begins with `#!` becomes a file that
 * the shell executes; others go to the shell with the text that they stand in. No variable is expanded in any of it.
 */
export function runCommand(instruction: RunInstruction, config: ContainerConfig): RunCommand {
  const { command, heredocs, isScript } = instruction;
  if (command.form === "exec") return { argv: command.words, script: undefined };
  const shell = config.Shell !== undefined && config.Shell.length > 0 ? config.Shell : DEFAULT_SHELL;
  const [first] = heredocs;
  if (!isScript || first === undefined) {
    const bodies = heredocs.map(({ name, content }) => `\n${content}${name}`);
    return { argv: [...shell, command.text + bodies.join("")], script: undefined };
  }
  const { content } = first;
  if (!content.startsWith("#!")) return { argv: [...shell, content], script: undefined };
  const path = `${SCRIPT_FOLDER}/${fileName(first.name)}`;
  return { argv: [...shell, path], script: { path, content, mode: 0o755 } };
}

/** The delimiter is the file's name, as docker shows it; one that a shell or a path would not take gets another. */
function fileName(delimiter: string): string {
  return /^[\w+,.@%=-]{1,200}$/.test(delimiter) && !/^\.{1,2}$/.test(delimiter) ? delimiter : "EOF";
}

/**
 * A RUN as the history has it, in docker's form: behind `|N` the N build arguments that have been declared, in that
 * order, with what the step sees as their values, then the command.
 */
export function runHistory(command: RunCommand, scope: Scope): string {
  const names = [...scope.arguments.keys()];
  const pairs = names.map((name) => `${name}=${lookupVariable(scope, name) ?? ""}`);
  const counted = names.length === 0 ? [] : [`|${names.length}`];
  return ["RUN", ...counted, ...pairs, ...command.argv].join(" ");
}
