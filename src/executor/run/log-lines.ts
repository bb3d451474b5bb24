import type { StepReporter } from "../emitter.ts";

/** A line that does not end is handed out in pieces of this many characters, so that it cannot fill the memory. */
const LONGEST_LINE = 1024 * 1024;
/** Shorter secrets are too likely to be a part of something else: `a` would blacken half of a log. */
const SHORTEST_MASKED = 4;

/**
 * Makes whole lines of what a process prints, each stream for itself, and hands them out as they are complete. What
 * stands in a secret is replaced by stars.
 */
export class LogLines {
  readonly #reporter: Pick<StepReporter, "log">;
  readonly #secrets: readonly string[];
  readonly #streams = { stdout: new LineSplitter(), stderr: new LineSplitter() };

  /** `secrets`: values that must not be seen; of one with several lines each line. */
  constructor(reporter: Pick<StepReporter, "log">, secrets: readonly string[]) {
    this.#reporter = reporter;
    this.#secrets = secrets
      .flatMap((secret) => secret.split(/\r?\n/))
      .map((line) => line.trim())
      .filter((line) => line.length >= SHORTEST_MASKED)
      .sort((left, right) => right.length - left.length);
  }

  push(stream: "stdout" | "stderr", bytes: Buffer): void {
    this.#streams[stream].push(bytes, (line) => this.#reporter.log(stream, this.#masked(line)));
  }

  /** The process has ended: what is left is a line without an end. */
  end(): void {
    for (const stream of ["stdout", "stderr"] as const) {
      this.#streams[stream].end((line) => this.#reporter.log(stream, this.#masked(line)));
    }
  }

  #masked(line: string): string {
    let masked = line;
    for (const secret of this.#secrets) if (masked.includes(secret)) masked = masked.replaceAll(secret, "***");
    return masked;
  }
}

/** Splits at line ends; bytes that are no UTF-8 become the replacement character, also where pieces meet. */
class LineSplitter {
  readonly #decoder = new TextDecoder();
  #rest = "";

  push(bytes: Buffer, take: (line: string) => void): void {
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) take(withoutReturn(line));
    for (; this.#rest.length > LONGEST_LINE; this.#rest = this.#rest.slice(LONGEST_LINE)) {
      take(this.#rest.slice(0, LONGEST_LINE));
    }
  }

  end(take: (line: string) => void): void {
    const rest = this.#rest + this.#decoder.decode();
    this.#rest = "";
    if (rest !== "") take(withoutReturn(rest));
  }
}

function withoutReturn(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}
