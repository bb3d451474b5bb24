import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { KbuildError } from "../../errors.ts";
import type { SandboxMode } from "../../native/sandbox-protocol.ts";
import { storeFault } from "../../oci/layout/faults.ts";
import { markUsed } from "../../oci/layout/last-use.ts";
import type { Store } from "../../oci/layout/store.ts";
import { isLayer } from "../cache.ts";
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
      mkdirSync(folder, { recursive: true, mode: 0o700 });
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
  markUsed(join(folder, RECORD));
  const step = JSON.parse(readFileSync(join(folder, RECORD), "utf8")) as Omit<FailedStep, "name" | "tree">;
  return { ...step, name, tree: join(folder, TREE) };
}

/** A failed step that is kept, for whoever looks through the store. */
export interface KeptStep {
  readonly folder: string;
  /** The file in the folder that says what it is; its time is that of the last use. */
  readonly record: string;
  /** Undefined when the record cannot be read; that of one whose step is just being kept is not there yet. */
  readonly layers: readonly LayerReference[] | undefined;
}

/** All failed steps that are kept, also such as cannot be used. */
export function keptSteps(store: Store): KeptStep[] {
  const root = join(store.root, FOLDER);
  if (!existsSync(root)) return [];
  return readdirSync(root).map((name) => {
    const folder = join(root, name);
    return { folder, record: RECORD, layers: layersOf(join(folder, RECORD)) };
  });
}

function layersOf(record: string): readonly LayerReference[] | undefined {
  try {
    const { layers } = JSON.parse(readFileSync(record, "utf8")) as Partial<FailedStep>;
    return Array.isArray(layers) && layers.every(isLayer) ? layers : undefined;
  } catch {
    return undefined;
  }
}

function namesOf(store: Store): string[] {
  const folder = join(store.root, FOLDER);
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => existsSync(join(folder, name, RECORD)));
}
