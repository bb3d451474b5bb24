import { readFileSync, rmSync } from "node:fs";
import { KbuildError } from "../../errors.ts";
import { type Entry, EntryTable, EntryType, encodeEntries } from "../../layers/entry-table.ts";
import { identityOf } from "../../layers/identity.ts";
import { showPath } from "../../layers/path-bytes.ts";
import { parentOf, Tree } from "../../layers/tree.ts";
import type { BlobSource } from "../../native/protocol.ts";
import { type CompiledRules, compileIgnoreLines, type IgnoreLine, isIgnored } from "../../parser/ignore.ts";
import { SnapshotSource } from "../copy/snapshot-source.ts";
import type { SelectResult, SourcePattern, SourceTree } from "../copy/sources.ts";
import { newestFile } from "../ingest-archive.ts";
import { extractText } from "../tree-file.ts";
import { type BuildContext, LARGEST_TEXT } from "./build-context.ts";
import type { FolderTools } from "./folder.ts";
import { tooLarge } from "./text-file.ts";

const LABEL = "the build context";

/**
 * A tar as a context, from standard input or elsewhere. It is never laid out on disk: its entries are a tree like that of a layer,
 * so that names, modes and links that this user or file system could not have make no difference.
 */
export class ArchiveContext implements BuildContext {
  readonly identity: string = identityOf("archive");
  readonly #table: EntryTable;
  readonly #blob: BlobSource;
  readonly #tools: FolderTools;

  private constructor(table: EntryTable, tar: string, tools: FolderTools) {
    this.#table = table;
    this.#blob = { path: tar, compression: "none" };
    this.#tools = tools;
  }

  /**
   * Takes the whole stream in, whatever it is compressed with.
   * @throws KbuildError `build.notArchive`, `build.hostile`
   */
  static async read(bytes: AsyncIterable<Uint8Array>, name: string, tools: FolderTools): Promise<ArchiveContext> {
    const index = tools.store.temporaryPath();
    const tar = tools.store.temporaryPath();
    try {
      await tools.native.ingest({ index, tar, compression: "detect" }, bytes, { signal: tools.signal });
      return new ArchiveContext(new EntryTable(readFileSync(index)), tar, tools);
    } catch (error) {
      rmSync(tar, { force: true });
      if (error instanceof KbuildError && error.code === "build.notArchive") {
        throw new KbuildError("build.context", `the context from ${name} is a damaged archive`, {
          hint: "send a tar (plain, gzip, bzip2, xz or zstd) or a Dockerfile",
          cause: error,
        });
      }
      throw error;
    } finally {
      rmSync(index, { force: true });
    }
  }

  async readText(path: string): Promise<string | undefined> {
    const tree = new Tree([this.#table]);
    const resolution = tree.resolve(path, true);
    if (resolution.kind !== "found") return undefined;
    const { entry } = tree.content(resolution.located);
    if (entry.type !== EntryType.file) return undefined;
    if (entry.size > LARGEST_TEXT) throw tooLarge(path);
    return extractText(this.#tools, entry, this.#blob);
  }

  async names(): Promise<readonly string[]> {
    return new Tree([this.#table]).children("").slice(0, 1000);
  }

  async files(ignore: readonly IgnoreLine[]): Promise<SourceTree> {
    const rules = compileIgnoreLines(ignore);
    const kept = new EntryTable(encodeEntries(this.#kept(rules)));
    return new ArchiveSource(new SnapshotSource(LABEL, new Tree([kept]), [this.#blob]), this.#table, rules);
  }

  /** The time of its newest file, in seconds since 1970. */
  newest(): number | undefined {
    return newestFile(this.#table);
  }

  dispose(): void {
    rmSync(this.#blob.path, { force: true });
  }

  /** The entries that the rules leave, as a context has them: root's, and of no special kind. */
  *#kept(rules: CompiledRules): IterableIterator<Entry> {
    const tree = new Tree([this.#table]);
    const foldersOfKept = new Set<string>();
    for (const { path, type } of this.#table) {
      if (type === EntryType.directory || isIgnored(rules, path).ignored) continue;
      for (let folder = parentOf(path); folder !== "" && !foldersOfKept.has(folder); folder = parentOf(folder)) {
        foldersOfKept.add(folder);
      }
    }
    for (const entry of this.#table) {
      const { path, type } = entry;
      if (path === "" || (isIgnored(rules, path).ignored && !(type === EntryType.directory && foldersOfKept.has(path))))
        continue;
      if (type === EntryType.whiteout || type === EntryType.opaque) {
        throw new KbuildError(
          "build.markName",
          `the context has the name "${showPath(path)}", which layers use to mark deleted files`,
          {
            hint: "rename the file, or keep it out with .dockerignore",
          },
        );
      }
      if (type === EntryType.fifo || type === EntryType.characterDevice || type === EntryType.blockDevice) {
        this.#tools.warn("SpecialFile", `${showPath(path)} is no file, folder or link: it is left out`);
        continue;
      }
      yield { ...this.#withContent(entry, rules, tree), uid: 0, gid: 0, xattrs: [] };
    }
  }

  /** A hard link to what the rules keep out is a file of its own. */
  #withContent(entry: Entry, rules: CompiledRules, tree: Tree): Entry {
    if (entry.type !== EntryType.hardlink || !isIgnored(rules, entry.link).ignored) return entry;
    return { ...tree.content({ entry, layer: 0 }).entry, path: entry.path };
  }
}

/** The files of an archive, which knows of a missing one whether a rule keeps it out. */
class ArchiveSource implements SourceTree {
  readonly label: string;
  readonly roots: readonly string[];
  readonly blobs: readonly BlobSource[];
  readonly #files: SnapshotSource;
  readonly #whole: EntryTable;
  readonly #rules: CompiledRules;

  constructor(files: SnapshotSource, whole: EntryTable, rules: CompiledRules) {
    this.label = files.label;
    this.roots = files.roots;
    this.blobs = files.blobs;
    this.#files = files;
    this.#whole = whole;
    this.#rules = rules;
  }

  async select(patterns: readonly SourcePattern[]): Promise<readonly SelectResult[]> {
    const results = await this.#files.select(patterns);
    return results.map((result, number): SelectResult => {
      const pattern = patterns[number];
      if (result.kind === "found" || pattern === undefined) return result;
      const path = pattern.segments.map((segment) => ("text" in segment ? segment.text : "")).join("/");
      const isThere = this.#whole.find(path) >= 0;
      return { kind: "missing", rule: isThere ? isIgnored(this.#rules, path).rule : undefined };
    });
  }

  neighbours(path: string): Promise<readonly string[]> {
    return this.#files.neighbours(path);
  }
}
