import type { Location } from "../errors.ts";

/**
 * What a Dockerfile says, before any variable is expanded. The parser makes these and knows nothing of images; the
 * executor reads them. Shapes follow the Dockerfile reference.
 */

/** A piece of text with its place. For a word that stands over several lines the place is where it begins. */
export interface Word {
  /** As written, quotes and escapes included, continuation lines joined. */
  readonly text: string;
  readonly location: Location;
}

/** `<<EOF`, `<<-EOF`, `<<"EOF"`. */
export interface Heredoc {
  /** The delimiter without quotes, which is also the file name that COPY gives it. */
  readonly name: string;
  /** Lines up to the delimiter, each with its line end; tabs already stripped for `<<-`. */
  readonly content: string;
  /** Whether variables in the content are expanded: the delimiter was not quoted. */
  readonly expand: boolean;
  readonly location: Location;
}

/** A command in JSON form (`exec`) or in shell form (one string). */
export type Command =
  | { readonly form: "exec"; readonly words: readonly string[]; readonly location: Location }
  | { readonly form: "shell"; readonly text: string; readonly location: Location };

export interface Common {
  /** From the first character of the keyword to the end of the instruction. */
  readonly location: Location;
  /** The instruction as one line: continuation joined, comments gone, heredoc bodies left out. */
  readonly text: string;
  /** The keyword as written. */
  readonly keyword: string;
  /** The comments that stand right above it, nearest last; directives are none. */
  readonly comments: readonly string[];
  /** Where reading had come to when a blank line had been skipped inside of the instruction; undefined when none was. */
  readonly emptyContinuation: Location | undefined;
}

export interface FromInstruction extends Common {
  readonly kind: "FROM";
  /** `--platform`, not expanded. */
  readonly platform: Word | undefined;
  readonly image: Word;
  /** The name after AS, lower-cased. */
  readonly name: Word | undefined;
  /** AS and the name as they are written; undefined when the stage has no name. */
  readonly written: { readonly as: string; readonly name: string } | undefined;
}

export interface ArgInstruction extends Common {
  readonly kind: "ARG";
  readonly items: readonly { readonly name: string; readonly value: Word | undefined; readonly location: Location }[];
}

export interface EnvInstruction extends Common {
  readonly kind: "ENV";
  readonly pairs: readonly Pair[];
}

export interface LabelInstruction extends Common {
  readonly kind: "LABEL";
  readonly pairs: readonly Pair[];
}

export interface Pair {
  readonly name: Word;
  readonly value: Word;
  /** Written in the old form `ENV name value`, where the value is all the rest of the line. */
  readonly legacy: boolean;
}

/** COPY and ADD. */
export interface CopyInstruction extends Common {
  readonly kind: "COPY" | "ADD";
  readonly sources: readonly Word[];
  readonly heredocs: readonly Heredoc[];
  readonly destination: Word;
  /**
   * Sources and heredocs in the order written: `source` is the number in `sources`, `heredoc` in `heredocs`.
   */
  readonly order: readonly ({ readonly source: number } | { readonly heredoc: number })[];
  readonly from: Word | undefined;
  readonly chown: Word | undefined;
  readonly chmod: Word | undefined;
  readonly link: boolean;
  readonly parents: boolean;
  readonly exclude: readonly Word[];
  /** ADD only. */
  readonly checksum: Word | undefined;
  /** Undefined: nothing is said. */
  readonly keepGitDir: boolean | undefined;
  /** ADD only; undefined when the flag is not given. */
  readonly unpack: boolean | undefined;
  /** Whether the words came as a JSON array. */
  readonly json: boolean;
}

export interface RunInstruction extends Common {
  readonly kind: "RUN";
  readonly command: Command;
  readonly heredocs: readonly Heredoc[];
  /** Whether the command is one heredoc and nothing else: then its content is what runs. */
  readonly isScript: boolean;
  /** In the order written. */
  readonly mounts: readonly RunMount[];
  /** Undefined when the flag is not given. */
  readonly network: Choice<"default" | "none" | "host"> | undefined;
  readonly security: Choice<"sandbox" | "insecure"> | undefined;
  readonly devices: readonly Word[];
}

/** A value out of a few, and its place. */
export interface Choice<T extends string> {
  readonly value: T;
  readonly location: Location;
}

/**
 * One `--mount` of RUN. Every value is a word that variables are expanded in, but for `from`; a switch that stands without
 * a value has `true`. Blank values of names and paths count as left out. Dockerfile reference, "RUN --mount".
 */
export type RunMount = BindMount | CacheMount | TmpfsMount | SecretMount | SshMount;

interface MountCommon {
  /** What stands behind `--mount=`. */
  readonly location: Location;
  /** Left out, a bind, cache or tmpfs mount is at the working directory. */
  readonly target: Word | undefined;
}

/** Who may use what is mounted; `mode` is octal. */
interface MountOwner {
  readonly mode: Word | undefined;
  readonly uid: Word | undefined;
  readonly gid: Word | undefined;
}

/** At most one of the two is there. */
interface MountAccess {
  readonly readOnly: Word | undefined;
  readonly readWrite: Word | undefined;
}

export interface BindMount extends MountCommon, MountAccess {
  readonly type: "bind";
  readonly from: Word | undefined;
  readonly source: Word | undefined;
}

export interface CacheMount extends MountCommon, MountAccess, MountOwner {
  readonly type: "cache";
  readonly id: Word | undefined;
  readonly sharing: Word | undefined;
  /** What a new cache begins with. */
  readonly from: Word | undefined;
  readonly source: Word | undefined;
}

export interface TmpfsMount extends MountCommon {
  readonly type: "tmpfs";
  readonly size: Word | undefined;
}

export interface SecretMount extends MountCommon, MountOwner {
  readonly type: "secret";
  /** `id`, or `source`, which means the same. */
  readonly id: Word | undefined;
  readonly required: Word | undefined;
  /** The variable that the secret is given in. */
  readonly env: Word | undefined;
}

export interface SshMount extends MountCommon, MountOwner {
  readonly type: "ssh";
  readonly id: Word | undefined;
  readonly required: Word | undefined;
}

export interface CommandInstruction extends Common {
  readonly kind: "CMD" | "ENTRYPOINT";
  readonly command: Command;
}

export interface ShellInstruction extends Common {
  readonly kind: "SHELL";
  readonly words: readonly string[];
}

export interface WorkdirInstruction extends Common {
  readonly kind: "WORKDIR";
  readonly path: Word;
}

export interface UserInstruction extends Common {
  readonly kind: "USER";
  readonly user: Word;
}

export interface ExposeInstruction extends Common {
  readonly kind: "EXPOSE";
  readonly ports: readonly Word[];
}

export interface VolumeInstruction extends Common {
  readonly kind: "VOLUME";
  readonly paths: readonly Word[];
}

export interface StopSignalInstruction extends Common {
  readonly kind: "STOPSIGNAL";
  readonly signal: Word;
}

export interface MaintainerInstruction extends Common {
  readonly kind: "MAINTAINER";
  readonly name: string;
}

/** Durations in nanoseconds. */
export interface HealthcheckInstruction extends Common {
  readonly kind: "HEALTHCHECK";
  readonly check: "NONE" | Command;
  readonly interval: number | undefined;
  readonly timeout: number | undefined;
  readonly startPeriod: number | undefined;
  readonly startInterval: number | undefined;
  readonly retries: number | undefined;
}

export interface OnbuildInstruction extends Common {
  readonly kind: "ONBUILD";
  /** The trigger's text as it goes into the config, one line; heredoc bodies included where it has any. */
  readonly trigger: string;
  /** The trigger, parsed. */
  readonly instruction: Instruction;
}

export type Instruction =
  | FromInstruction
  | ArgInstruction
  | EnvInstruction
  | LabelInstruction
  | CopyInstruction
  | RunInstruction
  | CommandInstruction
  | ShellInstruction
  | WorkdirInstruction
  | UserInstruction
  | ExposeInstruction
  | VolumeInstruction
  | StopSignalInstruction
  | MaintainerInstruction
  | HealthcheckInstruction
  | OnbuildInstruction;

/** One FROM and what follows it. */
export interface Stage {
  /** From 0. */
  readonly index: number;
  readonly from: FromInstruction;
  readonly instructions: readonly Instruction[];
}

/** A whole Dockerfile. */
export interface Dockerfile {
  readonly file: string;
  readonly source: string;
  readonly directives: {
    readonly syntax: Word | undefined;
    /** `\` unless told otherwise. */
    readonly escape: "\\" | "`";
    readonly check: Word | undefined;
  };
  /** ARGs before the first FROM. */
  readonly globalArguments: readonly ArgInstruction[];
  readonly stages: readonly Stage[];
  readonly warnings: readonly ParseWarning[];
}

/** Something that is taken though it is most likely not what was meant; the checks tell it (`checks/parse-warnings.ts`). */
export interface ParseWarning {
  readonly code: "BlankCommand" | "InvalidJSONForm" | "UnusedFlag";
  readonly message: string;
  readonly location: Location;
}
