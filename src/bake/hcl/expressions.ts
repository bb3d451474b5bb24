import { faultAt, type Place, span } from "../source.ts";
import type { TemplatePart } from "./lexer.ts";
import { numberOf } from "./numbers.ts";
import { type BinaryOperator, type Expression, type ObjectItem, SPLAT, type TemplateNode } from "./syntax.ts";
import { TokenReader } from "./tokens.ts";

/** Weakest first. HCL native syntax specification, "Operations". */
const PRECEDENCE: readonly (readonly BinaryOperator[])[] = [
  ["||"],
  ["&&"],
  ["==", "!="],
  ["<", ">", "<=", ">="],
  ["+", "-"],
  ["*", "/", "%"],
];

/** Reads expressions from tokens by recursive descent. Templates hold expressions themselves: `templates.ts` reads them. */
export abstract class ExpressionParser extends TokenReader {
  /** What the parts of a template mean, so deep inside of others. */
  protected abstract template(
    parts: readonly TemplatePart[],
    depth: number,
    unindents: boolean,
  ): readonly TemplateNode[];

  expression(): Expression {
    return this.nested(this.peek().place, () => this.#conditional(), this.isInBrackets);
  }

  #conditional(): Expression {
    const condition = this.#binary(0);
    if (!this.isSymbol("?")) return condition;
    this.take();
    const yes = this.expression();
    this.expect(":", "the : of a condition");
    const no = this.expression();
    return { kind: "conditional", condition, yes, no, place: span(condition.place, no.place) };
  }

  #binary(level: number): Expression {
    const operators = PRECEDENCE[level];
    if (operators === undefined) return this.#unary();
    let left = this.#binary(level + 1);
    for (;;) {
      const token = this.peek();
      const operator = operators.find((one) => token.kind === "symbol" && token.text === one);
      if (operator === undefined) return left;
      this.take();
      const right = this.#binary(level + 1);
      left = { kind: "binary", operator, left, right, place: span(left.place, right.place) };
    }
  }

  #unary(): Expression {
    if (!this.isSymbol("-", "!")) return this.#traversal();
    const token = this.take();
    const operand = this.nested(token.place, () => this.#unary(), this.isInBrackets);
    const operator = token.text === "-" ? "-" : "!";
    return { kind: "unary", operator, operand, place: span(token.place, operand.place) };
  }

  #traversal(): Expression {
    return this.#steps(this.#term());
  }

  /** `.name`, `[key]`, and splats. HCL native syntax specification, "Index Operator", "Splat Operators". */
  #steps(start: Expression): Expression {
    let found = start;
    for (;;) {
      if (this.isSymbol(".")) {
        this.take();
        const token = this.peek();
        if (this.isSymbol("*")) return this.#splat(found, token.place, false);
        if (token.kind === "number") found = this.#numbers(found);
        else {
          if (token.kind !== "identifier") throw this.unexpected("a name");
          this.take();
          found = { kind: "attribute", of: found, name: token.text, place: span(found.place, token.place) };
        }
      } else if (this.isSymbol("[")) {
        const open = this.take().place;
        if (this.isSymbol("*")) return this.#splat(found, open, true);
        const key = this.nested(open, () => this.expression(), true);
        const close = this.close("]", open);
        found = { kind: "index", of: found, key, place: span(found.place, close) };
      } else {
        return found;
      }
    }
  }

  /** `.0`, and `.0.1` whose numbers look like one. */
  #numbers(of: Expression): Expression {
    const token = this.take();
    let found = of;
    for (const digits of token.text.split(".")) {
      if (!/^\d+$/.test(digits)) throw faultAt(token.place, "an index is a whole number");
      const key: Expression = { kind: "literal", value: Number(digits), place: token.place };
      found = { kind: "index", of: found, key, place: span(of.place, token.place) };
    }
    return found;
  }

  #splat(of: Expression, open: Place, isFull: boolean): Expression {
    this.take();
    const close = isFull ? this.close("]", open) : open;
    const member: Expression = { kind: "variable", name: SPLAT, place: close };
    const rest = isFull ? this.#steps(member) : this.#names(member);
    return { kind: "splat", of, rest, place: span(of.place, rest.place) };
  }

  /** After `.*` only names are of each member. */
  #names(start: Expression): Expression {
    let found = start;
    while (this.isSymbol(".")) {
      this.take();
      const token = this.take();
      if (token.kind !== "identifier") throw faultAt(token.place, "only names can follow .*");
      found = { kind: "attribute", of: found, name: token.text, place: token.place };
    }
    return found;
  }

  #term(): Expression {
    const token = this.peek();
    switch (token.kind) {
      case "number":
        this.take();
        return { kind: "literal", value: numberOf(token.text, token.place), place: token.place };
      case "template":
        this.take();
        return {
          kind: "template",
          parts: this.template(token.parts, this.depth, token.unindents),
          place: token.place,
        };
      case "identifier":
        this.take();
        return this.#word(token.text, token.place);
      case "symbol":
        if (token.text === "(") return this.#parentheses();
        if (token.text === "[") return this.#list();
        if (token.text === "{") return this.#object();
    }
    throw this.unexpected("a value");
  }

  #word(name: string, place: Place): Expression {
    if (this.isSymbol("(")) return this.#call(name, place);
    if (name === "true" || name === "false") return { kind: "literal", value: name === "true", place };
    if (name === "null") return { kind: "literal", value: null, place };
    return { kind: "variable", name, place };
  }

  #call(name: string, nameAt: Place): Expression {
    const open = this.take().place;
    const operands: Expression[] = [];
    let expands = false;
    this.nested(
      open,
      () => {
        while (!this.isSymbol(")")) {
          operands.push(this.expression());
          expands = this.isSymbol("...");
          if (expands) this.take();
          if (expands || !this.isSymbol(",")) break;
          this.take();
        }
        this.mark(")", open);
      },
      true,
    );
    const close = this.close(")", open);
    return { kind: "call", name, operands, expands, place: span(nameAt, close), nameAt };
  }

  #parentheses(): Expression {
    const open = this.take().place;
    const inside = this.nested(
      open,
      () => {
        const found = this.expression();
        this.mark(")", open);
        return found;
      },
      true,
    );
    const close = this.close(")", open);
    return { ...inside, place: span(open, close) };
  }

  #list(): Expression {
    const open = this.take().place;
    return this.nested(
      open,
      () => {
        if (this.isWord("for")) return this.#for(open, "]");
        const items: Expression[] = [];
        while (!this.isSymbol("]")) {
          items.push(this.expression());
          if (!this.isSymbol(",")) break;
          this.take();
        }
        return { kind: "list", items, place: span(open, this.close("]", open)) };
      },
      true,
    );
  }

  #object(): Expression {
    const open = this.take().place;
    const isFor = this.nested(open, () => this.isWord("for"), true);
    if (isFor) return this.nested(open, () => this.#for(open, "}"), true);
    return this.nested(open, () => {
      const items: ObjectItem[] = [];
      for (;;) {
        while (this.peek().kind === "newline") this.take();
        if (this.isSymbol("}")) break;
        items.push(this.#objectItem());
        if (this.isSymbol(",")) this.take();
        else if (this.peek().kind !== "newline" && !this.isSymbol("}")) this.mark("}", open);
      }
      return { kind: "object", items, place: span(open, this.close("}", open)) };
    });
  }

  #objectItem(): ObjectItem {
    const isComputed = this.isSymbol("(");
    const key = this.expression();
    if (!this.isSymbol("=", ":")) throw this.unexpected("the = of an item");
    this.take();
    while (this.peek().kind === "newline") this.take();
    const value = this.expression();
    const isName = key.kind === "variable" && !isComputed;
    return { key: isName ? { kind: "literal", value: key.name, place: key.place } : key, value };
  }

  /** HCL native syntax specification, "For Expressions". */
  #for(open: Place, closing: "]" | "}"): Expression {
    this.take();
    const { keyName, valueName } = this.forNames();
    const collection = this.expression();
    this.expect(":", "the : of a for");
    const first = this.expression();
    let key: Expression | undefined;
    let value = first;
    let groups = false;
    if (this.isSymbol("=>")) {
      if (closing === "]")
        throw faultAt(this.peek().place, "a for in [] has no =>", "one that makes an object stands in {}");
      this.take();
      key = first;
      value = this.expression();
      groups = this.isSymbol("...");
      if (groups) this.take();
    } else if (closing === "}") {
      throw this.unexpected("the => of a for in {}");
    }
    let condition: Expression | undefined;
    if (this.isWord("if")) {
      this.take();
      condition = this.expression();
    }
    const place = span(open, this.close(closing, open));
    return { kind: "for", keyName, valueName, collection, key, value, condition, groups, place };
  }

  /** `a in`, or `a, b in`. */
  forNames(): { readonly keyName: string | undefined; readonly valueName: string } {
    const first = this.#name();
    let second: string | undefined;
    if (this.isSymbol(",")) {
      this.take();
      second = this.#name();
    }
    if (!this.isWord("in")) throw this.unexpected("the word in");
    this.take();
    return second === undefined ? { keyName: undefined, valueName: first } : { keyName: first, valueName: second };
  }

  #name(): string {
    const token = this.peek();
    if (token.kind !== "identifier") throw this.unexpected("a name");
    this.take();
    return token.text;
  }
}
