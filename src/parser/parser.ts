import type { KbuildError } from "../errors.ts";
import { skipSpace } from "./characters.ts";
import { readDirectives } from "./directives.ts";
import { parseInstruction } from "./instruction.ts";
import type { ArgInstruction, Dockerfile, Instruction, ParseWarning, Stage } from "./instructions.ts";
import { type RawInstruction, splitInstructions } from "./lexer.ts";
import { SourceText } from "./source-text.ts";

/**
 * Parses a Dockerfile; `file` is what places call it. Takes time and memory in proportion to the text, whatever is in
 * it. No variable is expanded, and whether images and files exist is for others to know.
 * @throws KbuildError `build.parse`, `build.unknownInstruction`, `build.noFrom` and other `build.*`, each with the place,
 * the source, and a hint where there is one
 */
export function parseDockerfile(source: string, file: string): Dockerfile {
  const text = new SourceText(file, source);
  const { lineCount, ...directives } = readDirectives(text);
  const warnings: ParseWarning[] = [];
  const warn = (warning: ParseWarning) => warnings.push(warning);
  let first: RawInstruction | undefined;
  const globalArguments: ArgInstruction[] = [];
  const stages: { index: number; from: Stage["from"]; instructions: Instruction[] }[] = [];
  for (const each of splitInstructions(text, directives.escape, lineCount)) {
    first ??= each;
    const instruction = parseInstruction(each, directives.escape, warn);
    const stage = stages.at(-1);
    if (instruction.kind === "FROM") stages.push({ index: stages.length, from: instruction, instructions: [] });
    else if (stage !== undefined) stage.instructions.push(instruction);
    else if (instruction.kind === "ARG") globalArguments.push(instruction);
    else throw beforeFrom(text, each, instruction);
  }
  if (stages.length === 0) throw noFrom(text, first);
  return { file, source: text.text, directives, globalArguments, stages, warnings };
}

function beforeFrom(text: SourceText, raw: RawInstruction, instruction: Instruction): KbuildError {
  const start = raw.line.offset(skipSpace(raw.line.text, 0, raw.line.text.length));
  return text.fault(
    "build.noFrom",
    `${instruction.kind} stands before the first FROM`,
    start,
    raw.end,
    "a Dockerfile begins with FROM; only ARG may stand in front of it",
  );
}

function noFrom(text: SourceText, first: RawInstruction | undefined): KbuildError {
  const hint = "a Dockerfile begins with FROM, for instance FROM scratch";
  if (first !== undefined) {
    const start = first.line.offset(skipSpace(first.line.text, 0, first.line.text.length));
    return text.fault("build.noFrom", "the Dockerfile has no FROM", start, first.end, hint);
  }
  const isBlank = skipSpace(text.text, 0, text.text.length) === text.text.length;
  const message = isBlank ? "the Dockerfile is empty" : "the Dockerfile has no instructions, only comments";
  return text.fault("build.noFrom", message, 0, 0, hint);
}
