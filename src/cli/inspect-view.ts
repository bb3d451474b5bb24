import type { InspectedConfig, InspectedImage } from "../api.ts";
import { mapOf, Nil, type Value } from "./template/values.ts";

/**
 * An image as docker's templates see it: members that JSON leaves out are there with Go's zero value, lists and maps that
 * are null print as empty ones, and what has keys of its own choice is a map.
 */
export function templateView(image: InspectedImage): object {
  const { Variant, OsVersion, Config, ...others } = image;
  return {
    ...others,
    Config: configView(Config),
    Variant: Variant ?? Nil.omittedText,
    OsVersion: OsVersion ?? Nil.omittedText,
    Descriptor: {
      ...image.Descriptor,
      ...(image.Descriptor.annotations ? { annotations: mapOf(image.Descriptor.annotations) } : {}),
    },
  };
}

function configView(config: InspectedConfig): object {
  const { ExposedPorts, Volumes, Labels, Healthcheck, StopSignal, Shell, ArgsEscaped } = config;
  return {
    ...config,
    ExposedPorts: ExposedPorts ? mapOf(ExposedPorts) : Nil.omittedMap,
    Env: config.Env ?? Nil.slice,
    Cmd: config.Cmd ?? Nil.slice,
    Healthcheck: Healthcheck ?? Nil.omittedPointer,
    ArgsEscaped: ArgsEscaped ?? Nil.omittedFalse,
    Volumes: Volumes ? mapOf(Volumes) : Nil.map,
    Entrypoint: config.Entrypoint ?? Nil.slice,
    OnBuild: config.OnBuild ?? Nil.slice,
    Labels: Labels ? mapOf(Labels) : Nil.map,
    StopSignal: StopSignal ?? Nil.omittedText,
    Shell: Shell ?? Nil.omittedSlice,
  } satisfies Record<keyof InspectedConfig, Value>;
}
