import { KbuildError } from "../../errors.ts";
import type { Escape } from "../directives.ts";
import type { Instruction } from "../instructions.ts";
import { expandWords } from "../words.ts";
import type { Rule } from "./rule.ts";
import type { Scope } from "./scope.ts";

/** The ports of EXPOSE once variables are expanded, in order. */
function portsOf(instruction: Instruction, scope: Scope, escapeCharacter: Escape): readonly string[] {
  if (instruction.kind !== "EXPOSE") return [];
  return instruction.ports.flatMap(({ text }) => {
    try {
      return expandWords(text, (name) => scope.values.get(name), escapeCharacter);
    } catch (error) {
      // The build will tell.
      if (error instanceof KbuildError) return [];
      throw error;
    }
  });
}

export const exposeProtoCasing: Rule = {
  name: "ExposeProtoCasing",
  description: "Protocols in EXPOSE are in lower case",
  explanation:
    "EXPOSE 80/TCP is taken for 80/tcp, but other tools that read the file, or the image, compare names as they are. Write " +
    "tcp, udp and sctp in lower case.",
  stage: (_, { escapeCharacter }) =>
    function* (instruction, scope) {
      for (const port of portsOf(instruction, scope, escapeCharacter)) {
        const protocol = /\/(.*)$/.exec(port)?.[1] ?? "";
        if (protocol === protocol.toLowerCase()) continue;
        yield {
          about: [instruction],
          message: `the protocol of "${port}" is not in lower case`,
          hint: `write ${port.slice(0, -protocol.length)}${protocol.toLowerCase()}`,
        };
      }
    },
};

export const exposeInvalidFormat: Rule = {
  name: "ExposeInvalidFormat",
  description: "EXPOSE names ports of the container, and nothing else",
  explanation:
    "EXPOSE says which ports of the container are listened on. An address or a port of the host (EXPOSE 8080:80) has no " +
    "effect and will be an error one day. Which port of the host leads to it is said by docker run --publish.",
  stage: (_, { escapeCharacter }) =>
    function* (instruction, scope) {
      for (const port of portsOf(instruction, scope, escapeCharacter)) {
        if (!port.includes(":")) continue;
        // Blank parts in front of the port are none, as BuildKit sees them: ":80".
        if (/^:+[^:]*$/.test(port)) continue;
        yield {
          about: [instruction],
          message: `"${port}" has an address or a port of the host, which EXPOSE has no use for`,
          hint: `write EXPOSE ${port.slice(port.lastIndexOf(":") + 1)}`,
        };
      }
    },
};
