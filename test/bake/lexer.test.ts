// biome-ignore-all lint/suspicious/noTemplateCurlyInString: templates of HCL look like those of JavaScript
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { lex, type TemplatePart, type Token } from "../../src/bake/hcl/lexer.ts";
import { Source } from "../../src/bake/source.ts";
import { failure } from "../support/bake.ts";

const Lexer = suite("the lexer of HCL");

/** Tokens in a line: words as they are, strings with their parts, `;` for an end of line. */
function told(tokens: readonly Token[]): string {
  return tokens
    .map((token) => {
      if (token.kind === "newline") return ";";
      if (token.kind === "end") return "";
      return token.kind === "template" ? `"${token.parts.map(toldPart).join("|")}"` : token.text;
    })
    .join(" ")
    .trimEnd();
}

function toldPart(part: TemplatePart): string {
  if (part.kind === "text") return part.text.replaceAll("\n", "⏎");
  const { before, after } = part.trims;
  return `${part.kind === "value" ? "$" : "%"}${before ? "~" : ""}(${told(part.tokens)})${after ? "~" : ""}`;
}

const rows: readonly (readonly [name: string, text: string, expected: string])[] = [
  ["nothing", "", ""],
  ["names may have dashes and letters of all alphabets", "a-b _c ñ2", "a-b _c ñ2"],
  ["numbers", "0 12 1.5 2e3 1.5E-2", "0 12 1.5 2e3 1.5E-2"],
  ["symbols, longer ones first", "a==b!=c<=d>=e&&f||!g=>h...", "a == b != c <= d >= e && f || ! g => h ..."],
  ["ends of lines count", "a\n\nb\r\n", "a ; ; b ;"],
  ["comments do not", "a # x\nb // y\nc /* z\n */ d", "a ; b ; c d"],
  ["a mark of the byte order is passed over", "\ufeffa", "a"],
  ["a string", '"x y"', '"x y"'],
  ["an empty string", '""', '""'],
  ["escapes", '"a\\n\\t\\"\\\\\\u00e9\\U0001F600"', '"a⏎\t"\\é😀"'],
  ["what is doubled is no template", '"$${a} %%{b} $x %y $$"', '"${a} %{b} $x %y $$"'],
  ["a part that is computed", '"a${b}c"', '"a|$(b)|c"'],
  ["braces in it", '"${ {a={}} }"', '"$({ a = { } })"'],
  ["a template in a template", '"${"x${y}"}"', '"$("x|$(y)")"'],
  ["directives and what takes blanks away", '"%{~ if a ~}b%{ endif }"', '"%~(if a)~|b|%(endif)"'],
  ["a heredoc keeps its lines", "a = <<EOT\n  x\n ${y}z\nEOT\n", 'a = "  x⏎| |$(y)|z⏎" ;'],
  ["one with a dash ends with a marker that is indented", "<<-EOT\n    x\n      y\n    EOT\n", '"    x⏎|      y⏎" ;'],
  ["a heredoc has no escapes", '<<EOT\n\\n "q"\nEOT', '"\\n "q"⏎"'],
  ["a heredoc may be empty", "<<EOT\nEOT\n", '"" ;'],
];

for (const [name, text, expected] of rows) {
  Lexer(name, () => assert.is(told(lex(new Source("x.hcl", text))), expected));
}

const faults: readonly (readonly [name: string, text: string, expected: RegExp])[] = [
  ["a string ends in its line", 'a = "b\n"', /^x\.hcl:1:5: this string is not closed in its line/],
  ["a string ends at all", '  "b', /^x\.hcl:1:3: this string is not closed/],
  ["a part of a template is closed", '"${a"', /^x\.hcl:1:\d: this/],
  ["a comment is closed", "a\n /* b", /^x\.hcl:2:2: this comment is not closed/],
  ["a heredoc is closed", "a = <<EOT\nx\n", /^x\.hcl:1:5: this heredoc is not closed by a line EOT/],
  ["an escape is one that is there", '"\\q"', /^x\.hcl:1:2: this is no escape/],
  ["a character exists", '"\\U00110000"', /^x\.hcl:1:2: this is no escape/],
  ["columns count characters", '"😀" §', /^x\.hcl:1:5: "§" has no meaning here/],
  ["single quotes are no strings", "'a'", /^x\.hcl:1:1: "'" has no meaning here \| strings stand in double quotes/],
  ["templates are not endless", '"${'.repeat(300), /nested too deeply|not closed/],
];

for (const [name, text, expected] of faults) {
  Lexer(name, async () =>
    assert.match(await failure(Promise.resolve().then(() => lex(new Source("x.hcl", text)))), expected),
  );
}

Lexer.run();
