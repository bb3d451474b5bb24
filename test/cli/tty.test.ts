import { suite } from "uvu";
import * as assert from "uvu/assert";
import { noPaint, paintFor } from "../../src/cli/render/colors.ts";
import { widthOf } from "../../src/cli/render/text.ts";
import { renderTty, type TtyTarget } from "../../src/cli/render/tty.ts";
import { layout } from "../../src/cli/render/tty-layout.ts";
import { ProgressTracker } from "../../src/cli/render/tty-progress.ts";
import type { BuildEvent } from "../../src/executor/events.ts";
import { EventScript, failing, LAYER_ONE, streamed, webPing } from "../support/sample-events.ts";
import { Screen } from "../support/screen.ts";

const Tty = suite("the view for terminals");

/** The frame at a time, of the events up to then. */
function frame(events: readonly BuildEvent[], now: number, columns: number, rows?: number, logLines = 6): string {
  const tracker = new ProgressTracker({ explain: false, logLines });
  for (const event of events) if (event.at <= now) tracker.take(event);
  return layout(tracker, now, { columns, rows })
    .map(({ text }) => text.trimEnd())
    .join("\n");
}

const pull = webPing().end(2472);
const frames: readonly { readonly name: string; readonly shown: string; readonly expected: string }[] = [
  {
    name: "while it pulls, parts have bars where there is room",
    shown: frame(pull, 1600, 90),
    expected: `
[+] Building 1.6s (3/6)
 => [internal] load build definition from Dockerfile                                  0.0s
 => => transferring dockerfile: 312B                                                  0.0s
 => [internal] load metadata for docker.io/diamol/node:latest                         0.5s
 => [1/3] FROM docker.io/diamol/node:latest                                           1.1s
 => => sha256:1a1a1a1a1a1a 12.58MB / 45.38MB                   [=====>              ] 1.0s
 => => sha256:2b2b2b2b2b2b 2.81MB / 2.81MB                                            0.0s
 => [internal] load build context                                                     0.0s
 => => transferring context: 846B                                                     0.0s`,
  },
  {
    name: "a narrower one has none",
    shown: frame(pull, 1600, 60),
    expected: `
[+] Building 1.6s (3/6)
 => [internal] load build definition from Dockerfile    0.0s
 => => transferring dockerfile: 312B                    0.0s
 => [internal] load metadata for docker.io/diamol/node… 0.5s
 => [1/3] FROM docker.io/diamol/node:latest             1.1s
 => => sha256:1a1a1a1a1a1a 12.58MB / 45.38MB            1.0s
 => => sha256:2b2b2b2b2b2b 2.81MB / 2.81MB              0.0s
 => [internal] load build context                       0.0s
 => => transferring context: 846B                       0.0s`,
  },
  {
    name: "twenty columns are enough",
    shown: frame(pull, 1600, 20),
    expected: `
[+] Building 1.6s (…
 => [internal]… 0.0s
 => => transfe… 0.0s
 => [internal]… 0.5s
 => [1/3] FROM… 1.1s
 => => sha256:… 1.0s
 => => sha256:… 0.0s
 => [internal]… 0.0s
 => => transfe… 0.0s`,
  },
  {
    name: "where there are few rows, the oldest finished steps go",
    shown: frame(pull, 1600, 60, 5),
    expected: `
[+] Building 1.6s (3/6)
 => [1/3] FROM docker.io/diamol/node:latest             1.1s
 => => sha256:1a1a1a1a1a1a 12.58MB / 45.38MB            1.0s
 => => sha256:2b2b2b2b2b2b 2.81MB / 2.81MB              0.0s
 => [internal] load build context                       0.0s`,
  },
  {
    name: "at the end every step is there, layers are folded away, and misses say why",
    shown: frame(pull, 2472, 70),
    expected: `
[+] Building 2.5s (7/7) FINISHED
 => [internal] load build definition from Dockerfile              0.0s
 => => transferring dockerfile: 312B                              0.0s
 => [internal] load metadata for docker.io/diamol/node:latest     0.5s
 => [1/3] FROM docker.io/diamol/node:latest                       1.9s
 => [internal] load build context                                 0.0s
 => => transferring context: 846B                                 0.0s
 => CACHED [2/3] WORKDIR /web-ping                                0.0s
 => [3/3] COPY app.js .                                           0.0s
    why: app.js was changed
 => exporting to image                                            0.0s
 => => exporting layers                                           0.0s
 => => naming to docker.io/library/web-ping:v2                    0.0s`,
  },
  {
    name: "a running step shows the last lines that it printed",
    shown: frame(failing(), 850, 50),
    expected: `
[+] Building 0.8s (1/3)
 => CACHED [1/3] FROM scratch                 0.0s
 => [2/3] RUN make                            0.8s
 => => # line 3 red
 => => # line 4 red
 => => # line 5 red
 => => # line 6 red
 => => # line 7 red
 => => # line 8 red`,
  },
  {
    name: "a failed step is told as ERROR, and what never began is not there",
    shown: frame(failing(), 901, 50),
    expected: `
[+] Building 0.9s (3/3) FAILED
 => CACHED [1/3] FROM scratch                 0.0s
 => ERROR [2/3] RUN make                      0.9s`,
  },
];

for (const { name, shown, expected } of frames) {
  Tty(name, () => {
    assert.is(shown, expected.slice(1));
  });
}

Tty("a frame has never more rows or columns than the screen", () => {
  const script = webPing();
  script.begin(2471, "instruction", `[9/9] COPY ${"漢字".repeat(60)} /`);
  const events = script.events;
  for (let columns = 20; columns < 130; columns += 7) {
    for (let rows = 1; rows < 20; rows += 1) {
      for (const now of [0, 100, 700, 1600, 2411, 2500]) {
        const lines = frame(events, now, columns, rows).split("\n");
        assert.ok(lines.length <= rows, `${lines.length} of ${rows} rows`);
        for (const line of lines) assert.ok(widthOf(line) <= columns, `${line} in ${columns}`);
      }
    }
  }
});

interface Run {
  readonly screen: Screen;
  readonly written: string[];
}

/** Renders events that come with pauses, as far as `wait` says so. */
async function shownBy(
  events: AsyncIterable<BuildEvent>,
  failure: string | undefined,
  size: { columns: number; rows: number },
  facts: Partial<TtyTarget> = {},
): Promise<Run> {
  const screen = new Screen(size.columns, size.rows);
  const written: string[] = [];
  await renderTty(events, Promise.resolve(failure), {
    write: (text) => {
      written.push(text);
      screen.write(text);
    },
    paint: noPaint,
    explain: false,
    screen: size,
    env: {},
    ...facts,
  });
  return { screen, written };
}

/** With time for a frame after each event of these kinds. */
async function* slowly(events: readonly BuildEvent[], ...types: BuildEvent["type"][]): AsyncGenerator<BuildEvent> {
  for (const event of events) {
    yield event;
    if (types.includes(event.type)) await new Promise((resolve) => setTimeout(resolve, 110));
  }
}

Tty("a build that is over at once is drawn once", async () => {
  const { screen, written } = await shownBy(streamed(pull), undefined, { columns: 80, rows: 24 });
  assert.is(written.filter((text) => text.includes("[+] Building")).length, 1);
  assert.is(
    screen.text,
    `${frame(pull, 2472, 80)}\n\n 1 warning found (use --debug to expand):\n - JSONArgsRecommended: JSON arguments recommended for CMD (line 9)\n`,
  );
  assert.ok(screen.isCursorVisible);
});

Tty("frames are drawn over each other, however few rows there are", async () => {
  for (const rows of [24, 6, 3]) {
    const { screen, written } = await shownBy(slowly(pull, "stepFinished"), undefined, { columns: 70, rows });
    assert.ok(written.length > 4);
    assert.is(screen.text.split("[+] Building").length, 2, screen.text);
    assert.ok(screen.text.startsWith(frame(pull, 2472, 70)), screen.text);
  }
});

Tty("a frame is one write, and there are at most fifteen a second", async () => {
  const script = new EventScript();
  const step = script.begin(0, "from", "[1/1] FROM x");
  for (let number = 0; number < 300; number += 1) script.bytes(number, step, LAYER_ONE, number, 300);
  const begin = performance.now();
  const { written } = await shownBy(
    (async function* () {
      for (const event of script.events) {
        yield event;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })(),
    undefined,
    { columns: 80, rows: 24 },
  );
  const passed = performance.now() - begin;
  assert.ok(written.length <= 3 + (passed / 1000) * 15, `${written.length} in ${passed} ms`);
});

Tty("a terminal that becomes narrower is drawn over too", async () => {
  const size = { columns: 100, rows: 24 };
  const screen = new Screen(40, 24);
  await renderTty(
    (async function* () {
      for await (const event of slowly(pull, "stepFinished")) {
        yield event;
        if (event.at > 400) size.columns = 40;
      }
    })(),
    Promise.resolve(undefined),
    {
      // The screen wraps what was written for more columns, as terminals do.
      write: (text) => screen.write(text),
      paint: noPaint,
      explain: false,
      screen: size,
      env: {},
    },
  );
  assert.is(screen.text.split("[+] Building").length, 2, screen.text);
});

Tty("after a failure stands what the step printed", async () => {
  const { screen } = await shownBy(streamed(failing()), "it failed", { columns: 50, rows: 24 });
  assert.is(
    screen.text,
    `${frame(failing(), 901, 50)}\n------\n > [2/3] RUN make:\n${[1, 2, 3, 4, 5, 6, 7, 8].map((line) => `line ${line} red\n`).join("")}------\n`,
  );
  assert.ok(screen.isCursorVisible);
});

Tty("the cursor comes back when the events end with an error", async () => {
  const screen = new Screen(50, 24);
  const broken = (async function* () {
    yield* slowly(pull.slice(0, 3), "stepStarted");
    throw new Error("broken");
  })();
  let message = "";
  try {
    await renderTty(broken, Promise.resolve("x"), {
      write: (text) => screen.write(text),
      paint: noPaint,
      explain: false,
      screen: { columns: 50, rows: 24 },
      env: {},
    });
  } catch (error) {
    message = String(error);
  }
  assert.is(message, "Error: broken");
  assert.ok(screen.isCursorVisible);
});

Tty("nothing stays behind that would keep the process, or write later", async () => {
  const before = process.listenerCount("exit");
  await shownBy(streamed(pull), undefined, { columns: 50, rows: 24 });
  assert.is(process.listenerCount("exit"), before);
});

Tty("an interrupted build says so", async () => {
  const script = webPing();
  const step = script.begin(2471, "instruction", "[4/4] COPY b .");
  script.finish(2480, step, "cancelled");
  const { screen } = await shownBy(streamed(script.end(2481, "cancelled")), "interrupted", { columns: 60, rows: 24 });
  assert.match(screen.text, /^\[\+\] Building 2\.5s \(8\/8\) CANCELED\n/);
  assert.match(screen.text, /^ => CANCELED \[4\/4\] COPY b \. +0\.0s$/m);
});

Tty("BUILDKIT_TTY_LOG_LINES says how many lines are shown", async () => {
  const events = slowly(failing().slice(0, -2), "stepLog");
  const { written } = await shownBy(events, "x", { columns: 50, rows: 24 }, { env: { BUILDKIT_TTY_LOG_LINES: "2" } });
  assert.is(Math.max(...written.map((text) => text.split("=> => #").length - 1)), 2);
});

Tty("lines have colours, and no other codes get through", async () => {
  const script = new EventScript();
  const step = script.begin(0, "instruction", "[1/1] COPY \u001b]0;x\u0007 /");
  script.finish(10, step, "done", { missReason: "\u009b2J was \u202e changed" });
  const paint = paintFor(true, {});
  const { written } = await shownBy(streamed(script.end(11)), undefined, { columns: 60, rows: 24 }, { paint });
  const text = written.join("");
  assert.ok(text.includes("\u001b[34m => [1/1] COPY \\x1b]0;x\\x07 /"), JSON.stringify(text));
  assert.ok(text.includes("\u001b[2m    why: \\x9b2J was \\u{202e} changed"), JSON.stringify(text));
});

Tty.run();
