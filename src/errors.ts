/** A place in a file that a person wrote. `line` and `column` count from 1; `column` counts characters. */
export interface Location {
  /** The file's name as the user gave it, for instance `Dockerfile` or `docker/web.Dockerfile`. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Where the marked text ends, exclusive; absent when only a point is known. */
  readonly end?: { readonly line: number; readonly column: number };
}

/**
 * What went wrong, for programs. The prefix decides the exit status:
 *
 * - `build.*` the Dockerfile, the context or a step: mend the input (exit 1)
 * - `usage.*` the command line (exit 2)
 * - `registry.*` a registry or the network: a retry may help (exit 3)
 * - `machine.*` this machine cannot do what was asked: disk full, store not writable, no sandbox (exit 4)
 * - `interrupted` (exit 130)
 * - `internal.*` a defect of kbuild itself (exit 1)
 */
export type ErrorCode =
  | `build.${string}`
  | `usage.${string}`
  | `registry.${string}`
  | `machine.${string}`
  | `internal.${string}`
  | "interrupted";

/** Further facts of an error; every member is optional. */
export interface ErrorDetails {
  readonly location?: Location | undefined;
  /** The text of the file that `location` names, so that the lines can be shown. */
  readonly source?: string | undefined;
  /** One sentence that tells the reader what to do about it. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/** The one class of error that kbuild throws. The message is one sentence for a person, without a place or a hint. */
export class KbuildError extends Error {
  override readonly name = "KbuildError";
  readonly code: ErrorCode;
  readonly location: Location | undefined;
  readonly source: string | undefined;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.location = details.location;
    this.source = details.source;
    this.hint = details.hint;
  }

  /** The process exit status that this error asks for. */
  get exitStatus(): number {
    return exitStatusOf(this.code);
  }

  /** The same error, said of something: `subject: message`. */
  about(subject: string): KbuildError {
    return new KbuildError(this.code, `${subject}: ${this.message}`, this);
  }

  /** The same error with facts added that it does not have yet; what it has is kept. */
  with(details: ErrorDetails): KbuildError {
    return new KbuildError(this.code, this.message, {
      location: this.location ?? details.location,
      source: this.source ?? details.source,
      hint: this.hint ?? details.hint,
      cause: this.cause ?? details.cause,
    });
  }
}

/** The only place where exit statuses are decided. */
function exitStatusOf(code: ErrorCode): number {
  if (code === "interrupted") return 130;
  switch (code.slice(0, code.indexOf("."))) {
    case "usage":
      return 2;
    case "registry":
      return 3;
    case "machine":
      return 4;
    default:
      return 1;
  }
}
