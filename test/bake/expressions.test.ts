// biome-ignore-all lint/suspicious/noTemplateCurlyInString: templates of HCL look like those of JavaScript
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { computed, failure } from "../support/bake.ts";

const Expressions = suite("expressions of HCL");

const BEFORE = `
variable "n" { default = 3 }
variable "s" { default = "text" }
variable "no" { default = null }
variable "list" { default = ["a", "b", "c"] }
variable "map" { default = { b = 2, a = 1 } }
variable "users" { default = [{ name = "x", tags = ["1"] }, { name = "y", tags = [] }] }
function "twice" {
  params = [x]
  result = x * 2
}
function "all" {
  params = [first]
  variadic_params = rest
  result = "\${first}:\${join(",", rest)}"
}
`;

const rows: readonly (readonly [expression: string, expected: unknown])[] = [
  ["1 + 2 * 3", 7],
  ["(1 + 2) * 3", 9],
  ["7 % 4 - 10 / 4", 0.5],
  ["-n + 1", -2],
  ["!true || false && true", false],
  ["1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3", true],
  ['n == 3 && s != "x"', true],
  ['"1" == 1', false],
  ["[1, [2]] == [1, [2]]", true],
  ['n > 2 ? "big" : "small"', "big"],
  ["false ? 1 : true ? 2 : 3", 2],
  // Of what is not chosen nothing is computed.
  ["true ? 1 : missing", 1],
  ["list[1]", "b"],
  ["list.2", "c"],
  ['map["a"]', 1],
  ["map.b", 2],
  ["users[0].name", "x"],
  ["users[*].name", ["x", "y"]],
  ["users.*.name", ["x", "y"]],
  ["no[*]", []],
  ["n[*]", [3]],
  ["[for x in list : upper(x)]", ["A", "B", "C"]],
  ['[for i, x in list : "${i}${x}" if x != "b"]', ["0a", "2c"]],
  ['[for k, v in map : "${k}=${v}"]', ["a=1", "b=2"]],
  ["{for x in list : x => upper(x)}", { a: "A", b: "B", c: "C" }],
  ["{for u in users : length(u.tags) => u.name...}", { "0": ["y"], "1": ["x"] }],
  ['{ a = 1, "b-c" = 2, (s) = 3, d : 4 }', { a: 1, "b-c": 2, d: 4, text: 3 }],
  ['"${n}"', 3],
  ['"<${n}>"', "<3>"],
  ['"${true}${1.50}"', "true1.5"],
  ['"%{ if n > 2 }yes%{ else }no%{ endif }"', "yes"],
  ['"%{ for x in list }${x};%{ endfor }"', "a;b;c;"],
  ['"a   ${~ s ~}   b"', "atextb"],
  ["<<-EOT\n    FROM x\n      RUN ${s}\n  EOT\n", "FROM x\n  RUN text\n"],
  ["<<-EOT\n    a\n\n      ${s}\n  EOT\n", "a\n\n  text\n"],
  // A ~ that takes all blanks of a line leaves nothing that could be taken off.
  ["<<-EOT\n    a\n    %{~ if true }b%{ endif }\n  EOT\n", "    a\nb\n"],
  ["twice(n + 1)", 8],
  ["all(1, 2, 3)", "1:2,3"],
  ["all(list...)", "a:b,c"],
  ["max([1, 5, 3]...)", 5],
  ['try(missing.x, list[9], "else")', "else"],
  ["can(list[9])", false],
  ["can(list[0])", true],
  ['convert("5", number) + 1', 6],
  ["convert([1, 1, 2], set(string))", ["1", "2"]],
  ["[\n  1,\n  2,\n]", [1, 2]],
  ['upper(\n    "a"\n  )', "A"],
  ["0.1 + 0.2 == 0.3", true],
  ['"${0.1 + 0.2} "', "0.3 "],
  ["BAKE_LOCAL_PLATFORM", "linux/amd64"],
];

for (const [expression, expected] of rows) {
  Expressions(expression.replaceAll("\n", "⏎"), async () => assert.equal(await computed(expression, BEFORE), expected));
}

const faults: readonly (readonly [expression: string, expected: RegExp])[] = [
  ["missing", /there is no variable missing \| a block declares it/],
  ["lisd", /there is no variable lisd \| did you mean list\?/],
  ["list[9]", /there is no member 9 in a list of 3/],
  ["list[-1]", /there is no member -1/],
  ["list.x", /a list has no names, only numbers/],
  ["map.zz", /there is no zz in this object/],
  ["n.x", /a number has no members/],
  ["no.x", /null has no members/],
  ['"a${no}"', /a string is needed here, and this is null/],
  ['"a${list}"', /a string is needed here, and this is a list/],
  ['"a" + "b"', /\+ adds numbers, and one of these is a string/],
  ["1 / 0", /nothing can be divided by 0/],
  ["1 % 0", /nothing can be divided by 0/],
  ["9007199254740991 + 1", /more digits than can be computed with/],
  ["12345678901234567890", /more digits than can be computed with/],
  ['"x" ? 1 : 2', /true or false is needed here, and this is "x"/],
  ["{for x in [1, 1] : x => x}", /two members have the key 1/],
  ["[for x in n : x]", /a for needs a list or an object, and this is a number/],
  ["twice()", /twice takes 1 value, not 0/],
  ["nope(1)", /there is no function nope$/],
  ["uper(1)", /there is no function uper \| did you mean upper\?/],
  ['bcrypt("x")', /the function bcrypt is not supported: /],
  ["upper(1, 2)", /upper takes 1 value, not 2/],
  ["upper(list)", /a string is needed here, and this is a list/],
  ["max()", /max takes at least 1 value, not 0/],
  ["1 +", /a value is missing before the end of the line/],
  ["[1", /a , or a \] is missing|not closed/],
  ["(1", /missing|not closed/],
  ["{ a }", /the = of an item is missing/],
  ["[for x in list : x => x]", /a for in \[\] has no =>/],
  ["{for x in list : x}", /the => of a for in \{\} is missing/],
  ['"%{ if true }"', /this %\{ if \} has no %\{ endif \}/],
  ['"%{ endfor }"', /there is nothing that this endfor could belong to/],
  ['"%{ while }"', /%\{ \} holds if, else, endif, for or endfor/],
  ["convert(1, strin)", /there is no type strin/],
  ['convert("x", number)', /a number is needed here, and this is "x"/],
  [`${"(".repeat(500)}1${")".repeat(500)}`, /this is nested too deeply/],
  [
    'join("", [for x in range(1000) : join("", [for y in range(1000) : join("", range(1000))])])',
    /too many steps|16 MiB/,
  ],
];

for (const [expression, expected] of faults) {
  Expressions(`${expression.slice(0, 80)} is refused`, async () => {
    const told = await failure(computed(expression, BEFORE));
    assert.match(told, expected);
    assert.match(told, /^docker-bake\.hcl:(?:1[6-9]|2\d):\d+: /, "with its place");
  });
}

for (const [what, expression] of [
  ["sum", `1${"+1".repeat(100_000)}`],
  ["way", `n${".x".repeat(100_000)}`],
  ["row of signs", `${"!".repeat(100_000)}true`],
  ["list in lists", "[".repeat(100_000)],
  ["condition", "true ? 1 : ".repeat(100_000)],
] as const) {
  Expressions(`a ${what} without end is refused`, async () =>
    assert.match(await failure(computed(expression, BEFORE)), /nested too deeply/),
  );
}

Expressions("a function that calls itself is refused", async () => {
  const file = 'function "f" {\n  params = [x]\n  result = f(x)\n}\nvariable "x" { default = f(1) }\n';
  assert.match(await failure(computed("1", file)), /^docker-bake\.hcl:3:12: the function f calls itself$/);
});

Expressions("variables that refer to each other in a circle are refused, with the way", async () => {
  const file = 'variable "a" { default = b }\nvariable "b" {\n  default = "${a}"\n}\n';
  assert.is(await failure(computed("1", file)), "docker-bake.hcl:3:16: the variable a refers to itself: a -> b -> a");
});

Expressions.run();
