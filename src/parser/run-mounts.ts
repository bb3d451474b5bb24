import type { KbuildError, Location } from "../errors.ts";
import { shown } from "./characters.ts";
import { splitCsv } from "./csv.ts";
import type { Flag } from "./flags.ts";
import type { RunMount, Word } from "./instructions.ts";
import { MOUNT_VALUES } from "./mount-values.ts";
import { faultAt, type Statement } from "./statement.ts";
import { suggest } from "./suggest.ts";

const TYPES = ["bind", "cache", "tmpfs", "secret", "ssh"] as const;
type MountType = (typeof TYPES)[number];

/** The fields of a mount by the name that they are documented with, and their other names. */
const FIELDS = {
  type: [],
  from: [],
  source: ["src"],
  target: ["dst", "destination"],
  readonly: ["ro"],
  readwrite: ["rw"],
  id: [],
  sharing: [],
  mode: [],
  uid: [],
  gid: [],
  size: [],
  required: [],
  env: [],
} as const;
type FieldName = keyof typeof FIELDS;

/** Every way to write a field. */
const NAMES: ReadonlyMap<string, FieldName> = new Map(
  (Object.keys(FIELDS) as FieldName[]).flatMap((name) => [name, ...FIELDS[name]].map((written) => [written, name])),
);

/** What each type has. Dockerfile reference, "RUN --mount=type=bind" and the sections after it. */
const ALLOWED: Readonly<Record<MountType, readonly FieldName[]>> = {
  bind: ["target", "source", "from", "readonly", "readwrite"],
  cache: ["target", "id", "sharing", "from", "source", "readonly", "readwrite", "mode", "uid", "gid"],
  tmpfs: ["target", "size"],
  secret: ["id", "target", "env", "required", "mode", "uid", "gid", "source"],
  ssh: ["id", "target", "required", "mode", "uid", "gid"],
};

/** Fields that say what a mount of this type is anyway, when they say it. */
const USUAL: Readonly<Record<MountType, FieldName | undefined>> = {
  bind: undefined,
  cache: undefined,
  tmpfs: "readwrite",
  secret: "readonly",
  ssh: "readonly",
};

/** Fields that BuildKit takes and does nothing with; a warning tells of them. */
const EFFECTLESS: Readonly<Record<MountType, readonly FieldName[]>> = {
  bind: ["id", "env"],
  cache: ["env"],
  tmpfs: ["id", "env"],
  secret: [],
  ssh: ["env"],
};

/** Fields that may stand without a value, and are true then. */
const SWITCHES: readonly FieldName[] = ["readonly", "readwrite", "required"];

interface Field {
  readonly name: FieldName;
  /** As written. */
  readonly key: string;
  readonly value: Word;
  /** The whole field. */
  readonly location: Location;
}

/**
 * A `--mount`. What no variable can change is checked here, the rest when the step runs.
 * @throws KbuildError `build.mount`
 */
export function parseMount(statement: Statement, flag: Flag): RunMount {
  const fields = readFields(statement, flag);
  const type = typeOf(statement, fields.get("type"));
  for (const field of fields.values()) checkField(statement, type, field);
  checkContradictions(statement, type, fields);
  return mountOf(type, flag.value?.location ?? flag.location, (name) => {
    const value = fields.get(name)?.value;
    return value?.text === "" ? undefined : value;
  });
}

function readFields(statement: Statement, flag: Flag): ReadonlyMap<FieldName, Field> {
  const text = flag.value?.text ?? "";
  const split = splitCsv(text);
  if ("reason" in split) {
    const { location } = flag.part(split.at, split.at + 1);
    throw fault(statement, location, `--mount: ${split.reason}`, "quote whole fields: --mount='\"target=/a,b\"'");
  }
  const fields = new Map<FieldName, Field>();
  for (const { text: field, start, end } of split) {
    const { location } = flag.part(start, end);
    const equals = field.indexOf("=");
    const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    const name = NAMES.get(key);
    if (name === undefined) throw unknownField(statement, location, field, key);
    if (equals < 0 && !SWITCHES.includes(name)) {
      throw fault(statement, location, `--mount: ${key} has no value`, `write ${key}=VALUE`);
    }
    if (fields.has(name)) throw fault(statement, location, `--mount: ${name} is given twice`, "keep one of them");
    fields.set(name, { name, key, value: fieldValue(flag, field, equals, start, end), location });
  }
  return fields;
}

/** The value of a field. Quotes around the field are not part of its place. */
function fieldValue(flag: Flag, field: string, equals: number, start: number, end: number): Word {
  if (equals < 0) return { text: "true", location: flag.part(start, end).location };
  const inset = end - start === field.length ? 0 : 1;
  return { text: field.slice(equals + 1), location: flag.part(start + inset + equals + 1, end - inset).location };
}

function unknownField(statement: Statement, location: Location, field: string, key: string): KbuildError {
  if (field === "") {
    return fault(
      statement,
      location,
      "--mount: a field is empty",
      "take the comma out that stands before or behind it",
    );
  }
  const near = suggest(key, [...NAMES.keys()]);
  const hint = near === undefined ? `there is ${Object.keys(FIELDS).join(", ")}` : `did you mean ${near}?`;
  return fault(statement, location, `--mount has no field "${shown(key)}"`, hint);
}

function typeOf(statement: Statement, field: Field | undefined): MountType {
  if (field === undefined) return "bind";
  const { text, location } = field.value;
  const type = TYPES.find((candidate) => candidate === text.toLowerCase());
  if (type !== undefined) return type;
  if (text === "") throw fault(statement, location, "--mount: type has no value", `it is ${TYPES.join(" or ")}`);
  if (text.includes("$")) {
    throw fault(statement, location, "--mount: a variable cannot stand for the type", `it is ${TYPES.join(" or ")}`);
  }
  const near = suggest(text, TYPES);
  throw fault(
    statement,
    location,
    `unsupported mount type "${shown(text)}"`,
    near === undefined ? `it is ${TYPES.join(" or ")}` : `did you mean ${near}?`,
  );
}

function checkField(statement: Statement, type: MountType, { name, key, value, location }: Field): void {
  if (name === "type") return;
  if (!ALLOWED[type].includes(name)) {
    if (USUAL[type] === name && MOUNT_VALUES.readonly.parse(value.text) === true) return;
    if (EFFECTLESS[type].includes(name)) {
      statement.warn({ code: "UnusedFlag", message: `${key} has no effect on a mount of type ${type}`, location });
      return;
    }
    throw fault(statement, location, `a mount of type ${type} has no ${key}`, misplacedHint(type, name));
  }
  if (name === "from" && /\$./s.test(value.text)) {
    throw fault(
      statement,
      value.location,
      "--mount: variables are not expanded in from",
      "name a stage of its own with FROM $NAME AS other, and say from=other",
    );
  }
  if (!isChecked(name) || mayExpand(value.text, statement.escape)) return;
  const { parse, hint } = MOUNT_VALUES[name];
  if (parse(value.text) === undefined) throw badValue(statement, value, key, hint);
}

function isChecked(name: FieldName): name is FieldName & keyof typeof MOUNT_VALUES {
  return Object.hasOwn(MOUNT_VALUES, name);
}

/** Whether expansion makes something else of a value. */
function mayExpand(text: string, escapeCharacter: string): boolean {
  return /[$'"]/.test(text) || text.includes(escapeCharacter);
}

function badValue(statement: Statement, { text, location }: Word, key: string, hint: string): KbuildError {
  const message = text === "" ? `--mount: ${key} has no value` : `--mount: ${key} cannot be "${shown(text)}"`;
  return fault(statement, location, message, hint);
}

function misplacedHint(type: MountType, name: FieldName): string {
  if (name === "source" && type === "ssh") return "the agent is named by id, and given to the build with --ssh";
  if (name === "readonly" || name === "readwrite") {
    return type === "tmpfs" ? "what is in a tmpfs is lost afterwards anyway" : "it is always read-only";
  }
  const owners = TYPES.filter((other) => ALLOWED[other].includes(name));
  return `${name} is for mounts of type ${owners.join(" and ")}; this has ${ALLOWED[type].join(", ")}`;
}

function checkContradictions(statement: Statement, type: MountType, fields: ReadonlyMap<FieldName, Field>): void {
  const both = (first: FieldName, second: FieldName, hint: string) => {
    const [one, other] = [fields.get(first), fields.get(second)];
    if (one === undefined || other === undefined) return;
    throw fault(statement, other.location, `--mount: ${one.key} and ${other.key} cannot both be given`, hint);
  };
  both("readonly", "readwrite", "keep one of them");
  if (type !== "secret") return;
  both("id", "source", "for a secret they mean the same: keep id");
  const isNamed = (["id", "source", "target"] as const).some((name) => (fields.get(name)?.value.text ?? "") !== "");
  if (isNamed) return;
  const location = fields.get("type")?.location ?? statement.line.location(statement.start, statement.end);
  throw fault(statement, location, "--mount: the secret has no id", "write --mount=type=secret,id=NAME");
}

function mountOf(type: MountType, location: Location, value: (name: FieldName) => Word | undefined): RunMount {
  const common = { location, target: value("target") };
  const access = { readOnly: value("readonly"), readWrite: value("readwrite") };
  const owner = { mode: value("mode"), uid: value("uid"), gid: value("gid") };
  const origin = { from: value("from"), source: value("source") };
  switch (type) {
    case "bind":
      return { type, ...common, ...origin, ...access };
    case "cache":
      return { type, ...common, id: value("id"), sharing: value("sharing"), ...origin, ...access, ...owner };
    case "tmpfs":
      return { type, ...common, size: value("size") };
    case "secret": {
      const id = value("id") ?? value("source");
      return { type, ...common, id, required: value("required"), env: value("env"), ...owner };
    }
    case "ssh":
      return { type, ...common, id: value("id"), required: value("required"), ...owner };
  }
}

function fault(statement: Statement, location: Location, message: string, hint: string): KbuildError {
  return faultAt(statement, location, "build.mount", message, hint);
}
