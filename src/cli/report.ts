import { KbuildError } from "../api.ts";
import { paintFor } from "./render/colors.ts";
import { errorBlock } from "./render/error.ts";
import { jsonError } from "./render/json.ts";
import { printable } from "./render/text.ts";
import type { Shell } from "./shell.ts";

/** What is printed of an error that ends a command. */
export function errorText(error: unknown, status: number, shell: Shell): string {
  const known = error instanceof KbuildError ? error : internalError(error);
  if (shell.errorsAs === "json") return jsonError(known, status);
  const paint = paintFor(shell.stderr.isTTY === true, shell.env);
  const isKnown = known === error;
  const text = isKnown ? errorBlock(known, paint, shell.stderr.columns) : `${paint.error(printable(known.message))}\n`;
  return shell.debug ? text + stacks(error) : text;
}

function internalError(error: unknown): KbuildError {
  const message = error instanceof Error ? error.message : String(error);
  return new KbuildError("internal.crash", `internal error: ${message}; run with --debug for a stack trace`, {
    cause: error,
  });
}

/** The stack of an error and of what caused it. */
function stacks(error: unknown): string {
  let text = "";
  let current = error;
  for (let depth = 0; current !== undefined && depth < 10; depth += 1) {
    const lead = depth === 0 ? "" : "caused by: ";
    const shown = current instanceof Error ? (current.stack ?? current.message) : String(current);
    text += `${lead}${shown.split("\n").map(printable).join("\n")}\n`;
    current = current instanceof Error ? current.cause : undefined;
  }
  return text;
}
