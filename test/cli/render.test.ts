import { suite } from "uvu";
import * as assert from "uvu/assert";
import { noPaint, paintFor } from "../../src/cli/render/colors.ts";
import { errorBlock } from "../../src/cli/render/error.ts";
import { jsonLine, renderJson } from "../../src/cli/render/json.ts";
import type { RenderTarget } from "../../src/cli/render/parts.ts";
import { renderPlain } from "../../src/cli/render/plain.ts";
import { renderQuiet } from "../../src/cli/render/quiet.ts";
import { renderRawJson } from "../../src/cli/render/rawjson.ts";
import {
  ago,
  cut,
  humanSize,
  padEnd,
  printable,
  printableLog,
  printableText,
  progressBytes,
  widthOf,
} from "../../src/cli/render/text.ts";
import { alignColumns } from "../../src/cli/table.ts";
import { exactTime, goTime } from "../../src/cli/times.ts";
import { KbuildError } from "../../src/errors.ts";
import type { BuildEvent } from "../../src/executor/events.ts";
import { EventScript, failing, streamed, webPing } from "../support/sample-events.ts";

const Render = suite("what people see");

async function shown(
  events: readonly BuildEvent[],
  render: (
    events: AsyncIterable<BuildEvent>,
    failure: Promise<string | undefined>,
    target: RenderTarget,
  ) => Promise<void>,
  failure?: string,
  explain = false,
): Promise<string> {
  let text = "";
  await render(streamed(events), Promise.resolve(failure), {
    write: (part) => (text += part),
    paint: noPaint,
    explain,
  });
  return text;
}

Render("plain progress reads as docker's", async () => {
  assert.is(
    await shown(webPing().end(2472), renderPlain),
    `#1 [internal] load build definition from Dockerfile
#1 transferring dockerfile: 312B done
#1 DONE 0.0s

#2 [internal] load metadata for docker.io/diamol/node:latest
#2 DONE 0.5s

#3 [1/3] FROM docker.io/diamol/node:latest
#3 ...

#4 [internal] load build context
#4 transferring context: 846B done
#4 DONE 0.0s

#3 [1/3] FROM docker.io/diamol/node:latest
#3 sha256:2b2b2b2b2b2b 2.81MB / 2.81MB 0.2s done
#3 sha256:1a1a1a1a1a1a 45.38MB / 45.38MB 1.9s done
#3 DONE 1.9s

#5 [2/3] WORKDIR /web-ping
#5 CACHED

#6 [3/3] COPY app.js .
#6 why: app.js was changed
#6 DONE 0.0s

#7 exporting to image
#7 exporting layers done
#7 naming to docker.io/library/web-ping:v2 done
#7 DONE 0.0s

 1 warning found (use --debug to expand):
 - JSONArgsRecommended: JSON arguments recommended for CMD (line 9)
`,
  );
});

Render("a failed step is told at the end, with what went wrong", async () => {
  const text = await shown(failing(), renderPlain, "it failed\nbadly");
  assert.match(text, /^#2 0\.096 line 1 red$/m);
  assert.ok(text.endsWith("#2 ERROR: it failed\n") || /#2 ERROR: it failed\n/.test(text), text);
  assert.match(text, /^#3 CANCELED$/m);
});

Render("--explain tells at length", async () => {
  const script = new EventScript();
  const step = script.begin(0, "instruction", "[1/1] COPY . /");
  const changed = Array.from({ length: 60 }, (_, number) => `f${number}`);
  script.finish(1, step, "done", {
    missReason: "60 files were changed",
    missDetails: { reason: "files", changed, added: ["n\u001b"], previousInstruction: "COPY . /x" },
  });
  const events = script.end(2);
  const text = await shown(events, renderPlain, undefined, true);
  assert.match(text, /#1 why: 60 files were changed\n#1 {3}was: COPY \. \/x\n#1 {3}changed: f0\n/);
  assert.match(text, /#1 {3}changed: f49\n#1 {3}changed: 10 more\n#1 {3}added: n\\x1b\n/);
  assert.not.match(await shown(events, renderPlain), /changed: f0/);
});

Render("quiet shows nothing, but what a failed step had printed", async () => {
  assert.is(await shown(webPing().end(2472), renderQuiet), "");
  assert.match(await shown(failing(), renderQuiet, "x"), /^------\n > \[2\/3] RUN make:\nline 1 red\n/);
});

Render("json is one event a line, as the engine gives it", async () => {
  const events = webPing().end(2472);
  const text = await shown(events, (stream, _, target) => renderJson(stream, target));
  assert.equal(
    text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown),
    JSON.parse(JSON.stringify(events)),
  );
  assert.is(jsonLine({ a: "\u001b\u009b\u007f" }), '{"a":"\\u001b\\u009b\\u007f"}\n');
});

const HOSTILE = "a\u001b[2J\u001b]0;x\u0007\u009b31m\r\nb\u202ec\u0000";

Render("nothing from outside controls the terminal, in any style", async () => {
  const script = new EventScript();
  const step = script.begin(0, "instruction", HOSTILE);
  script.bytes(1, step, HOSTILE, 1, 2, true);
  script.log(2, step, HOSTILE);
  script.warn(3, HOSTILE, HOSTILE, 1);
  script.finish(4, step, "failed", { missReason: HOSTILE });
  const events = script.end(5, "failed");
  for (const render of [renderPlain, renderQuiet]) {
    assert.not.match(await shown(events, render, HOSTILE, true), CONTROLS);
  }
  assert.not.match(await shown(events, (stream, _, target) => renderJson(stream, target)), CONTROLS);
  const error = new KbuildError("build.x", HOSTILE, {
    hint: HOSTILE,
    location: { file: HOSTILE, line: 1, column: 1 },
    source: HOSTILE,
  });
  assert.not.match(errorBlock(error, noPaint), CONTROLS);
});

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
const CONTROLS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/;

const SOURCE = "FROM node\nENV A=1\n\tCOPY app.sj .\nCMD node\nEXPOSE 80\nUSER 1\n";
const location = { file: "Dockerfile", line: 3, column: 7, end: { line: 3, column: 13 } };

for (const [name, error, expected] of [
  [
    "an error without a place",
    new KbuildError("usage.x", "it is wrong", { hint: "do this\nor that" }),
    "error: it is wrong\n  hint: do this\n        or that\n",
  ],
  [
    "an error with a place",
    new KbuildError("build.x", "app.sj is not there", { location, source: SOURCE, hint: "did you mean app.js?" }),
    `Dockerfile:3:7: app.sj is not there
  hint: did you mean app.js?
 1 | FROM node
 2 | ENV A=1
   | >>>     COPY app.sj .
                  ^^^^^^
 4 | CMD node
 5 | EXPOSE 80
`.replace("   | >>>", " 3 | >>>"),
  ],
  [
    "a place beyond the file",
    new KbuildError("build.x", "m", { location: { ...location, line: 99 }, source: SOURCE }),
    "Dockerfile:99:7: m\n",
  ],
] as const) {
  Render(`${name} is shown with all that is known`, () => {
    assert.is(errorBlock(error, noPaint), expected);
  });
}

Render("no line of an error's excerpt is wider than the terminal", () => {
  const source = `FROM ${"x".repeat(500)}\nCOPY ${"漢".repeat(300)} /\n`;
  for (const width of [30, 80]) {
    const error = new KbuildError("build.x", "m", { location: { file: "D", line: 2, column: 400 }, source });
    for (const line of errorBlock(error, noPaint, width).split("\n")) assert.ok(widthOf(line) <= width, line);
  }
});

for (const [value, expected] of [
  [0, "0B"],
  [999, "999B"],
  [1000, "1kB"],
  [1049, "1.05kB"],
  [999_499, "999kB"],
  [999_500, "1MB"],
  [76_900_000, "76.9MB"],
  [1_234_567, "1.23MB"],
  [5e12, "5TB"],
] as const) {
  Render(`${value} bytes are ${expected}`, () => assert.is(humanSize(value), expected));
}

for (const [seconds, expected] of [
  [0.5, "Less than a second ago"],
  [1, "1 second ago"],
  [59, "59 seconds ago"],
  [60, "About a minute ago"],
  [3599, "59 minutes ago"],
  [3600, "About an hour ago"],
  [47 * 3600, "47 hours ago"],
  [48 * 3600, "2 days ago"],
  [14 * 86_400, "2 weeks ago"],
  [60 * 86_400, "2 months ago"],
  [800 * 86_400, "2 years ago"],
] as const) {
  Render(`${seconds} seconds are ${expected}`, () => {
    const now = Date.parse("2026-01-01T00:00:00Z");
    assert.is(ago(new Date(now - seconds * 1000).toISOString(), now), expected);
  });
}

Render("times that are none are N/A", () => {
  for (const time of [undefined, "", "yesterday", "9999999-01-01T00:00:00Z"]) {
    assert.is(goTime(time), "N/A");
    assert.is(exactTime(time), "N/A");
  }
  assert.is(ago("nothing", 0), "N/A");
  assert.is(goTime("2024-05-06T09:08:09.123+02:00"), "2024-05-06 07:08:09 +0000 UTC");
});

for (const [lines, expected] of [
  [["a\tb", "ccccccccc\td"], "a           b\nccccccccc   d\n"],
  [["a\tb\tc", "x"], "a         b         c\nx\n"],
  [["long-long-long\tb", "x", "a\tb"], "long-long-long   b\nx\na         b\n"],
  [["漢字漢字漢\tb", "a\tb"], "漢字漢字漢   b\na            b\n"],
  [["\tb"], "          b\n"],
  [[], ""],
] as const) {
  Render(`columns of ${JSON.stringify(lines)}`, () => assert.is(alignColumns(lines), expected));
}

Render("text is measured and cut as a terminal shows it", () => {
  assert.is(widthOf("漢字e\u0301👍"), 7);
  assert.is(cut("漢字漢字", 5), "漢字…");
  assert.is(cut("abc", 3), "abc");
  assert.is(cut("abcd", 3), "ab…");
  assert.is(cut("abc", 0), "");
  assert.is(padEnd("漢", 4), "漢  ");
  assert.is(progressBytes(12_580_000), "12.58MB");
});

Render("foreign text is made harmless", () => {
  assert.is(printable("a\tb\n\u001b\u202e"), "a\\tb\\n\\x1b\\u{202e}");
  assert.is(printableLog("10%\r20%\r\u001b[32m30%\u001b[0m\tx"), "30%    x");
  assert.is(printableText("a\tb\n\u001b"), "a\tb\n\\x1b");
});

Render("colours are there where they are wanted", () => {
  for (const [isTerminal, env, colours] of [
    [true, {}, true],
    [false, {}, false],
    [true, { NO_COLOR: "1" }, false],
    [true, { TERM: "dumb" }, false],
    [false, { FORCE_COLOR: "1" }, true],
    [true, { FORCE_COLOR: "0" }, false],
    [false, { FORCE_COLOR: "1", NO_COLOR: "1" }, false],
  ] as const) {
    assert.is(paintFor(isTerminal, env).error("x") !== "x", colours, JSON.stringify({ isTerminal, env }));
  }
});

Render("rawjson has BuildKit's members: each step a vertex, with its logs, parts and its end", async () => {
  type Line = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;
  const lines = (await shown(failing(), renderRawJson, "it failed"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
  const vertexes = lines.flatMap((line) => line.vertexes ?? []);
  const digests = new Set(vertexes.map(({ digest }) => digest));
  assert.is(digests.size, failing().filter(({ type }) => type === "stepPlanned").length);
  for (const member of [...lines.flatMap((line) => [...(line.logs ?? []), ...(line.statuses ?? [])])]) {
    assert.ok(digests.has(member.vertex), "it is of a step that was told before");
    assert.match(String(member.timestamp), /^\d{4}-.*Z$/);
  }
  const logs = lines.flatMap((line) => line.logs ?? []);
  const text = logs.map(({ data }) => Buffer.from(String(data), "base64").toString()).join("");
  const expected = failing()
    .flatMap((event) => (event.type === "stepLog" ? [`${event.line}\n`] : []))
    .join("");
  assert.is(text, expected);
  assert.is(vertexes.at(-1)?.error, "it failed");
});

Render.run();
