import type { Build, BuildResult } from "../api.ts";
import { buildOptions } from "./build-options.ts";
import { type BuildRequest, buildRequest, type Style } from "./build-request.ts";
import { command } from "./command.ts";
import { sparingPulls } from "./pull-heap.ts";
import { BatchWriter } from "./render/batch.ts";
import { paintFor } from "./render/colors.ts";
import { jsonLine } from "./render/json.ts";
import { PacedWriter } from "./render/paced.ts";
import type { Failure } from "./render/parts.ts";
import { removeStale, writeResults } from "./results.ts";
import type { Shell } from "./shell.ts";

export const buildCommand = command({
  name: "build",
  usage: "[OPTIONS] PATH | URL | -",
  aliases: ["kbuild", "kbuild image build", "kbuild buildx build"],
  about:
    "Builds an image from a Dockerfile. PATH is the context, the folder that COPY and ADD take files from; a URL\nis a git repository, or a tar or a Dockerfile by HTTP; - reads a tar or a Dockerfile from standard input.",
  options: buildOptions,
  examples: [
    "kbuild -t web-ping:v2 .",
    "kbuild -t web-ping:v2 -o type=docker,dest=web-ping.tar . && docker load -i web-ping.tar",
    "kbuild --target build -o out .",
    "kbuild build --check .",
  ],
  run: async ({ values, operands, notes }, shell) => {
    const request = await buildRequest(values, operands, shell);
    const { style } = request;
    if (style === "json") shell.errorsAs = "json";
    tellNotes(notes, style, shell);
    if (request.call.method !== "build") {
      const { runCall } = await import("./call.ts");
      await runCall(request.call, request.options, shell);
      return;
    }
    clearStale(request);
    const { build } = await shell.engine();
    const running = build({ ...request.options, signal: shell.interruption.signal });
    const failure = running.then(() => undefined, messageOf);
    await show(style, running, failure, request.options.explain === true, shell);
    tellResult(await running, request, shell);
  },
});

/** Tells of options that change nothing. */
export function tellNotes(notes: readonly string[], style: Style, shell: Shell): void {
  if (style === "quiet" || style === "none" || style === "rawjson") return;
  for (const message of notes)
    shell.stderr.write(style === "json" ? jsonLine({ type: "note", message }) : `note: ${message}\n`);
}

/** Follows the build in the style that was asked for; only that renderer is loaded. */
export async function show(
  style: Style,
  build: Pick<Build, "events">,
  failure: Failure,
  explain: boolean,
  shell: Shell,
): Promise<void> {
  const { stderr, env, debug } = shell;
  const direct = new PacedWriter(stderr);
  const events = sparingPulls(direct.paced(build.events));
  const writer = new BatchWriter(direct);
  const paint = paintFor(stderr.isTTY === true, env);
  const target = { write: (text: string) => writer.write(text), paint, explain, debug };
  try {
    switch (style) {
      case "tty":
        // Frames are whole already, and the cursor has to come back even when the process ends in the middle.
        return await (await import("./render/tty.ts")).renderTty(events, failure, {
          ...target,
          write: (text) => direct.write(text),
          screen: stderr,
          env,
        });
      case "plain":
        return await (await import("./render/plain.ts")).renderPlain(events, failure, target);
      case "json":
        return await (await import("./render/json.ts")).renderJson(events, target);
      case "rawjson":
        return await (await import("./render/rawjson.ts")).renderRawJson(events, failure, target);
      case "quiet":
      case "none":
        return await (await import("./render/quiet.ts")).renderQuiet(events, failure, target);
    }
  } finally {
    writer.flush();
  }
}

/** What an error says, for those who only show it. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A build that fails leaves no file of an earlier one, which a script would take for its own. */
function clearStale({ iidfile, metadataFile }: BuildRequest): void {
  for (const file of [iidfile, metadataFile]) if (file !== undefined) removeStale(file);
}

/** The shell's streams are opened when they are looked at, so nothing here looks at one that it does not need. */
function tellResult(result: BuildResult, request: BuildRequest, shell: Shell): void {
  writeResults(result, request, shell.env);
  if (request.style === "quiet" && !request.isStdoutTaken) shell.stdout.write(`${result.imageId}\n`);
}
