import type { Location } from "../../errors.ts";
import type { Escape } from "../directives.ts";
import type { IgnoreLine } from "../ignore.ts";
import type { Dockerfile, Instruction, Stage } from "../instructions.ts";
import type { Excerpt } from "./excerpt.ts";
import type { Scope } from "./scope.ts";

/** A check of Dockerfiles. Those that BuildKit has bear its names, and find what it finds. */
export interface Rule {
  readonly name: string;
  /** One line that says what is asked for. */
  readonly description: string;
  /** A paragraph on why, and what to do. */
  readonly explanation: string;
  /** Runs only when it is asked for, and nothing but that decides it: `skip` does not. */
  readonly experimental?: boolean;
  /** kbuild's own, which BuildKit does not have: it never makes a build fail that BuildKit would make. */
  readonly own?: boolean;
  /** Looks at the file as a whole. */
  readonly file?: (dockerfile: Dockerfile, facts: FileFacts) => Iterable<Remark>;
  /** Begins with a stage; what it gives is called for each instruction, with what holds in front of it. */
  readonly stage?: (stage: Stage, facts: StageFacts) => (instruction: Instruction, scope: Scope) => Iterable<Remark>;
}

/** What a rule has to say. */
export interface Remark {
  readonly message: string;
  /** What it is about. Comments above any of these instructions can silence it; the place is the first one's. */
  readonly about: readonly Instruction[];
  /** The place, where it is not the whole instruction. */
  readonly location?: Location;
  readonly hint?: string | undefined;
}

/** A remark that is not skipped, for whoever shows it. */
export interface Finding {
  /** The check's name, for instance `JSONArgsRecommended`. */
  readonly rule: string;
  readonly message: string;
  readonly location: Location;
  readonly hint: string | undefined;
  readonly description: string;
  readonly explanation: string;
  /** The lines of the place and some around them; undefined when there are none. */
  readonly excerpt: Excerpt | undefined;
}

/** What is known of a build besides the file's text before its stages are planned. */
export interface FileFacts {
  /** Names and values that the machine gives: `TARGETPLATFORM` and its like. */
  readonly automatic: ReadonlyMap<string, string>;
  /** Values of the ARGs before the first FROM; undefined when they cannot be evaluated. */
  readonly globals: ReadonlyMap<string, string | undefined> | undefined;
  /** The same as if no build argument was given. */
  readonly defaults: ReadonlyMap<string, string | undefined> | undefined;
  readonly isImageName: (name: string) => boolean;
  /** Undefined when the text is no platform. */
  readonly readPlatform: (text: string) => { readonly os: string; readonly architecture: string } | undefined;
}

/** What is known of a build once it is planned. */
export interface StageFacts {
  readonly automatic: ReadonlyMap<string, string>;
  readonly globals: ReadonlyMap<string, string | undefined>;
  /** The character that escapes in the file. */
  readonly escapeCharacter: Escape;
  /** The build arguments that were given. */
  readonly given: ReadonlyMap<string, string>;
  /** Numbers of the stages to look into: with one all those that it needs are in it. */
  readonly stages: ReadonlySet<number>;
  /** What each stage begins with, by its number. */
  readonly bases: readonly StageBase[];
  readonly ignore: readonly IgnoreLine[];
}

/** What a stage begins with: another stage, an image whose configuration is known, or one of which nothing is. */
export type StageBase =
  | { readonly kind: "stage"; readonly index: number }
  | {
      readonly kind: "known";
      readonly environment: ReadonlyMap<string, string>;
      readonly hasShell: boolean;
      /** What ONBUILD of the image adds to the stage. */
      readonly triggers: readonly Instruction[];
    }
  | { readonly kind: "unknown" };
