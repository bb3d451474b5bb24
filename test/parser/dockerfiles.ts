// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import * as fc from "fast-check";

/** Dockerfiles of all instructions that the parser takes, in all the ways to write them. */

const WORDS = "a|b.c|/d/e|$X|${X:-y}|*.txt|[ab]|a=b|é|😀|x:y|%|#h|@|1|~|a'b'c|\"q r\"|\\$n|`|``|\\\\".split("|");
const word = fc.constantFrom(...WORDS.filter((text) => !/^[`\\]+$/.test(text)));
/** For the end of a line: an escape character there would continue it. */
const text = fc
  .array(fc.constantFrom(...WORDS, "--x", "&&", "[", "\\ z", "'s t'"), { minLength: 1, maxLength: 5 })
  .map((parts) => `${parts.join(" ")} z`);
const words = fc.array(word, { minLength: 1, maxLength: 3 });
const name = fc.constantFrom("A", "b_c", "X1", "d.e", "f-g");
const json = fc
  .array(fc.constantFrom("a", "", "b c", 'q"', "\\", "é\u2028", "😀", "--x", "<<E", "\ud800"), { maxLength: 4 })
  .map((items) => JSON.stringify(items));
const someJson = json.filter((items) => items !== "[]");
const value = fc.constantFrom("", "b", '"c d"', "'e f'", "$X", "${X:-a b}", '"\\""', "a\\ b", "${Y:+'}'}", "=");
/** What a flag may hold once its quotes are gone, quoted in some way. */
const flagValue = fc
  .tuple(fc.constantFrom("a", "b c", "1:2", 'q"r', "x\\y", "$X", "é", "/p/*", "'"), fc.constantFrom("\\", '"', "'"))
  .map(([content, quote]) => {
    if (quote === "\\") return content.replace(/[^\w/:*$]/gu, "\\$&");
    return content.includes(quote) || content.includes("\\") ? "plain" : quote + content + quote;
  });
const duration = fc.constantFrom("5s", "1m30s", "1.5h", "300ms", "0", "2us1ms", "1h1h");

function flags(table: Readonly<Record<string, fc.Arbitrary<string> | undefined>>): fc.Arbitrary<string> {
  const each = Object.entries(table).map(([flag, values]) =>
    values === undefined
      ? fc.constantFrom(`--${flag}`, `--${flag}=false`, `--${flag}=TRUE`)
      : values.map((written) => `--${flag}=${written}`),
  );
  return fc
    .tuple(...each.map((flag) => fc.option(flag, { nil: undefined, freq: 2 })))
    .map((given) => given.flatMap((flag) => (flag === undefined ? [] : `${flag} `)).join(""));
}

const mount = fc
  .oneof(
    fc.constantFrom(
      "target=/x",
      "type=bind,target=/x,from=a,source=b,rw",
      "type=cache,dst=$X,sharing=locked,uid=1,mode=0755",
    ),
    fc.constantFrom(
      "type=tmpfs,size=1.5g,target=/t,rw=true",
      "type=secret,id=s,env=TOKEN,required",
      "type=ssh,mode=600,gid=0",
    ),
    fc.constantFrom("'\"target=/a,b\",ro'", "type=secret,src=s,target=/run/s", '"type=cache,target=/a b,ro=false"'),
  )
  .map((fields) => `--mount=${fields} `);

/** A heredoc: its word, and its lines. */
const heredoc = fc
  .record({
    head: fc.constantFrom("<<E", "<<-E", "<<'E'", '<<-"E"', '<<E""', "<<\\E"),
    lines: fc.array(fc.constantFrom("x", "\tx $y", "", "# no comment", " E", "a \\", "E E", "<<E"), { maxLength: 4 }),
    isIndented: fc.boolean(),
  })
  .map(({ head, lines, isIndented }) => ({
    head,
    body: [...lines, isIndented && head.includes("-") ? "\t\tE" : "E"].map((each) => `\n${each}`).join(""),
  }));

const copyFlags = {
  chown: flagValue,
  chmod: fc.constantFrom("u+x", "0644"),
  link: undefined,
  exclude: flagValue,
};
const copied = (keyword: string, own: Readonly<Record<string, fc.Arbitrary<string> | undefined>>) => {
  const given = flags({ ...copyFlags, ...own });
  return fc.oneof(
    fc.tuple(given, words, word).map(([options, sources, to]) => `${keyword} ${options}${[...sources, to].join(" ")}`),
    fc
      .tuple(given, someJson)
      .filter(([, items]) => (JSON.parse(items) as string[]).length > 1)
      .map(([options, items]) => `${keyword} ${options}${items}`),
    fc
      .tuple(
        given,
        fc.array(heredoc, { minLength: 1, maxLength: 2 }),
        fc.array(fc.constantFrom("a", "b.c"), { maxLength: 1 }),
      )
      .map(([options, docs, sources]) => {
        const heads = docs.map(({ head }) => head);
        return `${keyword} ${options}${[...heads, ...sources, "/to"].join(" ")}${docs.map(({ body }) => body).join("")}`;
      }),
  );
};

const command = fc.oneof(text, json);
const pairs = fc
  .array(fc.tuple(name, value), { minLength: 1, maxLength: 3 })
  .map((list) => list.map(([key, written]) => `${key}=${written}`).join(" "));

const runOptions = fc
  .tuple(
    fc.array(mount, { maxLength: 2 }),
    fc.constantFrom("", "--network=none ", "--security=insecure ", "--device=a=b --device=c ", "-- "),
  )
  .map(([mounts, more]) => mounts.join("") + more);

/** Everything that may be a trigger of ONBUILD. */
const plainInstruction = fc.oneof(
  fc.array(fc.tuple(name, fc.option(value)), { minLength: 1, maxLength: 3 }).map((items) => {
    const written = items.map(([key, given]) => (given === null ? key : `${key}=${given}`));
    return `ARG ${written.join(" ")}`;
  }),
  fc.tuple(fc.constantFrom("ENV", "LABEL"), pairs).map(([keyword, list]) => `${keyword} ${list}`),
  fc.tuple(fc.constantFrom("ENV", "LABEL"), name, text).map(([keyword, key, rest]) => `${keyword} ${key} ${rest}`),
  copied("COPY", { from: flagValue, parents: undefined }),
  copied("ADD", { checksum: flagValue, "keep-git-dir": undefined, unpack: undefined }),
  fc.tuple(runOptions, fc.oneof(text, someJson)).map(([options, run]) => `RUN ${options}${run}`),
  fc
    .tuple(runOptions, fc.array(heredoc, { minLength: 1, maxLength: 2 }), fc.constantFrom("", "cat "))
    .map(
      ([options, docs, before]) =>
        `RUN ${options}${before}${docs.map(({ head }) => head).join(" ")}${docs.map(({ body }) => body).join("")}`,
    ),
  fc.tuple(fc.constantFrom("CMD", "ENTRYPOINT"), fc.oneof(command, fc.constant(""))).map((parts) => parts.join(" ")),
  someJson.map((shell) => `SHELL ${shell}`),
  fc
    .tuple(fc.constantFrom("WORKDIR", "USER", "STOPSIGNAL", "WORKDIR --", "USER --"), text)
    .map((parts) => parts.join(" ")),
  fc
    .array(fc.constantFrom("80", "$P", "81/udp", "8000-8002", "1:2"), { minLength: 1, maxLength: 3 })
    .map((ports) => `EXPOSE ${ports.join(" ")}`),
  fc
    .oneof(
      words.map((paths) => paths.join(" ")),
      fc.constant('["/a b", "$X"]'),
    )
    .map((paths) => `VOLUME ${paths}`),
  fc
    .tuple(
      flags({
        interval: duration,
        timeout: duration,
        "start-period": duration,
        "start-interval": duration,
        retries: fc.constantFrom("0", "3", "+7"),
      }),
      fc.oneof(text, someJson),
    )
    .map(([options, check]) => `HEALTHCHECK ${options}CMD ${check}`),
  fc.constant("HEALTHCHECK NONE"),
);

const instruction = fc.oneof(
  { weight: 8, arbitrary: plainInstruction },
  { weight: 1, arbitrary: plainInstruction.map((trigger) => `ONBUILD ${trigger}`) },
  { weight: 1, arbitrary: text.map((author) => `MAINTAINER ${author}`) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        fc.constantFrom("", "--platform=linux/arm64 ", "--platform='$P' "),
        word,
        fc.constantFrom("", " AS n", " as N.x-1"),
      )
      .map(([platform, image, as]) => `FROM ${platform}${image}${as}`),
  },
);

/** How an instruction is written: where its first line is broken, and what stands between. */
interface Layout {
  readonly keyword: "as it is" | "lower";
  readonly breaks: readonly boolean[];
  readonly between: string;
  readonly before: string;
}

const layout: fc.Arbitrary<Layout> = fc.record({
  keyword: fc.constantFrom("as it is", "lower"),
  breaks: fc.array(fc.boolean(), { maxLength: 6 }),
  between: fc.constantFrom("\n", "\n  ", " \t\n", "\n# note\n", "\n\n  # note \\\n\n"),
  before: fc.constantFrom("", "", "# note\n", "\n \t\n", "  "),
});

/** A Dockerfile whose instructions are broken over lines, with comments and blank lines in between. */
export const dockerfile: fc.Arbitrary<string> = fc
  .record({
    escapeCharacter: fc.constantFrom("\\", "`"),
    isCrlf: fc.boolean(),
    syntax: fc.constantFrom("", "# syntax=docker/dockerfile:1\n", "#check = skip=all\n"),
    globals: fc.array(fc.constantFrom("ARG A", "ARG A=1 B=${A}"), { maxLength: 2 }),
    body: fc.array(fc.tuple(instruction, layout), { maxLength: 8 }),
    isEnded: fc.boolean(),
  })
  .map(({ escapeCharacter, isCrlf, syntax, globals, body, isEnded }) => {
    const head = `${syntax}${escapeCharacter === "`" ? "# escape=`\n" : ""}`;
    const lines = [...globals, "FROM scratch", ...body.map(([source, how]) => laidOut(source, how, escapeCharacter))];
    const source = head + lines.join("\n") + (isEnded ? "\n" : "");
    return isCrlf ? source.replaceAll("\n", "\r\n") : source;
  });

function laidOut(source: string, { keyword, breaks, between, before }: Layout, escapeCharacter: string): string {
  const [first = "", ...rest] = source.split("\n");
  const parts = first.split(" ");
  const start = parts[0] ?? "";
  parts[0] = keyword === "lower" ? start.toLowerCase() : start;
  const broken = parts.map((part, number) => {
    if (number === parts.length - 1) return part;
    // Behind another escape character it would not continue the line.
    return breaks[number] === true && !part.endsWith(escapeCharacter)
      ? `${part} ${escapeCharacter}${between}`
      : `${part} `;
  });
  return [before + broken.join(""), ...rest].join("\n");
}
