import type { CheckReport, Finding } from "../../api.ts";
import type { Paint } from "./colors.ts";
import { excerptLines } from "./excerpt.ts";
import { printable } from "./text.ts";

/** What checks found, as `docker build --check` prints it. */
export function checkText({ findings, error }: CheckReport, paint: Paint): string {
  const lines: string[] = [];
  if (findings.length > 0) {
    const count = findings.length === 1 ? "1 warning has been found!" : `${findings.length} warnings have been found!`;
    lines.push(`Check complete, ${count}`);
  } else if (error === undefined) lines.push("Check complete, no warnings found.");
  for (const finding of findings) lines.push("", ...findingLines(finding, paint));
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

function findingLines({ rule, description, message, hint, location, excerpt }: Finding, paint: Paint): string[] {
  return [
    `${paint.warning(`WARNING: ${printable(rule)}`)} - ${printable(description)}`,
    printable(message),
    ...(hint === undefined ? [] : [`hint: ${printable(hint)}`]),
    ...(excerpt === undefined ? [] : excerptLines(location.file, excerpt)),
  ];
}
