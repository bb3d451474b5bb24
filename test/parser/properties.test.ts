// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import type { Finding } from "../../src/parser/checks/rule.ts";
import type { Dockerfile } from "../../src/parser/instructions.ts";
import { parseDockerfile } from "../../src/parser/parser.ts";
import { checked } from "../support/checked.ts";
import { REAL } from "../support/dockerfiles.ts";
import { lineLengths, misplaced, placesIn, textAt } from "./places.ts";

const Properties = suite("whatever the text is");

/** Parses; every place, be it of a word, a warning or an error, must be in the text. */
function check(source: string): Dockerfile | undefined {
  try {
    const file = parseDockerfile(source, "Dockerfile");
    const lines = lineLengths(file.source);
    for (const place of placesIn(file)) assert.is(misplaced(lines, place), undefined);
    for (const { location } of findingsIn(source)) assert.is(misplaced(lines, location), undefined);
    return file;
  } catch (error) {
    if (!(error instanceof KbuildError)) throw error;
    assert.match(error.code, /^build\./);
    assert.ok(error.location && error.source !== undefined, "an error has its place");
    assert.is(misplaced(lineLengths(error.source), error.location), undefined);
    return undefined;
  }
}

/** What checks find, unless the file can have no plan. */
function findingsIn(source: string): readonly Finding[] {
  try {
    return checked(source).findings;
  } catch (error) {
    if (!(error instanceof KbuildError)) throw error;
    return [];
  }
}

const pieces = fc.constantFrom(
  ..."\\|\n|\r\n|\t| |#|`|'|\"|[|]|{|}|$|=|,|:|<|--|é|😀|\ud83d|\ude00|\u0000|\u2028|\u00a0|\ufeff".split("|"),
  ..."FROM |from a AS b\n|ARG a=|ENV a=b |RUN |COPY a b|ONBUILD |HEALTHCHECK |CMD |SHELL |VOLUME |EXPOSE |LABEL ".split(
    "|",
  ),
  ..."<<EOF|<<-'E F'|\nEOF\n|\\\n|\\ \n|\\\\\n|`\n|# escape=`\n|# syntax=x\n|--from=x |--link |--interval=1s |NONE|${a:-".split(
    "|",
  ),
  '["a", "b"]',
  "['a']",
);

Properties("it is parsed or refused, with places inside of it", () => {
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 30 }), (parts) => {
      check(parts.join(""));
      check(`FROM a\n${parts.join("")}`);
    }),
    { numRuns: 3000 },
  );
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => void check(`FROM a\n${text}`)),
    { numRuns: 1000 },
  );
});

Properties("a Dockerfile that was changed here and there is, too", () => {
  const change = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    cut: fc.nat({ max: 5 }),
    put: fc.option(pieces),
  });
  fc.assert(
    fc.property(fc.constantFrom(...REAL), fc.array(change, { minLength: 1, maxLength: 5 }), (source, changes) => {
      let text = source;
      for (const { at, cut, put } of changes) {
        const offset = Math.floor(at * text.length);
        text = text.slice(0, offset) + (put ?? "") + text.slice(offset + cut);
      }
      check(text);
    }),
    { numRuns: 3000 },
  );
});

Properties("words that are written out stand where their places say", () => {
  for (const source of REAL) {
    const file = check(source);
    const words = (file?.stages ?? []).flatMap(({ instructions, from }) => [
      from.image,
      ...instructions.flatMap((instruction) => {
        switch (instruction.kind) {
          case "ENV":
          case "LABEL":
            return instruction.pairs.flatMap(({ name, value }) => [name, value]);
          case "COPY":
          case "ADD":
            return instruction.json ? [] : [...instruction.sources, instruction.destination];
          case "EXPOSE":
            return instruction.ports;
          default:
            return [];
        }
      }),
    ]);
    for (const { text, location } of words) {
      if (location.end?.line === location.line) assert.is(textAt(file?.source ?? "", location), text, source);
    }
  }
});

Properties("CRLF and LF say the same, and so do comments and blank lines more or less", () => {
  const essence = (file: Dockerfile | undefined) =>
    file?.stages.map(({ from, instructions }) => [from.text, ...instructions.map(({ text }) => text)]);
  for (const source of REAL) {
    const file = check(source);
    if (file === undefined || source.includes("<<")) continue;
    assert.equal(essence(check(source.replace(/\r?\n/g, "\r\n"))), essence(file), source);
    const spaced = source.split("\n").flatMap((line) => (/[\\`]\s*$/.test(line) ? [line, "  # note"] : [line]));
    if (file.directives.escape === "\\")
      assert.equal(essence(check(`${spaced.join("\n")}\n# end`)), essence(file), source);
  }
});

Properties("large inputs are read in one go", () => {
  const megabyte = 1_000_000;
  const lines = `FROM a\n${"RUN echo hello \\\n  && echo world\nENV a=b c=d\n".repeat(2000)}`;
  assert.is(check(lines)?.stages[0]?.instructions.length, 4000);
  for (const text of [
    `RUN ${"x".repeat(megabyte)}`,
    `ENV ${"é=😀 ".repeat(megabyte / 10)}`,
    `COPY ${"a ".repeat(megabyte / 10)}`,
    `COPY [${'"a",'.repeat(megabyte / 10)}"b"]`,
    `CMD ${"[".repeat(megabyte)}`,
    `CMD [${" ".repeat(megabyte)}`,
    `RUN a${" ".repeat(megabyte)}b`,
    `RUN ${"\\\n".repeat(megabyte / 2)}x`,
    `RUN ${"\\\n\n".repeat(megabyte / 4)}x`,
    `RUN ${"a \\\n# c\n".repeat(megabyte / 10)}x`,
    `RUN ${"<<A ".repeat(1000)}\n${"A\n".repeat(1000)}`,
    `RUN <<-A\n${"\t".repeat(megabyte)}A`,
    `RUN a${"\r".repeat(megabyte)}b`,
    `${"ONBUILD ".repeat(megabyte / 10)}RUN a`,
    `${"--".repeat(megabyte)} a`,
    `COPY ${"--exclude=a ".repeat(megabyte / 50)} a b`,
    `COPY --${"'\"".repeat(megabyte / 4)} a b`,
    "\u0000".repeat(megabyte),
  ]) {
    check(`FROM a\n${text}`);
  }
  check(`#${" ".repeat(megabyte)}`);
  check(`# escape=${" ".repeat(megabyte)}x y`);
  check(`# ${"a".repeat(megabyte)} = b`);
});

Properties.run();
