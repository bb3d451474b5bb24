import * as fs from "node:fs";
import * as path from "node:path";
import { HOME } from "../support/workspace.ts";
import type { Outcome } from "./outcome.ts";

const FOLDER = path.join(HOME, "test/goldens/expected");

/** The golden results of a group, by the names of its cases. */
export type Expected = Readonly<Record<string, Outcome>>;

function fileOf(group: string): string {
  return path.join(FOLDER, `${group.replaceAll("/", "-")}.json`);
}

/** The recorded results; none for a group that is new. */
export function readExpected(group: string): Expected {
  const file = fileOf(group);
  return fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, "utf8")) as Expected) : {};
}

/** Writes the results of a group anew. Gives the file. */
export function writeExpected(group: string, outcomes: Expected): string {
  fs.mkdirSync(FOLDER, { recursive: true });
  const file = fileOf(group);
  fs.writeFileSync(file, `${JSON.stringify(outcomes, null, 1)}\n`);
  return file;
}
