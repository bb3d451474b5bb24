import { faultAt, type Place } from "../source.ts";
import { InterpolationFault, interpolate, type Lookup } from "./interpolate.ts";
import type { Member, Tree } from "./yaml.ts";

/** Reads values of a compose file, with variables replaced. */
export class Reader {
  readonly lookup: Lookup;
  readonly #unset: (name: string) => void;

  constructor(lookup: Lookup, unset: (name: string) => void) {
    this.lookup = lookup;
    this.#unset = unset;
  }

  /** Undefined for null, which is as if nothing were there. */
  text(tree: Tree, what: string): string | undefined {
    if (tree.kind !== "plain") throw faultAt(tree.place, `${what} must be a string`);
    if (tree.value === null) return undefined;
    if (typeof tree.value !== "string") return String(tree.value);
    try {
      return interpolate(tree.value, this.lookup, this.#unset);
    } catch (error) {
      if (error instanceof InterpolationFault) throw faultAt(tree.place, error.message);
      throw error;
    }
  }

  boolean(tree: Tree, what: string): boolean | undefined {
    const text = this.text(tree, what);
    if (text === undefined) return undefined;
    if (/^(?:true|yes|y|on|1)$/i.test(text)) return true;
    if (/^(?:false|no|n|off|0)$/i.test(text)) return false;
    throw faultAt(tree.place, `${what} must be true or false`);
  }

  members(tree: Tree, what: string): ReadonlyMap<string, Member> {
    if (tree.kind === "map") return tree.members;
    if (tree.kind === "plain" && tree.value === null) return new Map();
    throw faultAt(tree.place, `${what} must be a map`);
  }

  /** A list, or one value alone. */
  items(tree: Tree, what: string): readonly Tree[] {
    if (tree.kind === "list") return tree.items;
    if (tree.kind === "plain") return tree.value === null ? [] : [tree];
    throw faultAt(tree.place, `${what} must be a list`);
  }

  texts(tree: Tree, what: string): string[] {
    return this.items(tree, what).flatMap((item) => this.text(item, what) ?? []);
  }

  /** `NAME: VALUE`, or a list of `NAME=VALUE`; a name alone has no value. */
  pairs(tree: Tree, what: string, separators = "="): (readonly [string, string | undefined, Place])[] {
    if (tree.kind === "map") {
      return [...tree.members].map(
        ([name, { value, place }]) => [name, this.text(value, `${what}.${name}`), place] as const,
      );
    }
    return this.items(tree, what).flatMap((item): (readonly [string, string | undefined, Place])[] => {
      const text = this.text(item, what);
      if (text === undefined) return [];
      const at = [...text].findIndex((one) => separators.includes(one));
      return at < 0 ? [[text, undefined, item.place]] : [[text.slice(0, at), text.slice(at + 1), item.place]];
    });
  }
}
