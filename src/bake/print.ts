import type { TargetAttributes } from "./attributes.ts";
import type { Definitions } from "./definitions.ts";
import type { Resolved } from "./resolve.ts";
import { isList, isMap, jsonText, type Value } from "./values.ts";

/** What `--print` shows: the shape of a bake file in JSON. */
export interface PrintedPlan {
  readonly group: Readonly<Record<string, PrintedGroup>>;
  readonly target: Readonly<Record<string, TargetAttributes>>;
}

export interface PrintedGroup {
  readonly description?: string;
  readonly targets: readonly string[];
}

export function printedPlan({ groups, targets }: Resolved): PrintedPlan {
  return {
    group: Object.fromEntries(
      [...groups].map(([name, { description, targets: members }]) => [
        name,
        { ...(description ? { description } : {}), targets: members },
      ]),
    ),
    target: Object.fromEntries([...targets].map(([name, { attributes }]) => [name, escaped(attributes)])),
  };
}

/** What is printed can be read again: what would be a template then is escaped. */
function escaped(attributes: TargetAttributes): TargetAttributes {
  const text = (one: string): string => one.replace(/[$%](?=\{)/g, (mark) => mark + mark);
  const map = (one: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(one).map(([key, value]) => [key, text(value)]));
  const { annotations, args, labels } = attributes;
  const [inline, hosts] = [attributes["dockerfile-inline"], attributes["extra-hosts"]];
  return {
    ...attributes,
    ...(annotations && { annotations: annotations.map(text) }),
    ...(inline !== undefined && { "dockerfile-inline": text(inline) }),
    ...(args && { args: map(args) }),
    ...(labels && { labels: map(labels) }),
    ...(hosts && { "extra-hosts": map(hosts) }),
  };
}

/** A target or a group, as `--list targets` tells it. */
export interface ListedTarget {
  readonly name: string;
  readonly description?: string;
  readonly group?: boolean;
}

/** All but those whose name begins with `_`, which are only inherited. */
export function listedTargets({ targets, groups }: Definitions): ListedTarget[] {
  const listed: ListedTarget[] = [...targets.values()].map(({ name, attributes: { description } }) => ({
    name,
    ...(description ? { description } : {}),
  }));
  for (const { name, description, targets: members } of groups.values()) {
    const names = [...members].sort().join(", ");
    const told = description ? `${description} (${names})` : names;
    listed.push({ name, ...(told ? { description: told } : {}), group: true });
  }
  return listed.filter(({ name }) => !name.startsWith("_")).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** A variable, as `--list variables` tells it. */
export interface ListedVariable {
  readonly name: string;
  readonly type?: string;
  /** `null` where it has none. */
  readonly value: string | null;
  readonly description?: string;
}

export function listedVariables({ variables }: Definitions): ListedVariable[] {
  const listed = variables.map(({ name, type, value, description }) => ({
    name,
    ...(type ? { type } : {}),
    value: valueText(value),
    ...(description ? { description } : {}),
  }));
  return listed.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function valueText(value: Value): string | null {
  if (value === null) return null;
  return typeof value === "string" ? value : isList(value) || isMap(value) ? jsonText(value) : String(value);
}
