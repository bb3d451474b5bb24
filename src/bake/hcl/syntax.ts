import type { Place } from "../source.ts";
import type { Value } from "../values.ts";

/** HCL native syntax specification, "Expressions". */
export type Expression =
  | { readonly kind: "literal"; readonly value: Value; readonly place: Place }
  | { readonly kind: "template"; readonly parts: readonly TemplateNode[]; readonly place: Place }
  | { readonly kind: "variable"; readonly name: string; readonly place: Place }
  | { readonly kind: "attribute"; readonly of: Expression; readonly name: string; readonly place: Place }
  | { readonly kind: "index"; readonly of: Expression; readonly key: Expression; readonly place: Place }
  /** `of[*].rest`: `rest` is computed for each member, which it reaches as the variable `SPLAT`. */
  | { readonly kind: "splat"; readonly of: Expression; readonly rest: Expression; readonly place: Place }
  | { readonly kind: "list"; readonly items: readonly Expression[]; readonly place: Place }
  | { readonly kind: "object"; readonly items: readonly ObjectItem[]; readonly place: Place }
  | ForExpression
  | {
      readonly kind: "conditional";
      readonly condition: Expression;
      readonly yes: Expression;
      readonly no: Expression;
      readonly place: Place;
    }
  | {
      readonly kind: "binary";
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
      readonly place: Place;
    }
  | { readonly kind: "unary"; readonly operator: "-" | "!"; readonly operand: Expression; readonly place: Place }
  | {
      readonly kind: "call";
      readonly name: string;
      readonly operands: readonly Expression[];
      /** Whether the last operand is a list of further ones: `f(a, list...)`. */
      readonly expands: boolean;
      readonly place: Place;
      readonly nameAt: Place;
    };

export interface ForExpression {
  readonly kind: "for";
  readonly keyName: string | undefined;
  readonly valueName: string;
  readonly collection: Expression;
  /** Present: an object is made. */
  readonly key: Expression | undefined;
  readonly value: Expression;
  readonly condition: Expression | undefined;
  /** Whether values of one key are gathered in a list: `key => value...`. */
  readonly groups: boolean;
  readonly place: Place;
}

export type BinaryOperator = "||" | "&&" | "==" | "!=" | "<" | ">" | "<=" | ">=" | "+" | "-" | "*" | "/" | "%";

export interface ObjectItem {
  readonly key: Expression;
  readonly value: Expression;
}

/** HCL native syntax specification, "Templates". */
export type TemplateNode =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "value"; readonly value: Expression }
  | {
      readonly kind: "if";
      readonly condition: Expression;
      readonly yes: readonly TemplateNode[];
      readonly no: readonly TemplateNode[];
      readonly place: Place;
    }
  | {
      readonly kind: "for";
      readonly keyName: string | undefined;
      readonly valueName: string;
      readonly collection: Expression;
      readonly body: readonly TemplateNode[];
      readonly place: Place;
    };

/** The name by which the rest of a splat reaches a member; no person can write it. */
export const SPLAT = "*";

export interface Attribute {
  readonly name: string;
  readonly value: Expression;
  /** Of the name. */
  readonly place: Place;
}

export interface Block {
  readonly type: string;
  readonly labels: readonly { readonly text: string; readonly place: Place }[];
  readonly body: Body;
  /** Of the type and the labels. */
  readonly place: Place;
}

export interface Body {
  readonly attributes: readonly Attribute[];
  readonly blocks: readonly Block[];
}
