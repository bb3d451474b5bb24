import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { KbuildError } from "../../errors.ts";
import type { SandboxMode } from "../../native/sandbox-protocol.ts";
import { storeFault } from "../../oci/layout/faults.ts";
import type { Store } from "../../oci/layout/store.ts";
import type { LayerReference } from "../state.ts";
import type { Process } from "./worker.ts";

/** Where the files of a step that failed are kept (`--keep-failed`), for a look at them. */
export interface FailedStep {
  readonly name: string;
  /** What it changed (`overlay`), or all of its files (`copy`). */
  readonly tree: string;
  readonly kind: "overlay" | "copy";
  readonly mode: SandboxMode;
  /** The layers that it ran on. */
  readonly layers: readonly LayerReference[];
  /** How it was run, without its secrets and its mounts. */
  readonly plan: Process["plan"];
}

const FOLDER = "failed";
const TREE = "tree";
const RECORD = "step.json";

/** Keeps a failed step's files under a name. `move` renames its tree. */
export async function keepFailedStep(
  store: Store,
  step: Omit<FailedStep, "name" | "tree">,
  move: (to: string) => Promise<void>,
): Promise<string> {
  const folder = join(store.root, FOLDER);
  for (let number = 1; ; number++) {
    const name = `failed-${number}`;
    try {
      mkdirSync(folder, { recursive: true });
      mkdirSync(join(folder, name));
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "EEXIST") continue;
      throw storeFault(error, folder);
    }
    await move(join(folder, name, TREE));
    writeFileSync(join(folder, name, RECORD), JSON.stringify(step));
    return name;
  }
}

/** @throws KbuildError `build.noSuchStep` when there is none of that name */
export function findFailedStep(store: Store, name: string): FailedStep {
  const names = namesOf(store);
  if (!names.includes(name)) {
    throw new KbuildError("build.noSuchStep", `there is no failed step ${JSON.stringify(name)}`, {
      hint:
        names.length === 0
          ? "kbuild build --keep-failed keeps the files of a step that fails"
          : `there is ${names.join(", ")}`,
    });
  }
  const folder = join(store.root, FOLDER, name);
  const step = JSON.parse(readFileSync(join(folder, RECORD), "utf8")) as Omit<FailedStep, "name" | "tree">;
  return { ...step, name, tree: join(folder, TREE) };
}

function namesOf(store: Store): string[] {
  const folder = join(store.root, FOLDER);
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => existsSync(join(folder, name, RECORD)));
}
