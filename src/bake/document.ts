import { suggest } from "../parser/suggest.ts";
import { ATTRIBUTE_NAMES, type AttributeName, isAttribute, merged } from "./attributes.ts";
import {
  attributeValue,
  checkName,
  type Definitions,
  definitionOf,
  find,
  type GroupDefinition,
  type TargetDefinition,
  textsOf,
} from "./definitions.ts";
import { type Environment, Evaluator, type Locals, NO_LOCALS, type OwnFunction } from "./evaluate.ts";
import type { Attribute, Block, Body, Expression } from "./hcl/syntax.ts";
import { faultAt, locationOf, type Place } from "./source.ts";
import { fromJson, isList, mapOf, toMap, toText, type Value } from "./values.ts";
import { type Given, Variables } from "./variables.ts";

/** What a machine tells to functions. */
export interface Machine {
  readonly home: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export interface DefineSettings {
  readonly given: Given;
  readonly machine: Machine;
  /** What compose files define. */
  readonly before: Definitions | undefined;
  readonly warn: (message: string) => void;
}

const BLOCK_TYPES = ["variable", "function", "group", "target"];
/** So many targets come of one matrix at most. */
const MOST_TARGETS = 10_000;

/**
 * What HCL files define together, on top of what compose files define. Later files add to earlier ones and change them.
 *
 * @throws KbuildError `build.bake`
 */
export function define(files: readonly Body[], settings: DefineSettings): Definitions {
  return new Document(files, settings).define(settings.before);
}

/** One of the targets that a block stands for. */
interface Named {
  readonly name: string;
  readonly locals: Locals;
}

class Document {
  readonly #variables: Variables;
  readonly #functions = new Map<string, OwnFunction>();
  readonly #blocks: Block[] = [];
  readonly #evaluator: Evaluator;
  /** Attributes of blocks that are being computed, for one may refer to another. */
  readonly #underWay = new Set<Attribute>();
  readonly #names = new Map<Block, readonly Named[]>();
  readonly #given: Given;
  readonly #warn: (message: string) => void;

  constructor(files: readonly Body[], { given, machine, warn }: DefineSettings) {
    this.#given = given;
    this.#warn = warn;
    this.#variables = new Variables(given, () => this.#evaluator);
    for (const { attributes, blocks } of files) {
      for (const attribute of attributes) this.#variables.set(attribute);
      for (const block of blocks) this.#take(block);
    }
    const environment: Environment = {
      variable: (name, place) => this.#variables.value(name, place),
      ownFunction: (name) => this.#functions.get(name),
      block: (type, name, attribute, place) => this.#blockValue(type, name, attribute, place),
      names: this.#variables.names,
      ...machine,
    };
    this.#evaluator = new Evaluator(environment);
  }

  define(before: Definitions | undefined): Definitions {
    const variables = this.#variables.complete();
    if (before === undefined) this.#checkGiven();
    const targets = new Map(before?.targets);
    const groups = new Map(before?.groups);
    const renamed = new Map<string, { readonly names: Set<string>; readonly place: Place }>();
    for (const block of this.#blocks) {
      const label = labelOf(block);
      if (block.type === "group") {
        groups.set(label, this.#group(block, label));
        continue;
      }
      for (const { name, locals } of this.#expanded(block, label)) {
        const definition = this.#target(block, name, locals);
        const known = targets.get(name);
        targets.set(name, known === undefined ? definition : mergedDefinition(known, definition));
        const names = renamed.get(label) ?? { names: new Set<string>(), place: block.place };
        names.names.add(name);
        renamed.set(label, names);
      }
    }
    for (const [name, { names, place }] of renamed) {
      if (names.size === 1 && names.has(name)) continue;
      groups.set(name, { name, description: undefined, targets: [...names], place });
    }
    return { targets, groups, variables };
  }

  /** A variable of the command line that nothing declares is most often misspelt. */
  #checkGiven(): void {
    for (const name of Object.keys(this.#given.variables)) {
      if (this.#variables.has(name)) continue;
      const near = suggest(name, this.#variables.names);
      throw faultAt(undefined, `no file declares the variable ${name}`, near && `did you mean ${near}?`);
    }
  }

  #take(block: Block): void {
    if (block.type === "variable") this.#variables.declare(block);
    else if (block.type === "function") this.#functions.set(labelOf(block), ownFunction(block));
    else if (BLOCK_TYPES.includes(block.type)) this.#blocks.push(block);
    else {
      const near = suggest(block.type, BLOCK_TYPES);
      const hint = near ? `did you mean ${near}?` : `there is ${BLOCK_TYPES.join(", ")}`;
      throw faultAt(block.place, `a bake file has no blocks of type ${block.type}`, hint);
    }
  }

  #value(attribute: Attribute, locals: Locals): Value {
    if (this.#underWay.has(attribute)) throw faultAt(attribute.place, `${attribute.name} refers to itself`);
    this.#underWay.add(attribute);
    try {
      return this.#evaluator.value(attribute.value, locals);
    } finally {
      this.#underWay.delete(attribute);
    }
  }

  /** `target.web.tags`, and `target.web` for all that it says. */
  #blockValue(type: string, name: string, attribute: string | undefined, place: Place): Value | undefined {
    if (type !== "target" && type !== "group") return undefined;
    const blocks = this.#blocks.filter((block) => block.type === type);
    const isMade = (block: Block): boolean => find(block.body.attributes, "matrix") !== undefined;
    const direct = blocks.filter((block) => labelOf(block) === name && !isMade(block));
    // Only when no block has the name, those that a matrix makes are looked at: one of these may be asking.
    const found =
      direct.length > 0
        ? direct.map((block) => ({ block, locals: NO_LOCALS }))
        : blocks.filter(isMade).flatMap((block) =>
            this.#expanded(block, labelOf(block))
              .filter((one) => one.name === name)
              .map(({ locals }) => ({ block, locals })),
          );
    if (found.length === 0) {
      const near = suggest(name, this.#blocks.map(labelOf));
      throw faultAt(place, `there is no ${type} ${name}`, near && `did you mean ${near}?`);
    }
    const values = new Map<string, Value>([["name", name]]);
    for (const { block, locals } of found) {
      for (const one of block.body.attributes) {
        if (one.name === "matrix" || one.name === "name") continue;
        if (attribute === undefined || one.name === attribute) values.set(one.name, this.#readValue(one, locals));
      }
    }
    return attribute === undefined ? mapOf(values) : (values.get(attribute) ?? null);
  }

  /** What others see of an attribute: texts that stand for objects as such, arguments as texts. */
  #readValue(attribute: Attribute, locals: Locals): Value {
    const value = this.#value(attribute, locals);
    return isAttribute(attribute.name) ? fromJson(attributeValue(attribute.name, value, attribute.value.place)) : value;
  }

  /** The names that a block stands for, each with what its matrix gives it; computed once. */
  #expanded(block: Block, label: string): readonly Named[] {
    const known = this.#names.get(block) ?? this.#expand(block, label);
    this.#names.set(block, known);
    return known;
  }

  #expand(block: Block, label: string): readonly Named[] {
    const [matrix, name] = [find(block.body.attributes, "matrix"), find(block.body.attributes, "name")];
    if (block.type === "group" || matrix === undefined) {
      if (name !== undefined)
        throw faultAt(name.place, `a ${block.type} has its name in its head`, "name belongs to matrix");
      return [{ name: label, locals: NO_LOCALS }];
    }
    const names = new Set<string>();
    return this.#combinations(matrix).map((locals) => {
      const found = name === undefined ? label : toText(this.#value(name, locals), name.value.place);
      checkName(found, name?.value.place ?? block.place);
      if (names.has(found)) {
        const hint = 'name makes them differ: name = "…"';
        throw faultAt(name?.value.place ?? matrix.place, `two targets of the matrix have the name ${found}`, hint);
      }
      names.add(found);
      return { name: found, locals };
    });
  }

  #combinations(matrix: Attribute): Locals[] {
    const { place } = matrix.value;
    let found: Locals[] = [new Map()];
    for (const [axis, members] of toMap(this.#value(matrix, NO_LOCALS), place)) {
      if (!isList(members)) throw faultAt(place, `${axis} of a matrix must be a list`);
      if (found.length * members.length > MOST_TARGETS) throw faultAt(place, "this matrix makes too many targets");
      const earlier = found;
      found = members.flatMap((member) => earlier.map((locals) => new Map([...locals, [axis, member]])));
    }
    return found;
  }

  #group(block: Block, label: string): GroupDefinition {
    const targets = find(block.body.attributes, "targets");
    const description = find(block.body.attributes, "description");
    const odd = block.body.attributes.find(({ name }) => name !== "targets" && name !== "description");
    if (odd !== undefined) throw faultAt(odd.place, `a group has no ${odd.name}`, "it has targets, description");
    checkNoBlocks(block);
    if (targets === undefined) throw faultAt(block.place, `the group ${label} has no targets`);
    return {
      name: label,
      description: description && toText(this.#value(description, NO_LOCALS), description.value.place),
      targets: [...new Set(textsOf(this.#value(targets, NO_LOCALS), targets.value.place))],
      place: block.place,
    };
  }

  /** buildx passes over attributes that it does not know, and so files that work have some; here it is told. */
  #passOver({ name, place }: Attribute): void {
    if (name === "policy") throw faultAt(place, "policies are not supported yet");
    const { file, line, column } = locationOf(place);
    const near = suggest(name, [...ATTRIBUTE_NAMES, "matrix", "name"]);
    const hint = near ? `; did you mean ${near}?` : "";
    this.#warn(`${file}:${line}:${column}: a target has no ${name}, and so it changes nothing${hint}`);
  }

  #target(block: Block, name: string, locals: Locals): TargetDefinition {
    checkNoBlocks(block);
    const given: { name: AttributeName; value: Value; place: Place }[] = [];
    for (const attribute of block.body.attributes) {
      if (attribute.name === "matrix" || attribute.name === "name") continue;
      if (!isAttribute(attribute.name)) {
        this.#passOver(attribute);
        continue;
      }
      given.push({ name: attribute.name, value: this.#value(attribute, locals), place: attribute.value.place });
    }
    return definitionOf(name, block.place, given);
  }
}

function labelOf({ type, labels, place }: Block): string {
  const [label, another] = labels;
  if (label === undefined || another !== undefined) throw faultAt(place, `a ${type} has one name`);
  if (type === "target" || type === "group") checkName(label.text, label.place);
  return label.text;
}

function checkNoBlocks({ type, body }: Block): void {
  const [inner] = body.blocks;
  if (inner === undefined) return;
  throw faultAt(inner.place, `${inner.type} of a ${type} needs a =`, "its value in braces is an object");
}

/** HCL user function extension, "function" block; bake names its parts the same. */
function ownFunction({ body, place }: Block): OwnFunction {
  const parts = ["params", "variadic_params", "result"];
  const odd = body.attributes.find(({ name }) => !parts.includes(name));
  if (odd !== undefined) throw faultAt(odd.place, `a function has no ${odd.name}`, `it has ${parts.join(", ")}`);
  const [params, rest, result] = parts.map((name) => find(body.attributes, name));
  if (params === undefined) throw faultAt(place, "a function needs params", "params = [] for none");
  if (result === undefined) throw faultAt(place, "a function needs a result");
  if (params.value.kind !== "list") throw faultAt(params.value.place, "params is a list of names");
  return {
    parameters: params.value.items.map(parameterName),
    rest: rest && parameterName(rest.value),
    result: result.value,
  };
}

function parameterName(expression: Expression): string {
  if (expression.kind === "variable") return expression.name;
  // In HCL's JSON form names are strings.
  const [part, further] = expression.kind === "template" ? expression.parts : [];
  if (part?.kind === "text" && further === undefined && /^[\p{ID_Start}_][\p{ID_Continue}-]*$/u.test(part.text))
    return part.text;
  throw faultAt(expression.place, "the name of a parameter is needed here");
}

/** The same target defined once more. */
export function mergedDefinition(before: TargetDefinition, after: TargetDefinition): TargetDefinition {
  return {
    name: before.name,
    attributes: merged(before.attributes, after.attributes),
    places: new Map([...before.places, ...after.places]),
    place: after.place,
  };
}
