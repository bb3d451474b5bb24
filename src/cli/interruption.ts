import { KbuildError } from "../api.ts";

const NUMBERS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGPIPE: 13, SIGTERM: 15 };
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

  /** What interrupted the work has; by the shell's convention 128 and the signal's number, so 130 for Ctrl-C. */
  get exitStatus(): number | undefined {
    return this.#by === undefined ? undefined : 128 + (NUMBERS[this.#by] ?? 0);
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
