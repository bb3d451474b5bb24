import { encodePath } from "./path-bytes.ts";

// biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII
const ASCII = /^[\u0000-\u007f]*$/;

/** A string that compares with `<` as the paths' bytes do in tree order (`/` lower than every other byte). */
export function treeOrderKey(path: string): string {
  const bytes = ASCII.test(path) ? path : encodePath(path).toString("latin1");
  return bytes.replaceAll("/", "\0");
}

/** Sorts in tree order; the array itself is not changed. */
export function sortInTreeOrder<T>(items: readonly T[], path: (item: T) => string): T[] {
  const keyed = items.map((item) => ({ item, key: treeOrderKey(path(item)) }));
  keyed.sort((left, right) => (left.key < right.key ? -1 : left.key > right.key ? 1 : 0));
  return keyed.map(({ item }) => item);
}
