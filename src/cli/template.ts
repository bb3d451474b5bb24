import { evaluate, LAZY_FUNCTIONS } from "./template/evaluate.ts";
import { functions, headlineFunctions } from "./template/functions.ts";
import { parseTemplate } from "./template/parser.ts";
import { json } from "./template/values.ts";

const NAMES: ReadonlySet<string> = new Set([...functions.keys(), ...LAZY_FUNCTIONS]);

/**
 * What `--format TEMPLATE` makes of a value: Go's text/template with docker's functions; `json` alone is the value as
 * JSON. Methods, `define`, `template` and `block` are not there. Sizes and depths are bounded.
 *
 * @param options.headline lets docker's functions give the names of a table's columns as they are
 * @throws KbuildError `usage.template`, here when the template is malformed, later when the value lacks what it asks for
 */
export function formatter(template: string, options: { readonly headline?: boolean } = {}): (value: object) => string {
  if (template === "json") return json;
  const nodes = parseTemplate(template, NAMES);
  const known = options.headline ? headlineFunctions : functions;
  return (value) => evaluate(template, nodes, known, value);
}
