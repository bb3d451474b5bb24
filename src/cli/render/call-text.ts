import type { Outline, TargetList } from "../../api.ts";
import { alignColumns } from "../table.ts";
import { printable } from "./text.ts";

/** Cells without tabs and controls, so that columns stay columns. */
const row = (...cells: readonly (string | undefined)[]): string =>
  cells.map((cell) => printable(cell ?? "")).join("\t");

const NARROW = { least: 0, gap: 1 };
const WIDE = { least: 0, gap: 3 };

/** What a build can be told, as `docker build --call=outline` prints it. */
export function outlineText({ name, description, args, secrets, ssh }: Outline): string {
  const parts: string[] = [];
  if (name !== undefined || description !== undefined) {
    const head = [row("TARGET:", name ?? "(default)")];
    if (description !== undefined) head.push(row("DESCRIPTION:", description));
    parts.push(alignColumns(head, NARROW));
  }
  if (args.length > 0) {
    const rows = args.map((one) => row(one.name, one.value, one.description));
    parts.push(alignColumns([row("BUILD ARG", "VALUE", "DESCRIPTION"), ...rows], WIDE));
  }
  for (const [headline, needs] of [
    ["SECRET", secrets],
    ["SSH", ssh],
  ] as const) {
    if (needs.length === 0) continue;
    const rows = needs.map((one) => row(one.name, one.required ? "true" : ""));
    parts.push(alignColumns([row(headline, "REQUIRED"), ...rows], WIDE));
  }
  return parts.map((part) => `${part}\n`).join("");
}

/** The stages, as `docker build --call=targets` prints them. */
export function targetsText({ targets }: TargetList): string {
  const rows = targets.map((target) => {
    const name = target.name ?? "";
    const mark = target.default ? "(default)" : "";
    return row([name, mark].filter((part) => part !== "").join(" "), target.description);
  });
  return alignColumns([row("TARGET", "DESCRIPTION"), ...rows], NARROW);
}

/** What may be asked with `--call`. */
export const REQUESTS = [
  { name: "outline", description: "List what the build of a target can be told", opts: ["target"] },
  { name: "targets", description: "List the stages that can be built", opts: [] },
  { name: "lint", description: "Check a Dockerfile", opts: ["target"] },
  { name: "subrequests.describe", description: "List what can be asked", opts: [] },
] as const;

export const REQUEST_VERSION = "1.0.0";

export function requestsText(): string {
  const rows = REQUESTS.map(({ name, description }) => row(name, REQUEST_VERSION, description));
  return alignColumns([row("NAME", "VERSION", "DESCRIPTION"), ...rows], NARROW);
}
