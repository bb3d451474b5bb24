import type { IgnoreLine } from "../../parser/ignore.ts";
import type { SourceTree } from "../copy/sources.ts";

/** Where COPY and ADD take files from, and where the Dockerfile is unless told otherwise. */
export interface BuildContext {
  /** Tells one context from another, to compare a build with the last one of the same context. */
  readonly identity: string;
  /**
   * The text of a file of the context, whether or not it is ignored; undefined when it is not there.
   * @throws KbuildError `build.unreadable`, `build.tooLarge`
   */
  readText(path: string): Promise<string | undefined>;
  /** Names at the top, for "did you mean". */
  names(): Promise<readonly string[]>;
  /** What is left of it once the rules are applied. */
  files(ignore: readonly IgnoreLine[]): Promise<SourceTree>;
  /** Removes what was only made for this build. */
  dispose(): void;
}

/** Dockerfiles and ignore files are written by people; a larger file is no such thing. */
export const LARGEST_TEXT: number = 16 * 1024 * 1024;
