import type { Golden, PeerName } from "../golden.ts";

/** What a builder of that age does not know: how it is seen in a Dockerfile, and what it is. */
type Lack = readonly [RegExp, string];

// In JSON there are none; elsewhere they begin where no bracket stands in front.
const HEREDOC: Lack = [/^[^[\n]*<<-?\s*["']?[A-Za-z]/m, "heredocs"];

const BOTH: readonly Lack[] = [
  HEREDOC,
  [/--parents\b/, "COPY --parents"],
  [/--exclude\b/, "--exclude"],
  [/--unpack\b/, "ADD --unpack"],
  [/--link\b/, "--link"],
  [/--chmod=(?![0-7$])/, "--chmod by letters"],
  [/--start-interval\b/, "HEALTHCHECK --start-interval"],
  [/\$\{\w+(?:[#%/]|[-+?])/, "operators of newer frontends"],
  [/\$\{\w+:\?/, "operators of newer frontends"],
  [/\benv=TOKEN\b/, "secrets in variables"],
];

const LACKS: Readonly<Record<PeerName, readonly Lack[]>> = {
  buildkit20: [
    ...BOTH,
    [/^# syntax=/m, "a frontend that would have to be fetched"],
    [/(?<![\s\S])(?![\s\S]*^FROM\b)/im, "a file without FROM, of which its daemon dies"],
  ],
  buildah: [
    ...BOTH,
    [/^FROM .* AS (\w+)$[\s\S]*^FROM .* AS \1$/im, "two stages of one name, of which it takes either"],
  ],
};

/** What a case has that a peer does not know; undefined when it knows all. */
export function lackOf(peer: PeerName, { dockerfile, parents = {}, options = {} }: Golden): string | undefined {
  if (options.contexts !== undefined) return "named contexts";
  const texts = [dockerfile, ...Object.values(parents)];
  return LACKS[peer].find(([sign]) => texts.some((text) => sign.test(text)))?.[1];
}
