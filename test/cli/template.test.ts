import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { mapOf, Nil } from "../../src/cli/template/values.ts";
import { formatter } from "../../src/cli/template.ts";
import { KbuildError } from "../../src/errors.ts";

// What is expected here is what Go 1.26's text/template printed, with docker's functions.
const Template = suite("templates");

const image = {
  Id: "sha256:0123",
  RepoTags: ["web:v1", "web:v2"],
  Config: {
    Env: ["PATH=/bin", "A=<b>"],
    Cmd: Nil.slice,
    Labels: mapOf({ b: "2", a: "1", maintainer: "me & you" }),
    Volumes: mapOf({ "/data": {} }),
    Tty: false,
  },
  Size: 1234,
  RootFS: { Type: "layers", Layers: ["x", "y"] },
  Empty: "",
  None: Nil.map,
  Float: 1.5,
};

const rows: readonly (readonly [template: string, expected: string])[] = [
  ["", ""],
  ["plain", "plain"],
  ["{{.Id}}", "sha256:0123"],
  ["{{ .Id }}", "sha256:0123"],
  ["a{{.Id}}b", "asha256:0123b"],
  ["{{.Config.Env}}", "[PATH=/bin A=<b>]"],
  ["{{.Config.Labels}}", "map[a:1 b:2 maintainer:me & you]"],
  ["{{.Config.Cmd}}", "[]"],
  ["{{.None}}", "map[]"],
  ["{{.Size}}", "1234"],
  ["{{.Float}}", "1.5"],
  ["{{.Config.Tty}}", "false"],
  ["{{.RootFS}}", "{layers [x y]}"],
  ["{{.RootFS.Layers}}", "[x y]"],
  ["{{.Config.Labels.a}}", "1"],
  ["{{.Config.Labels.zz}}", "<no value>"],
  ["{{json .Config.Env}}", '["PATH=/bin","A=<b>"]'],
  ["{{json .Config.Labels}}", '{"a":"1","b":"2","maintainer":"me & you"}'],
  ["{{json .Config.Cmd}}", "null"],
  ["{{json .None}}", "null"],
  ["{{json .Id}}", '"sha256:0123"'],
  ["{{json .RootFS}}", '{"Type":"layers","Layers":["x","y"]}'],
  ["{{index .RepoTags 1}}", "web:v2"],
  ['{{index .Config.Labels "maintainer"}}', "me & you"],
  ['{{index .Config.Labels "zz"}}', ""],
  ["{{range .RepoTags}}[{{.}}]{{end}}", "[web:v1][web:v2]"],
  ["{{range $i, $t := .RepoTags}}{{$i}}={{$t}};{{end}}", "0=web:v1;1=web:v2;"],
  ["{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "a=1;b=2;maintainer=me & you;"],
  ["{{range .Config.Cmd}}x{{else}}none{{end}}", "none"],
  ["{{range $t := .RepoTags}}{{$t}}{{$.Id}}{{end}}", "web:v1sha256:0123web:v2sha256:0123"],
  ['{{range .RepoTags}}{{if eq . "web:v2"}}{{break}}{{end}}{{.}}{{end}}', "web:v1"],
  ['{{range .RepoTags}}{{if eq . "web:v1"}}{{continue}}{{end}}{{.}}{{end}}', "web:v2"],
  ["{{if .Empty}}a{{else}}b{{end}}", "b"],
  ["{{if .Config.Cmd}}a{{else if .Id}}c{{else}}b{{end}}", "c"],
  ["{{if .Empty}}1{{else if .None}}2{{else if .Float}}3{{end}}", "3"],
  ["{{with .Config}}{{.Env}}{{end}}", "[PATH=/bin A=<b>]"],
  ["{{with .Empty}}x{{else}}y{{end}}", "y"],
  ["{{with $x := .Id}}{{$x}}{{end}}", "sha256:0123"],
  ["{{len .RepoTags}} {{len .Id}} {{len .None}}", "2 11 0"],
  ['{{join .RepoTags ", "}}', "web:v1, web:v2"],
  ['{{split .Id ":"}}', "[sha256 0123]"],
  ['{{index (split .Id ":") 1}}', "0123"],
  ['{{upper .Id}}{{lower "ABC"}}{{title "ab cd"}}', "SHA256:0123abcAb Cd"],
  ["{{truncate .Id 6}}|{{pad .Id 1 2}}|{{pad .Empty 1 2}}|", "sha256| sha256:0123  ||"],
  ["{{println .Id .Size}}", "sha256:0123 1234\n"],
  ['{{print .Id .Size}} {{print 1 2}} {{print "a" 1}}', "sha256:01231234 1 2 a1"],
  ['{{printf "%s-%d-%v-%q" .Id .Size .RepoTags .Id}}', 'sha256:0123-1234-[web:v1 web:v2]-"sha256:0123"'],
  ['{{printf "%5d|%-5d|%05d|%x|%o|%b" .Size .Size .Size .Size .Size .Size}}', " 1234|1234 |01234|4d2|2322|10011010010"],
  ['{{printf "%.3s|%10s|%-10s|" .Id .Id .Id}}', "sha|sha256:0123|sha256:0123|"],
  ['{{printf "%.2f %e %t %c %U %%" .Float .Float true 65 65}}', "1.50 1.500000e+00 true A U+0041 %"],
  ['{{printf "%T %T %q" 1 "a" .RepoTags}}', 'int string ["web:v1" "web:v2"]'],
  ['{{printf "%*d" 6 .Size}}', "  1234"],
  ['{{.Id | printf "%s!" | upper}}', "SHA256:0123!"],
  ['{{eq .Size 1234}} {{ne .Id "x"}} {{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge 3 2}}', "true true true true false true"],
  ['{{eq .Id "a" "sha256:0123"}}', "true"],
  ['{{and .Id .Empty}}|{{or .Empty .Id}}|{{not .Id}}|{{and 1 2}}|{{or 0 ""}}', "|sha256:0123|false|2|"],
  ["{{and .Empty (index .RepoTags 9)}}|", "|"],
  ["{{$x := .Id}}{{$x}}", "sha256:0123"],
  ["{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"],
  ["{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "21"],
  ["{{/* c */}}a", "a"],
  ["a {{- .Id -}} b", "asha256:0123b"],
  ["a {{/* c */ -}} b", "a b"],
  ["  {{- 3}}", "3"],
  ['{{"q\\t\\"x\\"\\n"}}', 'q\t"x"\n'],
  ["{{`raw\\n`}}", "raw\\n"],
  ["{{'a'}}", "97"],
  ["{{1.5}} {{0x10}} {{-3}} {{1e3}} {{010}} {{1_000}}", "1.5 16 -3 1000 8 1000"],
  ["{{(index .RepoTags 0)}}", "web:v1"],
  ["{{(.Config).Env}}", "[PATH=/bin A=<b>]"],
  ["{{range 3}}{{.}}{{end}}", "012"],
  ['{{html "<a href=\'x\'>&\\""}} {{urlquery "a b&c"}}', "&lt;a href=&#39;x&#39;&gt;&amp;&#34; a+b%26c"],
  ["{{slice .Id 0 6}} {{slice .RepoTags 1}}", "sha256 [web:v2]"],
  ["{{if and .Id (not .Empty)}}y{{end}}", "y"],
  ["{{with .None}}a{{else with .Id}}{{.}}{{end}}", "sha256:0123"],
  ["{{range $i, $e := .RepoTags}}{{if $i}}, {{end}}{{$e}}{{end}}", "web:v1, web:v2"],
  ["{{range .RepoTags}}{{println .}}{{end}}", "web:v1\nweb:v2\n"],
  ["{{ range $k, $v := .Config.Volumes }}{{ $k }}{{ end }}", "/data"],
  ["{{.Config.Volumes}}", "map[/data:{}]"],
  [
    "{{json .Config}}",
    '{"Env":["PATH=/bin","A=<b>"],"Cmd":null,"Labels":{"a":"1","b":"2","maintainer":"me & you"},"Volumes":{"/data":{}},"Tty":false}',
  ],
  ["{{.Id}}}}", "sha256:0123}}"],
  ["{{.Id}} {", "sha256:0123 {"],
  ["}} {{.Id}}", "}} sha256:0123"],
  ["{{- /* a */ -}} x", "x"],
  ["{{ .Id|upper }}", "SHA256:0123"],
  ["{{.Id}}\n{{.Size}}", "sha256:0123\n1234"],
  ["{{not (eq .Size 1)}}", "true"],
  ["{{print}}|{{println}}", "|\n"],
  ["{{print nil}}", "<nil>"],
  ['{{printf "%v %s" nil nil}}', "<nil> %!s(<nil>)"],
  ['{{printf "%6.2f|%+d|%X" 1.2345 5 255}}', "  1.23|+5|FF"],
  ['{{printf "%s" .Config.Labels}}', "map[a:1 b:2 maintainer:me & you]"],
  ["{{.Config.Labels | len}}", "3"],
  ["{{index .RepoTags 0 1}}", "101"],
  ["{{print (1)}}", "1"],
];

for (const [template, expected] of rows) {
  Template(`${JSON.stringify(template)} gives what Go gives`, () => {
    assert.is(formatter(template)(image), expected);
  });
}

const wrong: readonly (readonly [template: string, says: RegExp])[] = [
  ["{{.Id", /character 1: this action is not closed/],
  ["{{end}}", /\{\{end}} has no beginning/],
  ["{{else}}", /\{\{else}} has no beginning/],
  ["{{if}}x{{end}}", /character 5: a value is missing/],
  ["{{if .Id}}x", /\{\{if}} has no \{\{end}}/],
  ["{{if true}}a{{else}}b{{else}}c{{end}}", /an \{\{else}} already/],
  ["{{if .Id}}{{else if}}{{end}}", /a value is missing/],
  ["{{foo}}", /there is no function foo/],
  ["{{$y}}", /the variable \$y is not declared/],
  ["{{with $a, $b := .RepoTags}}{{end}}", /only \{\{range}} gives two/],
  ["{{.Id | .Id}}", /must be a function/],
  ["{{.Id .Size}}", /only a function takes arguments/],
  ["{{(print 1) 2}}", /only a function takes arguments/],
  ["{{(1}}", /a \) is missing/],
  ["{{break}}", /within \{\{range}}/],
  ['{{"abc}}', /this string is not closed/],
  ['{{"\\q"}}', /not one of Go's/],
  ["{{''}}", /one character/],
  ["{{3x}}", /"3x" is not a number/],
  ["{{99999999999999999999}}", /is not a number/],
  ["{{@}}", /"@" is not expected/],
  ["{{nil}}", /nil/],
  ["{{/* c }}", /comment is not closed/],
  ["{{/* c */ x}}", /must follow the end of a comment/],
  ['{{define "x"}}{{end}}', /not supported/],
  ['{{template "x"}}', /not supported/],
  ["{{.Nope}}", /there is no field Nope/],
  ["{{.Config.Nope}}", /there is no field Nope/],
  ["{{.Id.Foo}}", /has no field Foo/],
  ["{{.RepoTags.Foo}}", /a list has no field Foo/],
  ["{{range .Id}}x{{end}}", /needs a list or a map/],
  ["{{index .RepoTags 5}}", /5 is out of range: there are 2/],
  ["{{index .RepoTags -1}}", /-1 is out of range/],
  ['{{index .RepoTags "x"}}', /indexed by a whole number/],
  ["{{index nil 1}}", /this is nil/],
  ['{{eq 1 "a"}}', /different types/],
  ['{{lt 1 "a"}}', /cannot be ordered/],
  ["{{eq .RepoTags .RepoTags}}", /cannot be compared/],
  ["{{len 3}}", /len needs/],
  ["{{upper 3}}", /upper needs a text, and this is 3/],
  ["{{upper}}", /upper takes 1 value, not 0/],
  ["{{upper .Id .Id}}", /upper takes 1 value, not 2/],
  ["{{pad .Id 100000 0}}", /pad takes 0 to 1000/],
];

for (const [template, says] of wrong) {
  Template(`${JSON.stringify(template)} is refused`, () => {
    const error = errorOf(() => formatter(template)(image));
    assert.is(error.code, "usage.template");
    assert.is(error.exitStatus, 2);
    assert.match(error.message, says);
  });
}

Template("a name that is nearly right is suggested", () => {
  assert.is(errorOf(() => formatter("{{.RepoTag}}")(image)).hint, "did you mean .RepoTags?");
  assert.is(errorOf(() => formatter("{{uper .Id}}")).hint, "did you mean upper?");
  assert.is(errorOf(() => formatter("{{.id}}")(image)).hint, "did you mean .Id?");
});

Template("json alone is the value as JSON, members with a zero value left out", () => {
  const value = { Z: "\u0085<", A: mapOf({ b: "2", a: "1" }), N: Nil.slice, O: Nil.omittedText };
  assert.is(formatter("json")(value), '{"Z":"\\u0085<","A":{"a":"1","b":"2"},"N":null}');
});

Template("in a headline, docker's functions let names through", () => {
  const show = formatter("{{upper .ID}} {{truncate .ID 2}} {{.ID}}", { headline: true });
  assert.is(show({ ID: "Image id" }), "Image id Image id Image id");
});

Template("what a template may cost is bounded", () => {
  for (const template of [
    `{{${"(".repeat(5000)}1${")".repeat(5000)}}}`,
    "{{if true}}".repeat(5000),
    `{{$x := "aaaaaaaaaaaaaaaa"}}${'{{$x = printf "%s%s" $x $x}}'.repeat(40)}`,
    "{{range 1000000}}{{range 1000000}}x{{end}}{{end}}",
    "{{range 999999999}}{{end}}",
    '{{$l := split (printf "%1000s" "") ""}}{{$s := printf "%1000s" ""}}{{range 17}}{{$s = print $s $s}}{{end}}{{join $l $s}}',
    "x".repeat(70_000),
  ]) {
    assert.is(errorOf(() => formatter(template)(image)).code, "usage.template", template.slice(0, 50));
  }
  assert.is(formatter('{{printf "%999999999d" 1}}')(image), "%!(BADWIDTH)");
});

Template("whatever is typed, it works or is refused", () => {
  const piece = fc.constantFrom(
    ..."{{|}}|{{- | -}}|.Id|.Config|.RepoTags|$x|:=|=|if|else|end|range|with|break|(|)|,|\"a\"|`b`|'c'| |\n|1|-|.|nil|true|and|index|printf|len|/*|*/".split(
      "|",
    ),
    "|",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(piece, { maxLength: 20 }).map((parts) => parts.join("")),
      ),
      (template) => {
        try {
          assert.type(formatter(template)(image), "string");
        } catch (error) {
          assert.is((error as KbuildError).code, "usage.template", String(error));
        }
      },
    ),
    { numRuns: 3000 },
  );
});

function errorOf(action: () => unknown): KbuildError {
  try {
    action();
  } catch (error) {
    assert.instance(error, KbuildError, String(error));
    return error as KbuildError;
  }
  throw new Error("there was no error");
}

Template.run();
