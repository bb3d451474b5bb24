// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import { expandHeredoc, expandWord, expandWords } from "../../src/parser/words.ts";

const VALUES = new Map([
  ["v", "val"],
  ["e", ""],
  ["p", "/a/b/c.tar.gz"],
  ["two", "1 2"],
  ["é", "accent"],
]);
const lookup = (name: string) => VALUES.get(name);

const Word = suite("a word");

// What BuildKit makes of each.
for (const [text, expected] of [
  ["", ""],
  ["$v", "val"],
  ["${v}", "val"],
  ["$$v", "v"],
  ["\\$v", "$v"],
  ["'$v'", "$v"],
  ['"$v"', "val"],
  ["a${v}b", "avalb"],
  ["$v$v", "valval"],
  ["$v-", "val-"],
  ["${v}_$e.", "val_."],
  ["$nope", ""],
  ["${nope}", ""],
  ["$", "$"],
  ["a$", "a$"],
  ["$(x)", "$(x)"],
  ["`x`", "`x`"],
  ["%v%", "%v%"],
  ["~", "~"],
  ["$1", ""],
  ["$10a", "a"],
  ["${10}", ""],
  ["$@$*$#$?$-$!", ""],
  ["$é", "accent"],
  ["${nope:-d}", "d"],
  ["${e:-d}", "d"],
  ["${e-d}", ""],
  ["${nope-d}", "d"],
  ["${v:+s}", "s"],
  ["${e:+s}", ""],
  ["${e+s}", "s"],
  ["${nope+s}", ""],
  ["${v:?no}", "val"],
  ["${e?no}", ""],
  ["${nope:-${v}}", "val"],
  ["${nope:-a${v}b}", "avalb"],
  ["${nope:-'a$v'}", "a$v"],
  ['${nope:-"a b"}', "a b"],
  ["${nope:-a\\}b}", "a}b"],
  ["${v:-a}b}", "valb}"],
  ['"${nope:-"q"}"', "q"],
  ["${v:-${e:?no}}", "val"],
  ["${p#*/}", "a/b/c.tar.gz"],
  ["${p##*/}", "c.tar.gz"],
  ["${p%.*}", "/a/b/c.tar"],
  ["${p%%.*}", "/a/b/c"],
  ["${p#?a}", "/b/c.tar.gz"],
  ["${p#x}", "/a/b/c.tar.gz"],
  ["${p#}", "/a/b/c.tar.gz"],
  ["${p%\\*}", "/a/b/c.tar.gz"],
  ["${p#\\/}", "a/b/c.tar.gz"],
  ['${p#"/a"}', "/b/c.tar.gz"],
  ["${nope#a}", ""],
  ["${p/a/Z}", "/Z/b/c.tar.gz"],
  ["${p//a/Z}", "/Z/b/c.tZr.gz"],
  ["${p/.*/Z}", "/a/b/cZ"],
  ["${p//\\//-}", "-a-b-c.tar.gz"],
  ["${v//?/x}", "xxx"],
  ["${v//a/}", "vl"],
  ["${v//a*/x}", "vx"],
  ["${v//*/x}", "x"],
  ["${v///x}", "xvxaxlx"],
  ["${v/[al]/x}", "val"],
  ["${p//b/$v}", "/a/val/c.tar.gz"],
  ["${p/b/\\a}", "/a/\\a/c.tar.gz"],
  ['"a b"', "a b"],
  ["a\\ b", "a b"],
  ["'a b'c", "a bc"],
  ['"it\'s"', "it's"],
  ["\\\\", "\\"],
  ['"\\""', '"'],
  ['"\\a\\$v\\\\"', "\\a$v\\"],
  ["'\\'", "\\"],
  ["a\\", "a"],
  ["\\😀", "😀"],
] as const) {
  Word(text, () => {
    assert.is(expandWord(text, lookup, "\\"), expected);
  });
}

Word("the escape character is the Dockerfile's", () => {
  assert.is(expandWord('C:\\x `$v "`$v\\" ${p%`*}', lookup, "`"), "C:\\x $v $v\\ /a/b/c.tar.gz");
});

for (const [text, message] of [
  ["${nope:?must}", /nope.*not set: must/],
  ["${nope?must}", /nope.*not set: must/],
  ["${e:?}", /variable e is blank/],
  ["${nope:?}", /variable nope is not set/],
  ["${nope:?a $v}", /a val/],
  ["${v", /} is missing/],
  ["${v:", /} is missing/],
  ["${v-a", /} is missing/],
  ["${v#a", /} is missing/],
  ["${v/a", /\/ is missing/],
  ["${v/a/b", /} is missing/],
  ["${}", /without a name/],
  ["${:-x}", /without a name/],
  ["${ v}", /without a name/],
  ["${v:x}", /":x".*not supported/],
  ["${v:#x}", /":#".*not supported/],
  ["${v^^}", /"\^".*not supported/],
  ["${v:=x}", /":=".*not supported/],
  ["${#v}", /not supported/],
  ["${v😀}", /"😀"/],
  ["'a", /single quote/],
  ['"a', /double quote/],
  ['"a\\', /double quote/],
  ["${v#a\\", /} is missing/],
  ["${v/\\", /\/ is missing/],
] as const) {
  Word(`${text} is refused`, () => {
    assert.throws(
      () => expandWord(text, lookup, "\\"),
      (error: unknown) =>
        error instanceof KbuildError && error.code === "build.expand" && !error.location && message.test(error.message),
    );
  });
}

Word("what has no value and no default is told, once used", () => {
  const unset: string[] = [];
  const onUnset = (name: string) => unset.push(name);
  expandWord("$a ${b} ${c:-$d} ${v:-$unused} ${g+$unused} ${h#x} '$unused' ${e:+$unused}", lookup, "\\", { onUnset });
  assert.equal(unset, ["a", "b", "d", "h"]);
});

Word("values are bounded in depth, length and time", () => {
  const refused = (text: string, get: (name: string) => string | undefined) =>
    assert.throws(
      () => expandWord(text, get, "\\"),
      (error: unknown) => error instanceof KbuildError && error.code === "build.expand",
    );
  refused("${a:-".repeat(100_000), lookup);
  refused(`${"${a:-".repeat(200)}${"}".repeat(200)}`, lookup);
  refused('"${a:-'.repeat(100_000), lookup);
  const long = "a".repeat(100_000);
  refused("$a".repeat(20), () => long);
  refused("${a//a/$a}", () => long);
  refused(`\${a#${"*a".repeat(5000)}b}`, () => long);
  assert.is(
    expandWord("${a##*a*a*a*a*a*a*b}", () => long, "\\"),
    long,
  );
  assert.is(
    expandWord("${a%%b*a*a*a*a*a*a*}", () => long, "\\"),
    long,
  );
  assert.is(expandWord(long.repeat(10), lookup, "\\"), long.repeat(10), "a text without variables may be long");
});

Word.run();

const Words = suite("words");

for (const [text, expected] of [
  ["", []],
  [" a  b ", ["a", "b"]],
  ["a $v", ["a", "val"]],
  ['"a b" c', ["a b", "c"]],
  ["a\\ b", ["a b"]],
  ["$two", ["1", "2"]],
  ['"$two"', ["1 2"]],
  ["a${two}b", ["a1", "2b"]],
  ["${nope:-3 4}", ["3", "4"]],
  ["80${two+ 81}", ["80", "81"]],
  ["$e", []],
  ['"" a', ["a"]],
  ["'$v'", ["$v"]],
] as const) {
  Words(text, () => {
    assert.equal(expandWords(text, lookup, "\\"), expected);
  });
}

Words("a message does not repeat what is long", () => {
  const long = "x".repeat(10_000);
  for (const text of [`\${nope?${long}}`, `\${${long}?}`, `\${${long}!}`, `\${nope:-${long}`, `"${long}`]) {
    assert.throws(
      () => expandWord(text, () => undefined, "\\"),
      (error: unknown) => error instanceof KbuildError && error.message.length < 600,
    );
  }
});

Words.run();

const HeredocText = suite("a heredoc's content");

for (const [text, expected] of [
  ["one $V ${V:-d} \\$V\n  two\n", "one val val $V\n  two\n"],
  ["\"$V\" '$V' `x`", "\"val\" 'val' `x`"],
  ["a\\nb\\\\c\\", "anb\\c"],
  ["${nope:-'y z'} ${nope:-a\"b}", "'y z' a\"b"],
  ["it's \"open", "it's \"open"],
] as const) {
  HeredocText(JSON.stringify(text), () => {
    assert.is(
      expandHeredoc(text, (name) => (name === "V" ? "val" : undefined), "\\"),
      expected,
    );
  });
}

HeredocText.run();
