/** Paints text for a terminal, or leaves it as it is. */
export interface Paint {
  error(text: string): string;
  finished(text: string): string;
  running(text: string): string;
  warning(text: string): string;
  dim(text: string): string;
  bold(text: string): string;
}

const plainly = (text: string): string => text;

export const noPaint: Paint = {
  error: plainly,
  finished: plainly,
  running: plainly,
  warning: plainly,
  dim: plainly,
  bold: plainly,
};

const code =
  (on: string, off = "39") =>
  (text: string): string =>
    text === "" ? "" : `\u001b[${on}m${text}\u001b[${off}m`;

const paint: Paint = {
  error: code("31"),
  finished: code("34"),
  running: code("36"),
  warning: code("33"),
  dim: code("2", "22"),
  bold: code("1", "22"),
};

/** Colours for a stream, where they are wanted: `NO_COLOR` and `FORCE_COLOR` decide, then whether it is a terminal. */
export function paintFor(isTerminal: boolean, env: Readonly<Record<string, string | undefined>>): Paint {
  if (env.NO_COLOR) return noPaint;
  const forced = env.FORCE_COLOR;
  if (forced !== undefined && forced !== "") return forced === "0" || forced === "false" ? noPaint : paint;
  return isTerminal && env.TERM !== "dumb" ? paint : noPaint;
}
