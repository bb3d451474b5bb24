/** A terminal that understands what the renderers write: to see what a person sees. */
export class Screen {
  readonly columns: number;
  readonly rows: number;
  /** All lines, those that scrolled out first. */
  readonly #lines: string[] = [""];
  #row = 0;
  #column = 0;
  isCursorVisible = true;
  /** The highest row that the cursor may reach: what is above has scrolled out. */
  get #top(): number {
    return Math.max(0, this.#lines.length - this.rows);
  }

  constructor(columns: number, rows: number) {
    this.columns = columns;
    this.rows = rows;
  }

  write(text: string): void {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the codes of terminals
    for (const [piece, code] of text.matchAll(/\u001b\[([?\d;]*[A-Za-z])|[\s\S]/gu)) {
      if (code !== undefined) this.#obey(code);
      else if (piece === "\n") this.#feed();
      else if (piece === "\r") this.#column = 0;
      else this.#put(piece);
    }
  }

  /** What was written, without the spaces at the ends of lines. */
  get text(): string {
    return this.#lines.map((line) => line.trimEnd()).join("\n");
  }

  #feed(): void {
    this.#row += 1;
    this.#column = 0;
    if (this.#row >= this.#lines.length) this.#lines.push("");
  }

  #put(character: string): void {
    if (this.#column >= this.columns) this.#feed();
    const line = [...(this.#lines[this.#row] ?? "").padEnd(this.#column)];
    line[this.#column] = character;
    this.#lines[this.#row] = line.join("");
    this.#column += 1;
  }

  #obey(code: string): void {
    const count = Number.parseInt(code, 10) || 1;
    if (code === "?25l") this.isCursorVisible = false;
    else if (code === "?25h") this.isCursorVisible = true;
    else if (code.endsWith("A")) this.#row = Math.max(this.#top, this.#row - count);
    else if (code === "K") {
      // Behind a full line the cursor still stands on its last column, which is erased then.
      this.#lines[this.#row] = (this.#lines[this.#row] ?? "").slice(0, Math.min(this.#column, this.columns - 1));
    } else if (code === "J") {
      this.#lines.length = this.#row + 1;
      this.#lines[this.#row] = (this.#lines[this.#row] ?? "").slice(0, this.#column);
    } else if (!code.endsWith("m")) throw new Error(`a code that no renderer should write: ${code}`);
  }
}
