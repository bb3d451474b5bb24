// biome-ignore-all lint/suspicious/noTemplateCurlyInString: templates of HCL look like those of JavaScript
import fc from "fast-check";
import { suite } from "uvu";
import { parseJsonBody } from "../../src/bake/hcl/json.ts";
import { lexTemplate } from "../../src/bake/hcl/lexer.ts";
import { parseHcl } from "../../src/bake/hcl/parser.ts";
import { parseTemplate } from "../../src/bake/hcl/templates.ts";
import { Source } from "../../src/bake/source.ts";
import { KbuildError } from "../../src/errors.ts";
import { planOf } from "../support/bake.ts";

const Properties = suite("bake files that are made up");

/** Pieces that mean something, in orders that do not. */
const piece = fc.constantFrom(
  ..."target variable group function default web tags args x for in if else null true 1 2.5 1e9".split(" "),
  ...'= == => { } [ ] ( ) , . : ? ... && || ! - + * / % " ${ %{ } ~} <<EOT <<-E EOT # // /* */ \\ $$'.split(" "),
  "\n",
  "\n",
  "EOT\n",
  '"a"',
  '"${x}"',
  "é",
  "\u0000",
);
const made = fc.array(piece, { maxLength: 40 }).chain((pieces) => fc.constantFrom(pieces.join(" "), pieces.join("")));
const texts = fc.oneof(made, fc.string({ unit: "binary", maxLength: 60 }));

/** Whatever it is given, it does it or says what is wrong. */
function only(action: () => unknown): boolean {
  try {
    action();
    return true;
  } catch (error) {
    return error instanceof KbuildError && error.code === "build.bake" && error.location !== undefined;
  }
}

Properties("are parsed, or refused with a place", () => {
  fc.assert(
    fc.property(texts, (text) => only(() => parseHcl(new Source("x.hcl", text)))),
    { numRuns: 3000 },
  );
});

Properties("are parsed as templates, or refused with a place", () => {
  fc.assert(
    fc.property(texts, (text) => only(() => parseTemplate(lexTemplate(new Source("x", text))))),
    { numRuns: 2000 },
  );
});

Properties("are parsed as JSON, or refused with a place", () => {
  const json = fc.oneof(
    texts,
    fc.json(),
    fc.json().map((text) => `{"target": {"default": ${text}}, "variable": ${text}}`),
    fc.json().map((text) => text.slice(0, -1)),
  );
  fc.assert(
    fc.property(json, (text) => only(() => parseJsonBody(new Source("x.json", text)))),
    { numRuns: 2000 },
  );
});

Properties("are planned, or refused as what they are", async () => {
  const name = fc.constantFrom("docker-bake.hcl", "x.json", "compose.yaml", "-");
  const body = fc.oneof(
    texts,
    made.map((text) => `target "default" {\n  args = { A = ${text} }\n}`),
    made.map((text) => `variable "x" { default = ${text}\n}\ntarget "default" { tags = [x] }`),
    made.map((text) => `services:\n  a:\n    build: ${text}\n    image: x${text.replaceAll("\n", "")}\n`),
  );
  await fc.assert(
    fc.asyncProperty(name, body, async (file, text) =>
      planOf({ [file]: text }).then(
        () => true,
        (error: unknown) => error instanceof KbuildError && /^(?:build|usage)\.bake$/.test(error.code),
      ),
    ),
    { numRuns: 3000 },
  );
});

Properties.run();
