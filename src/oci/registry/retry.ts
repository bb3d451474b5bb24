import { setTimeout as sleep } from "node:timers/promises";
import type { KbuildError } from "../../errors.ts";
import { interrupted } from "./faults.ts";

/** How often and how long something is tried again. Times in milliseconds. */
export interface RetryPolicy {
  /** How often in all; 1 means that nothing is tried again. */
  readonly tries: number;
  /** The first wait; each further one is twice as long, and all are shortened by up to a half by chance. */
  readonly baseDelay: number;
  readonly maximumDelay: number;
  /** A server that asks for a longer wait than this is given up at once. */
  readonly maximumRetryAfter: number;
  /** All the waits together. */
  readonly totalWait: number;
}

export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  tries: 5,
  baseDelay: 300,
  maximumDelay: 10_000,
  maximumRetryAfter: 60_000,
  totalWait: 120_000,
};

/** Told before each wait, so that a user sees why nothing happens. */
export interface RetryEvent {
  /** What failed, in one sentence. */
  readonly reason: string;
  /** The try that comes next, from 2. */
  readonly attempt: number;
  readonly tries: number;
  /** Milliseconds until then. */
  readonly delay: number;
}

/** The tries that one piece of work has left. */
export class RetryBudget {
  readonly #policy: RetryPolicy;
  readonly #onRetry: ((event: RetryEvent) => void) | undefined;
  #failures = 0;
  #waited = 0;

  constructor(policy: RetryPolicy, onRetry?: (event: RetryEvent) => void) {
    this.#policy = policy;
    this.#onRetry = onRetry;
  }

  /**
   * Waits until it is time to try again.
   *
   * @param retryAfter what the server asked for, milliseconds
   * @throws the error itself when there is nothing left to try; KbuildError `interrupted` when the signal fires
   */
  async again(error: KbuildError, signal: AbortSignal | undefined, retryAfter = 0): Promise<void> {
    const { tries, baseDelay, maximumDelay, maximumRetryAfter, totalWait } = this.#policy;
    this.#failures += 1;
    if (this.#failures >= tries) throw error;
    const backOff = Math.min(baseDelay * 2 ** (this.#failures - 1), maximumDelay) * (0.5 + Math.random() / 2);
    const delay = Math.ceil(Math.max(backOff, retryAfter));
    if (retryAfter > maximumRetryAfter || this.#waited + delay > totalWait) throw error;
    this.#waited += delay;
    this.#onRetry?.({ reason: error.message, attempt: this.#failures + 1, tries, delay });
    try {
      await sleep(delay, undefined, signal === undefined ? {} : { signal });
    } catch {
      throw interrupted(signal?.reason);
    }
  }

  /** There was progress: the tries count from the start again. The waits do not, so that it ends some day. */
  progressed(): void {
    this.#failures = 0;
  }
}

/** RFC 9110, "Retry-After": seconds or a date, as milliseconds from now; 0 when there is none that makes sense. */
export function parseRetryAfter(value: string | undefined, now: number = Date.now()): number {
  const text = value?.trim() ?? "";
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  if (!/^[A-Za-z]{3}/.test(text)) return 0;
  const date = Date.parse(text);
  return Number.isNaN(date) ? 0 : Math.max(date - now, 0);
}
