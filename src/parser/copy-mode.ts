import { KbuildError } from "../errors.ts";
import { shown } from "./characters.ts";

/** What `--chmod` asks for. */
export interface ModeChange {
  /** The mode itself, where it was written in octal. */
  readonly octal: number | undefined;
  /** The mode (permission and set-id bits, sticky bit) that a file or folder with `mode` gets. */
  readonly apply: (mode: number, isFolder: boolean) => number;
}

const SET_ID = 0o6000;
const STICKY = 0o1000;
const EXECUTE = 0o111;
/** What each class of users owns of a mode; the sticky bit is nobody's. */
const WHO: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o0007, a: 0o6777 };
const PERMISSIONS: Readonly<Record<string, number>> = { r: 0o444, w: 0o222, x: 0o111 };
/** How far a class's three bits are shifted. */
const SHIFT: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 };

/** One change of a mode; `original` is the mode before all changes. */
type Change = (mode: number, original: number, isFolder: boolean) => number;

/** No real mode is longer; each character costs time per file. */
const LONGEST = 1000;

/**
 * Reads the value of `--chmod`: octal (`0755`), or symbolic as chmod(1) without a umask (`u=rwX,go=rX`). As with
 * BuildKit, `X` looks at the mode before any change, and `s` and `t` mean nothing to `o`.
 * @throws KbuildError `build.chmod`
 */
export function parseMode(text: string): ModeChange {
  if (/^0*[0-7]{1,4}$/.test(text)) {
    const octal = Number.parseInt(text, 8);
    return { octal, apply: () => octal };
  }
  if (text.length > LONGEST || /^\d*$/.test(text)) throw wrong(text);
  const changes = text.split(",").flatMap((clause) => parseClause(text, clause));
  return {
    octal: undefined,
    apply: (mode, isFolder) => changes.reduce((current, change) => change(current, mode, isFolder), mode),
  };
}

/** `ugo+rwx`, perhaps with several operators: `u=rw-x`. */
function parseClause(text: string, clause: string): Change[] {
  const match = /^([ugoa]*)((?:[-+=][rwxXstugo]*)+)$/.exec(clause);
  if (match === null) throw wrong(text);
  const [, classes = "", actions = ""] = match;
  const who = [...classes].reduce((bits, letter) => bits | (WHO[letter] ?? 0), 0);
  return [...actions.matchAll(/([-+=])([^-+=]*)/g)].flatMap(([, operator = "", letters = ""]) =>
    parseAction(who, operator, letters),
  );
}

/** One operator with its permissions. `=` clears only once, however many permissions follow. */
function parseAction(named: number, operator: string, letters: string): Change[] {
  const changes: Change[] = [];
  let who = named;
  let bits = 0;
  let isCleared = operator !== "=";
  let hasConditional = false;
  const set = (set: number): Change => {
    const allowed = set & (who === 0 ? 0o7777 : who);
    return operator === "-" ? (mode) => mode & ~allowed : (mode) => mode | allowed;
  };
  const clear = (): void => {
    const cleared = who === 0 ? (WHO.a ?? 0) : who;
    changes.push((mode) => mode & ~cleared);
    isCleared = true;
  };
  /** `X` counts after the permissions before it. */
  const flushConditional = (): void => {
    if (!hasConditional) return;
    const change = set(EXECUTE);
    changes.push((mode, original, isFolder) =>
      isFolder || (original & EXECUTE) !== 0 ? change(mode, original, isFolder) : mode,
    );
    hasConditional = false;
  };
  for (const letter of letters) {
    if (letter === "X") hasConditional = true;
    else if (letter === "s") {
      if (who === 0 || (who & ~0o7) !== 0) bits |= SET_ID;
    } else if (letter === "t") {
      if (who === 0 || (who & ~0o7) !== 0) {
        who |= STICKY;
        bits |= STICKY;
      }
    } else if (PERMISSIONS[letter] !== undefined) bits |= PERMISSIONS[letter];
    else {
      if (bits !== 0) {
        if (operator === "=") clear();
        changes.push(set(bits));
        bits = 0;
      }
      flushConditional();
      changes.push(copyOf(letter, who, operator));
      isCleared = true;
    }
  }
  if (bits !== 0 || !isCleared) {
    if (operator === "=") clear();
    changes.push(set(bits));
  }
  flushConditional();
  return changes;
}

/** `g=u`: a class's permissions become those of another. */
function copyOf(letter: string, who: number, operator: string): Change {
  const target = (who === 0 ? 0o777 : who) & 0o777;
  return (mode) => {
    const three = (mode >> (SHIFT[letter] ?? 0)) & 0o7;
    const spread = (three * 0o111) & target;
    if (operator === "+") return mode | spread;
    return operator === "-" ? mode & ~spread : (mode & ~target) | spread;
  };
}

function wrong(text: string): KbuildError {
  return new KbuildError("build.chmod", `"${shown(text)}" is not a mode`, {
    hint: "write it in octal, for instance --chmod=0755, or as chmod takes it, for instance --chmod=u=rwX,go=rX",
  });
}
