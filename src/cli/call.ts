import type { DockerfileOptions } from "../api.ts";
import type { Call } from "./call-option.ts";
import { checkJson, outlineJson, requestsJson, targetsJson } from "./render/call-json.ts";
import { outlineText, requestsText, targetsText } from "./render/call-text.ts";
import { checkText } from "./render/check-text.ts";
import { paintFor } from "./render/colors.ts";
import { sarifLog } from "./render/sarif.ts";
import { printableJson } from "./render/text.ts";
import type { Shell } from "./shell.ts";
import { version } from "./version.ts";

/**
 * Answers what is asked of a Dockerfile instead of building it. The status is 1 when a check finds something, or says that
 * the file cannot be built.
 */
export async function runCall(call: Call, options: DockerfileOptions, shell: Shell): Promise<void> {
  if (call.format !== "text") shell.errorsAs = "json";
  const asked = { ...options, signal: shell.interruption.signal };
  const isJson = call.format === "json";
  switch (call.method) {
    case "build":
      return;
    case "check":
      await check(call, asked, shell);
      return;
    case "outline": {
      const { outline } = await shell.engine();
      const found = await outline(asked);
      shell.stdout.write(isJson ? json(outlineJson(found)) : outlineText(found));
      return;
    }
    case "targets": {
      const { targets } = await shell.engine();
      const found = await targets(asked);
      shell.stdout.write(isJson ? json(targetsJson(found)) : targetsText(found));
      return;
    }
    case "subrequests.describe":
      shell.stdout.write(isJson ? json(requestsJson()) : requestsText());
  }
}

async function check({ format, ignoreStatus }: Call, options: DockerfileOptions, shell: Shell): Promise<void> {
  const engine = await shell.engine();
  const report = await engine.check(options);
  switch (format) {
    case "text":
      shell.stdout.write(checkText(report, paintFor(shell.stdout.isTTY === true, shell.env)));
      break;
    case "json":
      shell.stdout.write(json(checkJson(report)));
      break;
    case "sarif":
      shell.stdout.write(json(sarifLog(report, await engine.checkRules(), version())));
  }
  if (report.error !== undefined) {
    if (format === "text") throw report.error;
    shell.exitStatus = report.error.exitStatus;
  } else if (report.findings.length > 0 && !ignoreStatus) shell.exitStatus = 1;
}

function json(value: object): string {
  return `${printableJson(JSON.stringify(value, null, 2))}\n`;
}
