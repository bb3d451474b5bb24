/** Words longer than this are not compared: nobody misspells them letter by letter, and a hostile one costs time. */
const LONGEST = 100;

/**
 * The candidate that a misspelt word was probably meant to be: within a third of its length in edits, upper and lower
 * case alike; leading dashes do not count as length. Undefined when none is near, or the word itself is a candidate.
 */
export function suggest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    if (candidate === word) return undefined;
    const allowed = Math.floor(candidate.replace(/^-+/, "").length / 3);
    const distance = edits(word, candidate, Math.min(allowed, least - 1));
    if (distance <= allowed && distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/**
 * Edits between two words: characters added, left out, changed, or two neighbours swapped (Damerau-Levenshtein, each
 * pair swapped once). Infinite when certainly above `most`.
 */
function edits(word: string, candidate: string, most: number): number {
  if (word.length > LONGEST || candidate.length > LONGEST) return Number.POSITIVE_INFINITY;
  if (Math.abs(word.length - candidate.length) > most) return Number.POSITIVE_INFINITY;
  const a = word.toLowerCase();
  const b = candidate.toLowerCase();
  let before: readonly number[] = [];
  let last: readonly number[] = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + change);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      row.push(cost);
    }
    before = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
