import type { Dockerfile, FromInstruction } from "../instructions.ts";
import { suggest } from "../suggest.ts";
import type { FileFacts, Rule } from "./rule.ts";
import { type Expanded, expandIn } from "./scope.ts";

/** What FROM's variables are: those of the ARGs before it, and the machine's. */
function valuesOf(
  globals: ReadonlyMap<string, string | undefined>,
  automatic: ReadonlyMap<string, string>,
): Map<string, string | undefined> {
  const values = new Map<string, string | undefined>(automatic);
  for (const [name, value] of globals) if (value !== undefined || !values.has(name)) values.set(name, value);
  return values;
}

/** Every FROM with its `--platform` expanded, where there is one. */
function* platforms(
  { stages, directives }: Dockerfile,
  { globals, automatic }: FileFacts,
): IterableIterator<{ from: FromInstruction; written: string; expanded: Expanded }> {
  if (globals === undefined) return;
  const values = valuesOf(globals, automatic);
  for (const { from } of stages) {
    const written = from.platform?.text;
    const expanded = written === undefined ? undefined : expandIn(written, values, directives.escape);
    if (written !== undefined && expanded !== undefined) yield { from, written, expanded };
  }
}

export const undefinedArgInFrom: Rule = {
  name: "UndefinedArgInFrom",
  description: "FROM uses only variables that an ARG before it declares",
  explanation:
    "In FROM only what an ARG before the first FROM declares has a value, besides the platform variables. Any other name is " +
    "expanded to nothing, and FROM busybox:$TGA takes another image than it says. Declare the variable with ARG in front of " +
    "the first FROM, or correct its name.",
  file: function* ({ stages, directives }, { globals, automatic }) {
    if (globals === undefined) return;
    const values = valuesOf(globals, automatic);
    for (const { from } of stages) {
      const words = [from.image, ...(from.platform === undefined ? [] : [from.platform])];
      for (const name of words.flatMap(({ text }) => [...(expandIn(text, values, directives.escape)?.unset ?? [])])) {
        if (values.has(name)) continue;
        const near = suggest(name, [...values.keys()]);
        yield {
          about: [from],
          message: `FROM uses ${name}, which no ARG before it declares${near === undefined ? "" : ` (did you mean ${near}?)`}`,
          hint: near === undefined ? `put ARG ${name}=… before the first FROM` : undefined,
        };
      }
    }
  },
};

export const invalidDefaultArgInFrom: Rule = {
  name: "InvalidDefaultArgInFrom",
  description: "FROM names an image even when no build argument is given",
  explanation:
    "ARG VERSION without a default makes FROM busybox:$VERSION invalid unless --build-arg VERSION=… is given, so that the " +
    "file cannot be built by itself, and tools cannot tell what it builds on. Give the ARG a default that works. What is " +
    'only added to a name may be blank: ARG VARIANT="" with FROM busybox:stable$VARIANT.',
  file: function* ({ stages, directives }, { defaults, automatic, isImageName }) {
    if (defaults === undefined) return;
    const values = valuesOf(defaults, automatic);
    for (const { from } of stages) {
      const expanded = expandIn(from.image.text, values, directives.escape);
      if (expanded === undefined) return;
      if (isImageName(expanded.text)) continue;
      yield {
        about: [from],
        message: `with the defaults of its ARGs alone, ${from.image.text} is not the name of an image`,
        hint: "give the ARG before FROM a default",
      };
    }
  },
};

const TARGET = "TARGETPLATFORM";

export const redundantTargetPlatform: Rule = {
  name: "RedundantTargetPlatform",
  description: "FROM does not ask for the platform that it has anyway",
  explanation:
    "Without --platform a stage is for the platform that is built. FROM --platform=$TARGETPLATFORM says just that, and makes " +
    "readers look for a reason. Leave it out. A stage that is to run on the building machine has --platform=$BUILDPLATFORM.",
  file: function* (dockerfile, facts) {
    for (const { from, written, expanded } of platforms(dockerfile, facts)) {
      const isAlone = expanded.used.size === 1 && expanded.unset.size === 0 && expanded.used.has(TARGET);
      const target = facts.globals?.get(TARGET) ?? facts.automatic.get(TARGET);
      if (!isAlone || expanded.text !== target) continue;
      yield {
        about: [from],
        message: `--platform=${written} asks for what is so anyway`,
        hint: "leave it out",
      };
    }
  },
};

export const fromPlatformFlagConstDisallowed: Rule = {
  name: "FromPlatformFlagConstDisallowed",
  description: "FROM --platform does not fix one platform",
  explanation:
    "FROM --platform=linux/amd64 makes the stage an amd64 one whatever is built: on another machine it is emulated or does " +
    "not run, and an image for another platform gets the wrong files. Leave the platform to --platform of the build, or use " +
    "$BUILDPLATFORM for a stage that compiles. A stage that is one platform's on purpose says so in its name, as in " +
    "FROM --platform=linux/amd64 node AS build-amd64, which this check accepts.",
  file: function* (dockerfile, facts) {
    for (const { from, expanded } of platforms(dockerfile, facts)) {
      if (expanded.used.size > 0 || expanded.unset.size > 0) continue;
      const platform = facts.readPlatform(expanded.text);
      const name = from.name?.text ?? "";
      if (platform === undefined || name.includes(platform.os) || name.includes(platform.architecture)) continue;
      yield {
        about: [from],
        message: `--platform is "${expanded.text}" here whatever is built`,
        hint: `leave it out, or name the stage after it: AS ${name === "" ? "build" : name}-${platform.architecture}`,
      };
    }
  },
};

/** Found by the build, when it knows the image: see `executor/checks/bases.ts`. */
export const invalidBaseImagePlatform: Rule = {
  name: "InvalidBaseImagePlatform",
  description: "Base images are for the platform that is built",
  explanation:
    "The image that FROM names is there for another platform only, so its programs do not run where the result is to run. " +
    "Name an image that has the platform, or build for the image's with --platform. This is found when the image is " +
    "resolved, and so by builds alone.",
};
