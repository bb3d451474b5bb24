import { rmSync } from "node:fs";
import { join } from "node:path";
import { KbuildError, type Location } from "../errors.ts";
import type { Dockerfile, Stage, Word } from "../parser/instructions.ts";
import { expandWord } from "../parser/words.ts";
import { platformArguments } from "./arguments.ts";
import { commitTime } from "./context/commit-time.ts";
import { type ContextTools, contextPlace } from "./context/locate.ts";
import { isImageContext } from "./context/named.ts";
import { EPOCH_ARGUMENT } from "./epoch.ts";
import { ingestArchive, newestFile } from "./ingest-archive.ts";
import type { BuildInputs } from "./inputs.ts";
import { evaluateArguments, evaluateGlobals, withPlace } from "./plan.ts";
import { type RemoteSource, remoteSource } from "./remote/source.ts";

/**
 * The time of a named context, in seconds since 1970: that of its commit, of its `Last-Modified` or of the newest file of an
 * archive. Undefined when it has none.
 * @throws KbuildError `registry.*`, `build.git`
 */
export async function timeOfContext(source: string, tools: ContextTools): Promise<number | undefined> {
  if (isImageContext(source)) return undefined;
  const place = contextPlace(source);
  switch (place.kind) {
    case "folder":
      return commitTime(place.path, tools.env, tools.signal);
    case "git":
      return timeOf({ kind: "git", address: place.address }, tools);
    case "http":
      return timeOf({ kind: "http", url: place.url, checksum: undefined }, tools);
  }
}

/**
 * The time of a stage that is nothing but one ADD of an address on scratch.
 * @throws KbuildError `build.epoch`, `registry.*`, `build.git`
 */
export async function timeOfStage(
  stage: Stage,
  dockerfile: Dockerfile,
  inputs: BuildInputs,
  tools: ContextTools,
): Promise<number | undefined> {
  const source = sourceOfStage(stage, dockerfile, inputs);
  return timeOf(source, tools);
}

function sourceOfStage(stage: Stage, dockerfile: Dockerfile, { given, ...inputs }: BuildInputs): RemoteSource {
  const [platform = inputs.buildPlatform] = inputs.targetPlatforms;
  const automatic = platformArguments(inputs.buildPlatform, platform, "default");
  const globals = evaluateGlobals(dockerfile, given, automatic);
  globals.delete(EPOCH_ARGUMENT);
  const values = new Map<string, string | undefined>();
  const expand = ({ text, location }: Word, lookup: (name: string) => string | undefined): string =>
    withPlace(dockerfile, location, () => expandWord(text, lookup, dockerfile.directives.escape));
  const unfit = (location: Location): KbuildError => {
    const message = `the stage that ${EPOCH_ARGUMENT} names has to be FROM scratch with ARGs and one ADD of one address`;
    return new KbuildError("build.epoch", message, { location, source: dockerfile.source });
  };
  const base = expand(stage.from.image, (name) => globals.get(name) ?? automatic.get(name));
  if (base !== "scratch") throw unfit(stage.from.image.location);
  let found: RemoteSource | undefined;
  for (const instruction of stage.instructions) {
    const lookup = (name: string) => values.get(name);
    if (instruction.kind === "ARG") {
      const declare = (name: string, value: string | undefined) =>
        values.set(name, given.get(name) ?? value ?? globals.get(name) ?? automatic.get(name));
      evaluateArguments(dockerfile, instruction, given, declare, lookup);
      continue;
    }
    const [word] = instruction.kind === "ADD" ? instruction.sources : [];
    if (instruction.kind !== "ADD" || word === undefined || instruction.order.length !== 1 || found !== undefined) {
      throw unfit(instruction.location);
    }
    const { checksum, keepGitDir } = instruction;
    const flags = {
      checksum: checksum && { text: expand(checksum, lookup), location: checksum.location },
      keepGitDir,
    };
    const text = expand(word, lookup);
    found = withPlace(dockerfile, word.location, () => remoteSource(text, flags));
    if (found === undefined) throw unfit(word.location);
  }
  if (found === undefined) throw unfit(stage.from.location);
  return found;
}

async function timeOf(source: RemoteSource, tools: ContextTools): Promise<number | undefined> {
  const remotes = await tools.remotes();
  if (source.kind === "git") return (await remotes.checkout(source.address)).time;
  const name = `[internal] load ${EPOCH_ARGUMENT} source`;
  const download = await tools.emitter.run({ name, kind: "internal" }, (reporter) =>
    remotes.download(source.url, source.checksum, reporter),
  );
  if (download.lastModified !== undefined) return download.lastModified;
  const archive = await ingestArchive(tools, join(download.folder, download.file));
  if (archive === undefined) return undefined;
  rmSync(archive.tar, { force: true });
  return newestFile(archive.table);
}
