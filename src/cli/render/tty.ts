import type { BuildEvent } from "../../api.ts";
import type { Paint } from "./colors.ts";
import { type Failure, LogTail, type RenderTarget, warningLines } from "./parts.ts";
import { cut, widthOf } from "./text.ts";
import { type Line, layout } from "./tty-layout.ts";
import { ProgressTracker } from "./tty-progress.ts";

/** Milliseconds between two frames: ten a second. */
const FRAME = 100;
const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;
const DEFAULT_LOG_LINES = 6;
const MOST_LOG_LINES = 100;

const HIDE_CURSOR = "\u001b[?25l";
const SHOW_CURSOR = "\u001b[?25h";
const ERASE_LINE = "\u001b[K";
const ERASE_BELOW = "\u001b[J";

export interface TtyTarget extends RenderTarget {
  /** Read anew for each frame, for a terminal may be resized. */
  readonly screen: { readonly columns?: number | undefined; readonly rows?: number | undefined };
  /** `BUILDKIT_TTY_LOG_LINES` says how many lines of a running step are shown. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds of some clock; default the process's. */
  readonly now?: () => number;
}

/**
 * docker's view of a build, redrawn in place. The last frame stays, with every step; below it what a failed step printed
 * and the warnings. The cursor is hidden meanwhile and comes back however it ends.
 */
export async function renderTty(events: AsyncIterable<BuildEvent>, failure: Failure, target: TtyTarget): Promise<void> {
  const { explain, env, now = () => performance.now() } = target;
  const progress = new ProgressTracker({ explain, logLines: logLinesOf(env) });
  const logs = new LogTail();
  const view = new View(target);
  const begin = now();
  const restore = (): void => view.showCursor();
  const timer = setInterval(() => view.draw(layout(progress, now() - begin, view.screen())), FRAME);
  process.on("exit", restore);
  try {
    for await (const event of events) {
      progress.take(event);
      logs.take(event);
    }
    const message = await failure;
    if (progress.outcome === "running") progress.outcome = message === undefined ? "done" : "failed";
    clearInterval(timer);
    view.draw(layout(progress, now() - begin, { ...view.screen(), rows: undefined }));
    const tail = message === undefined ? "" : logs.ofFailed();
    const warnings = warningLines(progress.warnings, target);
    if (tail !== "") target.write(tail);
    if (warnings.length > 0) target.write(`\n${warnings.join("\n")}\n`);
  } finally {
    clearInterval(timer);
    process.off("exit", restore);
    view.showCursor();
  }
}

function logLinesOf({ BUILDKIT_TTY_LOG_LINES: typed }: TtyTarget["env"]): number {
  return typed !== undefined && /^\d{1,6}$/.test(typed) ? Math.min(MOST_LOG_LINES, Number(typed)) : DEFAULT_LOG_LINES;
}

/** The lines on the terminal that are drawn over. */
class View {
  readonly #target: TtyTarget;
  /** The width of each line that is there now. */
  #drawn: readonly number[] = [];
  #isCursorHidden = false;

  constructor(target: TtyTarget) {
    this.#target = target;
  }

  screen(): { readonly columns: number; readonly rows: number } {
    const { columns, rows } = this.#target.screen;
    // The cursor stands below the last line.
    return { columns: columns || DEFAULT_COLUMNS, rows: Math.max(1, (rows || DEFAULT_ROWS) - 1) };
  }

  draw(lines: readonly Line[]): void {
    const { columns, rows } = this.screen();
    // A terminal that became narrower has wrapped what was there. What has left at the top is out of reach.
    const above = this.#drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0);
    const up = Math.min(above, rows);
    // All in one write, so that no half of a frame is seen.
    let text = this.#isCursorHidden ? "" : HIDE_CURSOR;
    if (up > 0) text += `\u001b[${up}A\r`;
    const shown = lines.map((line) => ({ ...line, text: cut(line.text, columns).trimEnd() }));
    // Erased first: behind a line that fills its row, the cursor still stands on the last column.
    for (const line of shown) text += `${ERASE_LINE}${painted(line, this.#target.paint)}\n`;
    this.#isCursorHidden = true;
    this.#target.write(`${text}${ERASE_BELOW}`);
    this.#drawn = shown.map((line) => widthOf(line.text));
  }

  showCursor(): void {
    if (this.#isCursorHidden) this.#target.write(SHOW_CURSOR);
    this.#isCursorHidden = false;
  }
}

function painted({ text, tone }: Line, paint: Paint): string {
  return tone === "plain" ? text : paint[tone](text);
}
