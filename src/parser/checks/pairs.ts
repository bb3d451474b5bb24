import type { Rule } from "./rule.ts";

export const legacyKeyValueFormat: Rule = {
  name: "LegacyKeyValueFormat",
  description: "ENV and LABEL have = between name and value",
  explanation:
    "ENV NAME VALUE, with a blank in between, is an old form that takes all the rest of the line for the value. It looks " +
    "like several words where it is one, and cannot set several variables. Write ENV NAME=VALUE, with quotes around a " +
    "value that has spaces.",
  stage: () =>
    function* (instruction) {
      if (instruction.kind !== "ENV" && instruction.kind !== "LABEL") return;
      const [pair] = instruction.pairs;
      if (pair?.legacy !== true) return;
      yield {
        about: [instruction],
        message: `${instruction.keyword} with a blank between name and value is the old form`,
        hint: `write ${instruction.keyword} ${pair.name.text}=…`,
      };
    },
};

/** Words that secrets are called by, standing alone or between underscores. */
const SECRET = /(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)/i;
/** Words that say it is none: PUBLIC_KEY, PASSWORD_FILE, TOKEN_VERSION. */
const HARMLESS = /(?:_|^)(?:public|file|version)(?:_|$)/i;

export const secretsUsedInArgOrEnv: Rule = {
  name: "SecretsUsedInArgOrEnv",
  description: "Secrets are not handed over by ARG or ENV",
  explanation:
    "What ENV sets is in the image's configuration, and what an ARG was given is in its history: whoever has the image can " +
    "read both, even when a later instruction takes them away. RUN --mount=type=secret shows a secret to one step alone and " +
    "leaves nothing behind. The check goes by names such as API_KEY, DB_PASSWORD or GITHUB_TOKEN; names with PUBLIC, FILE " +
    "or VERSION in them are left in peace.",
  stage: () =>
    function* (instruction) {
      if (instruction.kind !== "ARG" && instruction.kind !== "ENV") return;
      const names =
        instruction.kind === "ARG"
          ? instruction.items.map(({ name }) => name)
          : instruction.pairs.map(({ name }) => name.text);
      for (const name of names) {
        if (!SECRET.test(name) || HARMLESS.test(name)) continue;
        yield {
          about: [instruction],
          message: `${instruction.kind} "${name}" seems to be a secret, which everybody who has the image could read`,
          hint: `RUN --mount=type=secret,id=${name.toLowerCase()} shows it to one step alone`,
        };
      }
    },
};
