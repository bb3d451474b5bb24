import { suite } from "uvu";
import * as assert from "uvu/assert";
import { goDuration, goList, goQuote, goQuoteCharacter, goQuotedList } from "../../src/executor/go-format.ts";

const Go = suite("values as Go prints them");

// Printed by Go's `strconv.Quote`.
for (const [text, expected] of [
  ["", '""'],
  ["plain text", '"plain text"'],
  [`"double" 'single' \`back\``, `"\\"double\\" 'single' \`back\`"`],
  ["a\\b", '"a\\\\b"'],
  ["\u0007\b\f\n\r\t\v", '"\\a\\b\\f\\n\\r\\t\\v"'],
  ["\u0000\u0001\u001b\u001f\u007f", '"\\x00\\x01\\x1b\\x1f\\x7f"'],
  ["\u0080\u009f\u00a0\u00ad", '"\\u0080\\u009f\\u00a0\\u00ad"'],
  ["é ü 日本 😀 €", '"é ü 日本 😀 €"'],
  ["\u2028\u2029\u200b\u202e\ufeff\u3000", '"\\u2028\\u2029\\u200b\\u202e\\ufeff\\u3000"'],
  ["\ue000\uffff\u{10ffff}\u{e0001}", '"\\ue000\\uffff\\U0010ffff\\U000e0001"'],
  ["\ufffd", '"\ufffd"'],
  ["a\u0301", '"a\u0301"'],
  ["</script>&", '"</script>&"'],
] as const) {
  Go(`the text ${expected}`, () => {
    assert.is(goQuote(text), expected);
  });
}

// Printed by Go's `%q` of an int.
for (const [code, expected] of [
  [0, "'\\x00'"],
  [1, "'\\x01'"],
  [7, "'\\a'"],
  [10, "'\\n'"],
  [31, "'\\x1f'"],
  [32, "' '"],
  [34, `'"'`],
  [39, "'\\''"],
  [65, "'A'"],
  [92, "'\\\\'"],
  [127, "'\\x7f'"],
  [128, "'\\u0080'"],
  [160, "'\\u00a0'"],
  [233, "'é'"],
  [8232, "'\\u2028'"],
  [0xd800, "'\ufffd'"],
  [128512, "'😀'"],
  [0x10ffff, "'\\U0010ffff'"],
  [0x110000, "'\ufffd'"],
  [2147483647, "'\ufffd'"],
] as const) {
  Go(`the character ${code}: ${expected}`, () => {
    assert.is(goQuoteCharacter(code), expected);
  });
}

// Printed by Go's `time.Duration`.
for (const [nanoseconds, expected] of [
  [0, "0s"],
  [1, "1ns"],
  [999, "999ns"],
  [1000, "1µs"],
  [1500, "1.5µs"],
  [999_999, "999.999µs"],
  [1_000_000, "1ms"],
  [1_500_000, "1.5ms"],
  [123_456_789, "123.456789ms"],
  [999_999_999, "999.999999ms"],
  [1_000_000_000, "1s"],
  [1_000_000_001, "1.000000001s"],
  [1_500_000_000, "1.5s"],
  [90_000_000_000, "1m30s"],
  [60_000_000_000, "1m0s"],
  [60_000_000_001, "1m0.000000001s"],
  [60_000_000_500, "1m0.0000005s"],
  [300_000_000_000, "5m0s"],
  [3_600_000_000_000, "1h0m0s"],
  [3_600_000_000_001, "1h0m0.000000001s"],
  [3_661_500_000_000, "1h1m1.5s"],
  [9_007_199_254_740_991, "2501h59m59.254740991s"],
  [9_000_000_000_000_001, "2500h0m0.000000001s"],
] as const) {
  Go(`the duration ${expected}`, () => {
    assert.is(goDuration(nanoseconds), expected);
  });
}

Go("lists", () => {
  assert.is(goList([]), "[]");
  assert.is(goList(["a", "b c"]), "[a b c]");
  assert.is(goQuotedList([]), "[]");
  assert.is(goQuotedList(["sh", "-c", 'echo "é"\n']), '["sh" "-c" "echo \\"é\\"\\n"]');
});

Go.run();
