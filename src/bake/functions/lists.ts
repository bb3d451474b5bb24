import { setOf } from "../types.ts";
import { areEqual, isList, isMap, kindOf, mapOf, toList, toMap, toNumber, toText, type Value } from "../values.ts";
import { type CallSite, type FunctionTable, given, taking, takingMany, textOf, wrong } from "./function.ts";

/** Longer lists are refused: they come of a mistake, or of malice. */
const LONGEST = 100_000;

function listOf(values: readonly Value[], number: number, site: CallSite): readonly Value[] {
  return toList(given(values, number), site.operand(number));
}

function listsOf(values: readonly Value[], site: CallSite): (readonly Value[])[] {
  return values.map((_, number) => listOf(values, number, site));
}

function wholeNumber(values: readonly Value[], number: number, site: CallSite): number {
  const found = toNumber(given(values, number), site.operand(number));
  if (!Number.isInteger(found)) throw wrong(site, number, "a whole number is needed here");
  return found;
}

function flat(list: readonly Value[]): Value[] {
  return list.flatMap((member) => (isList(member) ? flat(member) : [member]));
}

const has = (list: readonly Value[], value: Value): boolean => list.some((member) => areEqual(member, value));

function lengthOf(value: Value, site: CallSite): number {
  if (isList(value)) return value.length;
  if (isMap(value)) return value.size;
  throw wrong(
    site,
    0,
    `${kindOf(value)} has no length`,
    typeof value === "string" ? "strlen tells that of a string" : undefined,
  );
}

function find(collection: Value, key: Value, site: CallSite): Value | undefined {
  if (isMap(collection)) return collection.get(toText(key, site.operand(1)));
  if (isList(collection)) return collection[toNumber(key, site.operand(1))];
  throw wrong(site, 0, `a list or an object is needed here, and this is ${kindOf(collection)}`);
}

/** The numbers from a start to a limit, which is not one of them. */
function range(numbers: readonly number[], site: CallSite): number[] {
  const [first = 0, second] = numbers;
  const [start, limit] = second === undefined ? [0, first] : [first, second];
  const step = numbers[2] ?? (limit < start ? -1 : 1);
  if (step === 0 || (limit > start && step < 0) || (limit < start && step > 0)) {
    throw wrong(site, 2, `with steps of ${step} there is no way from ${start} to ${limit}`);
  }
  const count = Math.max(0, Math.ceil((limit - start) / step));
  if (count > 1024) throw wrong(site, 0, "a range has at most 1024 numbers");
  return Array.from({ length: count }, (_, number) => start + number * step);
}

function product(lists: readonly (readonly Value[])[], site: CallSite): Value[] {
  const count = lists.reduce((sum, list) => sum * list.length, 1);
  if (count > LONGEST) throw wrong(site, 0, `${count} combinations are too many`);
  return lists.reduce<Value[][]>(
    (found, list) => found.flatMap((start) => list.map((member) => [...start, member])),
    [[]],
  );
}

export const LIST_FUNCTIONS: FunctionTable = {
  length: taking(1, 1, (values, site) => lengthOf(given(values, 0), site)),
  concat: takingMany(1, (values, site) => listsOf(values, site).flat()),
  contains: taking(2, 2, (values, site) => has(listOf(values, 0, site), given(values, 1))),
  coalesce: takingMany(1, (values, site) => {
    const found = values.find((value) => value !== null);
    if (found === undefined) throw wrong(site, 0, "coalesce finds nothing but null");
    return found;
  }),
  coalescelist: takingMany(1, (values, site) => {
    const found = listsOf(values, site).find((list) => list.length > 0);
    if (found === undefined) throw wrong(site, 0, "coalescelist finds nothing but empty lists");
    return found;
  }),
  chunklist: taking(2, 2, (values, site) => {
    const list = listOf(values, 0, site);
    const size = wholeNumber(values, 1, site);
    if (size < 0) throw wrong(site, 1, "a size is at least 0");
    if (size === 0) return [list];
    return Array.from({ length: Math.ceil(list.length / size) }, (_, chunk) =>
      list.slice(chunk * size, (chunk + 1) * size),
    );
  }),
  distinct: taking(1, 1, (values, site) => {
    const found: Value[] = [];
    for (const member of listOf(values, 0, site)) if (!has(found, member)) found.push(member);
    return found;
  }),
  element: taking(2, 2, (values, site) => {
    const list = listOf(values, 0, site);
    if (list.length === 0) throw wrong(site, 0, "an empty list has no element");
    const number = wholeNumber(values, 1, site) % list.length;
    return list[number < 0 ? number + list.length : number] ?? null;
  }),
  flatten: taking(1, 1, (values, site) => flat(listOf(values, 0, site))),
  hasindex: taking(2, 2, (values, site) => {
    const [collection = null, key = null] = values;
    const isKey = isMap(collection) ? typeof key === "string" : typeof key === "number";
    return isKey && find(collection, key, site) !== undefined;
  }),
  index: taking(2, 2, (values, site) => {
    const found = find(given(values, 0), given(values, 1), site);
    if (found === undefined) throw wrong(site, 1, "there is no member with this key");
    return found;
  }),
  indexof: taking(2, 2, (values, site) => {
    const found = listOf(values, 0, site).findIndex((member) => areEqual(member, given(values, 1)));
    if (found < 0) throw wrong(site, 1, "this is not in the list");
    return found;
  }),
  keys: taking(1, 1, (values, site) => [...toMap(given(values, 0), site.operand(0)).keys()]),
  values: taking(1, 1, (values, site) => [...toMap(given(values, 0), site.operand(0)).values()]),
  lookup: taking(2, 3, (values, site) => {
    const found = toMap(given(values, 0), site.operand(0)).get(textOf(values, 1, site)) ?? values[2];
    if (found === undefined) throw wrong(site, 1, "there is no member with this key, and nothing to take instead");
    return found;
  }),
  merge: takingMany(0, (values, site) =>
    mapOf(values.flatMap((value, number) => (value === null ? [] : [...toMap(value, site.operand(number))]))),
  ),
  range: taking(1, 3, (values, site) =>
    range(
      values.map((value, number) => toNumber(value, site.operand(number))),
      site,
    ),
  ),
  reverselist: taking(1, 1, (values, site) => [...listOf(values, 0, site)].reverse()),
  slice: taking(3, 3, (values, site) => {
    const list = listOf(values, 0, site);
    const [from, to] = [wholeNumber(values, 1, site), wholeNumber(values, 2, site)];
    if (from < 0 || to < from || to > list.length) {
      throw wrong(site, 1, `a list of ${list.length} has no members from ${from} to ${to}`);
    }
    return list.slice(from, to);
  }),
  zipmap: taking(2, 2, (values, site) => {
    const [keys, members] = [listOf(values, 0, site), listOf(values, 1, site)];
    if (keys.length !== members.length) throw wrong(site, 1, `${keys.length} keys need as many values`);
    return mapOf(keys.map((key, number) => [toText(key, site.operand(0)), members[number] ?? null] as const));
  }),
  sethaselement: taking(2, 2, (values, site) => has(listOf(values, 0, site), given(values, 1))),
  setunion: takingMany(1, (values, site) => setOf(listsOf(values, site).flat())),
  setintersection: takingMany(1, (values, site) => {
    const [first = [], ...others] = listsOf(values, site);
    return setOf(first.filter((member) => others.every((list) => has(list, member))));
  }),
  setsubtract: taking(2, 2, (values, site) => {
    const [first = [], second = []] = listsOf(values, site);
    return setOf(first.filter((member) => !has(second, member)));
  }),
  setsymmetricdifference: takingMany(1, (values, site) =>
    listsOf(values, site).reduce((a, b) =>
      setOf([...a.filter((member) => !has(b, member)), ...b.filter((member) => !has(a, member))]),
    ),
  ),
  setproduct: takingMany(2, (values, site) => product(listsOf(values, site), site)),
};
