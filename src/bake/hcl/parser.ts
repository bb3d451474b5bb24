import type { KbuildError } from "../../errors.ts";
import { faultAt, type Place, type Source, span } from "../source.ts";
import { lex } from "./lexer.ts";
import type { Attribute, Block, Body } from "./syntax.ts";
import { Parser } from "./templates.ts";

/**
 * Parses a file in HCL's native syntax. HCL native syntax specification, "Structural Elements".
 *
 * @throws KbuildError `build.bake`
 */
export function parseHcl(source: Source): Body {
  return new BodyParser(lex(source)).body(undefined);
}

class BodyParser extends Parser {
  /** What stands in a block, up to its closing brace, or in the file. */
  body(open: Place | undefined): Body {
    return this.nested(open, () => {
      const attributes: Attribute[] = [];
      const blocks: Block[] = [];
      const known = new Map<string, Attribute>();
      if (open !== undefined && this.peek().kind !== "newline") return this.#oneLine(open);
      for (;;) {
        while (this.peek().kind === "newline") this.take();
        if (open === undefined ? this.peek().kind === "end" : this.isSymbol("}")) return { attributes, blocks };
        if (this.peek().kind === "end" && open !== undefined) throw faultAt(open, "this block is not closed by a }");
        const item = this.#item();
        if (this.peek().kind !== "newline" && this.peek().kind !== "end") throw this.unexpected("a new line");
        if ("type" in item) blocks.push(item);
        else {
          if (known.has(item.name)) throw faultAt(item.place, `${item.name} is given twice here`);
          known.set(item.name, item);
          attributes.push(item);
        }
      }
    });
  }

  /** A block that begins in the line of its brace has one attribute at most, and ends behind it. */
  #oneLine(open: Place): Body {
    if (this.isSymbol("}")) return { attributes: [], blocks: [] };
    if (this.peek().kind === "end") throw faultAt(open, "this block is not closed by a }");
    const item = this.#item();
    if ("type" in item) throw faultAt(item.place, "a block in a block begins on a line of its own");
    if (!this.isSymbol("}")) {
      const hint = "a block of several begins with a new line after its {";
      throw faultAt(item.place, "a block in one line has one attribute, and its } stands behind that", hint);
    }
    return { attributes: [item], blocks: [] };
  }

  #item(): Attribute | Block {
    const name = this.peek();
    if (name.kind === "template") {
      throw faultAt(name.place, "names of attributes and blocks have no quotes", 'for instance tags = ["web"]');
    }
    if (name.kind !== "identifier") throw this.unexpected("an attribute or a block");
    this.take();
    if (this.isSymbol("=")) {
      this.take();
      return { name: name.text, value: this.expression(), place: name.place };
    }
    return this.#block(name.text, name.place);
  }

  #block(type: string, place: Place): Block {
    const labels: { text: string; place: Place }[] = [];
    for (;;) {
      const token = this.peek();
      if (token.kind === "identifier") labels.push({ text: token.text, place: token.place });
      else if (token.kind === "template" && token.isQuoted) labels.push({ text: this.#label(), place: token.place });
      else break;
      if (token.kind === "identifier") this.take();
    }
    if (!this.isSymbol("{")) throw this.#noBlock(type, place, labels.length);
    const open = this.take().place;
    const body = this.body(open);
    this.take();
    return { type, labels, body, place: span(place, labels.at(-1)?.place ?? place) };
  }

  #label(): string {
    const token = this.take();
    const parts = token.kind === "template" ? token.parts : [];
    const text = parts.map((part) => (part.kind === "text" ? part.text : undefined));
    if (text.includes(undefined)) throw faultAt(token.place, "the name of a block cannot be computed");
    return text.join("");
  }

  #noBlock(type: string, place: Place, labels: number): KbuildError {
    const token = this.peek();
    if (labels === 0 && token.kind === "symbol" && token.text === ":") {
      return faultAt(token.place, `${type} needs a = and not a :`);
    }
    if (labels === 0) return faultAt(place, `${type} stands alone: an attribute has a =, and a block braces`);
    return this.unexpected("the { of a block");
  }
}
