import { faultAt, type Place, type Source } from "../source.ts";
import { ExpressionParser } from "./expressions.ts";
import { lexTemplate, type TemplatePart } from "./lexer.ts";
import type { Expression, TemplateNode } from "./syntax.ts";

/**
 * What the parts of a template mean. HCL native syntax specification, "Templates".
 *
 * @param depth how deeply the template is nested already
 * @param unindents whether the blanks are taken off that all lines begin with
 * @throws KbuildError `build.bake`
 */
export function parseTemplate(parts: readonly TemplatePart[], depth = 0, unindents = false): TemplateNode[] {
  const neat = trimmed(parts);
  return new TemplateParser(unindents ? unindented(neat) : neat, depth).whole();
}

/** A text that is a template as a whole. */
export function templateExpression(source: Source, place: Place): Expression {
  return { kind: "template", parts: parseTemplate(lexTemplate(source)), place };
}

/** `~` takes the blanks away that are next to it. */
function trimmed(parts: readonly TemplatePart[]): TemplatePart[] {
  return parts.map((part, index) => {
    if (part.kind !== "text") return part;
    const [before, after] = [parts[index - 1], parts[index + 1]];
    let { text } = part;
    if (before !== undefined && before.kind !== "text" && before.trims.after) text = text.trimStart();
    if (after !== undefined && after.kind !== "text" && after.trims.before) text = text.trimEnd();
    return { ...part, text };
  });
}

/** Reads expressions, and the templates in them. */
export class Parser extends ExpressionParser {
  protected override template(
    parts: readonly TemplatePart[],
    depth: number,
    unindents: boolean,
  ): readonly TemplateNode[] {
    return parseTemplate(parts, depth, unindents);
  }
}

/** A line that begins with a part is one without blanks, as one is whose blanks a `~` took; empty lines do not count. */
function unindented(parts: readonly TemplatePart[]): TemplatePart[] {
  const isLineStart = (index: number): boolean => {
    const before = parts[index - 1];
    return before === undefined || (before.kind === "text" && before.text.endsWith("\n"));
  };
  let least = Number.POSITIVE_INFINITY;
  for (const [index, part] of parts.entries()) {
    if (!isLineStart(index)) continue;
    if (part.kind === "text" && part.text.trim() === "" && part.text.endsWith("\n")) continue;
    least = Math.min(least, part.kind === "text" ? (/^\s*/.exec(part.text)?.[0].length ?? 0) : 0);
  }
  return parts.map((part, index) =>
    part.kind === "text" && isLineStart(index)
      ? { ...part, text: part.text.replace(/^[^\S\n]*/, (blanks) => blanks.slice(Math.min(least, blanks.length))) }
      : part,
  );
}

type Directive =
  | { readonly word: "if"; readonly condition: Expression }
  | {
      readonly word: "for";
      readonly keyName: string | undefined;
      readonly valueName: string;
      readonly collection: Expression;
    }
  | { readonly word: "else" | "endif" | "endfor" };

class TemplateParser {
  readonly #parts: readonly TemplatePart[];
  readonly #depth: number;
  #at = 0;

  constructor(parts: readonly TemplatePart[], depth: number) {
    this.#parts = parts;
    this.#depth = depth;
  }

  whole(): TemplateNode[] {
    const { nodes, stop } = this.#nodes(0);
    if (stop === undefined) return nodes;
    throw faultAt(stop.place, `there is nothing that this ${stop.directive.word} could belong to`);
  }

  /** Nodes up to a directive that belongs to what they are in. */
  #nodes(level: number): {
    readonly nodes: TemplateNode[];
    readonly stop: { readonly directive: Directive; readonly place: Place } | undefined;
  } {
    const nodes: TemplateNode[] = [];
    for (;;) {
      const part = this.#parts[this.#at];
      if (part === undefined) return { nodes, stop: undefined };
      this.#at += 1;
      if (part.kind === "text") {
        nodes.push({ kind: "text", text: part.text });
        continue;
      }
      const parser = new Parser(part.tokens, { isInBrackets: true, depth: this.#depth + level + 1 });
      if (part.kind === "value") {
        nodes.push({ kind: "value", value: ended(parser, parser.expression()) });
        continue;
      }
      const directive = directiveOf(parser);
      if (directive.word === "if") nodes.push(this.#if(directive.condition, part.place, level + 1));
      else if (directive.word === "for") nodes.push(this.#for(directive, part.place, level + 1));
      else return { nodes, stop: { directive, place: part.place } };
    }
  }

  #if(condition: Expression, place: Place, level: number): TemplateNode {
    const yes = this.#nodes(level);
    if (yes.stop?.directive.word === "endif") return { kind: "if", condition, yes: yes.nodes, no: [], place };
    if (yes.stop?.directive.word === "else") {
      const no = this.#nodes(level);
      if (no.stop?.directive.word === "endif") return { kind: "if", condition, yes: yes.nodes, no: no.nodes, place };
    }
    throw faultAt(place, "this %{ if } has no %{ endif }");
  }

  #for(directive: Extract<Directive, { word: "for" }>, place: Place, level: number): TemplateNode {
    const body = this.#nodes(level);
    if (body.stop?.directive.word !== "endfor") throw faultAt(place, "this %{ for } has no %{ endfor }");
    const { keyName, valueName, collection } = directive;
    return { kind: "for", keyName, valueName, collection, body: body.nodes, place };
  }
}

function directiveOf(parser: Parser): Directive {
  const token = parser.peek();
  const word = token.kind === "identifier" ? token.text : "";
  switch (word) {
    case "if":
      parser.take();
      return { word, condition: ended(parser, parser.expression()) };
    case "for": {
      parser.take();
      const names = parser.forNames();
      return { word, ...names, collection: ended(parser, parser.expression()) };
    }
    case "else":
    case "endif":
    case "endfor":
      parser.take();
      return ended(parser, { word });
  }
  throw faultAt(token.place, "%{ } holds if, else, endif, for or endfor", "%%{ stands for the characters themselves");
}

/** The same, when nothing follows it. */
function ended<T>(parser: Parser, result: T): T {
  if (parser.peek().kind === "end") return result;
  throw parser.unexpected("a }");
}
