import { rmSync } from "node:fs";
import { KbuildError, type Location } from "../../errors.ts";
import type { Draft } from "../../layers/draft.ts";
import { type Entry, EntryType } from "../../layers/entry-table.ts";
import { contentDigest } from "../../layers/identity.ts";
import type { BlobSource } from "../../native/protocol.ts";
import { parseMode } from "../../parser/copy-mode.ts";
import { compileRules } from "../../parser/ignore.ts";
import { unpackInto } from "../copy/archive.ts";
import { NO_ENTRIES } from "../copy/entries.ts";
import { filesIdentity } from "../copy/identity.ts";
import { type CopyTreatment, copyInto, type Destination } from "../copy/into.ts";
import { missingSource } from "../copy/missing.ts";
import { findOwner } from "../copy/owner.ts";
import { rebasedMatch } from "../copy/rebased.ts";
import {
  hasWildcard,
  plainStart,
  type SourceMatch,
  type SourcePattern,
  type SourceTree,
  sourcePattern,
} from "../copy/sources.ts";
import type { StepReporter } from "../emitter.ts";
import { ingestArchive, type OpenedArchive } from "../ingest-archive.ts";
import type { LayerSources } from "../make-layer.ts";
import type { RemoteFiles } from "../remote/source.ts";
import type { ImageState } from "../state.ts";
import type { Tools } from "../tools.ts";
import { readFile, withExtracted } from "../tree-file.ts";
import { runLayerStep } from "./layer-step.ts";
import type { StepOutcome } from "./step-record.ts";

/** A COPY or ADD with all its words expanded. */
export interface CopyStep {
  readonly kind: "COPY" | "ADD";
  /** As the history shows it. */
  readonly instruction: string;
  readonly place: string;
  readonly useCache: boolean;
  readonly explain: boolean;
  /** See `RecordedStep`. */
  readonly onMiss: () => void;
  /** In the order written. */
  readonly sources: readonly CopySource[];
  readonly destination: Destination;
  readonly tree: SourceTree;
  readonly chown: { readonly text: string; readonly location: Location } | undefined;
  readonly chmod: { readonly text: string; readonly location: Location } | undefined;
  readonly link: boolean;
  readonly parents: boolean;
  readonly exclude: readonly string[];
  /** ADD: whether archives are unpacked; undefined: those of the context are, those from elsewhere are not. */
  readonly unpack: boolean | undefined;
  readonly warn: (message: string) => void;
  /** Line of the ignore file that rule number `rule` came from, for messages. */
  readonly ignoreRule: (rule: number) => string;
}

export type CopySource =
  | { readonly kind: "path"; readonly text: string; readonly location: Location }
  | { readonly kind: "inline"; readonly name: string; readonly content: string }
  | { readonly kind: "remote"; readonly text: string; readonly files: RemoteFiles };

/** A match, and whether it is an archive that is to be unpacked if it is one. */
interface TakenMatch {
  readonly match: SourceMatch;
  readonly unpacks: boolean;
}

/** COPY and ADD. Dockerfile reference, "COPY", "ADD". */
export async function runCopy(
  tools: Tools,
  state: ImageState,
  step: CopyStep,
  reporter: StepReporter,
): Promise<StepOutcome> {
  reporter.start();
  const { chmod, chown } = step;
  const mode = chmod === undefined ? undefined : await placedAt(chmod.location, () => parseMode(chmod.text));
  const taken = await selectSources(tools, step);
  const matches = taken.map(({ match }) => match);
  const sources = layerSources(step);
  const exclude = step.exclude.length === 0 ? undefined : compileRules(step.exclude);
  return runLayerStep(
    tools,
    state,
    {
      instruction: step.instruction,
      inputs: [
        step.kind,
        step.destination.path,
        step.destination.isFolder,
        chown?.text,
        chmod?.text,
        step.link,
        step.parents,
        step.exclude,
        step.unpack,
      ],
      place: step.place,
      useCache: step.useCache,
      explain: step.explain,
      onMiss: step.onMiss,
      isIndependent: step.link,
      // Where archives are unpacked all has been read, and they are whatever is excluded: all counts.
      files: () => filesIdentity(matches, { exclude: mayUnpack(step) ? undefined : exclude, parents: step.parents }),
      write: async (draft) => {
        const read = (path: string) => readFile(tools, state.snapshot, path);
        const owner = chown && (await placedAt(chown.location, () => findOwner(chown.text, read, step.warn)));
        const treatment: CopyTreatment = {
          owner,
          mode: mode?.apply,
          folderMode: mode?.octal === undefined ? 0o755 : mode.octal & 0o777,
          now: tools.clock.mtime(),
          exclude,
          parents: step.parents,
        };
        if (mayUnpack(step)) return addInto(tools, draft, step, taken, sources, treatment);
        for (const match of matches) copyMatch(draft, step, match, treatment);
        return sources;
      },
    },
    reporter,
  );
}

/** Does something with a flag's value; what is wrong with it has the value's place. */
async function placedAt<T>(location: Location, action: () => T | Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw error instanceof KbuildError ? error.with({ location }) : error;
  }
}

/** Whether sources that are archives are unpacked, or some of them. */
function mayUnpack(step: CopyStep): boolean {
  return step.kind === "ADD" && step.unpack !== false;
}

/** Where the files of all sources are: those of the context or stage, then those from elsewhere in their order. */
function layerSources({ tree, sources }: CopyStep): LayerSources {
  const remote = sources.flatMap((source) => (source.kind === "remote" ? [source.files.root] : []));
  return { roots: [...tree.roots, ...remote], blobs: tree.blobs, statCache: tree.statCache };
}

function copyMatch(draft: Draft, step: CopyStep, match: SourceMatch, treatment: CopyTreatment): void {
  copyInto(draft, match, step.destination, { ...treatment, linkScope: match.linkScope });
}

/** ADD: files that are archives are unpacked, everything else is copied. */
async function addInto(
  tools: Tools,
  draft: Draft,
  step: CopyStep,
  taken: readonly TakenMatch[],
  sources: LayerSources,
  treatment: CopyTreatment,
): Promise<LayerSources> {
  const blobs: BlobSource[] = [...sources.blobs];
  const temporary: string[] = [];
  try {
    for (const { match, unpacks } of taken) {
      const archive = unpacks ? await openArchive(tools, sources, match) : undefined;
      if (archive === undefined) {
        copyMatch(draft, step, match, treatment);
        continue;
      }
      temporary.push(archive.tar);
      blobs.push({ path: archive.tar, compression: "none" });
      unpackInto(draft, archive.table, step.destination.path, {
        blob: blobs.length - 1,
        owner: treatment.owner,
        now: treatment.now,
      });
    }
  } catch (error) {
    for (const path of temporary) rmSync(path, { force: true });
    throw error;
  }
  return { ...sources, blobs, temporary };
}

/** The archive's entries and its tar in the store's temporary folder; undefined when the file is none. */
async function openArchive(
  tools: Tools,
  sources: LayerSources,
  match: SourceMatch,
): Promise<OpenedArchive | undefined> {
  const { source, type } = match.entry;
  if (type !== EntryType.file) return undefined;
  const from = sourceOf(sources, source);
  if (from === undefined) return undefined;
  // Read as it was when the key was computed: what is unpacked is what the digest says.
  const entry = { ...match.entry, digest: match.origin?.digest ?? match.entry.digest };
  return withExtracted(tools, entry, from, (path) => ingestArchive(tools, path));
}

function sourceOf({ roots, blobs }: LayerSources, source: Entry["source"]) {
  if (source.kind === "file") return { roots: roots.slice(source.root, source.root + 1), blobs: [] };
  return source.kind === "blob" ? { roots: [], blobs: blobs.slice(source.blob, source.blob + 1) } : undefined;
}

async function selectSources(tools: Tools, step: CopyStep): Promise<readonly TakenMatch[]> {
  const patterns = step.sources.map((source) =>
    source.kind === "path" ? sourcePattern(source.text, step.parents) : undefined,
  );
  const paths = patterns.filter((pattern): pattern is SourcePattern => pattern !== undefined);
  const results = paths.length === 0 ? [] : [...(await step.tree.select(paths, mayUnpack(step)))];
  const taken: TakenMatch[] = [];
  let root = step.tree.roots.length;
  for (const [number, source] of step.sources.entries()) {
    const pattern = patterns[number];
    // With --parents docker copies a source at once, whatever it matches, and else match by match.
    const scope = () => (step.parents ? number : taken.length);
    if (source.kind === "inline") {
      taken.push({ match: inlineMatch(tools, source.name, source.content), unpacks: false });
      continue;
    }
    if (source.kind === "remote") {
      const match = { ...rebasedMatch(source.files.match, root), linkScope: scope() };
      taken.push({ match, unpacks: step.unpack === true && source.files.kind === "file" });
      root += 1;
      continue;
    }
    const result = results.shift();
    if (pattern === undefined) throw new KbuildError("internal.copy", "a source without a pattern");
    if (result === undefined || result.kind === "missing") {
      throw await missingSource(step, source, pattern, result?.rule);
    }
    if (result.matches.length === 0 && hasWildcard(pattern)) {
      await checkFolder(step, source, pattern);
      step.warn(`${step.kind} source "${source.text}" matches no file in ${step.tree.label}`);
    }
    for (const match of result.matches) {
      const placed = step.parents ? pivoted(match, source.text) : match;
      taken.push({ match: { ...placed, linkScope: scope() }, unpacks: mayUnpack(step) });
    }
  }
  return taken;
}

/** A wildcard may match nothing, but the folder that it is looked for in has to be there. */
async function checkFolder(
  step: CopyStep,
  source: Extract<CopySource, { kind: "path" }>,
  pattern: SourcePattern,
): Promise<void> {
  const pivot = source.text.indexOf("/./");
  // --parents looks from the root on, or from the pivot.
  const searched = step.parents ? sourcePattern(source.text.slice(0, Math.max(pivot, 0)), true) : pattern;
  const folder = { ...searched, segments: plainStart(searched), withFolders: false };
  if (folder.segments.length === 0) return;
  const [found] = await step.tree.select([folder], false);
  if (found?.kind === "missing") throw await missingSource(step, source, folder, found.rule);
}

/** `--parents` with `/./` in a source: what is before the pivot is not kept. */
function pivoted(match: SourceMatch, text: string): SourceMatch {
  const pivot = text.indexOf("/./");
  if (pivot < 0) return match;
  const skipped = sourcePattern(text.slice(0, pivot), true).segments.length;
  const asked = match.asked.split("/").slice(skipped).join("/");
  return { ...match, asked, folders: match.folders?.slice(skipped) };
}

function inlineMatch(tools: Tools, name: string, content: string): SourceMatch {
  const bytes = Buffer.from(content, "utf8");
  const digest = contentDigest(bytes);
  return {
    asked: name,
    below: NO_ENTRIES,
    origin: { digest },
    group: undefined,
    entry: {
      path: name,
      type: EntryType.file,
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: bytes.length,
      mtime: tools.clock.mtime(),
      link: "",
      xattrs: [],
      digest,
      inodeGroup: 0,
      source: { kind: "inline", bytes },
    },
  };
}
