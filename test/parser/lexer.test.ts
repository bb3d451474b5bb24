// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseDockerfile } from "../../src/parser/parser.ts";

/** The instructions' texts behind FROM; those of heredocs follow in brackets. */
function texts(source: string): string[] {
  return (parseDockerfile(source, "Dockerfile").stages[0]?.instructions ?? []).map((instruction) => {
    const bodies = "heredocs" in instruction ? instruction.heredocs.map(({ content }) => `[${content}]`) : [];
    return [instruction.text, ...bodies].join("");
  });
}

const Lines = suite("lines");

for (const [name, source, expected] of [
  ["no line end at the end", "FROM a\nUSER b", ["USER b"]],
  ["CRLF", "FROM a\r\nENV a=1 \\\r\n b=2\r\n", ["ENV a=1  b=2"]],
  ["a byte order mark", "\ufeffFROM a\nUSER b", ["USER b"]],
  ["indents, tabs and blank lines", "\n  FROM a\n\n\t USER\tb \t\n\n", ["USER b"]],
  ["comments between", "# x\nFROM a\n # y\nUSER b # z\n", ["USER b # z"]],
  ["continued lines", "FROM a\nRUN a \\\n\tb \\ \t\n  c\n", ["RUN a \tb   c"]],
  ["a continued word", "FROM a\nUS\\\nER b\\\nc\n", ["USER bc"]],
  ["comments in a continued line", "FROM a\nRUN a \\\n  # x\n# y \\\n b\nUSER c", ["RUN a  b", "USER c"]],
  ["blank lines in a continued line", "FROM a\nRUN a \\\n\n \n b\nUSER c", ["RUN a  b", "USER c"]],
  ["a continuation at the end", "FROM a\nUSER b \\\n", ["USER b"]],
  ["a continuation without a line end", "FROM a\nUSER b \\", ["USER b"]],
  ["a line that is only a continuation", "\\\nFROM a\n\\\nUSER b\n", ["USER b"]],
  ["an escaped escape character continues nothing", "FROM a\nUSER b\\\\\nUSER c\n", ["USER b\\\\", "USER c"]],
  ["an escape character in the middle is kept", "FROM a\nUSER a\\b\n", ["USER a\\b"]],
  ["NUL and other characters are themselves", "FROM a\nUSER a\u0000\u001b\u2028b\n", ["USER a\u0000\u001b\u2028b"]],
  ["Unicode's white space around a line", "\u2028FROM a\n\u00a0USER b\u3000\n", ["USER b"]],
  ["only a line feed ends a line", "FROM a\nUSER a\rb\u0085c\n", ["USER a\rb\u0085c"]],
] as const) {
  Lines(name, () => {
    assert.equal(texts(source), expected);
  });
}

Lines("a blank line in a continued instruction is told where reading had come to, a comment is not", () => {
  const { stages } = parseDockerfile("FROM a\nRUN a \\\n # x\n\n\n b\nRUN c \\\n # y\n d\nUSER e \\\n", "Dockerfile");
  assert.equal(
    (stages[0]?.instructions ?? []).map(({ emptyContinuation: place }) => place?.line),
    [6, undefined, undefined],
  );
});

for (const [name, source, expected] of [
  ["those right above it", "# a\n  #  b \t\nFROM x", ["a", "b"]],
  ["none", "FROM x", []],
  ["those behind a blank line", "# a\n\n# b\nFROM x", ["b"]],
  ["those behind one that is blank", "# a\n#\n# b\nFROM x", ["b"]],
  ["a blank line parts them from it", "# a\n \nFROM x", []],
  ["directives are none", "# syntax=x\n# a\nFROM x", ["a"]],
  ["those of another instruction are not", "# a\nARG b\nFROM x", []],
  ["a second # is the comment's", "## a\nFROM x", ["# a"]],
] as const) {
  Lines(`comments of an instruction: ${name}`, () => {
    assert.equal(parseDockerfile(source, "Dockerfile").stages[0]?.from.comments, expected);
  });
}

Lines.run();

const Directives = suite("directives");

for (const [name, source, expected] of [
  ["none", "FROM a", [undefined, "\\", undefined]],
  ["all", "# syntax = x:1 \n#escape=`\n# CHECK=skip=A;error=true\nFROM a", ["x:1", "`", "skip=A;error=true"]],
  ["indented", "  # escape=`\nFROM a", [undefined, "`", undefined]],
  ["the escape that is there anyway", "# escape=\\\nFROM a", [undefined, "\\", undefined]],
  ["with CRLF", "# escape=`\r\nFROM a", [undefined, "`", undefined]],
  ["behind a comment", "# hello\n# escape=`\nFROM a", [undefined, "\\", undefined]],
  ["behind an unknown one", "# foo=bar\n# escape=`\nFROM a", [undefined, "\\", undefined]],
  ["behind a blank line", "# syntax=x\n\n# escape=`\nFROM a", ["x", "\\", undefined]],
  ["behind an instruction", "FROM a\n# escape=`", [undefined, "\\", undefined]],
  ["without a value", "# escape=\nFROM a", [undefined, "\\", undefined]],
  ["behind a shebang", "#!/bin/x\n# escape=`\nFROM a", [undefined, "\\", undefined]],
] as const) {
  Directives(name, () => {
    const { syntax, escape: escapeCharacter, check } = parseDockerfile(source, "Dockerfile").directives;
    assert.equal([syntax?.text, escapeCharacter, check?.text], expected);
  });
}

Directives("the escape character of the file continues its lines and escapes its spaces", () => {
  const source = "# escape=`\nFROM a\nENV a=C:\\ b=x` y `\n  c=z\n";
  const [env] = parseDockerfile(source, "Dockerfile").stages[0]?.instructions ?? [];
  assert.ok(env?.kind === "ENV");
  assert.equal(
    env.pairs.map(({ name, value }) => [name.text, value.text]),
    [
      ["a", "C:\\"],
      ["b", "x` y"],
      ["c", "z"],
    ],
  );
});

Directives.run();

const Heredocs = suite("heredocs");

for (const [name, source, expected] of [
  ["one", "RUN <<EOF\na\n  b\nEOF\nUSER c", ["RUN <<EOF[a\n  b\n]", "USER c"]],
  ["empty", "RUN <<EOF\nEOF", ["RUN <<EOF[]"]],
  ["several", "RUN a <<A b <<B\n1\nA\n2\nB", ["RUN a <<A b <<B[1\n][2\n]"]],
  ["tabs", "RUN <<-EOF\n\t\ta\n\t b\tc\n\t\tEOF", ["RUN <<-EOF[a\n b\tc\n]"]],
  ["tabs are kept without the dash", "RUN <<EOF\n\ta\n\tEOF\nEOF", ["RUN <<EOF[\ta\n\tEOF\n]"]],
  ["instructions and comments are text in it", "RUN <<EOF\n# x\nFROM b\n\\\nEOF", ["RUN <<EOF[# x\nFROM b\n\\\n]"]],
  ["a continued line", "RUN <<EOF \\\n && x\nb\nEOF", ["RUN <<EOF  && x[b\n]"]],
  ["CRLF", "RUN <<EOF\r\na\r\nEOF\r\n", ["RUN <<EOF[a\r\n]"]],
  ["quoted with a space", "RUN <<'a b'\nx\na b", ["RUN <<'a b'[x\n]"]],
  ["partly quoted", 'RUN <<E"O"F\nx\nEOF', ['RUN <<E"O"F[x\n]']],
  ["of ONBUILD", "ONBUILD RUN <<EOF\na\nEOF\nUSER b", ["ONBUILD RUN <<EOF", "USER b"]],
  ["none for other instructions", "CMD cat <<EOF\nUSER a", ["CMD cat <<EOF", "USER a"]],
  [
    "with space in front of the name",
    "RUN a << B && c 3<<\t'D E'\n1\nB\n2\nD E",
    ["RUN a << B && c 3<<\t'D E'[1\n][2\n]"],
  ],
  ["with a name in the next line", "RUN a << \\\n B\n1\nB\nUSER c", ["RUN a <<  B[1\n]", "USER c"]],
  ["none without a name", 'RUN a <<"" b <<- c <<\nUSER a', ['RUN a <<"" b <<- c <<', "USER a"]],
  ["none of a number that is shifted", "RUN a $((1 << 4)) 1 << 2\nUSER a", ["RUN a $((1 << 4)) 1 << 2", "USER a"]],
  ["none of a string in front of a word", "RUN a <<< B\nUSER a", ["RUN a <<< B", "USER a"]],
  ["none quoted with its space", "RUN a '<< B'\nUSER a", ["RUN a '<< B'", "USER a"]],
  ["none within a word", "RUN a<<b\nUSER a", ["RUN a<<b", "USER a"]],
  ["none with three signs", "RUN a <<<b\nUSER a", ["RUN a <<<b", "USER a"]],
  ["none in a JSON form", 'COPY ["<<a", "b"]\nUSER a', ['COPY ["<<a", "b"]', "USER a"]],
] as const) {
  Heredocs(name, () => {
    assert.equal(texts(`FROM x\n${source}`), expected);
  });
}

for (const [written, expand] of [
  ["<<EOF", true],
  ["<<'EOF'", false],
  ['<<"EOF"', false],
  ["<<EO'F'", false],
  ["<<\\EOF", true],
] as const) {
  Heredocs(`${written} is ${expand ? "" : "not "}expanded`, () => {
    const [copy] = parseDockerfile(`FROM x\nCOPY ${written} /y\nEOF\n`, "Dockerfile").stages[0]?.instructions ?? [];
    assert.ok(copy?.kind === "COPY");
    assert.equal(
      copy.heredocs.map((heredoc) => [heredoc.name, heredoc.expand]),
      [["EOF", expand]],
    );
  });
}

Heredocs.run();

const Json = suite("arrays that are no JSON");

for (const [source, column] of [
  ["CMD ['node']", 5],
  ["CMD  [ 'node', 'a.js' ]", 6],
  ['ENTRYPOINT ["node", "a.js"', 12],
  ['RUN ["node", "a.js",]', 5],
  ["VOLUME ['/a']", 8],
  ["COPY ['a', 'b'] c", 6],
  ["HEALTHCHECK CMD ['a']", 17],
  ["CMD [“node”]", 5],
] as const) {
  Json(`${source} is warned of`, () => {
    const { warnings, stages } = parseDockerfile(`FROM a\n${source}\n`, "Dockerfile");
    assert.equal(
      warnings.map(({ code, location }) => [code, location.line, location.column, location.end?.column]),
      [["InvalidJSONForm", 2, column, source.length + 1]],
    );
    assert.is(stages[0]?.instructions.length, 1);
  });
}

for (const source of [
  "RUN [ -f x ]",
  'RUN [ "$a" = "b" ]',
  "RUN [[ -f x ]]",
  "COPY [ab].txt c",
  'CMD ["a"]',
  "CMD []",
]) {
  Json(`${source} is not`, () => {
    assert.equal(parseDockerfile(`FROM a\n${source}\n`, "Dockerfile").warnings, []);
  });
}

Json.run();
