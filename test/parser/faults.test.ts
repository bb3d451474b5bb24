// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import { parseDockerfile, parseLeading } from "../../src/parser/parser.ts";
import { textAt } from "./places.ts";

/** What a Dockerfile is refused with. */
function faultOf(source: string): KbuildError {
  let fault: unknown;
  try {
    parseDockerfile(source, "Dockerfile");
  } catch (error) {
    fault = error;
  }
  assert.instance(fault, KbuildError, `${JSON.stringify(source.slice(0, 100))} was taken`);
  return fault as KbuildError;
}

const Faults = suite("what is refused");

// The instruction, the code, what is marked, what the message and what the hint must say.
const rows: readonly (readonly [string, string, string, RegExp, RegExp])[] = [
  ["COPPY a b", "build.unknownInstruction", "COPPY", /COPPY/, /did you mean COPY\?/],
  ["form x", "build.unknownInstruction", "form", /form/, /did you mean FROM\?/],
  ["&& make", "build.unknownInstruction", "&&", /&&/, /line before/],
  ["\\\n", "build.parse", "", /nothing/, /take/],
  ["FROM", "build.parse", "FROM", /no image/, /FROM IMAGE/],
  ["FROM a AS", "build.parse", "AS", /name is missing/, /AS NAME/],
  ["FROM a b", "build.parse", "b", /more than an image/, /AS NAME/],
  ["FROM a b c", "build.parse", "b c", /more than an image: b c/, /AS NAME/],
  ["FROM a AS b c", "build.parse", "c", /more than an image: c/, /AS NAME/],
  ["FROM a AS 1b", "build.stageName", "1b", /1b/, /letter/],
  ["FROM a AS b/c", "build.stageName", "b/c", /b\/c/, /letter/],
  ["FROM --plattform=x a", "build.unknownFlag", "--plattform=x", /--plattform/, /did you mean --platform\?/],
  ["COPY --chwon=1 a b", "build.unknownFlag", "--chwon=1", /--chwon/, /did you mean --chown\?/],
  ["COPY --checksum=x a b", "build.unknownFlag", "--checksum=x", /COPY/, /flag of ADD/],
  ["COPY --zzzzzz a b", "build.unknownFlag", "--zzzzzz", /COPY/, /its flags are --from, /],
  ["ENV --x=1 a=b", "build.unknownFlag", "--x=1", /ENV/, /no flags/],
  ["COPY --__proto__ a b", "build.unknownFlag", "--__proto__", /__proto__/, /flags/],
  ["COPY --chmod=1 --link --chmod=2 a b", "build.duplicateFlag", "--chmod=2", /--chmod.*twice/, /keep one/],
  ["COPY --from a b", "build.flagValue", "--from", /no value/, /--from=VALUE/],
  ["COPY --link=1 a b", "build.flagValue", "--link=1", /"1"/, /--link=false/],
  ["COPY --link= a b", "build.flagValue", "--link=", /no value/, /--link=false/],
  ["COPY", "build.parse", "COPY", /no source/, /COPY SOURCE/],
  ["COPY a", "build.parse", "COPY a", /no destination/, /DESTINATION/],
  ['ADD ["a"]', "build.parse", 'ADD ["a"]', /no destination/, /ADD SOURCE/],
  ['COPY ["a", 1]', "build.jsonForm", '["a", 1]', /JSON array/, /double quotes/],
  ['CMD ["a", null]', "build.jsonForm", '["a", null]', /CMD.*JSON/, /double quotes/],
  ["COPY << EOF /x\nq\nEOF", "build.heredoc", "<< EOF", /no space/, /COPY <<EOF/],
  ["RUN a << EOF\nq\n", "build.heredoc", "<< EOF", /EOF does not end/, /nothing but EOF/],
  ["COPY a <<EOF\nx\nEOF", "build.heredoc", "<<EOF", /where COPY copies to/, /COPY <<EOF/],
  ["COPY <<'a b' /x\nq\na b", "build.heredoc", "<<'a b'", /a b/, /without spaces/],
  ["RUN a \\\n  <<EOF b\nx\n", "build.heredoc", "<<EOF", /EOF does not end/, /nothing but EOF/],
  ["RUN --network=foo a", "build.flagValue", "--network=foo", /"foo"/, /default or none or host/],
  ["RUN --security=$x a", "build.flagValue", "--security=$x", /"\$x"/, /sandbox or insecure/],
  ["RUN --mount= a", "build.flagValue", "--mount=", /no value/, /--mount=VALUE/],
  ["RUN []", "build.parse", "RUN []", /no command/, /RUN COMMAND/],
  ['SHELL ["sh", -c]', "build.jsonForm", '["sh", -c]', /SHELL.*JSON/, /double quotes/],
  ["SHELL /bin/x -c", "build.jsonForm", "/bin/x -c", /JSON/, /SHELL \["/],
  ["SHELL []", "build.jsonForm", "[]", /JSON/, /SHELL \["/],
  ["SHELL", "build.jsonForm", "SHELL", /JSON/, /SHELL \["/],
  ["ENV", "build.parse", "ENV", /sets nothing/, /ENV NAME=VALUE/],
  ["ENV a", "build.parse", "ENV a", /a has no value/, /ENV a=VALUE/],
  ["LABEL a=b c", "build.parse", "c", /"c" has no =/, /quotes/],
  ["ENV r=${nope:-a b}", "build.parse", "b}", /"b}" has no =/, /quotes/],
  ["ENV =b", "build.blankName", "=b", /ENV.*blank name/, /NAME=VALUE/],
  ["ENV a=b =c", "build.blankName", "=c", /blank name/, /spaces/],
  ["ARG", "build.parse", "ARG", /declares nothing/, /ARG NAME/],
  ["ARG =a", "build.blankName", "=a", /ARG.*blank name/, /NAME=VALUE/],
  ["ARG a=1 $b=1", "build.parse", "$b", /\$b/, /letters/],
  ['ARG ""=1', "build.parse", '""', /name of an ARG/, /letters/],
  ["EXPOSE", "build.parse", "EXPOSE", /no port/, /EXPOSE 80/],
  ["VOLUME", "build.parse", "VOLUME", /no path/, /VOLUME \/data/],
  ["VOLUME []", "build.parse", "VOLUME []", /no path/, /VOLUME/],
  ["USER", "build.parse", "USER", /USER needs/, /USER USER/],
  ["WORKDIR", "build.parse", "WORKDIR", /WORKDIR needs/, /WORKDIR PATH/],
  ["STOPSIGNAL", "build.parse", "STOPSIGNAL", /STOPSIGNAL needs/, /SIGNAL/],
  ["MAINTAINER", "build.parse", "MAINTAINER", /MAINTAINER needs/, /NAME/],
  ["HEALTHCHECK", "build.parse", "HEALTHCHECK", /nothing/, /NONE/],
  ["HEALTHCHECK curl x", "build.parse", "curl", /"curl"/, /HEALTHCHECK CMD/],
  ["HEALTHCHECK CMD", "build.parse", "HEALTHCHECK CMD", /no command/, /CMD COMMAND/],
  ["HEALTHCHECK CMD []", "build.parse", "HEALTHCHECK CMD []", /no command/, /CMD COMMAND/],
  ["HEALTHCHECK --interval=abc CMD x", "build.duration", "abc", /"abc" is not a duration/, /30s/],
  ["HEALTHCHECK --timeout=1 CMD x", "build.duration", "1", /--timeout/, /30s/],
  ["HEALTHCHECK --timeout=9999999h CMD x", "build.duration", "9999999h", /not a duration/, /30s/],
  ["HEALTHCHECK --interval=0.1ms CMD x", "build.duration", "0.1ms", /less than 1ms/, /500ms/],
  ["HEALTHCHECK --interval=-1s CMD x", "build.duration", "-1s", /less than 1ms/, /500ms/],
  ["HEALTHCHECK --retries=-1 CMD x", "build.flagValue", "-1", /"-1"/, /--retries=3/],
  ["HEALTHCHECK --retries=a CMD x", "build.flagValue", "a", /"a"/, /--retries=3/],
  ["HEALTHCHECK --retry=2 CMD x", "build.unknownFlag", "--retry=2", /--retry/, /--retries/],
  ["ONBUILD", "build.parse", "ONBUILD", /no instruction/, /ONBUILD INSTRUCTION/],
  ["ONBUILD COPPY a b", "build.unknownInstruction", "COPPY", /COPPY/, /COPY/],
  ["ONBUILD COPY a", "build.parse", "COPY a", /no destination/, /DESTINATION/],
];

for (const [text, code, marked, message, hint] of rows) {
  Faults(text.replace(/\n/g, "\\n"), () => {
    const source = `FROM scratch\n# above\n${text}`;
    const fault = faultOf(source);
    assert.is(fault.code, code);
    assert.match(fault.message, message);
    assert.match(fault.hint ?? "", hint);
    assert.is(fault.source, source);
    assert.is(fault.location?.file, "Dockerfile");
    assert.ok((fault.location?.line ?? 0) >= 3);
    assert.is(fault.location && textAt(source, fault.location), marked);
    assert.is(fault.exitStatus, 1);
  });
}

for (const [trigger, keyword] of [
  ["ONBUILD COPY a b", "ONBUILD"],
  ["from x", "from"],
  ["MAINTAINER x", "MAINTAINER"],
] as const) {
  Faults(`ONBUILD ${trigger}`, () => {
    const source = `FROM scratch\nONBUILD ${trigger}\n`;
    const fault = faultOf(source);
    assert.is(fault.code, "build.onbuild");
    assert.match(fault.message, /cannot be a trigger/);
    assert.is(fault.location && textAt(source, fault.location), keyword);
  });
}

Faults("HEALTHCHECK NONE with more", () => {
  const fault = faultOf("FROM scratch\nHEALTHCHECK NONE x\n");
  assert.equal([fault.code, fault.location?.line, fault.location?.column], ["build.parse", 2, 18]);
});

for (const [text, code, marked, message] of [
  ["HEALTHCHECK --retries=3 NONE", "UnusedFlag", "--retries=3", /no use for --retries/],
  ["RUN --mount=type=bind,id=a,target=/b c", "UnusedFlag", "id=a", /id has no effect on a mount of type bind/],
  ["RUN --mount=type=cache,target=/b,env=A c", "UnusedFlag", "env=A", /env has no effect on a mount of type cache/],
  ["RUN", "BlankCommand", "RUN", /no command/],
  ["RUN --network=none", "BlankCommand", "RUN --network=none", /no command/],
  ["ONBUILD RUN", "BlankCommand", "RUN", /no command/],
  ["CMD", "BlankCommand", "CMD", /CMD \[\] means none/],
  ["ENTRYPOINT --", "BlankCommand", "ENTRYPOINT --", /ENTRYPOINT \[\] means none/],
] as const) {
  Faults(`${text} is taken with a warning`, () => {
    const { source, warnings } = parseDockerfile(`FROM scratch\n${text}\n`, "Dockerfile");
    const [warning, ...more] = warnings;
    assert.equal([warning?.code, more], [code, []]);
    assert.is(warning && textAt(source, warning.location), marked);
    assert.match(warning?.message ?? "", message);
  });
}

for (const text of ["EXPOSE 80 81/tcp", "EXPOSE ${P:-80/TCP}", "CMD []", "ENTRYPOINT []", "HEALTHCHECK NONE"]) {
  Faults(`${text} needs no warning`, () => {
    assert.equal(parseDockerfile(`FROM scratch\n${text}\n`, "Dockerfile").warnings, []);
  });
}

for (const [source, code, line, column, message] of [
  ["", "build.noFrom", 1, 1, /is empty/],
  [" \n\t\r\n", "build.noFrom", 1, 1, /is empty/],
  ["# nothing\n", "build.noFrom", 1, 1, /no instructions/],
  ["# c\nARG a\nARG b\n", "build.noFrom", 2, 1, /no FROM/],
  ["ARG a\n  RUN x\nFROM y\n", "build.noFrom", 2, 3, /RUN stands before the first FROM/],
  ["FORM x\nRUN <<EOF\n", "build.unknownInstruction", 1, 1, /FORM/],
  ["# escape=`\n# escape=\\\nFROM a", "build.directive", 2, 1, /escape is there twice/],
  ["# escape=x\nFROM a", "build.directive", 1, 10, /"x"/],
] as const) {
  Faults(`${JSON.stringify(source)} as a whole`, () => {
    const fault = faultOf(source);
    assert.equal([fault.code, fault.location?.line, fault.location?.column], [code, line, column]);
    assert.match(fault.message, message);
    assert.type(fault.hint, "string");
    assert.is(fault.source, source);
  });
}

for (const [source, expected] of [
  ["FROM a\nENV b=c\nCOPPY d e\nUSER f", ["ENV b=c"]],
  ["FROM a\nRUN <<EOF\nb\n", []],
  ["FROM a\nENV b=c", ["ENV b=c"]],
  ["ENV a=b\nFROM c", undefined],
  ["ARG a", undefined],
  ["# escape=x\nFROM a", undefined],
] as const) {
  Faults(`what stands before the fault of ${JSON.stringify(source)} can be had`, () => {
    const leading = parseLeading(source, "Dockerfile");
    assert.equal(
      leading?.stages[0]?.instructions.map(({ text }) => text),
      expected,
    );
    if (leading !== undefined) assert.is(leading.source, source, "the source is the whole");
  });
}

Faults("a message does not repeat a megabyte", () => {
  const long = "x".repeat(1_000_000);
  for (const text of [long, `FROM ${long} ${long}`, `COPY --${long} a b`, `ENV a=b ${long}`, `RUN <<${long}`]) {
    const fault = faultOf(`FROM a\n${text}`);
    assert.ok(fault.message.length + (fault.hint?.length ?? 0) < 500, fault.message.slice(0, 300));
  }
});

Faults.run();
