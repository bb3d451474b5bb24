import { encodePath } from "./path-bytes.ts";

// biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII
const ASCII = /^[\u0000-\u007f]*$/;

/** A string that compares with `<` as the paths' bytes do in tree order (`/` lower than every other byte). */
export function treeOrderKey(path: string): string {
  const bytes = ASCII.test(path) ? path : encodePath(path).toString("latin1");
  return bytes.replaceAll("/", "\0");
}

/** Sorts in tree order; the array itself is not changed. What is in order already, as it mostly is, takes no keys. */
export function sortInTreeOrder<T>(items: readonly T[], path: (item: T) => string): T[] {
  if (isInTreeOrder(items, path)) return [...items];
  const keyed = items.map((item) => ({ item, key: treeOrderKey(path(item)) }));
  keyed.sort((left, right) => (left.key < right.key ? -1 : left.key > right.key ? 1 : 0));
  return keyed.map(({ item }) => item);
}

function isInTreeOrder<T>(items: readonly T[], path: (item: T) => string): boolean {
  let last = "";
  for (const item of items) {
    const key = treeOrderKey(path(item));
    if (key < last) return false;
    last = key;
  }
  return true;
}

/** The number of the item with this path in a list of `length` in tree order, or -1. */
export function findInTreeOrder(length: number, pathAt: (index: number) => string, path: string): number {
  const wanted = treeOrderKey(path);
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (treeOrderKey(pathAt(middle)) < wanted) low = middle + 1;
    else high = middle;
  }
  return low < length && pathAt(low) === path ? low : -1;
}
