import * as path from "node:path";
import { type BaseName, baseBlobFiles, makeBase } from "./bases.ts";
import type { Case } from "./cases.ts";
import type { Persons } from "./person.ts";
import type { Places } from "./places.ts";
import { type PushedImage, push, type Registry } from "./services.ts";
import { makeContext, WORKLOADS, type Workload, writeDockerfile } from "./workloads.ts";

/** What all runners of a bench share. */
export interface Setting {
  readonly places: Places;
  readonly persons: Persons;
  readonly registry: string;
  /** Those that the cases need. */
  readonly bases: ReadonlyMap<BaseName, Base>;
  /** Seconds for one command. */
  readonly patience: number;
  readonly signal: AbortSignal;
}

export interface Base extends PushedImage {
  readonly name: BaseName;
  /** Its compressed layers as files. */
  readonly blobs: readonly string[];
}

export function workloadOf(each: Case): Workload {
  const found = WORKLOADS.find(({ name }) => name === each.workload);
  if (!found) throw new Error(`no workload ${each.workload}`);
  return found;
}

export function contextOf(places: Places, each: Case): string {
  return path.join(places.contexts, each.workload);
}

export function baseOf(setting: Setting, name: BaseName): Base {
  const found = setting.bases.get(name);
  if (!found) throw new Error(`no base ${name}`);
  return found;
}

/** Makes the bases that the cases need, and the one that engines are tried out with. */
export async function makeBases(places: Places, cases: readonly Case[], registry: Registry): Promise<Setting["bases"]> {
  const bases = new Map<BaseName, Base>();
  for (const name of new Set<BaseName>([TRIAL, ...cases.map((each) => workloadOf(each).base)])) {
    const folder = path.join(places.bases, name);
    await makeBase(folder, name);
    bases.set(name, { name, blobs: baseBlobFiles(folder), ...(await push(registry, folder, name)) });
  }
  return bases;
}

/** The base of the smallest build. */
export const TRIAL: BaseName = "tiny";

/** Makes the contexts that the cases need. */
export function makeContexts(places: Places, cases: readonly Case[], scale: number, registry: string): void {
  for (const workload of new Set(cases.map(workloadOf))) {
    const folder = path.join(places.contexts, workload.name);
    makeContext(folder, workload, scale);
    writeDockerfile(folder, workload, registry);
  }
}
