import { isAbsolute, relative, sep } from "node:path";
import { pathToFileURL } from "node:url";
import type { CheckReport, CheckRule, Location } from "../../api.ts";

/**
 * What checks found as a SARIF log, which code review shows beside the lines. SARIF 2.1.0, "sarifLog", "result", "region".
 * That the file cannot be built at all is a result as well, of the rule `BuildError`.
 */
export function sarifLog(report: CheckReport, rules: readonly CheckRule[], version: string): object {
  const level = report.failsOnFindings ? "error" : "warning";
  const uri = uriOf(report.path ?? report.file);
  const place = (location: Location) => ({
    physicalLocation: { artifactLocation: { uri }, region: regionOf(location) },
  });
  const results = report.findings.map(({ rule, message, hint, location }) => ({
    ruleId: rule,
    ruleIndex: rules.findIndex(({ name }) => name === rule),
    level,
    message: { text: hint === undefined ? message : `${message}; ${hint}` },
    locations: [place(location)],
  }));
  const { error } = report;
  const isFault = error !== undefined && error.code !== "build.checks";
  const fault = {
    ruleId: BUILD_ERROR.id,
    ruleIndex: rules.length,
    level: "error",
    message: { text: error?.hint === undefined ? error?.message : `${error.message}; ${error.hint}` },
    locations: [place(error?.location ?? { file: report.file, line: 1, column: 1 })],
  };
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: { driver: { name: "kbuild", version, rules: [...rules.map(ruleOf), BUILD_ERROR] } },
        columnKind: "unicodeCodePoints",
        results: isFault ? [...results, fault] : results,
      },
    ],
  };
}

const BUILD_ERROR = {
  id: "BuildError",
  name: "BuildError",
  shortDescription: { text: "The Dockerfile can be built" },
  fullDescription: { text: "A build would stop here before it runs anything." },
  defaultConfiguration: { level: "error" },
};

function ruleOf({ name, description, explanation, experimental }: CheckRule): object {
  return {
    id: name,
    name,
    shortDescription: { text: description },
    fullDescription: { text: explanation },
    help: { text: explanation },
    defaultConfiguration: { level: "warning", enabled: !experimental },
  };
}

function regionOf({ line, column, end }: Location): object {
  return {
    startLine: line,
    startColumn: column,
    ...(end === undefined ? {} : { endLine: end.line, endColumn: end.column }),
  };
}

/**
 * Where a file is: relative to the working directory, which is the repository's as a rule, or as a `file:` URI when it is
 * elsewhere. Nothing at the front of it may be taken for a scheme.
 */
function uriOf(path: string): string {
  const inside = relative("", path);
  if (inside.startsWith("..") || isAbsolute(inside)) return pathToFileURL(path).href;
  const slashed = inside.split(sep).join("/");
  return encodeURI(slashed.split("/")[0]?.includes(":") ? `./${slashed}` : slashed).replaceAll(
    /[?#]/g,
    encodeURIComponent,
  );
}
