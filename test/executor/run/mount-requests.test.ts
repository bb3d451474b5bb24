// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { mountRequests } from "../../../src/executor/run/mount-requests.ts";
import { expandWord } from "../../../src/parser/words.ts";
import { refusal, runOf } from "./support.ts";

const VARIABLES: Readonly<Record<string, string>> = { NAME: "x", MODE: "0750", YES: "1", SLASH: "/", BAD: "maybe" };

/** What the mounts of a RUN ask for in the working directory /w, without places. */
function requestsOf(flags: string, directory = "/w"): unknown[] {
  const requests = mountRequests(runOf(`RUN ${flags} true`).mounts, directory, (word) =>
    expandWord(word.text, (name) => VARIABLES[name], "\\"),
  );
  return requests.map(({ location: _, ...request }) =>
    "from" in request ? { ...request, from: request.from?.text } : request,
  );
}

const nobody = { mode: 0o755, uid: 0, gid: 0 };
const cache = { kind: "cache", sharing: "shared", readOnly: false, from: undefined, source: "/", ...nobody };
const secret = { kind: "secret", required: false, variable: undefined, mode: 0o400, uid: 0, gid: 0 };
const agent = { kind: "ssh", required: false, mode: 0o600, uid: 0, gid: 0 };
const bind = { kind: "bind", writable: false, from: undefined, source: "/" };

const Requests = suite("what mounts ask for");

for (const [flags, expected] of [
  ["--mount=target=/a", [{ ...bind, target: "/a" }]],
  [
    "--mount=from=s,source=../b//c/,target=a/../b,rw",
    [{ ...bind, target: "/w/b", from: "s", source: "/b/c", writable: true }],
  ],
  ["--mount=target=/a,ro=0", [{ ...bind, target: "/a", writable: true }]],
  ["--mount=target=/a,rw=false", [{ ...bind, target: "/a" }]],
  ["--mount=source=$NAME/$NAME,target=/${NAME}y", [{ ...bind, target: "/xy", source: "/x/x" }]],
  ["--mount=from=s", [{ ...bind, target: "/w", from: "s" }]],
  ["--mount=target=.", [{ ...bind, target: "/w" }]],
  ["--mount=type=cache,target=/a/", [{ ...cache, target: "/a", id: "/a" }]],
  ["--mount=type=cache,target=c", [{ ...cache, target: "/w/c", id: "c" }]],
  ["--mount=type=cache,target=./c/../d", [{ ...cache, target: "/w/d", id: "d" }]],
  ["--mount=type=cache", [{ ...cache, target: "/w", id: "." }]],
  [
    "--mount=type=cache,target=/a,id=$NAME,mode=$MODE,uid=5,gid=6,sharing=Private,ro",
    [{ ...cache, target: "/a", id: "x", mode: 0o750, uid: 5, gid: 6, sharing: "private", readOnly: true }],
  ],
  ["--mount=type=cache,target=/a,from=s,source=b", [{ ...cache, target: "/a", id: "/a", from: "s", source: "/b" }]],
  ["--mount=type=tmpfs,target=/a", [{ kind: "tmpfs", target: "/a", size: undefined }]],
  ["--mount=type=tmpfs,target=/a,size=1.5k", [{ kind: "tmpfs", target: "/a", size: 1536 }]],
  ["--mount=type=secret,id=s", [{ ...secret, id: "s", target: "/run/secrets/s" }]],
  ["--mount=type=secret,id=a/s", [{ ...secret, id: "a/s", target: "/run/secrets/s" }]],
  ["--mount=type=secret,target=/x/s", [{ ...secret, id: "s", target: "/x/s" }]],
  ["--mount=type=secret,id=s,target=x", [{ ...secret, id: "s", target: "/w/x" }]],
  [
    "--mount=type=secret,id=s,env=T,required=$YES",
    [{ ...secret, id: "s", target: undefined, variable: "T", required: true }],
  ],
  ["--mount=type=secret,id=s,env=T,target=/t", [{ ...secret, id: "s", target: "/t", variable: "T" }]],
  [
    "--mount=type=secret,id=s,mode=0440,uid=3,gid=4",
    [{ ...secret, id: "s", target: "/run/secrets/s", mode: 0o440, uid: 3, gid: 4 }],
  ],
  [
    "--mount=type=ssh --mount=type=ssh,id=g,target=/a --mount=type=ssh,id=h,required",
    [
      { ...agent, id: "default", target: "/run/buildkit/ssh_agent.0" },
      { ...agent, id: "g", target: "/a" },
      { ...agent, id: "h", target: "/run/buildkit/ssh_agent.2", required: true },
    ],
  ],
] as const) {
  Requests(flags, () => assert.equal(requestsOf(flags), expected));
}

for (const [flags, message, column] of [
  ["--mount=source=a", /invalid mount target "\/"/, 13],
  ["--mount=target=/", /invalid mount target "\/"/, 20],
  ["--mount=type=cache,target=$SLASH", /invalid mount target "\/"/, 31],
  ["--mount=target=/a/..", /invalid mount target "\/"/, 20],
  ["--mount=type=cache,target=/a,mode=$NAME", /mode cannot be "x"/, 39],
  ["--mount=type=cache,target=/a,mode=$NONE", /mode is blank/, 39],
  ["--mount=type=cache,target=/a,source=b", /says nothing of where/, 41],
  ["--mount=type=secret,id=s,required=$BAD", /required cannot be "maybe"/, 39],
  ["--mount=type=secret,id=$NONE", /no id/, 28],
] as const) {
  Requests(`${flags} is refused`, async () => {
    const fault = await refusal(() => requestsOf(flags, "/"));
    assert.is(fault.code, "build.mount");
    assert.match(fault.message, message);
    assert.ok(fault.hint);
    assert.equal([fault.location?.line, fault.location?.column], [2, column]);
  });
}

Requests.run();
