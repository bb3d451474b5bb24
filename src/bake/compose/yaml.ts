import type { Node } from "yaml";
import { faultAt, type Place, type Source } from "../source.ts";

/** A YAML document with places, aliases followed. */
export type Tree =
  | { readonly kind: "plain"; readonly value: string | number | boolean | null; readonly place: Place }
  | { readonly kind: "list"; readonly items: readonly Tree[]; readonly place: Place }
  | { readonly kind: "map"; readonly members: ReadonlyMap<string, Member>; readonly place: Place };

export interface Member {
  /** Of the name. */
  readonly place: Place;
  readonly value: Tree;
}

/** What is larger once aliases are followed is refused. */
const MOST_NODES = 100_000;
const DEEPEST = 100;

/**
 * Reads a YAML file. YAML 1.2, with the merge keys (`<<`) of 1.1. The library is loaded by the first that is read.
 *
 * @throws KbuildError `build.bake`
 */
export async function parseYaml(source: Source): Promise<Tree> {
  const { isAlias, isMap, isScalar, isSeq, parseDocument } = await import("yaml");
  const document = parseDocument(source.text, { prettyErrors: false, uniqueKeys: true });
  const [error] = document.errors;
  if (error !== undefined) {
    const [from, to] = error.pos;
    throw faultAt({ source, from, to }, `this is no YAML: ${error.message}`);
  }
  let nodes = 0;
  const read = (node: unknown, depth: number, around: Place): Tree => {
    nodes += 1;
    if (nodes > MOST_NODES || depth > DEEPEST) throw faultAt(around, "this document is too large");
    const place = placeOf(node, source) ?? around;
    if (isAlias(node)) return read(node.resolve(document), depth + 1, place);
    if (isMap(node)) {
      const members = new Map<string, Member>();
      for (const { key, value } of node.items) {
        const name = String(isScalar(key) ? key.value : key);
        const at = placeOf(key, source) ?? place;
        if (name === "<<") {
          for (const [merged, member] of mergedMembers(read(value, depth + 1, at))) {
            if (!members.has(merged)) members.set(merged, member);
          }
        } else {
          members.set(name, { place: at, value: read(value, depth + 1, at) });
        }
      }
      return { kind: "map", members, place };
    }
    if (isSeq(node)) return { kind: "list", items: node.items.map((item) => read(item, depth + 1, place)), place };
    const value = isScalar(node) ? exact(node.value, node.source) : null;
    const isPlain = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
    return { kind: "plain", value: isPlain ? value : null, place };
  };
  return read(document.contents, 0, { source, from: 0, to: 0 });
}

/** A number that a double cannot hold stays as it is written. */
function exact(value: unknown, source: string | undefined): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value) || source === undefined) return value;
  return Number.isInteger(value) || !Number.isFinite(value) ? source : value;
}

/** What a `<<` brings in: of a list of maps, earlier ones count more. */
function mergedMembers(tree: Tree): (readonly [string, Member])[] {
  if (tree.kind === "map") return [...tree.members];
  if (tree.kind === "list") return tree.items.flatMap(mergedMembers);
  throw faultAt(tree.place, "<< needs a map");
}

function placeOf(node: unknown, source: Source): Place | undefined {
  const range = (node as Node | null | undefined)?.range;
  return range ? { source, from: range[0], to: range[1] } : undefined;
}
