// biome-ignore-all lint/suspicious/noTemplateCurlyInString: templates of HCL look like those of JavaScript
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { FUNCTIONS, REFUSED } from "../../src/bake/functions/table.ts";
import { computed, failure } from "../support/bake.ts";

const Functions = suite("bake's functions");

/** The names in bake's documentation. */
const DOCUMENTED =
  "absolute add and base64decode base64encode basename bcrypt byteslen bytesslice can ceil chomp chunklist cidrhost " +
  "cidrnetmask cidrsubnet cidrsubnets coalesce coalescelist compact concat contains convert csvdecode dirname distinct " +
  "divide element equal flatten floor format formatdate formatlist greaterthan greaterthanorequalto hasindex indent " +
  "index indexof int join jsondecode jsonencode keys length lessthan lessthanorequalto log lookup lower max md5 merge min " +
  "modulo multiply negate not notequal or parseint pow range regex regex_replace regexall replace reverse reverselist " +
  "rfc3339parse rsadecrypt sanitize sethaselement setintersection setproduct setsubtract setsymmetricdifference " +
  "setunion sha1 sha256 sha512 signum slice sort split strlen substr subtract timeadd timestamp title trim trimprefix " +
  "trimspace trimsuffix try unixtimestampparse upper urlencode uuidv4 uuidv5 values zipmap homedir semvercmp formattimestamp";

Functions("those that bake documents are there, or are refused with a reason", () => {
  const missing = DOCUMENTED.split(" ").filter(
    (name) => !FUNCTIONS.has(name) && !REFUSED.has(name) && !["try", "can", "convert"].includes(name),
  );
  assert.equal(missing, []);
});

const rows: readonly (readonly [expression: string, expected: unknown])[] = [
  // Texts
  ['upper("aßé")', "AßÉ"],
  ['lower("AÉ")', "aé"],
  ['title("hello world-wide don\'t")', "Hello World-Wide Don'T"],
  ['strlen("añ👨‍👩‍👧")', 3],
  ['reverse("abc")', "cba"],
  ['chomp("a\\n\\r\\n")', "a"],
  ['trimspace("  a b \\n")', "a b"],
  ['trim("--a-b--", "-")', "a-b"],
  ['trimprefix("v1.2", "v")', "1.2"],
  ['trimsuffix("a.tar", ".tar")', "a"],
  ['replace("1.2.3", ".", "-")', "1-2-3"],
  ['replace("a(b", "(", "$&")', "a$&b"],
  ['replace("ab", "", "-")', "-a-b-"],
  ['indent(2, "a\\nb")', "a\n  b"],
  ['substr("hello", 1, 3)', "ell"],
  ['substr("hello", -3, -1)', "llo"],
  ['split(",", "a,b,,c")', ["a", "b", "", "c"]],
  ['join("-", ["a", "b"], ["c"])', "a-b-c"],
  ['sort(["b", "a", "B"])', ["B", "a", "b"]],
  ['compact(["a", "", "b", null])', ["a", "b"]],
  ['sanitize("a/b.c-d_é")', "a_b_c-d__"],
  ['basename("/a/b.txt")', "b.txt"],
  ['basename("/")', "/"],
  ['dirname("/a/b/../c.txt")', "/a"],
  ['dirname("x")', "."],
  ["homedir()", "/home/me"],
  // Format
  ['format("%s-%03d-%5.2f|%-4s|%q", "a", 7, 1.5, "b", "c")', 'a-007- 1.50|b   |"c"'],
  ['format("%v %v %v", 1, true, ["x"])', '1 true ["x"]'],
  ['format("%[2]s %[1]s", "a", "b")', "b a"],
  ['format("%x %X %o %b %t %%", 255, 255, 8, 5, true)', "ff FF 10 101 true %"],
  ['format("%v %v %g %.3g %G", 123456, 1234567, 0.00001, 3.14159, 1000000)', "123456 1.234567e+06 1e-05 3.14 1E+06"],
  ['format("%+d %e", 3, 12345.678)', "+3 1.234568e+04"],
  ['formatlist("%s=%d", ["a", "b"], 1)', ["a=1", "b=1"]],
  // Regular expressions
  ['regex("[a-z]+", "12abc34")', "abc"],
  ['regex("(\\\\d+)\\\\.(\\\\d+)", "v1.22")', ["1", "22"]],
  ['regex("(?P<major>\\\\d+)\\\\.(?P<minor>\\\\d+)", "1.2")', { major: "1", minor: "2" }],
  ['regexall("\\\\d", "a1b2")', ["1", "2"]],
  ['regexall("x", "abc")', []],
  ['regex("(?i)HELLO[[:space:]]", "hello ")', "hello "],
  ['regex_replace("john smith", "(\\\\w+) (\\\\w+)", "$2, $1 $$")', "smith, john $"],
  // Numbers
  ["[absolute(-2), abs(-2), ceil(1.2), floor(-1.2), int(-1.9), signum(-5)]", [2, 2, 2, -2, -1, -1]],
  ["[add(1, 2), subtract(1, 2), multiply(2, 3), divide(3, 2), modulo(7, 3), negate(1)]", [3, -1, 6, 1.5, 1, -1]],
  ["[pow(2, 10), log(8, 2), min(2, 1), max(2, 3)]", [1024, 3, 1, 3]],
  ['[parseint("ff", 16), parseint("-101", 2)]', [255, -5]],
  ["[equal(1, 1), notequal(1, 1), not(true), and(true, false), or(true, false)]", [true, false, false, false, true]],
  [
    "[lessthan(1, 2), lessthanorequalto(2, 2), greaterthan(1, 2), greaterthanorequalto(2, 2)]",
    [true, true, false, true],
  ],
  // Lists and objects
  ['length(["a"])', 1],
  ["concat([1], [2, 3])", [1, 2, 3]],
  ["contains([1, 2], 2)", true],
  ['coalesce(null, "a", "b")', "a"],
  ["coalescelist([], [1])", [1]],
  ["chunklist([1, 2, 3], 2)", [[1, 2], [3]]],
  ["distinct([1, 2, 1])", [1, 2]],
  ["[element([1, 2, 3], 4), element([1, 2, 3], -1)]", [2, 3]],
  ["flatten([[1, [2]], 3])", [1, 2, 3]],
  ['[hasindex([1], 0), hasindex([1], 1), hasindex({ a = 1 }, "a")]', [true, false, true]],
  ['[index([5, 6], 1), index({ a = 7 }, "a")]', [6, 7]],
  ['indexof(["a", "b"], "b")', 1],
  ["keys({ b = 1, a = 2 })", ["a", "b"]],
  ["values({ b = 1, a = 2 })", [2, 1]],
  ['[lookup({ a = 1 }, "a", 9), lookup({ a = 1 }, "b", 9)]', [1, 9]],
  ["merge({ a = 1, b = 1 }, { b = 2 }, null)", { a: 1, b: 2 }],
  [
    "[range(3), range(1, 4), range(0, 1, 0.5), range(2, 0)]",
    [
      [0, 1, 2],
      [1, 2, 3],
      [0, 0.5],
      [2, 1],
    ],
  ],
  ["reverselist([1, 2])", [2, 1]],
  ["slice([1, 2, 3], 1, 3)", [2, 3]],
  ['zipmap(["a", "b"], [1, 2])', { a: 1, b: 2 }],
  ['setunion(["b"], ["a", "b"])', ["a", "b"]],
  ["setintersection([1, 2, 3], [3, 2])", [2, 3]],
  ["setsubtract([1, 2, 3], [2])", [1, 3]],
  ["setsymmetricdifference([1, 2], [2, 3])", [1, 3]],
  ["sethaselement([1, 2], 2)", true],
  [
    'setproduct(["a", "b"], [1, 2])',
    [
      ["a", 1],
      ["a", 2],
      ["b", 1],
      ["b", 2],
    ],
  ],
  // Encodings
  ['base64encode("é")', "w6k="],
  ['base64decode("w6k=")', "é"],
  [
    'csvdecode("a,b\\n1,\\"x,y\\"\\n2,\\"\\"\\"\\"\\n")',
    [
      { a: "1", b: "x,y" },
      { a: "2", b: '"' },
    ],
  ],
  ['jsonencode({ b = [1, true, null], a = "<x>" })', '{"a":"\\u003cx\\u003e","b":[1,true,null]}'],
  ['jsondecode("{\\"a\\": [1, \\"x\\"]}")', { a: [1, "x"] }],
  ['md5("a")', "0cc175b9c0f1b6a831c399e269772661"],
  ['sha1("a")', "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"],
  ['substr(sha256("a"), 0, 8)', "ca978112"],
  ['substr(sha512("a"), 0, 8)', "1f40fc92"],
  ['urlencode("a b/c~\'é")', "a+b%2Fc~%27%C3%A9"],
  ['uuidv5("dns", "www.example.com")', "2ed6657d-e927-568b-95e1-2665a8aea6a2"],
  ["strlen(uuidv4())", 36],
  // Times
  ["timestamp()", "2026-02-03T04:05:06Z"],
  ['timeadd("2026-01-01T00:00:00Z", "1h30m")', "2026-01-01T01:30:00Z"],
  ['timeadd("2026-01-01T00:00:00+02:00", "-10s")', "2025-12-31T23:59:50+02:00"],
  ['formatdate("YYYY-MM-DD\'T\'hh:mm:ss Z", "2026-02-03T14:05:06Z")', "2026-02-03T14:05:06 Z"],
  [
    "formatdate(\"EEEE, D MMM YY H:m AA 'o''clock' ZZZZZ\", \"2026-02-03T14:05:06+01:00\")",
    "Tuesday, 3 Feb 26 2:5 PM o'clock +01:00",
  ],
  ['[rfc3339parse("2026-02-03T14:05:06Z").iso_week, rfc3339parse("2026-02-03T14:05:06Z").year_day]', [6, 34]],
  ['[formattimestamp("X", "1970-01-01T00:01:00Z"), formattimestamp("YYYY", 0)]', ["60", "1970"]],
  ["unixtimestampparse(0).rfc3339", "1970-01-01T00:00:00Z"],
  // Networks
  ['cidrhost("10.12.112.0/20", 268)', "10.12.113.12"],
  ['cidrhost("10.0.0.0/8", -2)', "10.255.255.254"],
  ['cidrhost("fd00:fd12:3456:7890::/72", 34)', "fd00:fd12:3456:7890::22"],
  ['cidrnetmask("172.16.0.0/12")', "255.240.0.0"],
  ['cidrsubnet("172.16.0.0/12", 4, 2)', "172.18.0.0/16"],
  ['cidrsubnets("10.1.0.0/16", 4, 4, 8, 4)', ["10.1.0.0/20", "10.1.16.0/20", "10.1.32.0/24", "10.1.48.0/20"]],
  // Versions
  ['semvercmp("1.2.3", ">= 1.2, < 2")', true],
  ['semvercmp("2.0.0", "^1.2")', false],
  ['semvercmp("1.9.0", "~1.8 || 1.9.x")', true],
  ['semvercmp("1.0.0-rc1", ">= 0.9")', false],
  ['[semvercmp("1.2.9", "~1.2.3"), semvercmp("1.3.0", "~1.2.3"), semvercmp("0.3.0", "^0.2.1")]', [true, false, false]],
];

for (const [expression, expected] of rows) {
  Functions(expression, async () => assert.equal(await computed(expression), expected));
}

const faults: readonly (readonly [expression: string, expected: RegExp])[] = [
  ['regex("(", "a")', /"\(" is no regular expression/],
  ['regex("x", "abc")', /"x" does not match "abc"/],
  ['regex("(?=a)", "a")', /look neither ahead nor back/],
  ['format("%d", 1.5)', /%d needs a whole number, and this is 1\.5/],
  ['format("%d", "x")', /a number is needed here/],
  ['format("%d")', /there is no value for %d/],
  ['format("a", 1)', /there is no verb for this value/],
  ['format("%y", 1)', /there is no verb %y/],
  ['format("%99999d", 1)', /%99999d is too wide/],
  ['formatlist("%s%s", [1], [1, 2])', /the lists are not of one length/],
  ["element([], 0)", /an empty list has no element/],
  ["slice([1], 0, 2)", /a list of 1 has no members from 0 to 2/],
  ["range(100000)", /at most 1024 numbers/],
  ["range(0, 3, -1)", /there is no way from 0 to 3/],
  ["coalesce(null)", /finds nothing but null/],
  ['lookup({}, "a")', /there is no member with this key/],
  ['length("a")', /a string has no length \| strlen/],
  ['parseint("9", 8)', /"9" is no number of base 8/],
  ['base64decode("%")', /this is not base64/],
  ['csvdecode("a,b\\n1\\n")', /row 2 has 1 columns, and the first has 2/],
  ['jsondecode("[12345678901234567890]")', /a number has more digits/],
  ['jsondecode("{")', /this is no JSON/],
  ['timeadd("yesterday", "1h")', /"yesterday" is no time/],
  ['timeadd("2026-01-01T00:00:00Z", "1 hour")', /"1 hour" is no duration/],
  ['formatdate("QQ", "2026-01-01T00:00:00Z")', /there is no QQ in dates/],
  ['cidrhost("10.0.0.0/30", 9)', /there is no host 9 among 4/],
  ['cidrsubnet("10.0.0.0/30", 8, 0)', /cannot be divided by 8 more/],
  ['cidrhost("10.0.0.300/8", 1)', /is no network/],
  ['uuidv5("nope", "a")', /"nope" is no namespace/],
  ['semvercmp("x", ">1")', /"x" is no version/],
  ["setproduct(range(1000), range(1000))", /1000000 combinations are too many/],
  ['rsadecrypt("a", "b")', /the function rsadecrypt is not supported/],
];

for (const [expression, expected] of faults) {
  Functions(`${expression} is refused`, async () => assert.match(await failure(computed(expression)), expected));
}

Functions.run();
