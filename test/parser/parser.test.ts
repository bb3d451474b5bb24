// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Instruction } from "../../src/parser/instructions.ts";
import { parseDockerfile } from "../../src/parser/parser.ts";
import { placesIn, textAt } from "./places.ts";

/** The instructions of a stage that holds nothing else, without places. */
function parsed(text: string): unknown[] {
  const file = parseDockerfile(`FROM scratch\n${text}\n`, "Dockerfile");
  return (file.stages[0]?.instructions ?? []).map((instruction) => essence(instruction));
}

/** An instruction as a list: words are their texts. */
function essence(instruction: Instruction): unknown {
  const { location: _, text: __, keyword: ___, comments: ____, emptyContinuation: _____, ...rest } = instruction;
  return simple(rest);
}

function simple(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(simple);
  if (typeof value !== "object" || value === null) return value;
  if ("text" in value && "location" in value && !("form" in value)) return value.text;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name, inner]) => name !== "location" && inner !== undefined)
      .map(([name, inner]) => [name, simple(inner)]),
  );
}

const Shapes = suite("what instructions say");

const copy = {
  sources: ["a"],
  heredocs: [],
  destination: "b",
  order: [{ source: 0 }],
  link: false,
  parents: false,
  exclude: [],
  json: false,
};

for (const [text, expected] of [
  ["ENV a=b", { kind: "ENV", pairs: [{ name: "a", value: "b", legacy: false }] }],
  [
    `ENV a="b c" d='e f' g=h\\ i j=`,
    {
      kind: "ENV",
      pairs: [
        { name: "a", value: '"b c"', legacy: false },
        { name: "d", value: "'e f'", legacy: false },
        { name: "g", value: "h\\ i", legacy: false },
        { name: "j", value: "", legacy: false },
      ],
    },
  ],
  ["ENV a  b c  d ", { kind: "ENV", pairs: [{ name: "a", value: "b c  d", legacy: true }] }],
  ["ENV a = b", { kind: "ENV", pairs: [{ name: "a", value: "= b", legacy: true }] }],
  ['LABEL "x y"=z', { kind: "LABEL", pairs: [{ name: '"x y"', value: "z", legacy: false }] }],
  ["LABEL a b", { kind: "LABEL", pairs: [{ name: "a", value: "b", legacy: true }] }],
  [
    "ARG a b=1 c= 'd'=2",
    {
      kind: "ARG",
      items: [{ name: "a" }, { name: "b", value: "1" }, { name: "c", value: "" }, { name: "d", value: "2" }],
    },
  ],
  ["COPY a b", { kind: "COPY", ...copy }],
  ["copy\ta \t b", { kind: "COPY", ...copy }],
  ['COPY ["a", "b"]', { kind: "COPY", ...copy, json: true }],
  ["COPY -- a b", { kind: "COPY", ...copy }],
  ["COPY --from= a b", { kind: "COPY", ...copy }],
  [
    "COPY --from=x --chown=1:2 --chmod=u+x --link --parents=true --exclude=c --exclude='d e' a b",
    { kind: "COPY", ...copy, from: "x", chown: "1:2", chmod: "u+x", link: true, parents: true, exclude: ["c", "d e"] },
  ],
  ["COPY --link=False a b", { kind: "COPY", ...copy }],
  [
    "ADD --keep-git-dir --checksum=sha256:x --unpack=false a b",
    { kind: "ADD", ...copy, keepGitDir: true, checksum: "sha256:x", unpack: false },
  ],
  ["ADD --unpack a b", { kind: "ADD", ...copy, unpack: true }],
  ["COPY a # b", { kind: "COPY", ...copy, sources: ["a", "#"], order: [{ source: 0 }, { source: 1 }] }],
  ["COPY [ab].txt b", { kind: "COPY", ...copy, sources: ["[ab].txt"] }],
  [
    "COPY <<A a <<-'B' b\nx $y\nA\n\t\tz\n\tB",
    {
      kind: "COPY",
      ...copy,
      heredocs: [
        { name: "A", content: "x $y\n", expand: true },
        { name: "B", content: "z\n", expand: false },
      ],
      order: [{ heredoc: 0 }, { source: 0 }, { heredoc: 1 }],
    },
  ],
  [
    "RUN a  && b",
    {
      kind: "RUN",
      command: { form: "shell", text: "a  && b" },
      heredocs: [],
      isScript: false,
      mounts: [],
      devices: [],
    },
  ],
  [
    'RUN ["a", "b c"]',
    {
      kind: "RUN",
      command: { form: "exec", words: ["a", "b c"] },
      heredocs: [],
      isScript: false,
      mounts: [],
      devices: [],
    },
  ],
  [
    "RUN [ -f x ]",
    {
      kind: "RUN",
      command: { form: "shell", text: "[ -f x ]" },
      heredocs: [],
      isScript: false,
      mounts: [],
      devices: [],
    },
  ],
  [
    "RUN",
    {
      kind: "RUN",
      command: { form: "shell", text: "" },
      heredocs: [],
      isScript: false,
      mounts: [],
      devices: [],
    },
  ],
  [
    "RUN --mount=type=bind,target=/x --mount=type=tmpfs,target=/y --network=none --security=insecure --device=d a",
    {
      kind: "RUN",
      command: { form: "shell", text: "a" },
      heredocs: [],
      isScript: false,
      mounts: [
        { type: "bind", target: "/x" },
        { type: "tmpfs", target: "/y" },
      ],
      network: { value: "none" },
      security: { value: "insecure" },
      devices: ["d"],
    },
  ],
  [
    "RUN cat <<A 3<<B >x\na\nA\nb\nB",
    {
      kind: "RUN",
      command: { form: "shell", text: "cat <<A 3<<B >x" },
      heredocs: [
        { name: "A", content: "a\n", expand: true },
        { name: "B", content: "b\n", expand: true },
      ],
      isScript: false,
      mounts: [],
      devices: [],
    },
  ],
  [
    'RUN ["a", "<<b"]',
    {
      kind: "RUN",
      command: { form: "exec", words: ["a", "<<b"] },
      heredocs: [],
      isScript: false,
      mounts: [],
      devices: [],
    },
  ],
  [
    "RUN a \"<<b\" '<<c' \\<<d x<<e << $((1<<2))",
    {
      kind: "RUN",
      command: { form: "shell", text: "a \"<<b\" '<<c' \\<<d x<<e << $((1<<2))" },
      heredocs: [],
      isScript: false,
      mounts: [],
      devices: [],
    },
  ],
  ["CMD a b", { kind: "CMD", command: { form: "shell", text: "a b" } }],
  ["CMD []", { kind: "CMD", command: { form: "exec", words: [] } }],
  ["CMD", { kind: "CMD", command: { form: "shell", text: "" } }],
  ["ENTRYPOINT -- ", { kind: "ENTRYPOINT", command: { form: "shell", text: "" } }],
  ['ENTRYPOINT  [ "a" ,\t"\\u0062\\"" ] ', { kind: "ENTRYPOINT", command: { form: "exec", words: ["a", 'b"'] } }],
  ['CMD ["\\ud800"]', { kind: "CMD", command: { form: "exec", words: ["\ufffd"] } }],
  ['SHELL ["a", "-c"]', { kind: "SHELL", words: ["a", "-c"] }],
  ["WORKDIR /a b", { kind: "WORKDIR", path: "/a b" }],
  ["USER a:b", { kind: "USER", user: "a:b" }],
  ["EXPOSE 80 $P/udp", { kind: "EXPOSE", ports: ["80", "$P/udp"] }],
  ["VOLUME /a /b", { kind: "VOLUME", paths: ["/a", "/b"] }],
  ['VOLUME ["/a b"]', { kind: "VOLUME", paths: ["/a b"] }],
  ["STOPSIGNAL SIGKILL", { kind: "STOPSIGNAL", signal: "SIGKILL" }],
  ["MAINTAINER a <b@c>", { kind: "MAINTAINER", name: "a <b@c>" }],
  ["HEALTHCHECK none", { kind: "HEALTHCHECK", check: "NONE" }],
  [
    "HEALTHCHECK --interval=1h2m3.5s --timeout=300ms --start-period=2000us --start-interval=1000000ns --retries=3 CMD a b",
    {
      kind: "HEALTHCHECK",
      check: { form: "shell", text: "a b" },
      interval: 3_723_500_000_000,
      timeout: 300_000_000,
      startPeriod: 2_000_000,
      startInterval: 1_000_000,
      retries: 3,
    },
  ],
  ['HEALTHCHECK --interval=0 --retries=0 cmd ["a"]', { kind: "HEALTHCHECK", check: { form: "exec", words: ["a"] } }],
] as const) {
  Shapes(text.replace(/\n/g, "\\n"), () => {
    const [actual, ...more] = parsed(text);
    assert.equal(more, []);
    assert.equal(actual, expected);
  });
}

for (const [text, expected] of [
  ["FROM a", { image: "a" }],
  ["from  a  aS  Foo.b_c-1", { image: "a", name: "foo.b_c-1", written: { as: "aS", name: "Foo.b_c-1" } }],
  ["FROM --platform=$BUILDPLATFORM $A:${B:-c}", { image: "$A:${B:-c}", platform: "$BUILDPLATFORM" }],
] as const) {
  Shapes(text, () => {
    const from = parseDockerfile(text, "Dockerfile").stages[0]?.from;
    assert.ok(from);
    assert.equal(essence(from), { kind: "FROM", ...expected });
  });
}

Shapes("stages, and the ARGs in front of them", () => {
  const file = parseDockerfile("ARG a\nARG b=1\nFROM x AS one\nARG c\nFROM x AS one\nRUN y\n", "d/Dockerfile");
  assert.is(file.file, "d/Dockerfile");
  assert.equal(
    file.globalArguments.map(({ items }) => items[0]?.name),
    ["a", "b"],
  );
  assert.equal(
    file.stages.map(({ index, from, instructions }) => [index, from.name?.text, instructions.map(({ kind }) => kind)]),
    [
      [0, "one", ["ARG"]],
      [1, "one", ["RUN"]],
    ],
  );
});

Shapes("a trigger is kept as it is written, and parsed", () => {
  const [onbuild] = parseDockerfile("FROM x\nONBUILD   COPY   a    b  \n", "Dockerfile").stages[0]?.instructions ?? [];
  assert.ok(onbuild?.kind === "ONBUILD");
  assert.is(onbuild.trigger, "COPY   a    b  ");
  assert.is(onbuild.text, "ONBUILD COPY   a    b");
  assert.is(onbuild.instruction.text, "COPY a    b");
  assert.equal(essence(onbuild.instruction), { kind: "COPY", ...copy });
});

Shapes("a trigger holds its heredocs as they are written", () => {
  const [onbuild] = parsed("ONBUILD RUN <<-A cat <<'B'\n\tx\n\tA\ny\nB") as { trigger: string }[];
  assert.is(onbuild?.trigger, "RUN <<-A cat <<'B'\n\tx\nA\ny\nB");
  const again = parseDockerfile(`FROM scratch\n${onbuild?.trigger}\n`, "Dockerfile").stages[0]?.instructions[0];
  assert.ok(again?.kind === "RUN");
  assert.equal(
    again.heredocs.map(({ name, content }) => [name, content]),
    [
      ["A", "x\n"],
      ["B", "y\n"],
    ],
  );
});

Shapes("the text is one line with the keyword in upper case, without heredocs", () => {
  const file = parseDockerfile("from a\ncopy\t<<A \\\n  # comment\n  b /x/\nbody\nA\n", "Dockerfile");
  assert.is(file.stages[0]?.instructions[0]?.text, "COPY <<A   b /x/");
  assert.is(file.stages[0]?.instructions[0]?.keyword, "copy");
});

Shapes.run();

const Places = suite("where it stands");

const source = [
  "# syntax=docker/dockerfile:1",
  "FROM --platform=$P base AS Build",
  "  ENV é=😀 b=2 \\",
  "    # between",
  '    c="3 4"',
  "COPY --from=x --chown='1' \\",
  "  a <<EF \\",
  "  b",
  "body",
  "EF",
  'COPY ["ö", "\\u0062 c", "/d"]',
  "ONBUILD RUN --mount=type=tmpfs,target=/t   make  all",
  "HEALTHCHECK --retries=2 CMD curl x",
].join("\n");

Places("every word's place is where the word is", () => {
  const file = parseDockerfile(`\ufeff${source}`, "Dockerfile");
  assert.is(file.source, source, "columns do not count a byte order mark");
  const at = (value: unknown) => [...placesIn(value)].map((place) => textAt(source, place));
  assert.equal(at(file.directives), ["docker/dockerfile:1"]);
  const [stage] = file.stages;
  assert.equal(at(stage?.from), ["FROM --platform=$P base AS Build", "$P", "base", "Build"]);
  const [env, copy, json, onbuild, health] = stage?.instructions ?? [];
  const envText = 'ENV é=😀 b=2 \\\n    # between\n    c="3 4"';
  assert.equal(at(env), [envText, "é", "😀", "b", "2", "c", '"3 4"']);
  assert.ok(copy?.kind === "COPY");
  assert.is(textAt(source, copy.location), "COPY --from=x --chown='1' \\\n  a <<EF \\\n  b\nbody\nEF");
  assert.equal(at([copy.sources, copy.heredocs, copy.destination, copy.from, copy.chown]), [
    "a",
    "<<EF",
    "b",
    "x",
    "'1'",
  ]);
  assert.ok(json?.kind === "COPY");
  assert.equal(at([json.sources, json.destination]), ['"ö"', '"\\u0062 c"', '"/d"']);
  assert.ok(onbuild?.kind === "ONBUILD");
  const run = "RUN --mount=type=tmpfs,target=/t   make  all";
  assert.equal(at(onbuild.location), [`ONBUILD ${run}`]);
  assert.ok(onbuild.instruction.kind === "RUN");
  assert.equal(at(onbuild.instruction.location), [run]);
  assert.equal(at(onbuild.instruction.command), ["make  all"]);
  assert.equal(at(onbuild.instruction.mounts), ["type=tmpfs,target=/t", "/t"]);
  assert.equal(at(health), ["HEALTHCHECK --retries=2 CMD curl x", "curl x"]);
});

Places("lines and columns count from 1, columns in characters", () => {
  const file = parseDockerfile("FROM a\nENV 😀=1 b=\\\n2 c=\\\n d=\r\n", "Dockerfile");
  const env = file.stages[0]?.instructions[0];
  assert.ok(env?.kind === "ENV");
  assert.equal(
    env.pairs.map(({ name, value }) =>
      [name, value].map(({ text, location: { line, column, end } }) => [text, line, column, end]),
    ),
    [
      [
        ["😀", 2, 5, { line: 2, column: 6 }],
        ["1", 2, 7, { line: 2, column: 8 }],
      ],
      [
        ["b", 2, 9, { line: 2, column: 10 }],
        ["2", 3, 1, { line: 3, column: 2 }],
      ],
      [
        ["c", 3, 3, { line: 3, column: 4 }],
        ["", 3, 5, { line: 3, column: 5 }],
      ],
      [
        ["d", 4, 2, { line: 4, column: 3 }],
        ["", 4, 4, { line: 4, column: 4 }],
      ],
    ],
  );
});

Places.run();
