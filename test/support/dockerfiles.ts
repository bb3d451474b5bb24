import * as fs from "node:fs";
import * as path from "node:path";
import { HOME } from "./workspace.ts";

const file = path.join(HOME, "test/conformance/cases.json");
const { cases } = JSON.parse(fs.readFileSync(file, "utf8")) as { readonly cases: readonly { dockerfile: string }[] };

/** The Dockerfiles of the recorded builds. */
export const REAL: readonly string[] = cases.map(({ dockerfile }) => dockerfile);
