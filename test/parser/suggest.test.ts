import { suite } from "uvu";
import * as assert from "uvu/assert";
import { suggest } from "../../src/parser/suggest.ts";

const Suggest = suite("did you mean");

for (const [word, candidates, expected] of [
  ["COPPY", ["ADD", "COPY"], "COPY"],
  ["copy", ["COPY"], "COPY"],
  ["FORM", ["FROM", "RUN"], "FROM"],
  ["chwon", ["chmod", "chown"], "chown"],
  ["biuld", ["base", "build"], "build"],
  ["--tagg", ["--tag", "--target"], "--tag"],
  ["--tga", ["--tag", "--target"], "--tag"],
  ["biuld", ["build", "bull"], "build"],
  ["histroy", ["history"], "history"],
  ["repotags", ["RepoTags", "RepoDigests"], "RepoTags"],
  ["app.sj", ["app.js", "index.js"], "app.js"],
  ["healthchek", ["HEALTHCHECK"], "HEALTHCHECK"],
  ["naïve", ["naive"], "naive"],
  ["a", ["b", "c"], undefined],
  ["FOO", ["FROM", "RUN"], undefined],
  ["nothing", ["like", "it"], undefined],
  ["COPY", ["COPYY", "COPY"], undefined],
  ["x", [], undefined],
  ["", ["abc"], undefined],
] as const) {
  Suggest(`${word} of ${candidates.join(" ")}: ${expected ?? "nothing"}`, () => {
    assert.is(suggest(word, candidates), expected);
  });
}

Suggest("the nearest one wins, the first of equals", () => {
  assert.is(suggest("builder", ["boulders", "builders", "builderx"]), "builders");
});

Suggest("words of any length cost nothing", () => {
  const long = "a".repeat(1_000_000);
  assert.is(suggest(long, [`${long}b`, "b"]), undefined);
  assert.is(suggest("b", [long]), undefined);
});

Suggest.run();
