import { KbuildError } from "../api.ts";

/** Of whatever interrupted the work: a script need not tell Ctrl-C from a runner that is stopped. */
const EXIT_STATUS = 130;
const HANDLED = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Turns signals into an AbortSignal. The first asks the work to stop and clean up; the second ends the process at once.
 * Handlers are installed when the signal is first asked for, so that a command without any work just ends.
 */
export class Interruption {
  #controller: AbortController | undefined;
  #by: string | undefined;
  readonly #handler = (name: string): void => this.interrupt(name);

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      for (const name of HANDLED) process.on(name, this.#handler);
    }
    return this.#controller.signal;
  }

  /** Absent while nothing has interrupted the work. */
  get exitStatus(): number | undefined {
    return this.#by === undefined ? undefined : EXIT_STATUS;
  }

  /** Takes the handlers away again. */
  release(): void {
    for (const name of HANDLED) process.off(name, this.#handler);
  }

  interrupt(by: string): void {
    const isSecond = this.#by !== undefined && by !== "SIGPIPE";
    this.#by ??= by;
    if (isSecond || this.#controller === undefined) process.exit(this.exitStatus);
    this.#controller.abort(new KbuildError("interrupted", "interrupted"));
  }
}
