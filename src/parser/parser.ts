import { KbuildError } from "../errors.ts";
import { skipSpace } from "./characters.ts";
import { type Directives, readDirectives } from "./directives.ts";
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
  const reading = new Reading(text);
  reading.run();
  if (reading.stages.length === 0) throw noFrom(text, reading.first);
  return reading.dockerfile();
}

/**
 * Parses what stands before the first fault of a Dockerfile that {@link parseDockerfile} refuses; undefined when no stage
 * begins there. For telling more of a file than that one fault.
 */
export function parseLeading(source: string, file: string): Dockerfile | undefined {
  try {
    const reading = new Reading(new SourceText(file, source));
    reading.tryRun();
    return reading.stages.length === 0 ? undefined : reading.dockerfile();
  } catch (error) {
    // Directives that cannot be read leave nothing to say.
    if (error instanceof KbuildError) return undefined;
    throw error;
  }
}

/** A Dockerfile that is being read. */
class Reading {
  readonly stages: { index: number; from: Stage["from"]; instructions: Instruction[] }[] = [];
  first: RawInstruction | undefined;
  readonly #text: SourceText;
  readonly #directives: Directives;
  readonly #globalArguments: ArgInstruction[] = [];
  readonly #warnings: ParseWarning[] = [];

  constructor(text: SourceText) {
    this.#text = text;
    this.#directives = readDirectives(text);
  }

  run(): void {
    const { escape: escapeCharacter, lineCount } = this.#directives;
    for (const raw of splitInstructions(this.#text, escapeCharacter, lineCount)) {
      this.first ??= raw;
      this.#add(
        raw,
        parseInstruction(raw, escapeCharacter, (warning) => this.#warnings.push(warning)),
      );
    }
  }

  /** Reads as far as it goes. */
  tryRun(): void {
    try {
      this.run();
    } catch (error) {
      if (!(error instanceof KbuildError)) throw error;
    }
  }

  dockerfile(): Dockerfile {
    const { lineCount: _, ...directives } = this.#directives;
    return {
      file: this.#text.file,
      source: this.#text.text,
      directives,
      globalArguments: this.#globalArguments,
      stages: this.stages,
      warnings: this.#warnings,
    };
  }

  #add(raw: RawInstruction, instruction: Instruction): void {
    const stage = this.stages.at(-1);
    if (instruction.kind === "FROM") {
      this.stages.push({ index: this.stages.length, from: instruction, instructions: [] });
    } else if (stage !== undefined) stage.instructions.push(instruction);
    else if (instruction.kind === "ARG") this.#globalArguments.push(instruction);
    else throw beforeFrom(this.#text, raw, instruction);
  }
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
