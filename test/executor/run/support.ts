import * as assert from "uvu/assert";
import { KbuildError } from "../../../src/errors.ts";
import type { RunInstruction } from "../../../src/parser/instructions.ts";
import { parseDockerfile } from "../../../src/parser/parser.ts";

/** The RUN of a Dockerfile that has nothing else. */
export function runOf(text: string): RunInstruction {
  const instruction = parseDockerfile(`FROM a\n${text}\n`, "Dockerfile").stages[0]?.instructions[0];
  assert.ok(instruction?.kind === "RUN");
  return instruction;
}

/** What something is refused with. */
export async function refusal(action: () => unknown): Promise<KbuildError> {
  let caught: unknown;
  try {
    await action();
  } catch (error) {
    caught = error;
  }
  assert.instance(caught, KbuildError, "it was taken");
  return caught as KbuildError;
}
