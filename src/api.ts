// biome-ignore-all lint/performance/noBarrelFile: this file is the package's one door

/**
 * kbuild as a library: what package.json exports, and all that the command line uses. Nothing else is public.
 */
import type { Writable } from "node:stream";
import type { Bake, BakeListing, BakeOptions, BakePlan, BakeSelection } from "./executor/bake/options.ts";
import { startBake } from "./executor/bake/start.ts";
import { startBuild } from "./executor/build.ts";
import type { Outline, TargetList } from "./executor/checks/outline.ts";
import type { CheckReport } from "./executor/checks/report.ts";
import type { DockerfileOptions } from "./executor/checks/sources.ts";
import type { Diagnosis, DoctorOptions } from "./executor/doctor.ts";
import type { Build, BuildOptions } from "./executor/options.ts";
import type { FailedStepOptions } from "./executor/run/run-failed.ts";
import type { CheckOptions, StoreReport } from "./executor/store/check.ts";
import type { PruneOptions, PruneReport } from "./executor/store/prune.ts";
import type { HistoryEntry } from "./oci/images/history.ts";
import type { InspectedImage } from "./oci/images/inspect.ts";
import type { ListedImage } from "./oci/images/list.ts";
import type { Removal } from "./oci/images/remove.ts";
import { defaultRoot, openStore, type Store } from "./oci/layout/store.ts";

export type { AttributeName, Spec, TargetAttributes } from "./bake/attributes.ts";
export type { BakeFile } from "./bake/plan.ts";
export type { ListedTarget, ListedVariable, PrintedGroup } from "./bake/print.ts";
export type { ErrorCode, Location } from "./errors.ts";
export { KbuildError } from "./errors.ts";
export type * from "./executor/bake/options.ts";
export type { Outline, OutlinedArgument, OutlinedNeed, Target, TargetList } from "./executor/checks/outline.ts";
export type { CheckReport } from "./executor/checks/report.ts";
export type { DockerfileOptions } from "./executor/checks/sources.ts";
export type { DiagnosedSandbox, Diagnosis, DoctorOptions } from "./executor/doctor.ts";
export type * from "./executor/events.ts";
export type * from "./executor/options.ts";
export type { FailedStepOptions } from "./executor/run/run-failed.ts";
export type { CheckOptions, StoreReport } from "./executor/store/check.ts";
export type { StoreFinding } from "./executor/store/findings.ts";
export type { PrunedItem, PruneOptions, PruneReport } from "./executor/store/prune.ts";
export type { HistoryEntry } from "./oci/images/history.ts";
export type { InspectedConfig, InspectedImage } from "./oci/images/inspect.ts";
export type { ListedImage } from "./oci/images/list.ts";
export type { Removal } from "./oci/images/remove.ts";
export type { Descriptor, DiffId, Digest } from "./oci/types.ts";
export type { Excerpt } from "./parser/checks/excerpt.ts";
export type { Finding } from "./parser/checks/rule.ts";
// Whoever puts a command line of their own around this shall not guess otherwise than the errors do.
export { suggest } from "./parser/suggest.ts";

// What a build does not need is loaded when it is asked for: a cached build is over in less time than loading it takes.

/** Which store a call works on. */
export interface StoreOptions {
  /** The store; default `$KBUILD_ROOT`, `$XDG_DATA_HOME/kbuild`, `~/.local/share/kbuild`. */
  readonly root?: string | undefined;
}

export interface ListImagesOptions extends StoreOptions {
  /** Only names that match: `w*`, `web-ping:v?`, as `docker image ls PATTERN`. */
  readonly reference?: string | undefined;
  /** `true`: only images without a name; `false`: only those with one. Default: both. */
  readonly dangling?: boolean | undefined;
}

/**
 * Builds an image from a Dockerfile. Starts at once; wait for it, or follow its events.
 *
 * The promise rejects with a `KbuildError`: `build.*` when the Dockerfile or the context is at fault, `usage.*` for
 * options that make no sense, `registry.*`, `machine.*`, and `interrupted` when the signal stopped it.
 */
export function build(options: BuildOptions): Build {
  return startBuild(options);
}

/**
 * Checks a Dockerfile as a build would, without building anything. That something is found, or that the file cannot be
 * built, is an answer, not an error. No registry is asked: what a base image sets is known if the store has the image.
 */
export async function check(options: DockerfileOptions): Promise<CheckReport> {
  const { checkDockerfile } = await import("./executor/checks/report.ts");
  return checkDockerfile(options);
}

/** Lists what a build of a target can be told: build arguments, secrets, SSH agents. */
export async function outline(options: DockerfileOptions): Promise<Outline> {
  const { outlineTarget } = await import("./executor/checks/outline.ts");
  return outlineTarget(options);
}

/** Lists the stages of a Dockerfile that can be built. */
export async function targets(options: DockerfileOptions): Promise<TargetList> {
  const { listTargets } = await import("./executor/checks/outline.ts");
  return listTargets(options);
}

/** A check that there is, and why. */
export interface CheckRule {
  readonly name: string;
  readonly description: string;
  readonly explanation: string;
  /** Runs only when it is asked for. */
  readonly experimental: boolean;
}

/** All checks of Dockerfiles. */
export async function checkRules(): Promise<readonly CheckRule[]> {
  const { RULES } = await import("./parser/checks/rules.ts");
  return RULES.map(({ name, description, explanation, experimental = false }) => ({
    name,
    description,
    explanation,
    experimental,
  }));
}

/**
 * Builds the targets that files of definitions (`docker-bake.hcl`, `docker-bake.json`, compose files) have, at the same
 * time where none needs another. Starts at once; wait for it, or follow its events.
 *
 * The promise rejects with a `KbuildError`: `build.bake` when the files are at fault, with the place in them; else as that
 * of `build`, of the first target that fails.
 */
export function bake(options: BakeOptions = {}): Bake {
  return startBake(options);
}

/** What `bake` would build: files read, merged and computed, in the shape that `docker buildx bake --print` has. */
export async function planBake(options: BakeSelection = {}): Promise<BakePlan> {
  const bake = await import("./executor/bake/bake.ts");
  return bake.planBake(options);
}

/** The targets, groups and variables that files of definitions have. */
export async function listBake(options: BakeSelection = {}): Promise<BakeListing> {
  const bake = await import("./executor/bake/bake.ts");
  return bake.listBake(options);
}

/** The images of the store, newest first; none when there is no store. */
export async function listStoredImages(options: ListImagesOptions = {}): Promise<ListedImage[]> {
  const { listImages } = await import("./oci/images/list.ts");
  const { root, ...list } = options;
  return listImages(storeOf(root), list);
}

/** How an image came about, newest first. `name` is a name or an image ID, also abbreviated. */
export async function historyOf(name: string, options: StoreOptions = {}): Promise<HistoryEntry[]> {
  const { imageHistory } = await import("./oci/images/history.ts");
  return imageHistory(storeOf(options.root), name);
}

/** Everything about an image, in the shape of `docker image inspect`. */
export async function inspect(name: string, options: StoreOptions = {}): Promise<InspectedImage> {
  const { inspectImage } = await import("./oci/images/inspect.ts");
  return inspectImage(storeOf(options.root), name);
}

/** Gives an image a further name. */
export async function tag(source: string, target: string, options: StoreOptions = {}): Promise<void> {
  const { tagImage } = await import("./oci/images/tag.ts");
  await tagImage(storeOf(options.root), source, target);
}

/** Takes a name from an image, or the image away; tells what was done, in docker's order. */
export async function remove(
  name: string,
  options: StoreOptions & { readonly force?: boolean | undefined } = {},
): Promise<Removal[]> {
  const { removeImage } = await import("./oci/images/remove.ts");
  return removeImage(storeOf(options.root), name, { force: options.force === true });
}

/**
 * Says how RUN is run on this machine: opens a sandbox as a build would, closes it, and tells of it. That there is none is
 * an answer, not an error.
 */
export async function doctor(options: DoctorOptions = {}): Promise<Diagnosis> {
  const { diagnose } = await import("./executor/doctor.ts");
  return diagnose(options);
}

/**
 * Checks that everything in the store is whole, and lists all that is not; with `repair` that is removed, so that it is
 * made anew when it is needed. Other processes may use the store meanwhile.
 */
export async function checkStore(options: CheckOptions = {}): Promise<StoreReport> {
  const store = await import("./executor/store/check.ts");
  return store.check(options);
}

/**
 * Runs a command in the files of a step that failed and was kept (`keepFailed`). Gives the command's status, or 128 and the
 * number of the signal that ended it.
 */
export async function runInFailedStep(
  name: string,
  command: readonly string[],
  options: FailedStepOptions = {},
): Promise<number> {
  const failed = await import("./executor/run/run-failed.ts");
  return failed.runInFailedStep(name, command, options);
}

/**
 * Frees the store of what is only kept to make later builds faster, least recently used first, and of what killed
 * processes left behind. Images stay, and so does what a running build uses.
 */
export async function prune(options: PruneOptions = {}): Promise<PruneReport> {
  const { pruneStore } = await import("./executor/store/prune.ts");
  return pruneStore(options);
}

/** An archive that is ready to be written: what was asked for is there, whole. */
export interface PlannedSave {
  /** Writes the archive and ends the stream. */
  write(output: Writable, options?: { readonly signal?: AbortSignal | undefined }): Promise<void>;
}

/**
 * Plans one archive of several images that docker, podman, skopeo and containerd load. Everything that can be wrong with
 * the names is told here, before a byte is written.
 */
export async function planArchiveOf(names: readonly string[], options: StoreOptions = {}): Promise<PlannedSave> {
  const [{ planSave }, { writeArchiveStream }] = await Promise.all([
    import("./oci/images/save.ts"),
    import("./oci/archive/write.ts"),
  ]);
  const members = planSave(storeOf(options.root), names);
  return {
    write: (output, { signal } = {}) => writeArchiveStream(members, output, signal === undefined ? {} : { signal }),
  };
}

function storeOf(root: string | undefined): Store {
  return openStore(root ?? defaultRoot(process.env), { create: false });
}
