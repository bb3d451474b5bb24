import type { Location } from "../errors.ts";
import type { Excerpt } from "../parser/checks/excerpt.ts";

/**
 * What a build tells while it runs. Renderers turn these into what people see; the API hands them out as they are.
 * `step` is a number that is unique within the build, from 1 in the order in which steps become known; times are
 * milliseconds since the build started.
 */
export type BuildEvent =
  | BuildStarted
  | StepPlanned
  | StepStarted
  | StepProgress
  | StepLog
  | StepFinished
  | WarningRaised
  | BuildFinished;

export interface BuildStarted {
  readonly type: "buildStarted";
  readonly at: number;
}

/**
 * A unit of work is known. All steps of a stage are planned before the first of them starts; internal ones
 * (loading the Dockerfile, resolving and pulling a base, exporting) when they are met.
 */
export interface StepPlanned {
  readonly type: "stepPlanned";
  readonly at: number;
  readonly step: number;
  /**
   * What it is called, as docker shows it: `[internal] load build definition from Dockerfile`,
   * `[internal] load .dockerignore`, `[internal] load metadata for docker.io/library/node:20`,
   * `[internal] load build context`, `[2/4] WORKDIR /web-ping`, `[build 3/5] COPY . .`, `exporting to image`.
   */
  readonly name: string;
  readonly kind: "internal" | "from" | "instruction" | "export";
  /** The instruction's place, when it has one. */
  readonly location?: Location | undefined;
  /** The name or number of the stage, for steps of a stage. */
  readonly stage?: string | undefined;
}

export interface StepStarted {
  readonly type: "stepStarted";
  readonly at: number;
  readonly step: number;
}

/** How far a part of a step is. Parts: a layer that is pulled (`sha256:0123…`), the context, a blob that is written. */
export interface StepProgress {
  readonly type: "stepProgress";
  readonly at: number;
  readonly step: number;
  /** For instance `sha256:8b1a…` or `transferring context` or `writing image sha256:…`. */
  readonly part: string;
  readonly done: number;
  /** Absent when not known beforehand. */
  readonly total?: number | undefined;
  /** Both counts are bytes unless told otherwise; `none`: the part is a mere statement without counts. */
  readonly unit: "bytes" | "files" | "none";
  readonly finished: boolean;
}

/** One whole line that a RUN printed, without its line end. */
export interface StepLog {
  readonly type: "stepLog";
  readonly at: number;
  readonly step: number;
  readonly stream: "stdout" | "stderr";
  readonly line: string;
}

export interface StepFinished {
  readonly type: "stepFinished";
  readonly at: number;
  readonly step: number;
  readonly status: "done" | "cached" | "failed" | "cancelled";
  /** One line that says why the cache did not have it: for steps that could have been cached and were not. */
  readonly missReason?: string | undefined;
  /** The same at length (`--explain`). */
  readonly missDetails?: MissDetails | undefined;
  /** The layer that the step gave, if it gave one. */
  readonly layer?: { readonly diffId: string; readonly size: number } | undefined;
}

/** Why a step was not in the cache. */
export interface MissDetails {
  readonly reason:
    | "firstBuild"
    | "noCache"
    | "instruction"
    | "parent"
    | "arguments"
    | "settings"
    | "files"
    | "platform"
    | "recordGone"
    | "notCached";
  /** The instruction as it was when the step last ran here. */
  readonly previousInstruction?: string | undefined;
  readonly added?: readonly string[] | undefined;
  readonly changed?: readonly string[] | undefined;
  readonly removed?: readonly string[] | undefined;
}

export interface WarningRaised {
  readonly type: "warning";
  readonly at: number;
  /** A check's name (`kbuild check --explain`), or what else it is about. */
  readonly code: string;
  readonly message: string;
  readonly location?: Location | undefined;
  /** What to do about it. */
  readonly hint?: string | undefined;
  /** Of a check: what it asks for in a line, why in a paragraph, and the lines that are meant. */
  readonly description?: string | undefined;
  readonly explanation?: string | undefined;
  readonly excerpt?: Excerpt | undefined;
}

export interface BuildFinished {
  readonly type: "buildFinished";
  readonly at: number;
  readonly status: "done" | "failed" | "cancelled";
}
