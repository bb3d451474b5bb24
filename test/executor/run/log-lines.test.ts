import { suite } from "uvu";
import * as assert from "uvu/assert";
import { LogLines } from "../../../src/executor/run/log-lines.ts";

const Log = suite("lines of a step");

type Piece = readonly ["stdout" | "stderr", string | Buffer];

function linesOf(pieces: readonly Piece[], secrets: readonly string[] = []): string[] {
  const lines: string[] = [];
  const log = new LogLines({ log: (stream, line) => lines.push(`${stream}: ${line}`) }, secrets);
  for (const [stream, text] of pieces) log.push(stream, Buffer.from(text as string));
  log.end();
  return lines;
}

const euro = Buffer.from("€\n");

for (const [name, pieces, expected] of [
  ["whole lines come as they are", [["stdout", "a\nb\n"]], ["stdout: a", "stdout: b"]],
  [
    "a line in pieces comes as one",
    [
      ["stdout", "a"],
      ["stdout", "b\n"],
    ],
    ["stdout: ab"],
  ],
  ["a last line needs no end", [["stderr", "a\nb"]], ["stderr: a", "stderr: b"]],
  ["empty lines are lines", [["stdout", "\n\na\n"]], ["stdout: ", "stdout: ", "stdout: a"]],
  ["line ends of DOS are taken off", [["stdout", "a\r\nb\r"]], ["stdout: a", "stdout: b"]],
  [
    "the streams are kept apart, each with its own beginnings of lines",
    [
      ["stdout", "a"],
      ["stderr", "x\n"],
      ["stdout", "b\n"],
    ],
    ["stderr: x", "stdout: ab"],
  ],
  [
    "a character may come in pieces",
    [
      ["stdout", euro.subarray(0, 1)],
      ["stdout", euro.subarray(1)],
    ],
    ["stdout: €"],
  ],
  ["bytes that are no UTF-8 are shown as such", [["stdout", Buffer.from([0x61, 0xff, 0x0a])]], ["stdout: a\ufffd"]],
  ["nothing gives nothing", [["stdout", ""]], []],
] as const satisfies readonly (readonly [string, readonly Piece[], readonly string[]])[]) {
  Log(name, () => assert.equal(linesOf(pieces), expected));
}

Log("a line that never ends is handed out in pieces", () => {
  const lines = linesOf([["stdout", "x".repeat(3 * 1024 * 1024 + 5)]]);
  assert.equal(
    lines.map((line) => line.length - "stdout: ".length),
    [1024 * 1024, 1024 * 1024, 1024 * 1024, 5],
  );
});

Log("secrets are not shown, of one with several lines none of them", () => {
  const key = "-----BEGIN KEY-----\nabcdef0123\n-----END KEY-----\n";
  assert.equal(linesOf([["stdout", `token hunter2!, key ${key}`]], ["hunter2!", key]), [
    "stdout: token ***, key ***",
    "stdout: ***",
    "stdout: ***",
  ]);
  assert.equal(linesOf([["stderr", "a pass\n"]], ["a"]), ["stderr: a pass"], "a secret of one letter blackens nothing");
  assert.equal(
    linesOf([["stderr", "abcdefgh abcd\n"]], ["abcd", "abcdefgh"]),
    ["stderr: *** ***"],
    "longer ones first",
  );
});

Log.run();
