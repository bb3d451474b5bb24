import { suite } from "uvu";
import * as assert from "uvu/assert";
import { proxyVariables } from "../../../src/executor/arguments.ts";
import { type EnvironmentInput, runEnvironment } from "../../../src/executor/run/environment.ts";

const USUAL = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

function environment(
  env: readonly (readonly [string, string])[],
  args: readonly (readonly [string, string | undefined])[] = [],
  more: Partial<EnvironmentInput> = {},
) {
  const scope = { environment: new Map(env), arguments: new Map<string, string | undefined>(args) };
  return runEnvironment({ scope, home: "/home", proxies: new Map(), agent: undefined, secrets: new Map(), ...more });
}

const Environment = suite("the environment of a step");

for (const [name, env, args, variables, keyed] of [
  ["an image without any", [], [], [USUAL, "HOME=/home"], []],
  [
    "the image's own",
    [
      ["PATH", "/p"],
      ["HOME", "/h"],
      ["A", ""],
    ],
    [],
    ["PATH=/p", "HOME=/h", "A="],
    ["PATH=/p", "HOME=/h", "A="],
  ],
  ["arguments", [["PATH", "/p"]], [["B", "1"]], ["PATH=/p", "B=1", "HOME=/home"], ["PATH=/p", "B=1"]],
  ["an argument without a value", [["PATH", "/p"]], [["B", undefined]], ["PATH=/p", "HOME=/home"], ["PATH=/p"]],
  [
    "a later argument of an ENV's name",
    [
      ["PATH", "/p"],
      ["A", "env"],
    ],
    [["A", "arg"]],
    ["PATH=/p", "A=arg", "HOME=/home"],
    ["PATH=/p", "A=arg"],
  ],
  ["an argument that sets HOME", [["PATH", "/p"]], [["HOME", "/x"]], ["PATH=/p", "HOME=/x"], ["PATH=/p", "HOME=/x"]],
] as const) {
  Environment(name, () => assert.equal(environment(env, args), { variables, keyed }));
}

Environment("proxies, agent and secrets are seen, and no part of the key", () => {
  const { variables, keyed } = environment(
    [
      ["PATH", "/p"],
      ["TOKEN", "old"],
    ],
    [["no_proxy", "mine"]],
    {
      proxies: proxyVariables(
        new Map([
          ["HTTP_PROXY", "h"],
          ["no_proxy", "n"],
          ["OTHER", "o"],
        ]),
      ),
      agent: "/run/agent",
      secrets: new Map([["TOKEN", "hush"]]),
    },
  );
  assert.equal(variables, [
    "PATH=/p",
    "TOKEN=hush",
    "no_proxy=mine",
    "HOME=/home",
    "SSH_AUTH_SOCK=/run/agent",
    "HTTP_PROXY=h",
    "http_proxy=h",
    "NO_PROXY=n",
  ]);
  assert.equal(keyed, ["PATH=/p", "TOKEN=old", "no_proxy=mine"]);
});

Environment("a proxy that is given in one case is there in both, and in two cases as it is given", () => {
  assert.equal(
    [...proxyVariables(new Map([["https_proxy", "a"]]))],
    [
      ["HTTPS_PROXY", "a"],
      ["https_proxy", "a"],
    ],
  );
  assert.equal(
    [
      ...proxyVariables(
        new Map([
          ["all_proxy", "a"],
          ["ALL_PROXY", "b"],
        ]),
      ),
    ],
    [
      ["ALL_PROXY", "b"],
      ["all_proxy", "a"],
    ],
  );
  assert.equal([...proxyVariables(new Map([["Http_Proxy", "a"]]))], []);
});

Environment.run();
