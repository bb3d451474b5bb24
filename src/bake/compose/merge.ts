import { faultAt } from "../source.ts";
import type { Member, Tree } from "./yaml.ts";

/** Lists of these are maps that are written as lists. */
const PAIRS = new Set(["args", "labels", "environment", "additional_contexts"]);

/**
 * A later file on top of an earlier one: maps member by member, lists one behind the other, and all else replaced. Compose
 * specification, "Merge".
 */
export function mergedTrees(before: Tree, after: Tree, name = ""): Tree {
  if (after.kind === "plain" && after.value === null) return before;
  const [first, second] = [named(before, name), named(after, name)];
  if (first.kind === "list" && second.kind === "list") {
    return { ...second, items: [...first.items, ...second.items] };
  }
  if (first.kind !== "map" || second.kind !== "map") return second;
  const members = new Map<string, Member>(first.members);
  for (const [key, { place, value }] of second.members) {
    const known = members.get(key);
    members.set(key, { place, value: known === undefined ? value : mergedTrees(known.value, value, key) });
  }
  return { ...second, members };
}

/** What has a short form is brought into its long one. */
function named(tree: Tree, name: string): Tree {
  if (name === "build" && tree.kind === "plain" && tree.value !== null) {
    return { kind: "map", members: new Map([["context", { place: tree.place, value: tree }]]), place: tree.place };
  }
  if (!PAIRS.has(name) || tree.kind !== "list") return tree;
  const members = new Map<string, Member>();
  for (const item of tree.items) {
    if (item.kind !== "plain") throw faultAt(item.place, `${name} must be a list of strings`);
    const text = String(item.value ?? "");
    const at = text.indexOf("=");
    const value: Tree = { kind: "plain", value: at < 0 ? null : text.slice(at + 1), place: item.place };
    members.set(at < 0 ? text : text.slice(0, at), { place: item.place, value });
  }
  return { kind: "map", members, place: tree.place };
}

/** What a service takes over from another one by `extends`. */
export function extended(services: ReadonlyMap<string, Member>, name: string, way: readonly string[] = []): Tree {
  const service = services.get(name);
  if (service === undefined) throw new RangeError(`no service ${name}`);
  if (service.value.kind !== "map") return service.value;
  const given = service.value.members.get("extends");
  if (given === undefined) return service.value;
  const { value, place } = given;
  const file = value.kind === "map" ? value.members.get("file") : undefined;
  if (file !== undefined) {
    throw faultAt(file.place, "extends with a file is not supported", "name both files on the command line: -f");
  }
  const wanted = value.kind === "map" ? value.members.get("service")?.value : value;
  const base = wanted?.kind === "plain" && typeof wanted.value === "string" ? wanted.value : undefined;
  if (base === undefined) throw faultAt(place, "extends needs the name of a service");
  if (!services.has(base)) throw faultAt(value.place, `there is no service ${base}`);
  if (base === name || way.includes(base)) {
    throw faultAt(value.place, `the service ${base} extends itself: ${[...way, name, base].join(" -> ")}`);
  }
  return mergedTrees(extended(services, base, [...way, name]), service.value);
}
