import { type BakeListing, KbuildError } from "../api.ts";
import { printable } from "./render/text.ts";
import { alignColumns } from "./table.ts";
import { badValue, csvFields, oneOf } from "./values.ts";

/** What `--list` asks for. */
export interface ListRequest {
  readonly type: "targets" | "variables";
  readonly format: "table" | "json";
}

const OPTION = "--list";

/** `targets`, or `type=targets,format=json`. */
export function readList(text: string): ListRequest {
  const fields = csvFields(text, OPTION);
  const given = new Map<string, string>();
  for (const field of fields.length === 1 && !text.includes("=") ? [`type=${text}`] : fields) {
    const at = field.indexOf("=");
    const key = field.slice(0, Math.max(0, at)).trim().toLowerCase();
    if (key !== "type" && key !== "format") throw badValue(OPTION, text, "this must be type=TYPE,format=FORMAT");
    given.set(key, field.slice(at + 1));
  }
  const type = given.get("type");
  if (type === undefined) throw new KbuildError("usage.option", `${OPTION} needs a type: targets or variables`);
  return {
    type: oneOf(["targets", "variables"])(type, `${OPTION} type=`),
    format: oneOf(["table", "json"])(given.get("format") ?? "table", `${OPTION} format=`),
  };
}

/** As docker prints them. */
export function listText({ targets, variables }: BakeListing, { type, format }: ListRequest): string {
  if (format === "json") return `${JSON.stringify(type === "targets" ? targets : variables, null, 2)}\n`;
  if (type === "targets") {
    return table([["TARGET", "DESCRIPTION"], ...targets.map(({ name, description = "" }) => [name, description])]);
  }
  return table([
    ["VARIABLE", "TYPE", "VALUE", "DESCRIPTION"],
    ...variables.map(({ name, type: kind = "", value, description = "" }) => [
      name,
      kind,
      value ?? "<null>",
      description,
    ]),
  ]);
}

function table(rows: readonly (readonly string[])[]): string {
  return alignColumns(rows.map((row) => row.map(printable).join("\t")));
}
