// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import type { RunInstruction } from "../../src/parser/instructions.ts";
import { parseDockerfile } from "../../src/parser/parser.ts";
import { textAt } from "./places.ts";

function runOf(source: string): RunInstruction {
  const instruction = parseDockerfile(source, "Dockerfile").stages[0]?.instructions[0];
  assert.ok(instruction?.kind === "RUN");
  return instruction;
}

/** The fields of the only mount that a RUN with this flag has, each as its text and what its place marks. */
function mountOf(flag: string): Readonly<Record<string, unknown>> {
  const source = `FROM a\nRUN ${flag} true\n`;
  const [mount, ...more] = runOf(source).mounts;
  assert.ok(mount);
  assert.equal(more, []);
  const { type, location, ...fields } = mount;
  assert.ok(source.includes(textAt(source, location)));
  const said = Object.entries(fields).flatMap(([name, word]) =>
    word === undefined ? [] : [[name, [word.text, textAt(source, word.location)]] as const],
  );
  return { type, ...Object.fromEntries(said) };
}

const both = (text: string) => [text, text];
const Mounts = suite("mounts of RUN");

for (const [flag, expected] of [
  ["--mount=target=/a", { type: "bind", target: both("/a") }],
  ["--mount=dst=/a", { type: "bind", target: both("/a") }],
  [
    "--mount=type=bind,source=b,destination=/a,from=c,rw",
    { type: "bind", target: both("/a"), source: both("b"), from: both("c"), readWrite: ["true", "rw"] },
  ],
  ["--mount=from=c", { type: "bind", from: both("c") }],
  ["--mount=ro=false,target=/a", { type: "bind", target: both("/a"), readOnly: both("false") }],
  ["--mount=TYPE=Cache,Target=/A", { type: "cache", target: both("/A") }],
  [
    "--mount=type=cache,id=$i,target=/a,sharing=LOCKED,mode=0700,uid=1,gid=2,from=x,src=y,readonly",
    {
      type: "cache",
      id: both("$i"),
      target: both("/a"),
      sharing: both("LOCKED"),
      mode: both("0700"),
      uid: both("1"),
      gid: both("2"),
      from: both("x"),
      source: both("y"),
      readOnly: ["true", "readonly"],
    },
  ],
  ["--mount=type=tmpfs,target=/a,size=1g,rw", { type: "tmpfs", target: both("/a"), size: both("1g") }],
  [
    "--mount=type=secret,id=s,required,env=T",
    { type: "secret", id: both("s"), required: ["true", "required"], env: both("T") },
  ],
  ["--mount=type=secret,src=s,required=0", { type: "secret", id: both("s"), required: both("0") }],
  ["--mount=type=secret,target=/x/s,ro", { type: "secret", target: both("/x/s") }],
  ["--mount=required,type=ssh", { type: "ssh", required: ["true", "required"] }],
  ["--mount=type=ssh,id=g,mode=0666", { type: "ssh", id: both("g"), mode: both("0666") }],
  ["--mount=id=,type=cache,source=,target=/a,from=", { type: "cache", target: both("/a") }],
  [
    "--mount=type=cache,target=/a,mode=$M,sharing=${S:-x}",
    {
      type: "cache",
      target: both("/a"),
      mode: both("$M"),
      sharing: both("${S:-x}"),
    },
  ],
  ["--mount='\"target=/a,b\"'", { type: "bind", target: both("/a,b") }],
  ['--mount=\\"target=/a,b\\",ro', { type: "bind", target: both("/a,b"), readOnly: ["true", "ro"] }],
  ['--mount=\'"target=/a""b"\'', { type: "bind", target: ['/a"b', '/a""b'] }],
  ["--mount=target='/a b'", { type: "bind", target: ["/a b", "/a b"] }],
  ["--mount=type=bind,id=x,target=/a", { type: "bind", target: both("/a") }],
  ["--mount=target=/a\\ b", { type: "bind", target: ["/a b", "/a\\ b"] }],
  ["--mount=target=/a=b", { type: "bind", target: both("/a=b") }],
  ["--mount=target=/fromage=one", { type: "bind", target: both("/fromage=one") }],
  ["--mount=target=/😀,source=é", { type: "bind", target: both("/😀"), source: both("é") }],
] as const) {
  Mounts(flag, () => assert.equal(mountOf(flag), expected));
}

Mounts("several keep their order", () => {
  const { mounts } = runOf(
    "FROM a\nRUN --mount=type=ssh --network=none --mount=type=cache,target=/a --mount=from=b x\n",
  );
  assert.equal(
    mounts.map(({ type }) => type),
    ["ssh", "cache", "bind"],
  );
});

Mounts("a value that goes on in the next line has its place there", () => {
  const source = "FROM a\nRUN --mount=type=bind,source=a,targ\\\net=/b x\n";
  const [mount] = runOf(source).mounts;
  assert.ok(mount?.target);
  assert.is(mount.target.text, "/b");
  assert.equal([mount.target.location.line, mount.target.location.column], [3, 4]);
});

const Refused = suite("mounts that are refused");

// The flag, what is marked, what the message and what the hint must say.
for (const [flag, marked, message, hint] of [
  ["--mount=foo=1", "foo=1", /no field "foo"/, /there is type/],
  ["--mount=type=cache,tarjet=/a", "tarjet=/a", /"tarjet"/, /did you mean target\?/],
  ["--mount=type=zzz,target=/c", "zzz", /unsupported mount type "zzz"/, /bind or cache/],
  ["--mount=type=cahce,target=/c", "cahce", /"cahce"/, /did you mean cache\?/],
  ["--mount=type=$T,target=/c", "$T", /variable cannot stand for the type/, /bind/],
  ["--mount=type=,target=/c", "", /type has no value/, /bind/],
  ["--mount=type,target=/c", "type", /type has no value/, /type=VALUE/],
  ["--mount=target", "target", /target has no value/, /target=VALUE/],
  ["--mount=target=/a,", "", /field is empty/, /comma/],
  ["--mount=,target=/a", "", /field is empty/, /comma/],
  ["--mount=target=/a,dst=/b", "dst=/b", /target is given twice/, /one of them/],
  ["--mount=target=/a,ro,rw", "rw", /ro and rw/, /one of them/],
  ["--mount=target=/a,mode=0755", "mode=0755", /type bind has no mode/, /cache and secret and ssh/],
  ["--mount=target=/a,uid=1", "uid=1", /type bind has no uid/, /cache/],
  ["--mount=target=/a,required", "required", /type bind has no required/, /secret and ssh/],
  ["--mount=target=/a,sharing=shared", "sharing=shared", /type bind has no sharing/, /type cache;/],
  ["--mount=type=cache,target=/a,size=1", "size=1", /type cache has no size/, /type tmpfs;/],
  ["--mount=type=cache,target=/a,sharing=all", "all", /sharing cannot be "all"/, /shared or private or locked/],
  ["--mount=type=cache,target=/a,mode=0888", "0888", /mode cannot be "0888"/, /octal/],
  ["--mount=type=cache,target=/a,mode=10000", "10000", /mode cannot be/, /octal/],
  ["--mount=type=cache,target=/a,mode=", "", /mode has no value/, /octal/],
  ["--mount=type=cache,target=/a,uid=root", "root", /uid cannot be "root"/, /number/],
  ["--mount=type=cache,target=/a,gid=4294967295", "4294967295", /gid cannot be/, /number/],
  ["--mount=type=cache,target=/a,ro=yes", "yes", /ro cannot be "yes"/, /true or false/],
  ["--mount=type=tmpfs,target=/a,size=1x", "1x", /size cannot be "1x"/, /512m/],
  ["--mount=type=tmpfs,target=/a,size=-1", "-1", /size cannot be "-1"/, /512m/],
  ["--mount=type=tmpfs,target=/a,ro", "ro", /type tmpfs has no ro/, /lost/],
  ["--mount=type=tmpfs,target=/a,from=b", "from=b", /type tmpfs has no from/, /bind and cache/],
  ["--mount=type=secret", "type=secret", /no id/, /id=NAME/],
  ["--mount=type=secret,id=", "type=secret", /no id/, /id=NAME/],
  ["--mount=type=secret,id=a,src=b", "src=b", /id and src/, /same/],
  ["--mount=type=secret,id=a,rw", "rw", /type secret has no rw/, /read-only/],
  ["--mount=type=secret,id=a,required=maybe", "maybe", /required cannot be "maybe"/, /true or false/],
  ["--mount=type=secret,id=a,env=A=B", "A=B", /env cannot be/, /name of a variable/],
  ["--mount=type=secret,id=a,env=", "", /env has no value/, /name of a variable/],
  ["--mount=type=ssh,source=a", "source=a", /type ssh has no source/, /--ssh/],
  ["--mount=from=$stage,target=/a", "$stage", /not expanded in from/, /FROM \$NAME AS/],
  ["--mount='target=/a,\"b'", '"', /quote is not closed/, /quote whole fields/],
  ["--mount='a\"b'", '"', /middle of a field/, /quote whole fields/],
  ["--mount='\"target=/a\"b'", "b", /follows a closing quote/, /quote whole fields/],
] as const) {
  Refused(flag, () => {
    const source = `FROM a\n# above\nRUN ${flag} true\n`;
    let fault: unknown;
    try {
      parseDockerfile(source, "Dockerfile");
    } catch (error) {
      fault = error;
    }
    assert.instance(fault, KbuildError, "it was taken");
    const { code, location, ...told } = fault as KbuildError;
    assert.is(code, "build.mount");
    assert.match((fault as KbuildError).message, message);
    assert.match(told.hint ?? "", hint);
    assert.is(location && textAt(source, location), marked);
    assert.is(location?.line, 3);
  });
}

Refused("a flag of a megabyte takes no time", () => {
  const begun = performance.now();
  for (const field of ["target=/a,", '""', '\\"a', "a=b,", "\\\\"]) {
    const flag = `--mount=${field.repeat(200_000)}`;
    assert.throws(() => parseDockerfile(`FROM a\nRUN ${flag} x\n`, "Dockerfile"));
  }
  assert.ok(performance.now() - begun < 5000);
});

const Scripts = suite("heredocs that are the whole command");

for (const [text, expected] of [
  ["RUN <<EOF\na\nEOF", true],
  ["RUN --network=none   <<-'E F'\na\nE F", true],
  ["RUN 3<<EOF\na\nEOF", true],
  ["RUN <<A <<B\na\nA\nb\nB", false],
  ["RUN cat <<EOF\na\nEOF", false],
  ["RUN <<EOF cat\na\nEOF", false],
  ["RUN a", false],
] as const) {
  Scripts(text.replace(/\n/g, "\\n"), () => assert.is(runOf(`FROM a\n${text}\n`).isScript, expected));
}

Mounts.run();
Refused.run();
Scripts.run();
