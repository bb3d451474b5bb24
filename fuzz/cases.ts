// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import * as fc from "fast-check";
import { dockerfile } from "../test/parser/dockerfiles.ts";
import { ignoreText } from "../test/parser/patterns.ts";
import { REAL } from "../test/support/dockerfiles.ts";
import { Random } from "./random.ts";

/** What is fed to a part of kbuild. */
export interface Case {
  readonly target: "dockerfile" | "ignore" | "words";
  readonly text: string;
}

/** No input is longer: what a case may take of time is measured against that. */
export const MOST_BYTES = 64 * 1024;
/** How many cases a batch has: what is made from one seed. */
export const BATCH = 400;

const TOKENS = [
  ..."\\|\\\n|`|`\n|\n|\r\n|\r|\t|\0|\ufeff|\u2028|\u00a0|é|😀|'|\"|$|${|}|:-|:+|:?|##|%%|//|#|=|,|--|<<E|<<-'E'\n|\nE\n".split(
    "|",
  ),
  ..."FROM |FROM a AS b\n|ARG |ENV |LABEL |RUN |RUN --mount=type=|COPY --from=|ADD |ONBUILD |CMD [|SHELL [|USER |VOLUME ".split(
    "|",
  ),
  ..."EXPOSE 1-65535 |HEALTHCHECK --interval=|STOPSIGNAL |MAINTAINER |WORKDIR |# escape=`\n|# syntax=|*|**|**/|?|[a-|[^|]|!|/|..|./".split(
    "|",
  ),
  ...'${X|${X:-${X|$X$X|${A#|${A%%*|${A//|/a}|[[[|]]]|"\\ud800"|99999999999|0x1|-1|__proto__|constructor|TARGETARCH'.split(
    "|",
  ),
];

/** The cases of a batch: the same for the same seed. */
export function casesOf(seed: number): readonly Case[] {
  const random = new Random(seed);
  const made = fc.sample(dockerfile, { seed, numRuns: BATCH / 4 });
  const ignored = fc.sample(ignoreText, { seed, numRuns: BATCH / 8 });
  const files = [...REAL, ...made];
  return Array.from({ length: BATCH }, (_, number): Case => {
    if (number < made.length) return { target: "dockerfile", text: made[number] ?? "" };
    switch (number % 4) {
      case 0:
        return { target: "ignore", text: changed(random.pick(ignored), ignored, random) };
      case 1:
        return { target: "words", text: changed(random.pick(WORDS), WORDS, random) };
      default:
        return { target: "dockerfile", text: changed(random.pick(files), files, random) };
    }
  });
}

const WORDS = TOKENS.filter((token) => /[$'"#%/\\*a-z]/.test(token));

/** A text changed here and there, byte by byte: what comes out need not be UTF-8, and is read as files are. */
function changed(text: string, others: readonly string[], random: Random): string {
  let bytes: Buffer = Buffer.from(text);
  for (let changes = 1 + random.below(6); changes > 0; changes--) {
    bytes = change(bytes, others, random).subarray(0, MOST_BYTES);
  }
  return bytes.toString("utf8");
}

function change(bytes: Buffer, others: readonly string[], random: Random): Buffer {
  const at = random.below(bytes.length + 1);
  const length = random.below(Math.min(40, bytes.length - at + 1));
  const [before, taken, behind] = [bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at + length)];
  switch (random.below(8)) {
    case 0:
      return Buffer.concat([before, behind]);
    case 1:
      return Buffer.concat([before, Buffer.from([random.below(256)]), taken, behind]);
    case 2:
      return Buffer.concat([before, taken.map((byte) => byte ^ (1 << random.below(8))), behind]);
    case 3: {
      const other = Buffer.from(random.pick(others));
      const start = random.below(other.length + 1);
      return Buffer.concat([before, other.subarray(start, start + random.below(200)), behind]);
    }
    case 4:
      // Something short, very often: that is how what takes quadratic time is found.
      return Buffer.concat([before, ...repeated(random.below(4) === 0 ? taken : token(random), random), behind]);
    default:
      return Buffer.concat([before, token(random), taken, behind]);
  }
}

function token(random: Random): Buffer {
  return Buffer.from(random.pick(TOKENS));
}

function repeated(bytes: Buffer, random: Random): readonly Buffer[] {
  const most = bytes.length === 0 ? 0 : Math.floor(MOST_BYTES / bytes.length);
  const count = random.below(10) === 0 ? most : random.below(Math.min(most, 200) + 1);
  return Array.from({ length: count }, () => bytes);
}
